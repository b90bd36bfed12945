"""How far scores would move with other patients: intervals from patients drawn again with replacement.

Cycles of one patient resemble each other, so patients are the unit: an interval over cycles, or a deviation over
seeds, is too narrow. Every figure here is a ratio of counts, so a seed's counts can be averaged before anything else
("mean over seeds first"), and one product of matrices scores all resamples at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lung_srad.errors import DataError, message
from lung_srad.evaluation.intervals import (
    DEFAULT,
    RESAMPLES,
    Estimate,
    Statistic,
    difference_of,
    drawn,
    estimate,
    mean_of,
)
from lung_srad.evaluation.predictions import Predictions, aligned

FIGURES = ("sp", "se", "score", "se2", "score2", "balanced_accuracy")  # fields of Scores, in this order throughout
RECALL = "recall "  # and the name of a class


@dataclass(frozen=True, slots=True)
class Labelled:
    """The cycles of known label, their patients numbered, and what each seed answered.

    Attributes:
        class_names: of the labels.
        normal: index of the normal class.
        patients: the names of the patients.
        rows: (n,), which rows of the predictions these cycles are.
        owner: (n,), the number of each cycle's patient.
        label: (n,).
        predicted: (seeds, n), −1 where there is no answer.
        probabilities: (seeds, n, classes), NaN where there is no answer.
    """

    class_names: tuple[str, ...]
    normal: int
    patients: NDArray[np.str_]
    rows: NDArray[np.int64]
    owner: NDArray[np.int64]
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def part(self, chosen: NDArray[np.bool_]) -> "Labelled":
        """Returns some of the cycles, with the patients that they belong to."""
        patients, owner = np.unique(self.owner[chosen], return_inverse=True)
        return Labelled(
            self.class_names,
            self.normal,
            self.patients[patients],
            self.rows[chosen],
            owner,
            self.label[chosen],
            self.predicted[:, chosen],
            self.probabilities[:, chosen],
        )

    def seeds(self) -> Iterator["Labelled"]:
        """Yields each seed by itself."""
        for predicted, probabilities in zip(self.predicted, self.probabilities, strict=True):
            yield replace(self, predicted=predicted[None], probabilities=probabilities[None])

    def counts(self) -> NDArray[np.float64]:
        """Returns each patient's confusion matrix, the mean over seeds: (patients, classes, classes + 1)."""
        classes = len(self.class_names)
        counts = np.zeros((len(self.patients), classes, classes + 1))
        for predicted in self.predicted:
            np.add.at(counts, (self.owner, self.label, predicted), 1)  # −1 is the last column
        return counts / len(self.predicted)


def labelled(predictions: Sequence[Predictions], *, normal: int = 0, least: int = 2) -> Labelled:
    """Returns the cycles of known label of several seeds.

    Args:
        predictions: those of each seed, on the same cycles.
        normal: index of the normal class.
        least: how many patients are needed.

    Raises:
        DataError: too few patients have labels, seeds differ in their cycles, or a patient or class is unknown.
    """
    seeds = aligned(predictions)
    first, classes = seeds[0], len(seeds[0].class_names)
    if not 0 <= normal < classes:
        allowed = f"0 to {classes - 1}"
        raise DataError(message("normal", f"class {normal}", allowed, "give the place of normal among the classes"))
    rows = np.flatnonzero(first.label >= 0)
    patients, owner = np.unique(first.patient[rows], return_inverse=True)
    unnamed = int((first.patient[rows] == "").sum())
    if len(patients) < least or unnamed:
        seen = f"{unnamed} cycles of no patient" if unnamed else f"{len(patients)} patient(s) with labels"
        allowed = f"{least} or more patients, and a patient for each cycle that has a label"
        raise DataError(message("interval over patients", seen, allowed, "fill the column 'patient'"))
    predicted = np.stack([each.predicted[rows] for each in seeds])
    probabilities = np.stack([each.probabilities[rows] for each in seeds])
    return Labelled(first.class_names, normal, patients, rows, owner, first.label[rows], predicted, probabilities)


