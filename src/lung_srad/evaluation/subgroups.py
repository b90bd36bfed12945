"""Scores of subgroups: how many cycles and patients each has, its interval, and which is worst.

What a file does not hold (age, sex, diagnosis) comes as *facts*: patient -> name of the fact -> group, for example
``{"101": {"age group": "under 18", "sex": "F", "diagnosis": "URTI"}}``. Any fact may be given.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lung_srad.evaluation.intervals import Estimate, drawn
from lung_srad.evaluation.patients import Labelled, rate_estimates
from lung_srad.evaluation.predictions import Predictions

if TYPE_CHECKING:  # scores of a file need neither audio nor torch
    from lung_srad.datasets import Cycle

FEW = 5  # a group of fewer patients is shown grey
FEW_CYCLES, WORST = 5, 10  # a recording of fewer cycles is not among the worst; how many of these are named
_LENGTHS = (0.0, 1.0, 2.0, 3.0, 4.0, np.inf)  # seconds
_AGES = ((18.0, "under 18"), (65.0, "18 to 64"), (np.inf, "65 and over"))
_QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
Facts = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Group:
    """One subgroup.

    Attributes:
        name: for example ``Meditron``.
        cycles: with a label.
        patients: that have one of them.
        few: fewer than 5 patients: read nothing into its figures.
        figures: those of :data:`FIGURES` that it can answer; without interval where there is one patient.
    """

    name: str
    cycles: int
    patients: int
    few: bool
    figures: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Subgroups:
    """All groups of one kind.

    Attributes:
        by: ``device``, ``site``, ``cycle length``, or the name of a fact.
        groups: in order of their names.
        unknown: number of cycles of no known group.
        worst: the group of the least Score among those with a Score and five patients; ``None`` below two of these.
    """

    by: str
    groups: tuple[Group, ...]
    unknown: int
    worst: str | None


@dataclass(frozen=True, slots=True)
class Unit:
    """One recording or patient: its cycles, and how many in per cent got their exact class (mean over seeds)."""

    name: str
    cycles: int
    correct: float


@dataclass(frozen=True, slots=True)
class Spread:
    """How accuracy differs between recordings or patients; these are no groups of patients, so there is no interval.

    Attributes:
        by: ``recording`` or ``patient``.
        units: how many there are.
        quantiles: accuracy in per cent at 0, 10, 25, 50, 75, 90 and 100 % of units, each counting once.
        worst: the ten of least accuracy, of those with five or more cycles.
    """

    by: str
    units: int
    quantiles: tuple[float, ...]
    worst: tuple[Unit, ...]


def facts_of(cycles: "Sequence[Cycle]", diagnoses: Mapping[str, str] | None = None) -> Facts:
    """Returns age group and sex of the patients of a dataset's cycles, and their diagnosis where it is given.

    Args:
        cycles: of a dataset, ``ICBHI(...).cycles("test")``.
        diagnoses: patient -> diagnosis.
    """
    found: dict[str, dict[str, str]] = {}
    for cycle in cycles:
        own = found.setdefault(cycle.patient, {})
        if cycle.age is not None:
            own["age group"] = age_group(cycle.age)
        if cycle.sex:
            own["sex"] = cycle.sex
        if diagnoses and cycle.patient in diagnoses:
            own["diagnosis"] = diagnoses[cycle.patient]
    return found


def age_group(years: float) -> str:
    """Returns ``under 18``, ``18 to 64`` or ``65 and over``."""
    return next(name for end, name in _AGES if years < end)


def subgroups(
    given: Labelled,
    predictions: Predictions,
    facts: Facts | None = None,
    *,
    resamples: int = 1_000,
    seed: int = 0,
) -> tuple[Subgroups, ...]:
    """Returns device, site, cycle length and every fact; a kind that is known of no cycle is left out.

    Args:
        given: the labelled cycles of ``predictions`` and their seeds.
        predictions: of any of these seeds, for the columns.
        facts: of patients.
        resamples: of the patients of each group.
        seed: of these.
    """
    kinds = {name: column for name, column in _columns(given, predictions, facts or {}) if (column != "").any()}
    return tuple(_subgroups(name, column, given, resamples, seed) for name, column in kinds.items())


def spread(given: Labelled, units: NDArray[np.str_], by: str) -> Spread:
    """Returns how accuracy differs between units, ``units`` being that of each labelled cycle."""
    correct = (given.predicted == given.label).mean(0)
    names, place, cycles = np.unique(units, return_inverse=True, return_counts=True)
    shares = 100 * np.bincount(place, weights=correct) / cycles
    order = [index for index in np.lexsort((-cycles, shares)) if cycles[index] >= FEW_CYCLES]
    worst = tuple(Unit(str(names[index]), int(cycles[index]), float(shares[index])) for index in order[:WORST])
    return Spread(by, len(names), tuple(np.quantile(shares, _QUANTILES).tolist()), worst)


def _columns(given: Labelled, predictions: Predictions, facts: Facts) -> Iterator[tuple[str, NDArray[np.str_]]]:
    """Yields kind and group of each labelled cycle, "" where it is not known."""
    yield "device", predictions.device[given.rows]
    yield "site", predictions.site[given.rows]
    seconds = (predictions.end - predictions.start)[given.rows]
    names = [f"{low:g} to {high:g} s" for low, high in pairwise(_LENGTHS[:-1])]
    names.append(f"{_LENGTHS[-2]:g} s and more")
    place = np.clip(np.searchsorted(_LENGTHS, seconds, side="right") - 1, 0, len(names) - 1)
    yield "cycle length", np.where(np.isfinite(seconds), np.array(names)[place], "")
    for kind in dict.fromkeys(kind for own in facts.values() for kind in own):
        of_patient = np.array([facts.get(str(patient), {}).get(kind, "") for patient in given.patients])
        yield kind, of_patient[given.owner]


def _subgroups(by: str, column: NDArray[np.str_], given: Labelled, resamples: int, seed: int) -> Subgroups:
    groups = []
    for name in np.unique(column[column != ""]):
        own = given.part(column == name)
        patients = len(own.patients)
        weights = drawn(patients, resamples if patients > 1 else 1, seed)
        figures = rate_estimates(own, weights)
        groups.append(Group(str(name), len(own.label), patients, patients < FEW, figures))
    ranked = [
        (group.figures["score"].value, group.name) for group in groups if not group.few and "score" in group.figures
    ]
    worst = min(ranked)[1] if len(ranked) > 1 else None
    return Subgroups(by, tuple(groups), int((column == "").sum()), worst)
