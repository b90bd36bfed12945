"""Calibration against scikit-learn and loops; temperatures that were put in are found."""

import numpy as np
import pytest
from made_answers import answers, built, sure
from scipy.optimize import minimize_scalar
from sklearn.metrics import brier_score_loss, log_loss

from lung_srad.errors import DataError
from lung_srad.evaluation import Predictions, at_temperature, fit_temperature
from lung_srad.evaluation.calibration import BINS, calibrations, ece_interval, equal_mass, expected_calibration_error
from lung_srad.evaluation.intervals import Sample, drawn
from lung_srad.evaluation.patients import labelled


def calibration_of(*seeds: Predictions, resamples: int = 200) -> dict:
    given = labelled(seeds)
    return {each.name: each for each in calibrations(given, drawn(len(given.patients), resamples, 0))}


def slow_error(confidence: np.ndarray, hit: np.ndarray) -> float:
    """Returns the ECE over 15 bins of the sorted cycles, in a loop; the values must all be different."""
    order = np.argsort(confidence)
    places = [int(BINS * (rank + 0.5) / len(order)) for rank in range(len(order))]
    gaps = [
        abs(sum(confidence[i] - hit[i] for i, at in zip(order, places, strict=True) if at == b)) for b in range(BINS)
    ]
    return 100 * sum(gaps) / len(order)


def test_against_scikit_learn_and_a_loop() -> None:
    given = answers(1)
    found = calibration_of(given)
    assert list(found) == ["answer", "abnormal", "crackle", "wheeze"]
    p, label = given.probabilities, given.label
    for name, classes in (("abnormal", [1, 2, 3]), ("crackle", [1, 3]), ("wheeze", [2, 3])):
        score, there = p[:, classes].sum(1), np.isin(label, classes)
        assert found[name].brier.value == pytest.approx(100 * brier_score_loss(there, score.clip(0, 1)))
        assert found[name].ece.value == pytest.approx(slow_error(score, there))
    hit = p.argmax(1) == label
    assert found["answer"].ece.value == pytest.approx(slow_error(p.max(1), hit))
    assert found["answer"].brier.value == pytest.approx(100 * ((p - np.eye(4)[label]) ** 2).sum(1).mean())
    assert found["answer"].cycles == len(given)


def test_intervals_hold_the_value_or_lie_below_it() -> None:
    """A sample's ECE is too high, and the interval takes that off; a Brier score is an ordinary mean."""
    for each in calibration_of(answers(1)).values():
        assert each.brier.low < each.brier.value < each.brier.high
        assert 0 <= each.ece.low < each.ece.high


def test_the_interval_of_an_ece_by_hand() -> None:
    """Draws lie 10 above the value on average: their lower percentile goes down by 20."""
    values = 20 + 10 + np.linspace(-4, 4, 81)
    given = Sample(20.0, np.array([1.0, -1.0]), np.r_[values, np.nan], np.ones(82))
    assert ece_interval(given) == pytest.approx((30 - 3.8 - 20, 30 + 3.8))
    below = Sample(20.0, np.array([1.0, -1.0]), values - 20, np.ones(81))
    assert ece_interval(below) == pytest.approx((10 - 3.8, 10 + 3.8))
    assert ece_interval(Sample(3.0, np.array([1.0, -1.0]), values, np.ones(81)))[0] == 0
    assert ece_interval(Sample(20.0, np.zeros(2), values, np.ones(81))) is None


def test_bins_have_equal_mass_and_ties_stay_together() -> None:
    values = np.random.default_rng(0).random(300)
    assert np.bincount(equal_mass(values)).tolist() == [20] * BINS
    shuffled = np.random.default_rng(1).permutation(300)
    np.testing.assert_array_equal(equal_mass(values)[shuffled], equal_mass(values[shuffled]))
    tied = np.r_[np.zeros(100), np.ones(200)]
    assert len(np.unique(equal_mass(tied))) == 2
    assert equal_mass(np.ones(3)).tolist() == [7, 7, 7]


def test_the_reliability_curve() -> None:
    seeds = answers(1), answers(2)
    bins = calibration_of(*seeds)["abnormal"].bins
    assert sum(each.cycles for each in bins) == 2 * len(seeds[0])
    assert [each.confidence for each in bins] == sorted(each.confidence for each in bins)
    score = np.concatenate([each.probabilities[:, 1:].sum(1) for each in seeds])
    there = np.concatenate([each.label > 0 for each in seeds])
    first = np.argsort(score)[: bins[0].cycles]
    assert bins[0].confidence == pytest.approx(100 * score[first].mean())
    assert bins[0].accuracy == pytest.approx(100 * there[first].mean())


