"""An ensemble is the argmax of mean logits, whatever the file holds, and its curve is over subsets of members."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from lung_srad.errors import DataError
from lung_srad.evaluation import Predictions, average, curve, read_predictions, write_predictions

CLASSES = ("normal", "crackle", "wheeze", "both")
CYCLES = 60
LABELS = np.random.default_rng(1).integers(0, 4, CYCLES)


def logits(seed: int, spread: float = 3.0) -> np.ndarray:
    """Returns the logits of a member that is right more often than not, each cycle shifted by a number of its own."""
    draw = np.random.default_rng(seed)
    return 1.5 * np.eye(4)[LABELS] + spread * draw.standard_normal((CYCLES, 4)) + 50 * draw.standard_normal((CYCLES, 1))


def softmax(x: np.ndarray) -> np.ndarray:
    weights = np.exp(x - x.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def member(values: np.ndarray, **columns) -> Predictions:
    ids = [f"c{index}" for index in range(CYCLES)]
    texts = [["text"] * CYCLES for _ in range(5)]
    made = Predictions(CLASSES, ids, *texts, np.zeros(CYCLES), np.ones(CYCLES), LABELS, softmax(values))
    return replace(made, **columns)


def members(count: int) -> list[Predictions]:
    return [member(logits(seed)) for seed in range(count)]


def test_it_is_the_softmax_of_the_mean_logits():
    raw = [logits(seed) for seed in range(7)]
    found = average([member(values) for values in raw])
    mean = np.mean(raw, axis=0)
    assert np.array_equal(found.predicted, mean.argmax(1))
    assert np.allclose(found.probabilities, softmax(mean), rtol=0, atol=1e-12)
    shifts = np.mean([np.log(softmax(values)) for values in raw], axis=0) - mean  # one number per cycle
    assert np.ptp(shifts, axis=1).max() < 1e-9
    of_probabilities = np.mean([softmax(values) for values in raw], axis=0)
    assert not np.array_equal(found.predicted, of_probabilities.argmax(1))  # which is another ensemble


def test_one_member_is_itself_and_order_does_not_matter():
    one, *others = members(4)
    assert np.allclose(average([one]).probabilities, one.probabilities, rtol=0, atol=1e-15)
    forth, back = average([one, *others]), average([*others[::-1], one])
    assert np.allclose(forth.probabilities, back.probabilities, rtol=0, atol=1e-12)
    assert forth.label.tolist() == one.label.tolist()


def test_it_goes_through_files(tmp_path):
    given = members(3)
    for number, each in enumerate(given):
        write_predictions(tmp_path / f"{number}.csv", each)
    found = average([read_predictions(tmp_path / f"{number}.csv") for number in range(3)])
    assert np.array_equal(found.probabilities, average(given).probabilities)


def test_probabilities_of_nought_are_small_and_silence_stays_silent():
    sure = np.eye(4)[LABELS]
    silent = softmax(logits(1))
    silent[5] = np.nan
    found = average([member(logits(0)), member(logits(1), probabilities=sure), member(logits(2), probabilities=silent)])
    assert np.isnan(found.probabilities[5]).all()
    assert found.predicted[5] == -1
    rest = np.arange(CYCLES) != 5
    assert np.isfinite(found.probabilities[rest]).all()
    assert np.array_equal(found.predicted[rest], LABELS[rest])  # nothing outweighs "certainly not"


def test_the_curve_is_over_every_subset_where_there_are_few():
    given = members(5)
    found = curve(given)
    assert [point.size for point in found] == [1, 2, 3, 4, 5]
    assert [len(point.scores) for point in found] == [5, 10, 10, 5, 1]
    by_hand = [average([given[i] for i in chosen]).scores() for chosen in combinations(range(5), 3)]
    assert list(found[2].scores) == by_hand
    assert found[4].scores == (average(given).scores(),)
    figure = found[2].figure()
    assert figure.mean == pytest.approx(np.mean([scores.score for scores in by_hand]))
    assert figure.std == pytest.approx(np.std([scores.score for scores in by_hand], ddof=1))
    assert found[4].figure("se").std is None
    assert found[4].figure().mean > found[0].figure().mean  # members err differently


def test_subsets_are_drawn_where_there_are_many():
    given = members(12)
    first, again, other = (curve(given, sizes=[1, 6], subsets=20, seed=seed)[1] for seed in (0, 0, 1))
    assert len(first.scores) == 20 < math.comb(12, 6)
    assert first == again != other
    assert len(curve(given, sizes=[1], subsets=20)[0].scores) == 12
    assert curve(given, sizes=[6], subsets=20)[0] == first  # whatever other sizes are asked for


def test_cycles_of_unknown_label_and_other_normal_classes():
    given = members(3)
    some = [replace(each, label=np.where(np.arange(CYCLES) < 10, -1, LABELS)) for each in given]
    assert curve(some, sizes=[3])[0].scores[0] == average(some).scores()
    assert curve(given, sizes=[3], normal=2)[0].scores[0] == average(given).scores(normal=2)


def test_what_is_no_ensemble_is_refused():
    given = members(3)
    with pytest.raises(DataError, match="predictions: none"):
        average([])
    with pytest.raises(DataError, match="they differ in 'label'"):
        average([given[0], replace(given[1], label=(LABELS + 1) % 4)])
    with pytest.raises(DataError, match="ensemble: 4 members; 1 to 3, the members at hand; evaluate more seeds"):
        curve(given, sizes=[2, 4])
    with pytest.raises(DataError, match="they differ in 'id'"):
        curve([given[0], replace(given[1], id=given[1].id[::-1])])
