"""Whether systems differ: paired over patients, with a permutation test, Holm's correction, and seeds kept apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lung_srad.evaluation.intervals import Estimate
from lung_srad.evaluation.predictions import Predictions

PERMUTATIONS = 100_000


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One system against the reference.

    Attributes:
        system: its name.
        seeds: number of its seeds.
        figures: of the system by itself, with the spread over its seeds.
        difference: system minus reference for each of :data:`FIGURES`, the mean over seeds, paired by patient; its
            ``spread`` is the standard deviation that seeds of both give to it, √(s² + s²) of one seed each.
        p: two-sided, of the sign-flip permutation of patients' parts of the Score difference.
        p_holm: the same corrected for all rows.
    """

    system: str
    seeds: int
    figures: dict[str, Estimate]
    difference: dict[str, Estimate]
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several systems against one.

    Attributes:
        reference: name of the system that the others are compared with.
        reference_seeds: number of its seeds.
        reference_figures: of the reference by itself.
        rows: of the others, in the order given.
        cycles: with a label.
        patients: that have one.
        permutations: how many were drawn.
    """

    reference: str
    reference_seeds: int
    reference_figures: dict[str, Estimate]
    rows: tuple[ComparisonRow, ...]
    cycles: int
    patients: int
    permutations: int


def compare(
    systems: Mapping[str, Sequence[Predictions]],
    reference: str,
    *,
    normal: int = 0,
    resamples: int = 10_000,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Comparison:
    """Returns every other system against the reference."""
    raise NotImplementedError
