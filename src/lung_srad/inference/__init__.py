"""From a recording to an answer: load a trained model, classify windows or given cycles. Knows nothing of training."""

from lung_srad.inference.files import Outcome, classify_files, find_recordings
from lung_srad.inference.loading import load
from lung_srad.inference.model import Model
from lung_srad.inference.results import Classification, Segment, Summary, as_csv, as_json
from lung_srad.runs.shipped import shipped

__all__ = [
    "Classification",
    "Model",
    "Outcome",
    "Segment",
    "Summary",
    "as_csv",
    "as_json",
    "classify_files",
    "find_recordings",
    "load",
    "shipped",
]
