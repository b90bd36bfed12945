"""Who is in a simulated corpus: patients, their devices, their side of the split, how often they are recorded.

Nothing is copied from ICBHI 2017; its shares are. They were counted on its public annotations, split file and
demographic list (Rocha et al. 2019): 126 patients, 920 recordings, 6,898 cycles.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from lung_srad.datasets.seeds import derive_seed
from lung_srad.datasets.simulated.plan import Device, Patient, Split

FIRST_NUMBER = 301
CHILDREN = 0.39
# Patients who may have any; in ICBHI 63 and 51 % have one in their annotations, here the same: some stay lucky.
WITH_CRACKLES, WITH_WHEEZES = 0.70, 0.58


class Size(NamedTuple):
    """How many patients and recordings; ``each`` where every patient has the same number of them."""

    patients: int
    recordings: int
    each: int | None = None


SIZES = {"tiny": Size(12, 24), "demo": Size(40, 120, each=3), "small": Size(40, 292), "full": Size(126, 920)}


class Group(NamedTuple):
    """Patients of one device on one side of the split, among 126, and their mean number of recordings."""

    device: Device
    split: Split
    patients: int
    recordings: float


GROUPS = (
    Group("AKGC417L", "train", 16, 22.5),
    Group("AKGC417L", "test", 15, 19.0),
    Group("Litt3200", "train", 2, 2.5),
    Group("Litt3200", "test", 10, 5.5),
    Group("LittC2SE", "train", 22, 3.9),
    Group("Meditron", "train", 37, 2.2),
    Group("Meditron", "test", 24, 1.7),
)
_SPREAD = {"AKGC417L": 0.45, "Litt3200": 0.2, "LittC2SE": 0.9, "Meditron": 0.7}  # of log(recordings) over patients
# Log-odds of (crackle, wheeze) by device that give the rates of ICBHI's devices; `confound` scales them.
_CONFOUND = {"AKGC417L": (0.9, -0.2), "Litt3200": (-2.2, 0.5), "LittC2SE": (-1.1, 0.6), "Meditron": (-1.3, -0.9)}
_PROPENSITY = ((0.1, 1.3), (-0.6, 1.4))  # mean and standard deviation of the log-odds: crackle, wheeze
_DIAGNOSES = {  # (child, has events) -> weights; ICBHI has no adult without a diagnosis
    (True, False): {"Healthy": 26, "URTI": 10},
    (True, True): {"Healthy": 6, "URTI": 6, "Bronchiolitis": 6, "LRTI": 2, "Pneumonia": 1},
    (False, False): {"COPD": 14, "Pneumonia": 2, "Asthma": 1},
    (False, True): {"COPD": 50, "Bronchiectasis": 7, "Pneumonia": 3, "Asthma": 1},
}


@dataclass(frozen=True, slots=True)
class Member:
    """A patient and what the corpus does with them."""

    patient: Patient
    device: Device
    split: Split
    recordings: int


def draw_members(size: Size, confound: float, seed: int, attempt: int = 0) -> list[Member]:
    """Returns the patients in the order of their numbers.

    Whatever decides the shares of the corpus (who has crackles or wheezes, how often, how many recordings) is
    drawn in strata, one patient from each part of the distribution, so that 40 patients are already like ICBHI.
    """
    rng = generator(seed, "population", attempt)
    counts = apportion([group.patients for group in GROUPS], size.patients)
    groups = [group for group, count in zip(GROUPS, counts, strict=True) for _ in range(count)]
    crackle, wheeze = (
        _propensities(groups, share, *_PROPENSITY[part], [confound * _CONFOUND[g.device][part] for g in groups], rng)
        for part, share in enumerate((WITH_CRACKLES, WITH_WHEEZES))
    )
    children = _children(groups, round(CHILDREN * size.patients), rng)
    recordings = [size.each] * len(groups) if size.each else _recordings(groups, size.recordings, rng)
    order = rng.permutation(len(groups))
    return [
        Member(
            draw_patient(FIRST_NUMBER + place, bool(children[i]), crackle[i], wheeze[i], seed),
            groups[i].device,
            groups[i].split,
            recordings[i],
        )
        for place, i in enumerate(order.tolist())
    ]


def draw_patient(number: int, child: bool, crackle_logit: float, wheeze_logit: float, seed: int) -> Patient:
    """Returns a patient whose other traits derive from (seed, number)."""
    rng = generator(seed, "patient", number)
    age = float(np.clip(rng.gamma(1.2, 4.5), 0.25, 16) if child else np.clip(rng.normal(67, 11), 20, 93))
    sex = "M" if rng.random() < 0.63 else "F"
    height = 76 + 6.4 * age if child else rng.normal(174 if sex == "M" else 161, 7)
    height *= 1 + 0.04 * (2 * rng.random() - 1)
    bmi = rng.normal(17, 1.5) if child else np.clip(rng.normal(27.5, 5), 16.5, 54)
    weights = _DIAGNOSES[child, max(crackle_logit, wheeze_logit) > -math.inf]
    draw = rng.random() * sum(weights.values())
    bounds = np.cumsum(list(weights.values()))
    centres = np.exp(rng.uniform(np.log(60), np.log(2500), size=3))
    peaks = zip(centres, rng.uniform(-6, 6, size=3), rng.uniform(0.7, 3, size=3), strict=True)
    return Patient(
        number=number,
        child=child,
        age=round(age, 2 if age < 1 else 0),
        sex=sex,
        height=round(float(height), 1),
        weight=round(float(bmi * (height / 100) ** 2), 1),
        bmi=round(float(bmi), 2),
        diagnosis=list(weights)[int(np.searchsorted(bounds, draw, side="right"))],
        cycle_seconds=float((1.9 if child else 2.8) * np.exp(rng.normal(0, 0.3))),
        heart_rate=float(rng.uniform(90, 140) if child else rng.uniform(60, 100)),
        crackle_logit=crackle_logit,
        wheeze_logit=wheeze_logit,
        fine_share=float(rng.beta(0.7, 0.7)),
        rhonchus=bool(rng.random() < 0.3),
        gain_db=float(rng.normal(0, 4)),
        event_db=float(rng.normal(0, 3)),
        equaliser=tuple((float(centre), float(gain), float(q)) for centre, gain, q in peaks),
        cutoff_scale=float(rng.uniform(0.8, 1.2)),
    )


def generator(*parts: int | str) -> np.random.Generator:
    """Returns a generator that depends on the parts and on nothing else."""
    return np.random.Generator(np.random.PCG64(derive_seed(*parts)))


def apportion(weights: Sequence[float], total: int) -> list[int]:
    """Returns whole numbers in the ratio of the weights that add up to ``total`` (largest remainders)."""
    exact = np.asarray(weights, float) * total / sum(weights)
    whole = np.floor(exact).astype(int)
    for i in np.argsort(whole - exact, kind="stable")[: total - int(whole.sum())]:
        whole[i] += 1
    return whole.tolist()


def _strata(count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns ``count`` numbers in (0, 1), one from each of as many equal parts, in random order."""
    return (rng.permutation(count) + rng.random(count)) / count


