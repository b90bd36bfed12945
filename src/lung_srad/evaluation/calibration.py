"""Whether probabilities mean what they say: ECE, Brier score, reliability, and a temperature fitted on validation.

Cycles without an answer have no probabilities and are left out here, and only here; their number is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lung_srad.errors import DataError, message
from lung_srad.evaluation.intervals import (
    PERCENTILE,
    Estimate,
    Sample,
    Statistic,
    estimate,
    interval,
    mean_of,
    sample,
    spread_of,
)
from lung_srad.evaluation.patients import Labelled, ratio
from lung_srad.evaluation.predictions import Predictions
from lung_srad.evaluation.ranking import findings

BINS = 15
ANSWER = "answer"  # the likeliest class, whichever it is
COLDEST, HOTTEST = 0.05, 20.0  # temperatures; a fit that ends there says that the file does not suit one
_LEAST = 1e-12  # what a class that was given probability 0 counts as


@dataclass(frozen=True, slots=True)
class Bin:
    """Cycles of like probability: their number, mean probability and share of hits in per cent."""

    cycles: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How one kind of probability agrees with what happened.

    Attributes:
        name: ``answer`` (the probability of the likeliest class, against its being right) or a finding (its
            probability, against its being there).
        cycles: with a label and an answer, of the first seed.
        ece: expected calibration error over 15 bins of equal mass, in per cent.
        brier: mean squared error times 100: of a finding Σ (p − y)² / n, 0 to 100; of ``answer`` summed over all
            classes, 0 to 200.
        bins: of all seeds together, lowest probability first.
    """

    name: str
    cycles: int
    ece: Estimate
    brier: Estimate
    bins: tuple[Bin, ...]


def calibrations(given: Labelled, weights: NDArray[np.float64]) -> tuple[Calibration, ...]:
    """Returns the calibration of the answer and of each finding; nothing where no cycle has an answer."""
    kinds = {ANSWER: None} | findings(given.class_names, given.normal)
    found = (_calibration(name, classes, given, weights) for name, classes in kinds.items())
    return tuple(each for each in found if each)


def at_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """Returns the predictions with their logits divided by a temperature; the likeliest class stays the same.

    Log-probabilities serve as logits: they differ by one number per cycle, which a softmax does not see. A class that
    was given probability 0 counts as 1e-12, as when a temperature is fitted.

    Raises:
        DataError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise DataError(message("temperature", str(temperature), "more than 0", "fit it on validation predictions"))
    logits = _logits(predictions.probabilities) / temperature
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return replace(predictions, probabilities=weights / weights.sum(1, keepdims=True))


def fit_temperature(validation: Predictions) -> float:
    """Returns the temperature under which validation cycles are likeliest, from 0.05 to 20.

    The mean negative log-likelihood is convex in 1/T, so a golden-section search on log T finds its one minimum. A
    class that was given probability 0 counts as 1e-12, so that one such cycle does not decide alone.

    Raises:
        DataError: no validation cycle has a label and an answer.
    """
    usable = (validation.label >= 0) & ~np.isnan(validation.probabilities[:, 0])
    if not usable.any():
        seen, allowed = "no cycle with a label and an answer", "at least one"
        raise DataError(message("temperature", seen, allowed, "give the predictions on validation patients"))
    label = validation.label[usable]
    logits = _logits(validation.probabilities[usable])

    def loss(place: float) -> float:
        scaled = logits / np.exp(place)
        scaled = scaled - scaled.max(1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(label)), label]).mean())

    low, high = float(np.log(COLDEST)), float(np.log(HOTTEST))
    golden = (5**0.5 - 1) / 2
    while high - low > 1e-6:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def expected_calibration_error(
    confidence: NDArray[np.float64], hit: NDArray[np.bool_], owner: NDArray[np.int64], patients: int
) -> Statistic:
    """Returns the ECE in per cent over 15 bins of equal mass; equal confidences share a bin.

    Resamples keep the bins of the whole sample, so that each is one product of matrices.
    """
    gaps, sizes = np.zeros((patients, BINS)), np.zeros(patients)
    np.add.at(gaps, (owner, equal_mass(confidence)), confidence - hit)
    np.add.at(sizes, owner, 1)

    def figure(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        gap, total = weights @ gaps, (weights @ sizes)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.abs(gap).sum(1, keepdims=True) / total
            return 100 * value[:, 0], 100 * (np.sign(gap) @ gaps.T - value * sizes) / total

    return figure


def equal_mass(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the bin of each value, 0 to 14, by its rank; equal values go where the middle one of them belongs."""
    _, place, number = np.unique(confidence, return_inverse=True, return_counts=True)
    middle = number.cumsum() - number / 2
    return np.minimum((BINS * middle / len(confidence)).astype(np.int64), BINS - 1)[place]


