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


def finding_score(probabilities: NDArray[np.float64], classes: Sequence[int], present: NDArray[np.bool_]) -> NDArray:
    """Returns the probability of a finding in each unit; without an answer −∞ where it is there, ∞ where not."""
    score = probabilities[:, list(classes)].sum(1)
    return np.where(np.isnan(score), np.where(present, -np.inf, np.inf), score)


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

    rows = max(1, _CHUNK // len(with_it))

    def figure(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        parts = [part(weights[start : start + rows]) for start in range(0, len(weights), rows)]
        values, influences = zip(*parts, strict=True)
        return np.concatenate(values), np.concatenate(influences)

    return figure