def patient_intervals(
    predictions: Sequence[Predictions],
    *,
    normal: int = 0,
    resamples: int = RESAMPLES,
    seed: int = 0,
    method: str = DEFAULT,
) -> dict[str, Estimate]:
    """Returns each figure of :class:`Scores`, the mean over seeds, with its interval over patients.

    A figure that no cycle can answer is left out.

    Args:
        predictions: those of each seed, on the same cycles; cycles of unknown label are passed over.
        normal: index of the normal class.
        resamples: how often patients are drawn.
        seed: of these draws.
        method: how the interval is made, see :mod:`lung_srad.evaluation.intervals`.

    Raises:
        DataError: no label is known, seeds differ in their cycles, a patient is unknown, or there is only one.
    """
    given = labelled(predictions, normal=normal)
    weights = drawn(len(given.patients), resamples, seed)
    return rate_estimates(given, weights, method=method)


def paired_difference(
    first: Sequence[Predictions],
    second: Sequence[Predictions],
    *,
    normal: int = 0,
    resamples: int = RESAMPLES,
    seed: int = 0,
    method: str = DEFAULT,
) -> dict[str, Estimate]:
    """Returns first minus second for each figure, both scored on the same patients in every resample.

    Arguments and errors as in :func:`patient_intervals`; both systems must have answered the same cycles. Where no
    patient tells the two apart the interval has no width.
    """
    aligned([*first, *second])
    both = [labelled(predictions, normal=normal) for predictions in (first, second)]
    weights = drawn(len(both[0].patients), resamples, seed)
    ours, theirs = (rates(given.counts(), normal) for given in both)
    found = {}
    for name in FIGURES:
        each = estimate(difference_of(ours[name], theirs[name]), weights, method=method, share=False)
        if each:
            alike = each.low is None
            found[name] = Estimate(each.value, each.value, each.value) if alike else each
    return found


def rates(counts: NDArray[np.float64], normal: int, names: Sequence[str] = ()) -> dict[str, Statistic]:
    """Returns every figure that is made of counts: :data:`FIGURES`, and the recall of each named class.

    Args:
        counts: confusion matrices of patients, (patients, classes, classes + 1).
        normal: index of the normal class.
        names: of the classes.
    """
    classes = counts.shape[1]
    abnormal = np.arange(classes) != normal
    sizes, hits = counts.sum(2), np.diagonal(counts, axis1=1, axis2=2)  # (patients, classes)
    flagged = counts[:, abnormal, :classes][..., abnormal].sum((1, 2))
    ill = sizes[:, abnormal].sum(1)
    recalls = [ratio(hits[:, index], sizes[:, index]) for index in range(classes)]
    sp, se, se2 = recalls[normal], ratio(hits[:, abnormal].sum(1), ill), ratio(flagged, ill)
    score, score2 = mean_of([sp, se]), mean_of([sp, se2])
    figures = dict(zip(FIGURES, (sp, se, score, se2, score2, _mean_of_known(recalls)), strict=True))
    return figures | {f"{RECALL}{name}": recall for name, recall in zip(names, recalls, strict=False)}


def rate_estimates(
    given: Labelled, weights: NDArray[np.float64], *, method: str = DEFAULT, names: Sequence[str] = ()
) -> dict[str, Estimate]:
    """Returns the figures of :func:`rates` that some cycle can answer, with their intervals."""
    seeds = by_seed(given, names)
    figures = rates(given.counts(), given.normal, names)
    found = {name: estimate(figure, weights, method=method, seeds=seeds[name]) for name, figure in figures.items()}
    return {name: each for name, each in found.items() if each}


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64], scale: float = 100) -> Statistic:
    """Returns the figure Σ w part / Σ w whole, in per cent, of patients' sums."""

    def figure(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        total = (weights @ whole)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):  # 0/0 is the NaN that is meant
            value = (weights @ part)[:, None] / total
            return scale * value[:, 0], scale * (part - value * whole) / total

    return figure


def by_seed(given: Labelled, names: Sequence[str] = ()) -> dict[str, list[float]]:
    """Returns each figure of :func:`rates` of each seed by itself, for the spread between seeds."""
    once = np.ones((1, len(given.patients)))
    seeds = [rates(seed.counts(), given.normal, names) for seed in given.seeds()]
    return {name: [float(seed[name](once)[0][0]) for seed in seeds] for name in seeds[0]}


def _mean_of_known(recalls: Sequence[Statistic]) -> Statistic:
    """Returns the mean of those figures that a resample can answer."""

    def figure(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        parts = [recall(weights) for recall in recalls]
        values, influences = (np.stack(column) for column in zip(*parts, strict=True))
        known = ~np.isnan(values)
        number = known.sum(0)
        with np.errstate(invalid="ignore"):
            influence = np.where(known[..., None], influences, 0).sum(0) / number[:, None]
            return np.where(known, values, 0).sum(0) / number, influence

    return figure