def test_resamples_keep_the_bins() -> None:
    draw = np.random.default_rng(2)
    confidence, owner = draw.random(90), draw.integers(0, 6, 90)
    hit = draw.random(90) < confidence
    weights = drawn(6, 20, 0)
    values, _ = expected_calibration_error(confidence, hit, owner, 6)(weights)
    place = equal_mass(confidence)
    for row, value in zip(weights, values, strict=True):
        cycles = row[owner]
        gaps = [abs((cycles * (confidence - hit))[place == index].sum()) for index in range(BINS)]
        assert value == pytest.approx(100 * sum(gaps) / cycles.sum())


def test_cycles_without_an_answer_are_left_out() -> None:
    given = answers(1, silent=5)
    found = calibration_of(given)["answer"]
    assert found.cycles == len(given) - 5
    p, label = given.probabilities[5:], given.label[5:]
    assert found.brier.value == pytest.approx(100 * ((p - np.eye(4)[label]) ** 2).sum(1).mean())
    assert calibration_of(built(["a", "b"], [0, 1], sure([-1, -1]))) == {}


def test_a_figure_of_seeds_is_the_mean_with_the_spread_beside_it() -> None:
    seeds = answers(1), answers(2)
    alone = [calibration_of(each)["answer"] for each in seeds]
    both = calibration_of(*seeds)["answer"]
    for name in ("ece", "brier"):
        values = [getattr(each, name).value for each in alone]
        assert getattr(both, name).value == pytest.approx(np.mean(values))
        assert getattr(both, name).spread == pytest.approx(np.std(values, ddof=1))


# --- temperature


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_temperature_that_was_put_in_is_found(temperature: float) -> None:
    given = answers(3)
    fitted = fit_temperature(given)
    assert fit_temperature(at_temperature(given, temperature)) == pytest.approx(fitted / temperature, rel=1e-4)


def test_the_temperature_is_the_likeliest() -> None:
    given = answers(4, skill=0.8)

    def loss(place: float) -> float:
        return log_loss(given.label, at_temperature(given, float(np.exp(place))).probabilities, labels=[0, 1, 2, 3])

    theirs = minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded", options={"xatol": 1e-8})
    assert fit_temperature(given) == pytest.approx(np.exp(theirs.x), rel=1e-4)


def test_a_temperature_changes_no_answer_but_how_sure_it_is() -> None:
    given = answers(1, silent=2)
    np.testing.assert_allclose(at_temperature(given, 1).probabilities, given.probabilities)
    hot, cold = at_temperature(given, 4), at_temperature(given, 0.25)
    for each in (hot, cold):
        np.testing.assert_array_equal(each.predicted, given.predicted)
        assert np.isnan(each.probabilities[:2]).all()
    assert (hot.probabilities[2:].max(1) < given.probabilities[2:].max(1)).all()
    assert (cold.probabilities[2:].max(1) > given.probabilities[2:].max(1)).all()
    odds = given.probabilities[5, 0] / given.probabilities[5, 1]
    assert hot.probabilities[5, 0] / hot.probabilities[5, 1] == pytest.approx(odds**0.25)


def test_answers_that_are_all_or_nothing_become_less_sure() -> None:
    """What is fitted is what is applied: with a tenth wrong, a temperature makes these answers 90 % sure."""
    label = np.arange(200) % 4
    said = np.where(np.arange(200) % 10 == 0, (label + 1) % 4, label)
    given = built([f"p{index % 8}" for index in range(200)], label, sure(said))
    assert at_temperature(given, fit_temperature(given)).probabilities.max(1) == pytest.approx(0.9, abs=1e-4)


def test_one_cycle_of_probability_zero_does_not_decide_alone() -> None:
    given = answers(1)
    label, probabilities = given.label.copy(), given.probabilities.copy()
    probabilities[0] = np.eye(4)[(label[0] + 1) % 4]
    assert fit_temperature(built(given.patient, label, probabilities)) < 1.5 * fit_temperature(given)


def test_answers_that_are_sure_and_right_want_no_temperature_above_the_least() -> None:
    label = [0, 1, 2, 3] * 3
    assert fit_temperature(built(["a", "b"] * 6, label, 0.6 * sure(label) + 0.1)) == pytest.approx(0.05, rel=1e-3)


def test_errors() -> None:
    with pytest.raises(DataError, match="more than 0"):
        at_temperature(answers(), 0)
    with pytest.raises(DataError, match="more than 0"):
        at_temperature(answers(), float("nan"))
    with pytest.raises(DataError, match="no cycle with a label and an answer"):
        fit_temperature(built(["a", "b"], [-1, 1], sure([0, -1])))
