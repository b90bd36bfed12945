"""Scores of subgroups: how many cycles and patients each has, its interval, and which is worst.

What a file does not hold (age, sex, diagnosis) comes as *facts*: patient -> name of the fact -> group, for example
``{"101": {"age group": "under 18", "sex": "F", "diagnosis": "URTI"}}``. Any fact may be given.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lung_srad.evaluation.intervals import Estimate

FEW = 5  # a group of fewer patients is shown grey
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
        worst: the group of the least Score among those that have one and five patients; ``None`` with fewer than two such.
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
