"""Intervals over patients: against a slow loop, against scores, paired, and what cannot be answered."""

from dataclasses import asdict

import numpy as np
import pytest

from lung_srad.errors import DataError
from lung_srad.evaluation import Estimate, Predictions, paired_difference, patient_intervals, score_predictions
from lung_srad.evaluation.patients import FIGURES

CLASSES = ("normal", "crackle", "wheeze", "both")


def predictions(seed: int = 0, *, skill: float = 0.6, patients: int = 9, silent: int = 0) -> Predictions:
    """Returns predictions of 40 cycles or so; labels and patients depend on nothing but the number of patients."""
    cycles = np.random.default_rng(99)
    owner = np.repeat([f"p{index}" for index in range(patients)], cycles.integers(2, 9, patients))
    label = cycles.integers(0, 4, len(owner))
    draw = np.random.default_rng(seed)
    guess = np.where(draw.random(len(owner)) < skill, label, draw.integers(0, 4, len(owner)))
    return built(owner, label, np.where(np.arange(len(owner)) < silent, -1, guess))


def built(owner, label, predicted) -> Predictions:
    probabilities = np.where(np.asarray(predicted)[:, None] < 0, np.nan, np.eye(4)[predicted])
    texts = [[text] * len(owner) for text in ("device", "site", "test")]
    ids = [f"{who}#{index}" for index, who in enumerate(owner)]
    times = np.zeros(len(owner)), np.ones(len(owner))
    return Predictions(CLASSES, ids, ids, owner, *texts, *times, label, probabilities)


def slow_draws(seeds, draw_patients, resamples):
    """Yields the figures of resamples the long way: cycles put side by side, each seed scored by itself."""
    first = seeds[0]
    names = sorted(set(first.patient[first.label >= 0]))
    for _ in range(resamples):
        rows = np.concatenate(
            [np.flatnonzero((first.patient == name) & (first.label >= 0)) for name in draw_patients(names)]
        )
        scores = [score_predictions(each.label[rows], each.predicted[rows], num_classes=4) for each in seeds]
        figures = [[asdict(score)[name] for score in scores] for name in FIGURES]
        yield [np.nan if None in column else np.mean(column) for column in figures]


def test_the_values_are_the_scores_and_lie_inside():
    given = predictions(silent=3)
    found, scores = patient_intervals([given]), asdict(given.scores())
    assert list(found) == list(FIGURES)
    for name, estimate in found.items():
        assert estimate.value == pytest.approx(scores[name], abs=1e-9)
        assert estimate.low < estimate.value < estimate.high


@pytest.mark.parametrize("normal", [0, 2])
def test_the_normal_class_may_be_any(normal):
    given = predictions()
    assert patient_intervals([given], normal=normal)["score"].value == pytest.approx(given.scores(normal=normal).score)


def test_intervals_are_those_of_a_slow_loop_over_the_same_draws():
    seeds = [predictions(1, silent=2), predictions(2)]
    times = np.random.default_rng(5).multinomial(9, np.full(9, 1 / 9), size=300)
    drawn = iter(times)
    slow = np.array(list(slow_draws(seeds, lambda names: np.repeat(names, next(drawn)), 300)))
    fast = patient_intervals(seeds, resamples=300, seed=5, method="percentile")
    for index, name in enumerate(FIGURES):
        assert (fast[name].low, fast[name].high) == pytest.approx(np.nanpercentile(slow[:, index], (2.5, 97.5)))


def test_intervals_agree_with_a_slow_loop_with_draws_of_its_own():
    given = predictions(3, patients=12)
    draw = np.random.default_rng(17)
    slow = np.array(list(slow_draws([given], lambda names: draw.choice(names, len(names)), 1500)))
    fast = patient_intervals([given], method="percentile")
    for index, name in enumerate(FIGURES):
        assert (fast[name].low, fast[name].high) == pytest.approx(np.nanpercentile(slow[:, index], (2.5, 97.5)), abs=2)


def test_the_same_seed_gives_the_same_interval():
    given = [predictions()]
    assert patient_intervals(given) == patient_intervals(given)
    assert patient_intervals(given)["score"].high != patient_intervals(given, seed=1)["score"].high


def test_cycles_of_one_patient_count_as_one_draw():
    """The same cycles, once as 40 patients and once as 4 who are each right always or never."""
    label, hit = np.tile([0, 1], 20), np.repeat([0, 1, 0, 1], 10).astype(bool)
    predicted = np.where(hit, label, 2)
    many = patient_intervals([built([f"p{i}" for i in range(40)], label, predicted)])["score"]
    few = patient_intervals([built(np.repeat(["a", "b", "c", "d"], 10), label, predicted)])["score"]
    assert many.value == few.value == 50
    assert few.high - few.low > 2 * (many.high - many.low)


