"""Operating points: what a threshold on the probability of a finding gives, and at what prevalence.

A cycle is flagged where its probability is at or above the threshold. Two kinds of points are kept apart: those read
off the test part's own curve, which flatter a little as the test part chose them, and those whose threshold was chosen
on validation patients, which are what somebody who uses the model would get.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lung_srad.evaluation.intervals import Estimate, Statistic, estimate, mean_of
from lung_srad.evaluation.patients import Labelled, ratio
from lung_srad.evaluation.ranking import (
    Curve,
    Ranked,
    auroc,
    average_precision,
    curve,
    findings,
    sensitivity_at,
)

TARGETS = (80.0, 90.0, 95.0)  # specificities at which sensitivity is given
PREVALENCES = (5.0, 20.0, 50.0)  # per cent, for PPV and NPV


@dataclass(frozen=True, slots=True)
class Predictive:
    """PPV and NPV in per cent where this share of units has the finding; ``None`` where nothing (or all) is flagged."""

    prevalence: float
    ppv: float | None
    npv: float | None


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What one specificity gives.

    Attributes:
        target: the specificity asked for, in per cent.
        se: sensitivity where the test part's own curve has at least that specificity.
        thresholds: of each seed, the lowest with that specificity on validation patients (infinite where only flagging
            nothing has it); empty without validation units that lack the finding.
        sp_there: specificity on the test part at these thresholds.
        se_there: sensitivity on the test part at these thresholds.
        predictive: PPV and NPV at chosen prevalences: at the thresholds where there are some, else on the curve.
    """

    target: float
    se: Estimate
    thresholds: tuple[float, ...]
    sp_there: Estimate | None
    se_there: Estimate | None
    predictive: tuple[Predictive, ...]


@dataclass(frozen=True, slots=True)
class Detection:
    """How well one finding is detected in one kind of unit.

    Attributes:
        name: the finding, ``abnormal``, ``crackle`` or ``wheeze``.
        unit: ``cycle``, ``recording`` or ``patient``.
        units: how many there are.
        present: in how many the finding is there.
        patients: how many patients have a unit in which it is there.
        auroc: area under the ROC curve.
        auprc: average precision; what chance gives is the share present / units.
        curve: both curves, the mean over seeds.
        points: at specificities of 80, 90 and 95 %.
    """

    name: str
    unit: str
    units: int
    present: int
    patients: int
    auroc: Estimate
    auprc: Estimate
    curve: Curve
    points: tuple[OperatingPoint, ...]


@dataclass(frozen=True, slots=True)
class Units:
    """Units of one kind in which findings may be: cycles, recordings or patients.

    Attributes:
        kind: ``cycle``, ``recording`` or ``patient``.
        owner: (n,), the number of each unit's patient.
        patients: how many patients there are.
        present: finding -> (n,), whether it is there.
        scores: finding -> (seeds, n), its probability, see :class:`Ranked`.
    """

    kind: str
    owner: NDArray[np.int64]
    patients: int
    present: dict[str, NDArray[np.bool_]]
    scores: dict[str, NDArray[np.float64]]

    def ranked(self, name: str) -> list[Ranked]:
        """Returns one finding for each seed."""
        return [Ranked(self.present[name], score, self.owner, self.patients) for score in self.scores[name]]


def units_of(given: Labelled, kind: str, group: NDArray | None = None) -> Units:
    """Returns the units of labelled cycles.

    A unit of several cycles has the mean probability of those with an answer (none: no answer), and holds a finding
    where one of its cycles does.

    Args:
        given: the cycles.
        kind: what a unit is called.
        group: (n,), the unit of each cycle, in no more than one patient; ``None`` where each is a unit of its own.
    """
    place = np.arange(len(given.label)) if group is None else np.unique(group, return_inverse=True)[1]
    number = int(place.max()) + 1
    owner = np.zeros(number, dtype=np.int64)
    owner[place] = given.owner
    present, scores = {}, {}
    for name, classes in findings(given.class_names, given.normal).items():
        held = np.isin(given.label, list(classes))
        present[name] = np.bincount(place, weights=held, minlength=number) > 0
        scores[name] = np.stack([_mean_score(seed, classes, place, present[name]) for seed in given.probabilities])
    return Units(kind, owner, len(given.patients), present, scores)


