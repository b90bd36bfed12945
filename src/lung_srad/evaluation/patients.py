"""How far scores would move with other patients: intervals from patients drawn again with replacement.

Cycles of one patient resemble each other, so patients are the unit: an interval over cycles, or a deviation over
seeds, is too narrow. Every figure here is a ratio of counts, so a seed's counts can be averaged before anything else
("mean over seeds first"), and one product of matrices scores all resamples at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lung_srad.errors import DataError, message
from lung_srad.evaluation.metrics import confusion_matrix
from lung_srad.evaluation.predictions import Predictions, aligned

FIGURES = ("sp", "se", "score", "se2", "score2", "balanced_accuracy")  # fields of Scores, in this order throughout
LEVEL = 95.0
RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure or a difference in per cent, with its 95 % interval over patients."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.1f} to {self.high:.1f})"


def patient_intervals(
    predictions: Sequence[Predictions], *, normal: int = 0, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """Returns each figure of :class:`Scores`, the mean over seeds, with its percentile interval over patients.

    A figure that no cycle can answer is left out. With few patients a percentile interval is a little too narrow.

    Args:
        predictions: those of each seed, on the same cycles; cycles of unknown label are passed over.
        normal: index of the normal class.
        resamples: how often patients are drawn.
        seed: of these draws.

    Raises:
        DataError: no label is known, seeds differ in their cycles, a patient is unknown, or there is only one.
    """
    counts = _patient_counts(predictions)
    return _estimates(_figures(counts.sum(0), normal), _figures(_resampled(counts, resamples, seed), normal))


def paired_difference(
    first: Sequence[Predictions],
    second: Sequence[Predictions],
    *,
    normal: int = 0,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Returns first minus second for each figure, both scored on the same patients in every resample.

    Arguments and errors as in :func:`patient_intervals`; both systems must have answered the same cycles.
    """
    aligned([*first, *second])
    both = [_patient_counts(predictions) for predictions in (first, second)]
    points = [_figures(counts.sum(0), normal) for counts in both]
    draws = [_figures(_resampled(counts, resamples, seed), normal) for counts in both]  # one seed: the same patients
    return _estimates(points[0] - points[1], draws[0] - draws[1])


def _estimates(points: NDArray[np.float64], draws: NDArray[np.float64]) -> dict[str, Estimate]:
    """Returns points (6,) with the quantiles of draws (R, 6); a draw that lacks a figure (NaN) has no say in it."""
    tail = (100 - LEVEL) / 2
    found = {}
    for name, point, column in zip(FIGURES, points, draws.T, strict=True):
        if not np.isnan(point):
            low, high = np.nanpercentile(column, (tail, 100 - tail))
            found[name] = Estimate(float(point), float(low), float(high))
    return found


def _patient_counts(predictions: Sequence[Predictions]) -> NDArray[np.float64]:
    """Returns each patient's confusion matrix, the mean over seeds: (patients, classes, classes + 1)."""
    seeds = aligned(predictions)
    first, classes = seeds[0], len(seeds[0].class_names)
    known = first.label >= 0
    patients, owner = np.unique(first.patient, return_inverse=True)
    rows = [np.flatnonzero(known & (owner == index)) for index in range(len(patients))]
    rows = [row for row in rows if row.size]
    if len(rows) < 2 or "" in first.patient[known]:
        unnamed = int((first.patient[known] == "").sum())
        seen = f"{unnamed} cycles of no patient" if unnamed else f"{len(rows)} patient(s) with labels"
        allowed = "two or more patients, and a patient for each cycle that has a label"
        raise DataError(message("interval over patients", seen, allowed, "fill the column 'patient'"))
    matrices = [
        [confusion_matrix(each.label[row], each.predicted[row], num_classes=classes) for row in rows] for each in seeds
    ]
    return np.mean(matrices, axis=0)


def _resampled(counts: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Returns the confusion matrix of each resample: as many patients as there are, drawn with replacement."""
    patients = len(counts)
    generator = np.random.default_rng(seed)
    times = generator.multinomial(patients, np.full(patients, 1 / patients), size=resamples)  # (R, patients)
    return (times @ counts.reshape(patients, -1)).reshape(resamples, *counts.shape[1:])


def _figures(counts: NDArray[np.float64], normal: int) -> NDArray[np.float64]:
    """Returns the figures of confusion matrices in per cent, NaN where no cycle can answer one.

    Shape:
        (..., classes, classes + 1) -> (..., 6)
    """
    classes = counts.shape[-2]
    abnormal = np.arange(classes) != normal
    sizes, hits = counts.sum(-1), np.diagonal(counts, axis1=-2, axis2=-1)  # (..., classes)
    flagged = counts[..., abnormal, :classes][..., abnormal].sum((-2, -1))
    with np.errstate(invalid="ignore"):  # 0/0 is the NaN that is meant
        recalls = hits / sizes
        sp, ill = recalls[..., normal], sizes[..., abnormal].sum(-1)
        se, se2 = hits[..., abnormal].sum(-1) / ill, flagged / ill
    balanced = np.nanmean(recalls, axis=-1)
    return 100 * np.stack([sp, se, (sp + se) / 2, se2, (sp + se2) / 2, balanced], axis=-1)
