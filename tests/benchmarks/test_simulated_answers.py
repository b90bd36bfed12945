"""The simulated answers of benchmarks/statistics.md have the truth that is claimed for them."""

import math

import numpy as np
import pytest

from lung_srad.evaluation.patients import rates
from simulated_answers import CLASSES, COUNTS, GAP, TRUTH, Patients, answered, centre, scored, sigmoid, true_ranking


def test_the_patients_are_those_of_the_official_test_part() -> None:
    assert COUNTS.shape == (49, 4)
    assert dict(zip(CLASSES, COUNTS.sum(0).tolist(), strict=True)) == {
        "normal": 1579,
        "crackle": 649,
        "wheeze": 385,
        "both": 143,
    }


def test_a_centre_gives_the_share_that_was_asked_for() -> None:
    draws = np.random.default_rng(0).normal(0, 1.3, 400_000)
    assert sigmoid(centre(0.7, 1.3) + draws).mean() == pytest.approx(0.7, abs=0.002)


@pytest.mark.parametrize("deviation", [0.5, 1.0])
def test_many_patients_come_close_to_the_truth(deviation: float) -> None:
    generator = np.random.default_rng(1)
    given = answered(generator, Patients.drawn(generator, deviation, 6_000), deviation)
    once = np.ones((1, 6_000))
    for name, truth in TRUTH.items():
        assert float(rates(given.counts(), 0)[name](once)[0][0]) == pytest.approx(truth, abs=1.5)


def test_an_effect_of_the_system_alone_leaves_the_truth() -> None:
    generator = np.random.default_rng(2)
    given = answered(generator, Patients.drawn(generator, 1.0, 6_000), 1.0, apart=1.0)
    score = rates(given.counts(), 0)["score"](np.ones((1, 6_000)))[0][0]
    assert float(score) == pytest.approx(TRUTH["score"], abs=1.5)


@pytest.mark.parametrize("deviation", [0.5, 1.0])
def test_the_true_area_is_that_of_two_normal_distributions(deviation: float) -> None:
    truth = true_ranking(deviation)
    z = GAP / math.sqrt(2 * (1 + deviation**2))
    assert truth["AUROC"] == pytest.approx(50 * (1 + math.erf(z / math.sqrt(2))), abs=0.01)


def test_the_other_truths_are_those_of_very_many_cycles() -> None:
    generator = np.random.default_rng(3)
    given = scored(generator, Patients.drawn(generator, 0.5, 3_000))
    p, there = given.probabilities[0, :, 1], given.label > 0
    truth = true_ranking(0.5)
    assert 100 * ((p - there) ** 2).mean() == pytest.approx(truth["Brier"], abs=0.5)
    bins = np.array_split(np.argsort(p), 15)
    error = sum(abs((p[own] - there[own]).sum()) for own in bins) / len(p)
    assert 100 * error == pytest.approx(truth["ECE"], abs=0.7)
    cut = np.quantile(p[~there], 0.9)
    assert 100 * (p[there] > cut).mean() == pytest.approx(truth["Se at Sp 90"], abs=3)
