"""Intervals: their parts against formulas and loops, the methods against others' and by hand."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from lung_srad.errors import DataError
from lung_srad.evaluation.intervals import (
    BCA,
    BOOTSTRAP_T,
    METHODS,
    PERCENTILE,
    Sample,
    difference_of,
    drawn,
    estimate,
    interval,
    mean_of,
    sample,
)
from lung_srad.evaluation.patients import ratio

DRAW = np.random.default_rng(4)
WHOLE = DRAW.integers(1, 30, 25).astype(float)
PART = DRAW.binomial(WHOLE.astype(int), 0.3 + 0.4 * DRAW.random(25)).astype(float)


def test_every_resample_has_as_many_patients_as_there_are() -> None:
    weights = drawn(7, 100, seed=1)
    assert weights.shape == (100, 7)
    assert (weights.sum(1) == 7).all()
    assert (weights == drawn(7, 100, seed=1)).all()
    assert (weights != drawn(7, 100, seed=2)).any()


def test_a_ratio_in_each_resample_with_its_error() -> None:
    weights = drawn(25, 50, seed=0)
    found = sample(ratio(PART, WHOLE), weights)
    assert found.value == pytest.approx(100 * PART.sum() / WHOLE.sum())
    for row, value, error in zip(weights.astype(int), found.values, found.errors, strict=True):
        part, whole = PART.repeat(row), WHOLE.repeat(row)
        share = part.sum() / whole.sum()
        assert value == pytest.approx(100 * share)
        # the textbook's variance of a ratio of two sums over clusters
        assert error == pytest.approx(100 * np.sqrt(25 / 24 * ((part - share * whole) ** 2).sum()) / whole.sum())
    assert found.error == pytest.approx(
        100 * np.sqrt(25 / 24 * ((PART - found.value / 100 * WHOLE) ** 2).sum()) / WHOLE.sum()
    )


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = drawn(25, 50, seed=0)
    whole = sample(ratio(PART, WHOLE), weights)
    monkeypatch.setattr("lung_srad.evaluation.intervals._CHUNK", 60)
    parts = sample(ratio(PART, WHOLE), weights)
    np.testing.assert_allclose(parts.values, whole.values, rtol=1e-12)
    np.testing.assert_allclose(parts.errors, whole.errors, rtol=1e-12)


def test_percentiles() -> None:
    given = Sample(50.0, np.array([1.0, -1.0]), np.r_[np.arange(101.0), np.nan], np.ones(102))
    assert interval(given, method=PERCENTILE) == (2.5, 97.5)


def test_bootstrap_t_by_hand() -> None:
    """Draws lie 1 to 5 errors of their own above the point and 1 to 3 below; tails are the outermost here."""
    influence = np.array([3.0, -3.0]) / 2  # error: sqrt(2 / 1 * 4.5) = 3
    errors = np.array([1.0, 2.0, 1.0, 2.0])
    given = Sample(50.0, influence, 50 + errors * [5, 1, -1, -3], errors)
    assert given.error == pytest.approx(3)
    assert interval(given, method=BOOTSTRAP_T, share=False) == pytest.approx((50 - 3 * 5, 50 + 3 * 3))


def test_bootstrap_t_of_a_share_works_with_logits() -> None:
    influence = np.array([3.0, -3.0]) / 2
    values, errors = np.array([70.0, 55.0, 45.0, 20.0]), np.array([2.0, 1.0, 1.0, 2.0])
    low, high = interval(Sample(60.0, influence, values, errors), method=BOOTSTRAP_T)
    logit = np.log(values / (100 - values)) - np.log(1.5)
    far = logit / (errors * 100 / (values * (100 - values)))
    ends = np.log(1.5) - 3 * 100 / (60 * 40) * np.array([far.max(), far.min()])
    assert (low, high) == pytest.approx(tuple(100 / (1 + np.exp(-ends))))


def test_bca_is_that_of_scipy() -> None:
    data = np.random.default_rng(0).exponential(20, 40)
    theirs = bootstrap((data,), np.mean, n_resamples=5_000, method="BCa", rng=np.random.default_rng(2))
    draws = theirs.bootstrap_distribution
    given = Sample(data.mean(), (data - data.mean()) / 40, draws, np.ones(5_000))
    assert interval(given, method=BCA) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)
    assert interval(given, method=BCA)[1] > interval(given, method=PERCENTILE)[1] + 0.4  # skewed data: it matters


def test_the_default_is_wider_where_one_patient_carries_much() -> None:
    whole = np.r_[np.full(20, 5.0), 100.0]
    part = np.r_[np.tile([2.0, 3.0], 10), 20.0]
    given = sample(ratio(part, whole), drawn(21, 4000, 0))
    plain, better = (interval(given, method=method) for method in (PERCENTILE, BOOTSTRAP_T))
    assert better[1] - better[0] > 1.3 * (plain[1] - plain[0])


@pytest.mark.parametrize("method", METHODS)
def test_patients_who_do_not_differ_have_no_interval(method: str) -> None:
    assert interval(sample(ratio(np.ones(5), np.ones(5)), drawn(5, 50, 0)), method=method) is None


def test_a_draw_without_an_error_of_its_own_is_infinitely_far() -> None:
    part, whole = np.array([0.0, 1.0]), np.ones(2)
    given = sample(ratio(part, whole), drawn(2, 100, 0))
    assert interval(given) == (0, 100)
    assert interval(given, share=False) == (-np.inf, np.inf)


def test_estimates() -> None:
    weights = drawn(25, 200, 0)
    found = estimate(ratio(PART, WHOLE), weights, seeds=[40.0, 50.0])
    assert found.low < found.value < found.high
    assert found.spread == pytest.approx(np.std([40, 50], ddof=1))
    assert estimate(ratio(np.zeros(25), np.zeros(25)), weights) is None
    alone = estimate(ratio(np.ones(1), np.full(1, 4.0)), np.ones((1, 1)))
    assert (alone.value, alone.low, alone.high, alone.spread) == (25, None, None, None)


def test_means_and_differences_of_figures() -> None:
    weights = drawn(25, 20, 0)
    first, second = ratio(PART, WHOLE), ratio(WHOLE - PART, WHOLE)
    (a, da), (b, db) = first(weights), second(weights)
    parts = [first, second]
    mean = mean_of(parts)
    parts.clear()  # whoever made the list may do with it what they like
    for found, values, influences in (
        (mean, (a + b) / 2, (da + db) / 2),
        (difference_of(first, second), a - b, da - db),
    ):
        np.testing.assert_allclose(found(weights)[0], values)
        np.testing.assert_allclose(found(weights)[1], influences, atol=1e-12)


def test_an_unknown_method() -> None:
    with pytest.raises(DataError, match="did you mean 'percentile'"):
        interval(sample(ratio(PART, WHOLE), drawn(25, 5, 0)), method="percentil")
