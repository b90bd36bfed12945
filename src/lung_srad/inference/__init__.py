"""From a recording to an answer: load a trained model, classify windows or given cycles. Knows nothing of training."""

from lung_srad.inference.calibration import calibrate
from lung_srad.inference.events import Cell, Event, EventRule
from lung_srad.inference.explanation import Explanation, explain
from lung_srad.inference.features import Embeddings, embed
from lung_srad.inference.files import Outcome, classify_files, find_recordings
from lung_srad.inference.label_files import as_audacity, as_raven
from lung_srad.inference.listening import Listener
from lung_srad.inference.loading import load
from lung_srad.inference.model import Model
from lung_srad.inference.model_export import export_folder, export_onnx
from lung_srad.inference.parity import Parity, check_onnx
from lung_srad.inference.quality import Finding, Quality
from lung_srad.inference.results import Classification, as_csv, as_json
from lung_srad.inference.segments import Segment, Summary, together
from lung_srad.inference.trust import Trust
from lung_srad.runs.shipped import shipped

__all__ = [
    "Cell",
    "Classification",
    "Embeddings",
    "Event",
    "EventRule",
    "Explanation",
    "Finding",
    "Listener",
    "Model",
    "Outcome",
    "Parity",
    "Quality",
    "Segment",
    "Summary",
    "Trust",
    "as_audacity",
    "as_csv",
    "as_json",
    "as_raven",
    "calibrate",
    "check_onnx",
    "classify_files",
    "embed",
    "explain",
    "export_folder",
    "export_onnx",
    "find_recordings",
    "load",
    "shipped",
    "together",
]
