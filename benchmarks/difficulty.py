"""The goals of the simulated corpus: how hard it is, and what gives its classes away."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convolution import predict_with_cnn
from hearing import Heard
from lung_srad.datasets.simulated import read_truth
from probes import (
    CLASSES,
    boosted,
    cycle_splits,
    device_only,
    domain_aucs,
    logistic,
    official,
    patient_splits,
    probe,
    scores,
)
from timing import say

SHARES = (53, 27, 13, 7)  # of ICBHI's cycles, in per cent
DIVISIONS = 5  # splits that are drawn at random
ONE_DEVICE = "AKGC417L"


@dataclass(frozen=True)
class Goal:
    """One line of the table of goals: what was reached, once or several times, and what is asked for."""

    what: str
    values: list[float]
    least: float | None = None
    most: float | None = None
    digits: int = 1

    @property
    def middle(self) -> float:
        """Returns the mean."""
        return float(np.mean(self.values))

    def asked(self) -> str:
        """Returns the goal in words."""
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        return f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}" if self.most else ""

    def cells(self) -> list[str]:
        """Returns what, asked, reached and verdict as text."""
        spread = f" ± {np.std(self.values):.{self.digits}f}" if len(self.values) > 1 else ""
        low, high = (-np.inf if self.least is None else self.least), (np.inf if self.most is None else self.most)
        verdict = "reached" if low <= self.middle <= high else "**missed**"
        return [self.what, self.asked(), f"{self.middle:.{self.digits}f}{spread}", verdict if self.asked() else ""]


def goals(heard: Heard, name: str, cnn_seeds: int) -> list[Goal]:
    """Returns every line for the corpus of difficulty medium."""
    split = official(heard)
    return [
        *statistics_goals(heard, name, "LR", logistic, (48, 58)),
        *statistics_goals(heard, name, "HGB", boosted, (50, 62)),
        Goal("small CNN", [cnn_score(heard, name, seed) for seed in range(cnn_seeds)], 60, 75),
        Goal("event truth", [truth_score(heard)], 88),
        Goal("device alone", [device_only(heard, split).score], None, 40),
        Goal("device and site alone", [device_only(heard, split, site=True).score]),
        *share_goals(heard),
        *domain_goals(heard),
    ]


def statistics_goals(heard: Heard, name: str, short: str, model: Callable, span: tuple[float, float]) -> list[Goal]:
    """Returns the lines of one classifier of log-mel statistics, and what a leak of patients adds to it."""
    own, by_patient, by_cycle = (
        [found.score for found in probe(heard, model, splits)]
        for splits in (iter([official(heard)]), patient_splits(heard, DIVISIONS), cycle_splits(heard, DIVISIONS))
    )
    say(f"{name}: {short} {own[0]:.1f}")
    return [
        Goal(f"log-mel statistics, {short}", own, *span),
        Goal(f"log-mel statistics, {short}, patients drawn", by_patient, *span),
        Goal(f"log-mel statistics, {short}, cycles drawn", by_cycle),
        Goal(f"{short}: cycles drawn over patients drawn", [float(np.mean(by_cycle) - np.mean(by_patient))], 4),
    ]


def cnn_score(heard: Heard, name: str, seed: int) -> float:
    """Returns the Score of the small network on the test part."""
    train, test = official(heard)
    return scores(heard, test, predict_with_cnn(heard, train, test, seed, name)).score


def truth_score(heard: Heard) -> float:
    """Returns the Score on the test part of the classes that the side-cars give."""
    test = official(heard)[1]
    kinds: dict[str, set[str]] = {heard.cycles[index].id: set() for index in test}
    for path in {heard.cycles[index].path for index in test}:
        for event in read_truth(path):
            if event.cycle is not None:
                kinds[f"{path.stem}#{event.cycle}"].add(event.kind)
    found = [("crackle" in here) + 2 * ("wheeze" in here) for here in kinds.values()]
    return scores(heard, test, np.array(found)).score


def share_goals(heard: Heard) -> list[Goal]:
    """Returns the share of each class beside that of ICBHI."""
    found = 100 * np.bincount(heard.label, minlength=len(CLASSES)) / len(heard.label)
    pairs = zip(CLASSES, found, SHARES, strict=True)
    return [Goal(f"share of {name}, %", [float(share)], asked - 3, asked + 3) for name, share, asked in pairs]


def domain_goals(heard: Heard) -> list[Goal]:
    """Returns how far spectrum, level and background separate the classes."""
    lines = []
    for what, features, within, most in (
        ("long-term spectrum and level", heard.colour, None, 0.65),
        ("background and its level", heard.background, None, 0.65),
        (f"long-term spectrum and level, {ONE_DEVICE}", heard.colour, ONE_DEVICE, None),
        (f"background and its level, {ONE_DEVICE}", heard.background, ONE_DEVICE, None),
    ):
        found = domain_aucs(heard, features, within=within)
        lines += [Goal(f"{what}: {name} or not", [area], None, most, 2) for name, area in found.items()]
    return lines


def short_row(heard: Heard, name: str) -> list[str]:
    """Returns one row of the table of the other difficulties."""
    found = []
    for model in (logistic, boosted):
        found.append(probe(heard, model, iter([official(heard)]))[0].score)
        found.append(float(np.mean([each.score for each in probe(heard, model, patient_splits(heard, DIVISIONS))])))
    found += [cnn_score(heard, name, 0), truth_score(heard), device_only(heard, official(heard)).score]
    return [name, str(len(heard.cycles)), *(f"{value:.1f}" for value in found)]
