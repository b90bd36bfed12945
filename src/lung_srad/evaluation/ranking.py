"""How well probabilities rank: areas under ROC and precision-recall curves, over patients, and the curves themselves.

A *finding* is what a threshold decides: ``abnormal`` (any class but normal) and, where there are several abnormal
classes, each of them; a cycle with ``both`` holds crackle and wheeze. A cycle without an answer (silence) is a miss in
every figure: where the finding is there it ranks last, where it is not it ranks first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lung_srad.evaluation.intervals import Statistic

ABNORMAL, BOTH = "abnormal", "both"
_HELD_BY_BOTH = ("crackle", "wheeze")
_CHUNK = 1_000_000  # numbers in one array of resamples by thresholds
_REACH = 0.05  # of specificity, to either side, for the slope of a curve
GRID = 201  # points of a curve: every half per cent


@dataclass(frozen=True, slots=True)
class Ranked:
    """One finding in units (cycles, recordings or patients).

    Attributes:
        present: (n,), whether the finding is there.
        score: (n,), its probability; ±∞ for a unit without an answer.
        owner: (n,), the number of each unit's patient.
        patients: how many patients there are.
    """

    present: NDArray[np.bool_]
    score: NDArray[np.float64]
    owner: NDArray[np.int64]
    patients: int

    def sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Returns the different scores, highest first, and each patient's units with and without the finding there.

        Shape:
            -> (thresholds,), (thresholds, patients), (thresholds, patients)
        """
        scores, place = np.unique(-self.score, return_inverse=True)
        with_it, without = np.zeros((2, len(scores), self.patients))
        np.add.at(with_it, (place[self.present], self.owner[self.present]), 1)
        np.add.at(without, (place[~self.present], self.owner[~self.present]), 1)
        return -scores, with_it, without


@dataclass(frozen=True, slots=True)
class Curve:
    """Operating curves, in per cent, the mean over seeds.

    Attributes:
        sp: specificities, 0 to 100.
        se: the greatest sensitivity whose specificity is at least that.
        recall: sensitivities, 0 to 100.
        precision: precision (PPV) at the highest threshold whose sensitivity is at least that.
    """

    sp: tuple[float, ...]
    se: tuple[float, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]


def findings(class_names: Sequence[str], normal: int) -> dict[str, tuple[int, ...]]:
    """Returns name -> classes that hold the finding.

    Example:
        >>> findings(("normal", "crackle", "wheeze", "both"), 0)
        {'abnormal': (1, 2, 3), 'crackle': (1, 3), 'wheeze': (2, 3)}
    """
    abnormal = tuple(index for index in range(len(class_names)) if index != normal)
    found = {ABNORMAL: abnormal}
    if len(abnormal) > 1:
        shared = [index for index in abnormal if class_names[index] == BOTH]
        for index in abnormal:
            name = class_names[index]
            if name != BOTH:
                found[name] = (index, *(shared if name in _HELD_BY_BOTH else ()))
    return found