def ece_interval(given: Sample) -> tuple[float, float] | None:
    """Returns the 95 % interval of an ECE; ``None`` where the patients do not differ.

    An ECE is an absolute value, so chance alone makes that of a sample too high, by about as much as those of resamples
    lie above it, and those by twice as much. The lower end is the percentile less twice that; the upper end is the
    percentile as it is. Neither percentiles nor bootstrap-t cover (DECISIONS: ece).
    """
    known = given.values[~np.isnan(given.values)]
    ends = interval(given, method=PERCENTILE)
    if ends is None:
        return None
    excess = max(0.0, float(known.mean()) - given.value)
    return max(0.0, ends[0] - 2 * excess), ends[1]


def _ece_estimate(statistic: Statistic, weights: NDArray[np.float64], seeds: Sequence[float]) -> Estimate:
    given = sample(statistic, weights)
    low, high = ece_interval(given) or (None, None)
    return Estimate(given.value, low, high, spread_of(seeds))


def _calibration(
    name: str, classes: Sequence[int] | None, given: Labelled, weights: NDArray[np.float64]
) -> Calibration | None:
    parts = [_parts(seed, classes) for seed in given.seeds()]
    parts = [part for part in parts if len(part[0])]
    if not parts:
        return None
    patients = len(given.patients)
    eces = [expected_calibration_error(confidence, hit, owner, patients) for confidence, hit, _, owner in parts]
    briers = []
    for _, _, error, owner in parts:
        sums, sizes = (
            np.bincount(owner, weights=column, minlength=patients) for column in (error, np.ones(len(owner)))
        )
        briers.append(ratio(sums, sizes))
    once = np.ones((1, patients))
    spreads = [[float(seed(once)[0][0]) for seed in each] for each in (eces, briers)]
    brier = estimate(mean_of(briers), weights, share=False, seeds=spreads[1])
    ece = _ece_estimate(mean_of(eces), weights, spreads[0])
    together = [np.concatenate(column) for column in list(zip(*parts, strict=True))[:2]]
    return Calibration(name, len(parts[0][0]), ece, _not_negative(brier), _bins(*together))


def _parts(seed: Labelled, classes: Sequence[int] | None) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Returns confidence, hit, squared error and patient of each answered cycle of one seed."""
    answered = ~np.isnan(seed.probabilities[0, :, 0])
    probabilities, label = seed.probabilities[0, answered], seed.label[answered]
    if classes is None:
        confidence, hit = probabilities.max(1), seed.predicted[0, answered] == label
        error = ((probabilities - np.eye(len(seed.class_names))[label]) ** 2).sum(1)
    else:
        confidence, hit = np.minimum(probabilities[:, list(classes)].sum(1), 1.0), np.isin(label, list(classes))
        error = (confidence - hit) ** 2
    return confidence, hit, error, seed.owner[answered]


def _bins(confidence: NDArray[np.float64], hit: NDArray[np.bool_]) -> tuple[Bin, ...]:
    place = equal_mass(confidence)
    chosen = (place == index for index in range(BINS))
    return tuple(
        Bin(int(own.sum()), 100 * float(confidence[own].mean()), 100 * float(hit[own].mean()))
        for own in chosen
        if own.any()
    )


def _not_negative(given: Estimate) -> Estimate:
    return given if given.low is None else replace(given, low=max(given.low, 0.0))


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities, _LEAST))
