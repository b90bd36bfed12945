"""Comparisons: the test's parts sum to the difference, p by hand, Holm by hand, seeds apart."""

from importlib import import_module
from itertools import product

import numpy as np
import pytest
from made_answers import answers, built, sure

from lung_srad.errors import DataError
from lung_srad.evaluation import compare, paired_difference
from lung_srad.evaluation.compare import holm, patient_differences, sign_flip
from lung_srad.evaluation.patients import labelled


def test_the_parts_of_patients_sum_to_the_difference_in_score() -> None:
    first, second = [answers(1), answers(2, silent=9)], [answers(3, skill=0.5)]
    parts = patient_differences(labelled(first), labelled(second))
    assert parts.shape == (12,)
    assert parts.sum() == pytest.approx(paired_difference(first, second)["score"].value, abs=1e-12)
    per_seed = np.mean([each.scores().score for each in first]) - second[0].scores().score
    assert parts.sum() == pytest.approx(per_seed, abs=1e-12)


def test_the_part_of_a_patient_by_hand() -> None:
    """Of 2 normal cycles a has one, of 4 abnormal ones too; the first system has one more of each right there."""
    owner, label = ["a", "a", "b", "b", "b", "b"], [0, 1, 0, 1, 2, 3]
    first, second = sure([0, 1, 0, 2, 2, 3]), sure([1, 2, 0, 2, 2, 3])
    parts = patient_differences(*(labelled([built(owner, label, each)]) for each in (first, second)))
    assert parts == pytest.approx([100 * (1 / 2 + 1 / 4) / 2, 0])


def test_any_class_may_be_normal() -> None:
    first, second = [answers(1)], [answers(3)]
    parts = patient_differences(*(labelled(each, normal=2) for each in (first, second)))
    assert parts.sum() == pytest.approx(paired_difference(first, second, normal=2)["score"].value)


def slow_p(apart: np.ndarray) -> float:
    sums = [abs(np.dot(signs, apart)) for signs in product((1, -1), repeat=len(apart))]
    return float(np.mean([each >= abs(apart.sum()) - 1e-9 for each in sums]))


def test_all_signs_are_tried_where_they_are_few() -> None:
    apart = np.array([3.0, 1.0, 0.0, 2.0, -1.0])
    assert sign_flip(apart) == slow_p(apart[apart != 0]) == 0.375
    assert sign_flip(np.ones(6)) == 2 / 64
    assert sign_flip(np.zeros(3)) == 1


def test_drawn_signs_come_close_to_all() -> None:
    apart = np.random.default_rng(0).normal(0.5, 1, 14)
    drawn = sign_flip(apart, permutations=16_000, seed=1)
    assert drawn == pytest.approx(slow_p(apart), abs=0.015)
    assert drawn != sign_flip(apart, permutations=16_000, seed=2)
    assert sign_flip(np.full(40, 1.0), permutations=999) == 1 / 1000  # never 0


def test_drawn_blocks_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = np.random.default_rng(0).normal(0.5, 1, 20)
    whole = sign_flip(apart, permutations=4_000)
    monkeypatch.setattr(import_module("lung_srad.evaluation.compare"), "_BLOCK", 999)  # not the function of that name
    assert sign_flip(apart, permutations=4_000) == pytest.approx(whole, abs=0.02)


def test_under_the_null_p_is_small_as_often_as_it_says() -> None:
    draw = np.random.default_rng(5)
    ps = [sign_flip(draw.standard_t(3, 20) * draw.gamma(1, 1, 20), permutations=500, seed=i) for i in range(1_000)]
    assert 0.035 <= np.mean(np.array(ps) < 0.05) <= 0.065
    assert 0.45 <= np.mean(np.array(ps) < 0.5) <= 0.55


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1, 1]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


SYSTEMS = {
    "plain": [answers(1, skill=0.7), answers(2, skill=0.7)],
    "better": [answers(3, skill=2.5), answers(4, skill=2.5), answers(5, skill=2.5)],
    "same": [answers(6, skill=0.7)],
}


def test_systems_against_a_reference() -> None:
    found = compare(SYSTEMS, "plain", resamples=500, permutations=2_000)
    assert (found.reference, found.reference_seeds, found.cycles, found.patients) == ("plain", 2, 12 * 14, 12)
    assert [(row.system, row.seeds) for row in found.rows] == [("better", 3), ("same", 1)]
    better, same = found.rows
    apart = paired_difference(SYSTEMS["better"], SYSTEMS["plain"], resamples=500)["score"]
    shown = better.difference["score"]
    assert (shown.value, shown.low, shown.high) == (apart.value, apart.low, apart.high)
    assert shown.value == pytest.approx(better.figures["score"].value - found.reference_figures["score"].value)
    assert (better.p, better.p_holm) == (pytest.approx(1 / 2001, rel=3), pytest.approx(2 * better.p))
    assert same.p == same.p_holm > 0.05


def test_seeds_are_averaged_first_and_their_spread_stands_apart() -> None:
    found = compare(SYSTEMS, "plain", resamples=100, permutations=100)
    better, same = found.rows
    spreads = [np.std([each.scores().score for each in SYSTEMS[name]], ddof=1) for name in ("better", "plain")]
    assert better.figures["score"].spread == pytest.approx(spreads[0])
    assert found.reference_figures["score"].spread == pytest.approx(spreads[1])
    assert better.difference["score"].spread == pytest.approx(np.hypot(*spreads))
    assert same.difference["score"].spread is None


def test_errors() -> None:
    with pytest.raises(DataError, match="did you mean 'plain'"):
        compare(SYSTEMS, "plane")
    with pytest.raises(DataError, match="two or more"):
        compare({"plain": SYSTEMS["plain"]}, "plain")
    with pytest.raises(DataError, match="they differ in 'id'"):
        compare({"one": [answers(1)], "two": [answers(1, patients=5)]}, "one")
    with pytest.raises(DataError, match="Score needs both"):
        compare({name: [built(["a", "b"], [1, 2], sure([1, 2]))] for name in "ab"}, "a", resamples=10)
