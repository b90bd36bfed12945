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
from lung_srad.evaluation.ranking import GRID, Curve, Ranked, auroc, average_precision, finding_score, findings

TARGETS = (80.0, 90.0, 95.0)  # specificities at which sensitivity is given
PREVALENCES = (5.0, 20.0, 50.0)  # per cent, for PPV and NPV


@dataclass(frozen=True, slots=True)
class Predictive:
    """PPV and NPV in per cent where this share of cycles has the finding; ``None`` where nothing is (or all is) flagged."""

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
            nothing has it); empty without validation predictions.
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


def ppv(sp: float, se: float, prevalence: float) -> float | None:
    """Returns the share of flagged units that have the finding, all in per cent; ``None`` where nothing is flagged."""
    right, wrong = se * prevalence, (100 - sp) * (100 - prevalence)
    return 100 * right / (right + wrong) if right + wrong > 0 else None


def npv(sp: float, se: float, prevalence: float) -> float | None:
    """Returns the share of units left alone that lack the finding, in per cent; ``None`` where all is flagged."""
    right, wrong = sp * (100 - prevalence), (100 - se) * prevalence
    return 100 * right / (right + wrong) if right + wrong > 0 else None
