"""From a recording to an answer: load a trained model, classify windows or given cycles. Knows nothing of training."""

from lung_srad.inference.export import export_folder, export_onnx
from lung_srad.inference.files import Outcome, classify_files, find_recordings
from lung_srad.inference.loading import load
from lung_srad.inference.model import Model
from lung_srad.inference.parity import Parity, check_onnx
from lung_srad.inference.results import Classification, Segment, Summary, as_csv, as_json
from lung_srad.runs.shipped import shipped

__all__ = [
    "Classification",
    "Model",
    "Outcome",
    "Parity",
    "Segment",
    "Summary",
    "as_csv",
    "as_json",
    "check_onnx",
    "classify_files",
    "export_folder",
    "export_onnx",
    "find_recordings",
    "load",
    "shipped",
]
