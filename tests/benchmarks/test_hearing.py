import numpy as np
import pytest

from difficulty import Goal
from hearing import COMMON_RATE, measures, spectrogram

SAMPLES = 3 * COMMON_RATE


@pytest.fixture
def noise() -> np.ndarray:
    return 0.05 * np.random.default_rng(0).standard_normal(SAMPLES)


def with_clicks(wave: np.ndarray) -> np.ndarray:
    clicked = wave.copy()
    clicked[COMMON_RATE // 4 :: COMMON_RATE // 4] += 1.0
    return clicked


def with_tone(wave: np.ndarray) -> np.ndarray:
    seconds = np.arange(SAMPLES) / COMMON_RATE
    return wave + 0.1 * np.sin(2 * np.pi * 400 * seconds) * (seconds < 1)


def test_clicks_raise_the_contrast_of_clicks_and_not_that_of_tones(noise: np.ndarray) -> None:
    plain, clicked = measures(noise), measures(with_clicks(noise))
    assert clicked["click"] > plain["click"] + 3
    assert abs(clicked["tone"] - plain["tone"]) < 2


def test_a_tone_raises_the_contrast_of_tones_and_not_that_of_clicks(noise: np.ndarray) -> None:
    plain, tonal = measures(noise), measures(with_tone(noise))
    assert tonal["tone"] > plain["tone"] + 6
    assert abs(tonal["click"] - plain["click"]) < 2


def test_an_event_changes_the_spectrum_and_not_the_background(noise: np.ndarray) -> None:
    plain, tonal = measures(noise), measures(with_tone(noise))
    assert np.abs(tonal["colour"] - plain["colour"]).max() > 6
    assert np.abs(tonal["background"] - plain["background"]).max() < 2


def test_gain_changes_nothing_but_the_levels(noise: np.ndarray) -> None:
    plain, loud = measures(noise), measures(10 * noise)
    assert loud["level"] - plain["level"] == pytest.approx(20)
    assert loud["background"][-1] - plain["background"][-1] == pytest.approx(20)
    np.testing.assert_allclose(loud["colour"][:-1], plain["colour"][:-1], atol=1e-6)
    assert loud["click"] == pytest.approx(plain["click"])


def test_silence_and_a_wave_shorter_than_a_window_have_measures() -> None:
    for wave in (np.zeros(SAMPLES), np.ones(10)):
        assert all(np.isfinite(value).all() for value in measures(wave).values())
    assert spectrogram(np.ones(10)).shape == (65, 1)


@pytest.mark.parametrize(
    ("goal", "cells"),
    [
        (Goal("a", [60.0, 62.0], 60, 75), ["a", "60 to 75", "61.0 ± 1.0", "reached"]),
        (Goal("a", [3.9], 4), ["a", "at least 4", "3.9", "**missed**"]),
        (Goal("a", [0.66], None, 0.65, 2), ["a", "at most 0.65", "0.66", "**missed**"]),
        (Goal("a", [1.0]), ["a", "", "1.0", ""]),
    ],
)
def test_a_goal_says_what_was_asked_and_whether_it_was_reached(goal: Goal, cells: list[str]) -> None:
    assert goal.cells() == cells