def detections(
    test: Units,
    validation: Sequence[Units],
    weights: NDArray[np.float64],
    few: NDArray[np.float64],
    prevalences: Sequence[float] = PREVALENCES,
) -> tuple[Detection, ...]:
    """Returns how well each finding is detected; one that is in all units or in none is left out.

    Args:
        test: the units of the test part.
        validation: those of each seed's validation patients, by which thresholds are chosen; empty without.
        weights: resamples of the test patients, for areas under ROC curves and at fixed thresholds.
        few: fewer of them, for what has to go along the whole curve in each.
        prevalences: in per cent.
    """
    return tuple(
        _detection(name, test, validation, (weights, few), prevalences)
        for name, present in test.present.items()
        if present.any() and not present.all()
    )


def threshold(ranked: Ranked, target: float) -> float:
    """Returns the lowest threshold of at least ``target`` per cent specificity; infinite where no score has it.

    There must be units without the finding.
    """
    without = np.sort(ranked.score[~ranked.present])
    candidates = np.unique(ranked.score[np.isfinite(ranked.score)])
    sp = 100 * np.searchsorted(without, candidates) / len(without)  # below the threshold: left alone
    reached = candidates[sp >= target - 1e-9]
    return float(reached[0]) if len(reached) else np.inf


def ppv(sp: float, se: float, prevalence: float) -> float | None:
    """Returns the share of flagged units that have the finding, all in per cent; ``None`` where nothing is flagged."""
    right, wrong = se * prevalence, (100 - sp) * (100 - prevalence)
    return 100 * right / (right + wrong) if right + wrong > 0 else None


def npv(sp: float, se: float, prevalence: float) -> float | None:
    """Returns the share of units left alone that lack the finding, in per cent; ``None`` where all is flagged."""
    right, wrong = sp * (100 - prevalence), (100 - se) * prevalence
    return 100 * right / (right + wrong) if right + wrong > 0 else None


def _mean_score(
    probabilities: NDArray[np.float64], classes: Sequence[int], place: NDArray[np.int64], present: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Returns the score of each unit from its cycles' (n, classes)."""
    each = probabilities[:, list(classes)].sum(1)
    answered = ~np.isnan(each)
    number = np.bincount(place[answered], minlength=len(present))
    total = np.bincount(place[answered], weights=each[answered], minlength=len(present))
    return np.where(number > 0, total / np.maximum(number, 1), np.where(present, -np.inf, np.inf))


def _detection(
    name: str,
    test: Units,
    validation: Sequence[Units],
    draws: tuple[NDArray[np.float64], NDArray[np.float64]],
    prevalences: Sequence[float],
) -> Detection:
    weights, few = draws
    seeds, present = test.ranked(name), test.present[name]
    held = [units.ranked(name)[0] for units in validation]
    if any(each.present.all() for each in held):
        held = []
    points = []
    for target in TARGETS:
        se = _over_seeds([sensitivity_at(seed, target) for seed in seeds], few)
        thresholds = tuple(threshold(each, target) for each in held)
        there = [None, None]
        if thresholds:
            pairs = [_at_threshold(seed, chosen) for seed, chosen in zip(seeds, thresholds, strict=True)]
            there = [_over_seeds(list(column), weights) for column in zip(*pairs, strict=True)]
        sp_there, se_there = there
        at = (target, se.value) if sp_there is None or se_there is None else (sp_there.value, se_there.value)
        predictive = tuple(Predictive(share, ppv(*at, share), npv(*at, share)) for share in prevalences)
        points.append(OperatingPoint(target, se, thresholds, sp_there, se_there, predictive))
    return Detection(
        name=name,
        unit=test.kind,
        units=len(present),
        present=int(present.sum()),
        patients=len(np.unique(test.owner[present])),
        auroc=_over_seeds([auroc(seed) for seed in seeds], weights),
        auprc=_over_seeds([average_precision(seed) for seed in seeds], few),
        curve=curve(seeds),
        points=tuple(points),
    )


def _over_seeds(seeds: Sequence[Statistic], weights: NDArray[np.float64]) -> Estimate:
    """Returns the mean over seeds with interval and spread; there is one, as the finding is in some units only."""
    once = np.ones((1, weights.shape[1]))
    found = estimate(mean_of(seeds), weights, seeds=[float(seed(once)[0][0]) for seed in seeds])
    assert found is not None
    return found


def _at_threshold(ranked: Ranked, chosen: float) -> tuple[Statistic, Statistic]:
    """Returns specificity and sensitivity at a fixed threshold."""
    flagged = ranked.score >= chosen

    def sums(units: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.bincount(ranked.owner[units], minlength=ranked.patients).astype(np.float64)

    present = ranked.present
    return ratio(sums(~present & ~flagged), sums(~present)), ratio(sums(present & flagged), sums(present))