def _normal(count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns ``count`` standard normal numbers, stratified."""
    return np.array([NormalDist().inv_cdf(min(max(u, 1e-9), 1 - 1e-9)) for u in _strata(count, rng)])


def _propensities(
    groups: Sequence[Group], share: float, mean: float, spread: float, tied: Sequence[float], rng: np.random.Generator
) -> list[float]:
    """Returns the log-odds of every patient; minus infinity for the share of patients who never have any.

    Both the share and the log-odds are stratified within each device, and its two sides of the split.
    """
    logits = np.empty(len(groups))
    position = rng.random()  # carries what is left of a group over to the next one
    for group in dict.fromkeys(groups):
        where = np.flatnonzero([other == group for other in groups])
        ranks = (np.arange(len(where)) + 1) * share + position
        has = np.floor(ranks) > np.floor(ranks - share)
        position = ranks[-1] % 1
        logits[where] = mean + spread * _normal(len(where), rng) + np.asarray(tied)[where]
        logits[rng.permutation(where)[~has]] = -math.inf
    return logits.tolist()


def _children(groups: Sequence[Group], count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns who is a child: patients of the Meditron, as in ICBHI."""
    candidates = np.flatnonzero([group.device == "Meditron" for group in groups])
    return np.isin(np.arange(len(groups)), rng.permutation(candidates)[:count])


def _recordings(groups: Sequence[Group], total: int, rng: np.random.Generator) -> list[int]:
    """Returns how many recordings each patient has: one at least, ``total`` in all."""
    more = np.empty(len(groups))
    for group in dict.fromkeys(groups):
        where = np.flatnonzero([other == group for other in groups])
        spread = _SPREAD[group.device]
        factor = np.exp(spread * _normal(len(where), rng) - spread**2 / 2)
        more[where] = np.maximum(group.recordings * factor - 1, 0)
    return [1 + extra for extra in apportion(more.tolist(), total - len(groups))]
