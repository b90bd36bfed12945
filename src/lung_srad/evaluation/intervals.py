"""Intervals over patients, of whatever can be computed from weighted patients.

A :data:`Statistic` says for each resample what a figure is and how much each patient moves it (its influence, the
derivative by the patient's weight). The influences give a standard error in every resample, which is what the default,
bootstrap-t, needs: it looks at how the figure is spread in units of its own error, and so widens where few patients
carry most of it. benchmarks/statistics.md shows how often each method covers the truth.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lung_srad.errors import DataError, message, nearest

LEVEL = 95.0
RESAMPLES = 10_000
PERCENTILE, BCA, BOOTSTRAP_T = "percentile", "bca", "bootstrap-t"
METHODS = (PERCENTILE, BCA, BOOTSTRAP_T)
DEFAULT = BOOTSTRAP_T
_CHUNK = 2_000_000  # numbers in one array of resamples by patients
_TAILS = ((100 - LEVEL) / 200, (100 + LEVEL) / 200)
_STILL = 1e-9  # no error to speak of
_NORMAL = NormalDist()

# weights (resamples, patients) -> values (resamples,), influences (resamples, patients); NaN where there is none
Statistic = Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure or a difference, nearly always in per cent, with its 95 % interval over patients.

    Attributes:
        value: the mean over seeds where there are several.
        low: lower end; ``None`` where the patients do not say how much it would move (one patient, or all alike).
        high: upper end, likewise. Both may be infinite: the patients are too few.
        spread: sample standard deviation over seeds; ``None`` for a single seed. It is not in the interval.
    """

    value: float
    low: float | None = None
    high: float | None = None
    spread: float | None = None

    def __str__(self) -> str:
        return f"{self.value:.2f}" if self.low is None else f"{self.value:.2f} ({self.low:.1f} to {self.high:.1f})"


@dataclass(frozen=True, slots=True)
class Sample:
    """A figure, and what resamples of patients say about it.

    Attributes:
        value: over the patients as they are.
        influence: (patients,), the derivative of the value by each patient's weight.
        values: (resamples,), NaN where a resample cannot answer.
        errors: (resamples,), the standard error in each resample.
    """

    value: float
    influence: NDArray[np.float64]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Returns the standard error of the value, linearised."""
        return math.sqrt(len(self.influence) / (len(self.influence) - 1) * float((self.influence**2).sum()))


def drawn(patients: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """Returns how often each patient is in each resample: as many as there are, drawn with replacement."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(patients, np.full(patients, 1 / patients), size=resamples).astype(np.float64)


