"""Scores, the predictions file, the choice of an epoch, tables and the baselines that hear nothing.

Everything here is numbers in, numbers out: no model, no audio, no torch.
"""

from lung_srad.evaluation.assessment import Assessment, Baseline, Settings, evaluate_predictions
from lung_srad.evaluation.baselines import always_normal, device_site_lookup
from lung_srad.evaluation.calibration import Calibration, at_temperature, fit_temperature
from lung_srad.evaluation.compare import Comparison, compare
from lung_srad.evaluation.decision import Tuned, fit_bias, with_bias
from lung_srad.evaluation.ensemble import EnsembleScores, average, curve
from lung_srad.evaluation.foreign import Imported, import_predictions, labels_only, read_facts, write_facts
from lung_srad.evaluation.intervals import Estimate
from lung_srad.evaluation.metrics import Scores, confusion_matrix, mean_scores, score_predictions
from lung_srad.evaluation.operating import Detection, OperatingPoint, npv, ppv
from lung_srad.evaluation.paper import PaperRow, PaperTable, paper_csv
from lung_srad.evaluation.patients import paired_difference, patient_intervals
from lung_srad.evaluation.predictions import Predictions, read_predictions, write_predictions
from lung_srad.evaluation.selection import Choice, best_epoch, select
from lung_srad.evaluation.sheet import Sheet
from lung_srad.evaluation.subgroups import Facts, Spread, Subgroups
from lung_srad.evaluation.tables import Figure, Row, Table, figure, measured, printed

__all__ = [
    "Assessment",
    "Baseline",
    "Calibration",
    "Choice",
    "Comparison",
    "Detection",
    "EnsembleScores",
    "Estimate",
    "Facts",
    "Figure",
    "Imported",
    "OperatingPoint",
    "PaperRow",
    "PaperTable",
    "Predictions",
    "Row",
    "Scores",
    "Settings",
    "Sheet",
    "Spread",
    "Subgroups",
    "Table",
    "Tuned",
    "always_normal",
    "at_temperature",
    "average",
    "best_epoch",
    "compare",
    "confusion_matrix",
    "curve",
    "device_site_lookup",
    "evaluate_predictions",
    "figure",
    "fit_bias",
    "fit_temperature",
    "import_predictions",
    "labels_only",
    "mean_scores",
    "measured",
    "npv",
    "paired_difference",
    "paper_csv",
    "patient_intervals",
    "ppv",
    "printed",
    "read_facts",
    "read_predictions",
    "score_predictions",
    "select",
    "with_bias",
    "write_facts",
    "write_predictions",
]