def test_a_difference_is_paired():
    good, bad = [predictions(1, skill=0.7), predictions(2, skill=0.7)], [predictions(3, skill=0.3)]
    found = paired_difference(good, bad)
    for name in FIGURES:
        apart = patient_intervals(good)[name].value - patient_intervals(bad)[name].value
        assert found[name].value == pytest.approx(apart)
        assert found[name].low < apart < found[name].high
    assert found["score"].low > 0
    back = paired_difference(bad, good)["score"]
    assert (back.low, back.high) == pytest.approx((-found["score"].high, -found["score"].low))
    same = paired_difference(good, good)["score"]
    assert (same.value, same.low, same.high) == (0, 0, 0)  # unpaired, it would have a width


def test_a_difference_is_that_of_a_slow_loop_over_the_same_draws():
    first, second = [predictions(1)], [predictions(2)]
    times = np.random.default_rng(0).multinomial(9, np.full(9, 1 / 9), size=200)

    def drawn(seeds):
        turn = iter(times)
        return np.array(list(slow_draws(seeds, lambda names: np.repeat(names, next(turn)), 200)))

    slow = np.nanpercentile(drawn(first) - drawn(second), (2.5, 97.5), axis=0)
    fast = paired_difference(first, second, resamples=200, method="percentile")
    assert [(fast[n].low, fast[n].high) for n in FIGURES] == [pytest.approx(pair) for pair in slow.T]


def test_a_figure_that_nobody_can_answer_is_left_out():
    found = patient_intervals([built(["a", "a", "b"], [1, 2, 1], [1, 1, 1])])
    assert list(found) == ["se", "se2", "balanced_accuracy"]


def test_a_resample_without_a_class_has_no_say():
    owner, label, predicted = ["a", "a", "b", "c"], [0, 0, 1, 1], [0, 1, 1, 0]
    found = patient_intervals([built(owner, label, predicted)], method="percentile")
    assert (found["se"].low, found["se"].high) == (0, 100)
    assert (found["score"].low, found["score"].high) == (25, 75)


def test_one_patient_of_a_class_says_nothing_of_others():
    found = patient_intervals([built(["a", "a", "b"], [0, 0, 1], [0, 1, 1])])
    assert (found["sp"].value, found["sp"].low, found["sp"].high) == (50, None, None)


def test_patients_who_are_all_alike_say_nothing():
    found = patient_intervals([built(["a", "b", "c"], [0, 1, 1], [0, 1, 1])])
    assert all((each.value, each.low) == (100, None) for each in found.values())


def test_two_patients_are_too_few():
    found = patient_intervals([built(["a", "a", "b", "b"], [0, 1, 0, 1], [0, 1, 1, 1])])["sp"]
    assert (found.value, found.low, found.high) == (50, 0, 100)
    apart = paired_difference(
        [built(["a", "a", "b", "b"], [0, 1, 0, 1], [0, 1, 1, 1])],
        [built(["a", "a", "b", "b"], [0, 1, 0, 1], [1, 1, 1, 1])],
    )["sp"]
    assert (apart.value, apart.low, apart.high) == (50, -np.inf, np.inf)


def test_the_spread_over_seeds_stands_apart():
    seeds = [predictions(1), predictions(2), predictions(3)]
    found = patient_intervals(seeds)
    for name in FIGURES:
        assert found[name].spread == pytest.approx(np.std([asdict(each.scores())[name] for each in seeds], ddof=1))
    assert patient_intervals(seeds[:1])["score"].spread is None


def test_cycles_of_unknown_label_are_passed_over():
    owner, label = np.array(["a", "b", "", "c"]), np.array([0, 1, -1, -1])
    assert patient_intervals([built(owner, label, [0, 1, 2, 3])])["score"].value == 100


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([], "none; one file for each seed"),
        ([built(["a", "a"], [0, 1], [0, 1])], "1 patient(s)"),
        ([built(["a", "b"], [-1, -1], [0, 1])], "0 patient(s)"),
        ([built(["a", "", "b"], [0, 1, 0], [0, 1, 1])], "1 cycles of no patient"),
        ([predictions(), predictions(patients=8)], "they differ in 'id'"),
        ([built(["a", "b"], [0, 1], [0, 1]), built(["a", "b"], [0, 2], [0, 1])], "they differ in 'label'"),
    ],
)
def test_what_cannot_be_answered_is_an_error(given, text):
    with pytest.raises(DataError) as error:
        patient_intervals(given)
    assert text in str(error.value)


def test_an_unknown_normal_class():
    with pytest.raises(DataError, match="normal: class 4; 0 to 3"):
        patient_intervals([predictions()], normal=4)


def test_systems_on_other_cycles_are_not_compared():
    with pytest.raises(DataError, match="they differ in 'id'"):
        paired_difference([predictions()], [predictions(patients=8)])


def test_an_estimate_reads_well():
    assert str(Estimate(75.0, 61.04, 88.06)) == "75.00 (61.0 to 88.1)"
    assert str(Estimate(75.0)) == "75.00"