def sample(statistic: Statistic, weights: NDArray[np.float64]) -> Sample:
    """Returns a figure over the patients as they are and over each row of ``weights``."""
    patients = weights.shape[1]
    value, influence = statistic(np.ones((1, patients)))
    rows = max(1, _CHUNK // patients)
    values, errors = [], []
    for start in range(0, len(weights), rows):
        part = weights[start : start + rows]
        found, moved = statistic(part)
        values.append(found)
        errors.append(np.sqrt(patients / max(1, patients - 1) * (part * moved**2).sum(1)))
    return Sample(float(value[0]), influence[0], np.concatenate(values), np.concatenate(errors))


def interval(given: Sample, *, method: str = DEFAULT, share: bool = True) -> tuple[float, float] | None:
    """Returns the ends of the 95 % interval; ``None`` where the patients do not differ, as in a share of 0 or 100.

    Args:
        given: the figure and its resamples.
        method: one of :data:`METHODS`.
        share: the figure is a share in per cent, so that bootstrap-t works with its logit; otherwise with itself.

    Raises:
        DataError: the method is unknown.
    """
    if method not in METHODS:
        raise DataError(message("interval", f"{method!r} is unknown", nearest(method, METHODS), "choose one of them"))
    known = ~np.isnan(given.values)
    if not known.any() or not np.isfinite(given.value) or given.error <= _STILL:
        return None
    if method == BOOTSTRAP_T and share and not _STILL < given.value < 100 - _STILL:
        return None
    if method == BOOTSTRAP_T:
        return _studentised(given, known, share)
    tails = _corrected(given, known) if method == BCA else _TAILS
    low, high = np.quantile(given.values[known], tails)
    return float(low), float(high)


def estimate(
    statistic: Statistic,
    weights: NDArray[np.float64],
    *,
    method: str = DEFAULT,
    share: bool = True,
    seeds: Sequence[float] = (),
) -> Estimate | None:
    """Returns a figure with its interval, and the spread of ``seeds``, its values; ``None`` where it has no value."""
    if weights.shape[1] < 2:
        value, ends = float(statistic(np.ones((1, weights.shape[1])))[0][0]), None
    else:
        given = sample(statistic, weights)
        value, ends = given.value, interval(given, method=method, share=share)
    if math.isnan(value):
        return None
    low, high = ends or (None, None)
    return Estimate(value, low, high, spread_of(seeds))


def spread_of(seeds: Sequence[float]) -> float | None:
    """Returns the sample standard deviation over seeds; ``None`` for fewer than two."""
    return float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None


def mean_of(statistics: Sequence[Statistic]) -> Statistic:
    """Returns the mean of several figures of the same patients: of a system's seeds."""
    every = tuple(statistics)

    def mean(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        parts = [statistic(weights) for statistic in every]
        return sum(part[0] for part in parts) / len(parts), sum(part[1] for part in parts) / len(parts)

    return every[0] if len(every) == 1 else mean


def difference_of(first: Statistic, second: Statistic) -> Statistic:
    """Returns first minus second of the same patients."""

    def difference(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        (value, influence), (other, moved) = first(weights), second(weights)
        return value - other, influence - moved

    return difference


def _studentised(given: Sample, known: NDArray[np.bool_], share: bool) -> tuple[float, float]:
    """Returns the bootstrap-t interval: the point less quantiles of (draw - point) / error of the draw.

    A draw without an error of its own (one patient again and again) that differs from the point is infinitely far.
    Where such draws are common there are too few patients: a share's interval is then 0 to 100, others have no end.
    """
    value, error, values, errors = given.value, given.error, given.values[known], given.errors[known]
    apart = values - value
    far = np.where(np.abs(apart) > _STILL, np.copysign(np.inf, apart), 0.0)
    moving = errors > _STILL
    if not share:
        far[moving] = apart[moving] / errors[moving]
        high, low = _outer(far)
        return value - error * low, value - error * high
    inside = np.clip(values[moving], _STILL, 100 - _STILL)
    slope, slopes = 100 / (value * (100 - value)), 100 / (inside * (100 - inside))
    centre = float(_logit(value))
    far[moving] = (_logit(inside) - centre) / (errors[moving] * slopes)
    high, low = _outer(far)
    return _share(centre - error * slope * low), _share(centre - error * slope * high)


def _outer(far: NDArray[np.float64]) -> tuple[float, float]:
    """Returns both tails, each of them one of the given values, as values may be infinite: the outer one."""
    low, high = (
        float(np.quantile(far, tail, method=way)) for tail, way in zip(_TAILS, ("lower", "higher"), strict=True)
    )
    return low, high


def _corrected(given: Sample, known: NDArray[np.bool_]) -> tuple[float, float]:
    """Returns the tails that BCa takes: corrected for bias, and for an error that grows with the figure."""
    values = given.values[known]
    below = float((values < given.value).mean() + (values == given.value).mean() / 2)
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / len(values)), 1 - 0.5 / len(values)))
    growth = float((given.influence**3).sum()) / (6 * float((given.influence**2).sum()) ** 1.5)
    shifted = [bias + _NORMAL.inv_cdf(tail) for tail in _TAILS]
    low, high = (_NORMAL.cdf(bias + each / (1 - growth * each)) for each in shifted)
    return low, high


def _logit(share: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.log(share) - np.log(np.subtract(100, share))


def _share(logit: float) -> float:
    with np.errstate(over="ignore"):
        return float(100 / (1 + np.exp(-logit)))
