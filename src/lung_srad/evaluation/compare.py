"""Whether systems differ: paired over patients, with a permutation test, Holm's correction, and seeds kept apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lung_srad.errors import DataError, message, nearest
from lung_srad.evaluation.intervals import RESAMPLES, Estimate, drawn
from lung_srad.evaluation.patients import Labelled, labelled, paired_difference, rate_estimates
from lung_srad.evaluation.predictions import Predictions, aligned

PERMUTATIONS = 100_000
_BLOCK = 20_000


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
        permutations: how many were drawn at the most.
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
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Comparison:
    """Returns every other system against the reference: its mean over seeds, on the same patients.

    Args:
        systems: name -> the predictions of each seed, all on the same cycles.
        reference: name of the one that the others are compared with.
        normal: index of the normal class.
        resamples: of patients, for intervals.
        permutations: of the signs of patients' differences; all of them where there are no more than that.
        seed: of both.

    Raises:
        DataError: the reference is unknown or alone, systems differ in their cycles, or there are no two patients.
    """
    if reference not in systems or len(systems) < 2:
        seen = f"{reference!r} of {len(systems)} system(s)"
        raise DataError(
            message("comparison", seen, "two or more, the reference among them", nearest(reference, systems))
        )
    aligned([each for seeds in systems.values() for each in seeds])
    base = labelled(systems[reference], normal=normal)
    alone = _alone(base, resamples, seed)
    found = []
    for name, seeds in systems.items():
        if name == reference:
            continue
        own = labelled(seeds, normal=normal)
        figures = _alone(own, resamples, seed)
        apart = paired_difference(seeds, systems[reference], normal=normal, resamples=resamples, seed=seed)
        apart = {key: replace(each, spread=_together(figures.get(key), alone.get(key))) for key, each in apart.items()}
        p = sign_flip(patient_differences(own, base), permutations=permutations, seed=seed)
        found.append((name, len(seeds), figures, apart, p))
    corrected = holm([row[-1] for row in found])
    rows = tuple(ComparisonRow(*row, adjusted) for row, adjusted in zip(found, corrected, strict=True))
    cycles, patients = len(base.label), len(base.patients)
    return Comparison(reference, len(systems[reference]), alone, rows, cycles, patients, permutations)


def patient_differences(first: Labelled, second: Labelled) -> NDArray[np.float64]:
    """Returns each patient's part of first minus second in Score; their sum is that difference exactly.

    d_p = ½ (Δnormal_p / N_normal + Δabnormal_p / N_abnormal) in per cent: Δ is the patient's number of cycles that the
    first has right less those of the second, the mean over seeds, and N counts the cycles of all patients.

    Raises:
        DataError: there are no normal or no abnormal cycles.
    """
    gain = (first.predicted == first.label).mean(0) - (second.predicted == second.label).mean(0)
    healthy = first.label == first.normal
    if not healthy.any() or healthy.all():
        seen = f"{int(healthy.sum())} normal of {len(healthy)} cycles"
        raise DataError(message("comparison", seen, "normal and abnormal cycles", "Score needs both"))
    each = gain * np.where(healthy, 50 / healthy.sum(), 50 / (~healthy).sum())
    return np.bincount(first.owner, weights=each, minlength=len(first.patients))


def sign_flip(differences: NDArray[np.float64], *, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """Returns the two-sided p of patients' differences whose signs would be as likely the other way round.

    All 2ᵏ signs of the k patients that differ are tried where there are no more than ``permutations``; else that many
    are drawn, and the observed ones count as one more.
    """
    apart = differences[np.abs(differences) > 1e-12]
    reached = abs(float(apart.sum())) - 1e-9
    if 2 ** len(apart) <= permutations:
        signs = 1 - 2 * (np.arange(2 ** len(apart))[:, None] >> np.arange(len(apart)) & 1)
        return float((np.abs(signs @ apart) >= reached).mean())
    generator, beyond = np.random.default_rng(seed), 0
    for start in range(0, permutations, _BLOCK):
        size = (min(_BLOCK, permutations - start), len(apart))
        beyond += int((np.abs((1 - 2 * generator.integers(0, 2, size, dtype=np.int8)) @ apart) >= reached).sum())
    return (1 + beyond) / (1 + permutations)


def holm(ps: Sequence[float]) -> list[float]:
    """Returns p values that hold for all of several tests together (Holm 1979), in the given order."""
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted


def _alone(given: Labelled, resamples: int, seed: int) -> dict[str, Estimate]:
    return rate_estimates(given, drawn(len(given.patients), resamples, seed))


def _together(first: Estimate | None, second: Estimate | None) -> float | None:
    """Returns the standard deviation of the difference of one seed each."""
    spreads = [each and each.spread for each in (first, second)]
    return None if None in spreads else math.hypot(*spreads)