def auroc(ranked: Ranked) -> Statistic:
    """Returns the area under the ROC curve in per cent: how often a unit with the finding ranks above one without.

    Pairs are counted once per pair of patients, so the area of every resample is one product of matrices.
    """
    _, with_it, without = ranked.sums()
    below = without[::-1].cumsum(0)[::-1] - without / 2  # ranked lower, ties half
    pairs = with_it.T @ below  # (patient of the one with it, patient of the one without)
    positive, negative = with_it.sum(0), without.sum(0)

    def figure(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        ours, theirs = weights @ pairs.T, weights @ pairs  # each (resamples, patients)
        with np.errstate(invalid="ignore", divide="ignore"):
            up, down = (weights @ positive)[:, None], (weights @ negative)[:, None]
            value = (weights * ours).sum(1, keepdims=True) / (up * down)
            influence = (ours + theirs) / (up * down) - value * (positive / up + negative / down)
        return 100 * value[:, 0], 100 * influence

    return figure


def average_precision(ranked: Ranked) -> Statistic:
    """Returns the area under the precision-recall curve in per cent, without interpolation (average precision)."""
    _, with_it, without = ranked.sums()
    each = with_it + without
    positive = with_it.sum(0)

    def part(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        gained = weights @ with_it.T  # (resamples, thresholds)
        hits, flagged = gained.cumsum(1), (weights @ each.T).cumsum(1)
        inverse = np.divide(1, flagged, out=np.zeros_like(flagged), where=flagged > 0)
        precision = hits * inverse
        with np.errstate(invalid="ignore", divide="ignore"):
            total = gained.sum(1, keepdims=True)
            value = (gained * precision).sum(1, keepdims=True) / total
            gained *= inverse
            more = gained[:, ::-1].cumsum(1)[:, ::-1]  # how much a further hit at this threshold adds below it
            gained *= precision
            less = gained[:, ::-1].cumsum(1)[:, ::-1]
            influence = ((precision + more) @ with_it - less @ each) / total - value * positive / total
        return 100 * value[:, 0], 100 * influence

    return _in_blocks(part, len(with_it))


def sensitivity_at(ranked: Ranked, target: float) -> Statistic:
    """Returns the greatest sensitivity in per cent whose specificity is at least ``target`` per cent.

    Its influence is that of sensitivity and specificity at the threshold that was reached, the latter times the slope
    of the curve there, which is taken over ten points of specificity as the curve itself is a staircase.
    """
    _, with_it, without = ranked.sums()
    hits_of, alarms_of = with_it.cumsum(0), without.cumsum(0)  # (thresholds, patients), at or above each
    positive, negative = with_it.sum(0), without.sum(0)

    def at(alarms: NDArray[np.float64], hits: NDArray[np.float64], share: float) -> tuple[NDArray, NDArray]:
        """Returns the last threshold with at most that share of alarms (−1: none) and the share of hits there."""
        last = (alarms <= share + 1e-12).sum(1) - 1
        return last, np.where(last < 0, 0, np.take_along_axis(hits, np.maximum(last, 0)[:, None], 1)[:, 0])

    def part(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        with np.errstate(invalid="ignore", divide="ignore"):
            up, down = (weights @ positive)[:, None], (weights @ negative)[:, None]
            hits, alarms = weights @ hits_of.T / up, weights @ alarms_of.T / down  # (resamples, thresholds)
            share = 1 - target / 100
            last, se = at(alarms, hits, share)
            above, below = max(0.0, share - _REACH), min(1.0, share + _REACH)
            slope = ((at(alarms, hits, below)[1] - at(alarms, hits, above)[1]) / (below - above))[:, None]
            reached = (last >= 0)[:, None]
            fp = np.take_along_axis(alarms, np.maximum(last, 0)[:, None], 1)
            moved = (np.where(reached, hits_of[last], 0) - se[:, None] * positive) / up
            moved -= slope * (np.where(reached, alarms_of[last], 0) - np.where(reached, fp, 0) * negative) / down
        se[np.isnan(hits[:, -1]) | np.isnan(alarms[:, -1])] = np.nan
        return 100 * se, 100 * moved

    return _in_blocks(part, len(with_it))


def curve(seeds: Sequence[Ranked]) -> Curve:
    """Returns both curves on a grid of half per cents, the mean over seeds."""
    grid = np.linspace(0, 100, GRID)
    se, precision = (np.mean(column, axis=0) for column in zip(*(_on_grid(seed, grid) for seed in seeds), strict=True))
    return Curve(*(tuple(column.tolist()) for column in (grid, se, grid, precision)))


def _on_grid(ranked: Ranked, grid: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns sensitivity at each specificity, and precision at each sensitivity, in per cent."""
    _, with_it, without = ranked.sums()
    hits, alarms = with_it.sum(1).cumsum(), without.sum(1).cumsum()
    se, sp = 100 * hits / hits[-1], 100 - 100 * alarms / alarms[-1]
    last = np.searchsorted(-sp, -grid + 1e-9, side="right") - 1  # specificity falls from threshold to threshold
    first = np.searchsorted(se, grid - 1e-9)
    return np.where(last < 0, 0, se[last]), (100 * hits / (hits + alarms))[first]


def _in_blocks(part: Statistic, thresholds: int) -> Statistic:
    """Returns the same figure, computed for so few resamples at a time that memory stays small."""
    rows = max(1, _CHUNK // thresholds)

    def figure(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        parts = [part(weights[start : start + rows]) for start in range(0, len(weights), rows)]
        values, influences = zip(*parts, strict=True)
        return np.concatenate(values), np.concatenate(influences)

    return figure
