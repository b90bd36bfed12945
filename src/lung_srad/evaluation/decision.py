"""A decision rule tuned for Score on validation patients: one number added to the log-probability of normal."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lung_srad.errors import DataError, message
from lung_srad.evaluation.intervals import Estimate
from lung_srad.evaluation.metrics import Scores
from lung_srad.evaluation.predictions import Predictions

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True)
class Tuned:
    """What the tuned rule gives beside the likeliest class.

    Attributes:
        biases: of each seed, added to the log-probability of normal; above 0 it says normal more often.
        validation: the validation scores of each seed under the rule; they chose it, so they flatter.
        figures: on the test part, as those of the likeliest class.
        gain: tuned minus likeliest class, paired by patient.
    """

    biases: tuple[float, ...]
    validation: tuple[Scores, ...]
    figures: dict[str, Estimate]
    gain: dict[str, Estimate]


def fit_bias(validation: Predictions, *, normal: int = 0) -> float:
    """Returns the bias of normal with the best Score on validation cycles.

    The Score changes only where some cycle changes sides, so every stretch between two such places is tried. Of equally
    good stretches the one nearest to 0 is taken, the lower in a tie; the answer is 0 where it holds 0, else its middle
    (an outer stretch is taken 1 beyond its end).

    Raises:
        DataError: the validation cycles with an answer lack normal or abnormal ones.
    """
    usable = (validation.label >= 0) & ~np.isnan(validation.probabilities[:, 0])
    label, logits = validation.label[usable], _logarithms(validation.probabilities[usable])
    healthy = label == normal
    if not healthy.any() or healthy.all():
        seen = f"{int(healthy.sum())} normal of {len(label)} validation cycles with label and answer"
        raise DataError(message("decision rule", seen, "normal and abnormal ones", "give more validation patients"))
    others = logits.copy()
    others[:, normal] = -np.inf
    turn = others.max(1) - logits[:, normal]  # above this bias the cycle is called normal
    exact = others.argmax(1) == label
    ends = np.unique(turn)
    stretches = np.column_stack([np.r_[ends[0] - 2, ends], np.r_[ends, ends[-1] + 2]])
    middles = stretches.mean(1)
    called = np.searchsorted(np.sort(turn[healthy]), middles)  # normals called normal
    kept = (exact & ~healthy).sum() - np.searchsorted(np.sort(turn[exact & ~healthy]), middles)
    twice = called / healthy.sum() + kept / (~healthy).sum()
    best = np.flatnonzero(twice >= twice.max() - 1e-12)
    low, high = stretches[:, 0].copy(), stretches[:, 1].copy()
    low[0], high[-1] = -np.inf, np.inf
    away = np.maximum(np.maximum(low, -high), 0)[best]  # the distance of a stretch from 0
    chosen = best[int(np.argmin(away))]
    return 0.0 if low[chosen] < 0 < high[chosen] else float(middles[chosen])


def with_bias(predictions: Predictions, bias: float, *, normal: int = 0) -> Predictions:
    """Returns predictions whose likeliest class is what the rule says; their probabilities sum to 1 again."""
    logits = _logarithms(predictions.probabilities)
    logits[:, normal] += bias
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return replace(predictions, probabilities=weights / weights.sum(1, keepdims=True))


def _logarithms(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities, _TINY))
