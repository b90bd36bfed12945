"""Answers that nobody gave: patients with the cycles of the official test part of ICBHI, and effects of their own.

Patients are drawn from the 49 with replacement, with their cycles. Each has two effects, on the logits of getting a
normal and of getting an abnormal cycle right, independent and normal with a given deviation. The truth is that of
infinitely many such patients, and exact: an effect is independent of the number of cycles, so the expected share of
right answers is that of a cycle, E[sigmoid(b + effect)], and b is set so that it is the published one.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lung_srad.evaluation.patients import Labelled

CLASSES = ("normal", "crackle", "wheeze", "both")
# Cycles of normal, crackle, wheeze and both of each of the 49 patients of the official test part (Rocha et al. 2019).
OFFICIAL = """\
23/0/0/0 13/0/0/0 44/1/10/0 46/15/0/0 50/0/0/0 15/0/25/0 9/0/0/0 8/0/0/0 33/0/13/2 11/0/0/0
89/32/32/3 9/0/0/0 35/3/7/1 18/0/0/0 20/0/0/0 28/9/0/0 63/6/8/3 70/2/31/0 27/4/18/2 7/9/1/0
76/28/38/26 8/14/6/33 20/26/36/19 19/3/1/0 3/11/0/0 120/24/2/4 9/0/0/0 8/5/0/0 16/87/5/2 4/0/14/5
11/122/0/0 31/40/6/2 120/45/35/8 2/5/0/0 54/0/1/0 17/0/0/0 18/0/0/0 42/5/23/5 29/28/41/0 10/0/0/0
45/57/0/0 116/22/1/0 98/5/4/4 7/0/0/0 10/4/8/0 11/18/6/24 29/19/13/0 14/0/0/0 14/0/0/0"""
COUNTS = np.array([[int(number) for number in patient.split("/")] for patient in OFFICIAL.split()])
SP, SE = 0.795, 0.494  # as the literature's, near the Score of 64.48
TRUTH = {"sp": 100 * SP, "se": 100 * SE, "score": 50 * (SP + SE)}
GAP = 1.6  # between the means of normal and abnormal cycles, in deviations of a cycle, see `scored`
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def sigmoid(values: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.asarray(values, dtype=np.float64)))


@cache
def centre(share: float, deviation: float) -> float:
    """Returns the b with E[sigmoid(b + effect)] = share."""
    low, high = -20.0, 20.0
    for _ in range(80):
        middle = (low + high) / 2
        expected = float((_WEIGHTS * sigmoid(middle + deviation * _NODES)).sum())
        low, high = (middle, high) if expected < share else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True, slots=True)
class Patients:
    """Some patients: the owner and the label of each cycle, and the two effects of each patient."""

    owner: NDArray[np.int64]
    label: NDArray[np.int64]
    effects: NDArray[np.float64]

    @classmethod
    def drawn(cls, generator: np.random.Generator, deviation: float, number: int = len(COUNTS)) -> "Patients":
        """Returns patients drawn with replacement from the 49."""
        return cls._of(generator, deviation, COUNTS[generator.integers(0, len(COUNTS), number)])

    @classmethod
    def whole(cls, generator: np.random.Generator, deviation: float) -> "Patients":
        """Returns the 49 as they are: 2,756 cycles."""
        return cls._of(generator, deviation, COUNTS)

    @classmethod
    def _of(cls, generator: np.random.Generator, deviation: float, counts: NDArray[np.int64]) -> "Patients":
        cells = np.arange(counts.size).repeat(counts.ravel())
        return cls(cells // 4, cells % 4, generator.normal(0, deviation, (len(counts), 2)))

    def of_cycles(self, effects: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the effect on each cycle."""
        return effects[self.owner, (self.label > 0).astype(int)]


def answered(generator: np.random.Generator, given: Patients, deviation: float, apart: float = 0.0) -> Labelled:
    """Returns what a system says: right as often as it should be, else another class.

    ``apart`` is the deviation of a further effect of each patient that only this system has.
    """
    whole = float(np.hypot(deviation, apart))
    centres = np.array([centre(SP, whole), centre(SE, whole)])
    effects = given.effects + generator.normal(0, apart, given.effects.shape)
    right = generator.random(len(given.label)) < sigmoid(
        centres[(given.label > 0).astype(int)] + given.of_cycles(effects)
    )
    wrong = (given.label + generator.integers(1, 4, len(given.label))) % 4
    predicted = np.where(right, given.label, wrong)
    return labelled_of(given, predicted, np.eye(4)[predicted])


def scored(generator: np.random.Generator, given: Patients, slope: float = 1.5) -> Labelled:
    """Returns a system whose probability of abnormal is sigmoid(slope * (s - GAP / 2)).

    s is the patient's effect plus a normal deviate, plus GAP in an abnormal cycle; crackle stands for abnormal.
    """
    s = given.of_cycles(given.effects) + generator.normal(0, 1, len(given.label)) + GAP * (given.label > 0)
    abnormal = sigmoid(slope * (s - GAP / 2))
    probabilities = np.column_stack([1 - abnormal, abnormal, 0 * abnormal, 0 * abnormal])
    return labelled_of(given, probabilities.argmax(1), probabilities)


def true_ranking(deviation: float, slope: float = 1.5) -> dict[str, float]:
    """Returns what `scored` has in infinitely many patients, by sums over a fine grid of s."""
    whole = float(np.hypot(deviation, 1))
    s = np.linspace(-12 * whole, GAP + 12 * whole, 400_001)
    density = [np.exp(-(((s - mean) / whole) ** 2) / 2) for mean in (0.0, GAP)]
    share = COUNTS[:, 1:].sum() / COUNTS.sum()
    normal, abnormal = (part * each / each.sum() for part, each in zip((1 - share, share), density, strict=True))
    p = sigmoid(slope * (s - GAP / 2))
    hits, alarms = abnormal[::-1].cumsum()[::-1], normal[::-1].cumsum()[::-1]  # at or above each s
    mass = (normal + abnormal).cumsum()
    place = np.minimum((15 * (mass - (normal + abnormal) / 2)).astype(int), 14)
    gaps = np.bincount(place, weights=normal * p - abnormal * (1 - p), minlength=15)
    return {
        "AUROC": 100 * float((abnormal * (normal.cumsum() - normal / 2)).sum() / (share * (1 - share))),
        "AUPRC": 100 * float((abnormal * hits / (hits + alarms)).sum() / share),
        "Se at Sp 90": 100 * float(hits[int(np.argmax(alarms <= 0.1 * (1 - share)))] / share),
        "Brier": 100 * float((normal * p**2 + abnormal * (1 - p) ** 2).sum()),
        "ECE": 100 * float(np.abs(gaps).sum()),
    }


def labelled_of(given: Patients, predicted: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Labelled:
    patients = np.array([f"p{index:03d}" for index in range(len(given.effects))])
    rows = np.arange(len(given.label))
    return Labelled(CLASSES, 0, patients, rows, given.owner, given.label, predicted[None], probabilities[None])
