"""Several seeds of one system as one: their answers averaged, and what each further member brings.

Reference: Toikkanen & Kim 2025 (BTS++): the raw logits of k = 30 models are averaged.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lung_srad.errors import DataError, message
from lung_srad.evaluation.metrics import Scores, score_predictions
from lung_srad.evaluation.predictions import NO_ANSWER, Predictions, aligned
from lung_srad.evaluation.tables import Figure, figure

SUBSETS = 100


@dataclass(frozen=True, slots=True)
class EnsembleScores:
    """What ensembles of one size score.

    Attributes:
        size: number of members.
        scores: those of each subset of members that was looked at.
    """

    size: int
    scores: tuple[Scores, ...]

    def figure(self, field: str = "score") -> Figure | None:
        """Returns mean and deviation over subsets of one figure of :class:`Scores`.

        Subsets share members, so the deviation is less than that over ensembles of new seeds.
        """
        return figure([getattr(scores, field) for scores in self.scores])


def average(predictions: Sequence[Predictions]) -> Predictions:
    """Returns the predictions of an ensemble: the softmax of its members' mean log-probabilities.

    That is the softmax of their mean logits. A log-probability is a logit less log Σ exp(logits), which is the same
    for every class of a cycle; so the mean of one differs from that of the other by one number per cycle, which
    neither the likeliest class nor a softmax sees. (The mean of probabilities would be another ensemble.) A cycle
    that one member has no answer for has none.

    Raises:
        DataError: no member, or members that differ in cycles, labels, patients or classes.
    """
    members = aligned(predictions)
    return replace(members[0], probabilities=_softmax(_logarithms(members).mean(0)))


def curve(
    predictions: Sequence[Predictions],
    *,
    sizes: Sequence[int] | None = None,
    subsets: int = SUBSETS,
    normal: int = 0,
    seed: int = 0,
) -> tuple[EnsembleScores, ...]:
    """Returns what ensembles of each size score, over subsets of the given members.

    Args:
        predictions: those of each member on the same cycles; cycles of unknown label are passed over.
        sizes: numbers of members; by default one to all.
        subsets: how many subsets of a size are looked at, drawn at random where there are more.
        normal: index of the normal class.
        seed: of these draws.

    Raises:
        DataError: members that differ in cycles, labels, patients or classes, no known label, or a size that cannot be.
    """
    members = aligned(predictions)
    sizes = range(1, len(members) + 1) if sizes is None else sizes
    for size in sizes:
        if not 1 <= size <= len(members):
            allowed = f"1 to {len(members)}, the members at hand"
            raise DataError(message("ensemble", f"{size} members", allowed, "evaluate more seeds"))
    first, logarithms = members[0], _logarithms(members)
    known, classes = first.label >= 0, len(first.class_names)

    def scored(chosen: Sequence[int]) -> Scores:
        mean = logarithms[list(chosen)].mean(0)
        predicted = np.where(np.isnan(mean[:, 0]), NO_ANSWER, mean.argmax(1))
        return score_predictions(first.label[known], predicted[known], num_classes=classes, normal=normal)

    return tuple(
        EnsembleScores(size, tuple(map(scored, _subsets(len(members), size, subsets, seed)))) for size in sizes
    )


def _logarithms(members: Sequence[Predictions]) -> NDArray[np.float64]:
    """Returns log-probabilities (members, cycles, classes); one that was written as 0 is the smallest there is."""
    probabilities = np.stack([member.probabilities for member in members])
    return np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))


def _softmax(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logarithms - logarithms.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def _subsets(members: int, size: int, most: int, seed: int) -> Iterator[tuple[int, ...]]:
    """Yields every subset of a size, or ``most`` different ones at random where there are more."""
    if math.comb(members, size) <= most:
        yield from combinations(range(members), size)
        return
    generator, drawn = np.random.default_rng((seed, size)), set()
    while len(drawn) < most:
        chosen = tuple(sorted(generator.choice(members, size, replace=False).tolist()))
        if chosen not in drawn:
            drawn.add(chosen)
            yield chosen
