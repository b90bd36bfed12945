"""Scores, the predictions file, the choice of an epoch, tables and the baselines that hear nothing.

Everything here is numbers in, numbers out: no model, no audio, no torch.
"""

from lung_srad.evaluation.baselines import always_normal, device_site_lookup
from lung_srad.evaluation.ensemble import EnsembleScores, average, curve
from lung_srad.evaluation.metrics import Scores, confusion_matrix, mean_scores, score_predictions
from lung_srad.evaluation.paper import PaperRow, PaperTable, paper_csv
from lung_srad.evaluation.patients import Estimate, paired_difference, patient_intervals
from lung_srad.evaluation.predictions import Predictions, read_predictions, write_predictions
from lung_srad.evaluation.selection import Choice, best_epoch, select
from lung_srad.evaluation.sheet import Sheet
from lung_srad.evaluation.tables import Figure, Row, Table, figure, measured, printed

__all__ = [
    "Choice",
    "EnsembleScores",
    "Estimate",
    "Figure",
    "PaperRow",
    "PaperTable",
    "Predictions",
    "Row",
    "Scores",
    "Sheet",
    "Table",
    "always_normal",
    "average",
    "best_epoch",
    "confusion_matrix",
    "curve",
    "device_site_lookup",
    "figure",
    "mean_scores",
    "measured",
    "paired_difference",
    "paper_csv",
    "patient_intervals",
    "printed",
    "read_predictions",
    "score_predictions",
    "select",
    "write_predictions",
]
