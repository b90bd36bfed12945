"""Simulated recording chains: slopes, peaks, floors, levels."""

import numpy as np
import pytest

from lung_srad.datasets.simulated.devices import (
    DEVICES,
    butterworth,
    density,
    highpass,
    peak,
    record,
    response,
    set_level,
)
from lung_srad.datasets.simulated.sounds import RATE


def decibels(values: np.ndarray) -> np.ndarray:
    return 20 * np.log10(np.abs(values))


@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_filters_fall_six_decibels_per_octave_and_order(order: int) -> None:
    low = decibels(butterworth(np.array([1.0, 500.0, 8000.0, 16000.0]), 500.0, order))
    assert low[:2] == pytest.approx([0, -3.01], abs=0.01)
    assert low[3] - low[2] == pytest.approx(-6.02 * order, abs=0.1)
    high = decibels(highpass(np.array([2.0, 4.0, 100.0, 8000.0]), 100.0, order))
    assert high[2:] == pytest.approx([-3.01, 0], abs=0.01)
    assert high[1] - high[0] == pytest.approx(6.02 * order, abs=0.1)


def test_filters_answer_after_the_sound() -> None:
    pulse = np.exp(-0.5 * np.square((np.arange(RATE) - 1000) / 3.0))  # nothing near half the rate
    frequency = np.fft.rfftfreq(RATE, 1 / RATE)
    for name, device in DEVICES.items():
        transfer = response(device, frequency, ((300.0, 6.0, 2.0),), 1.1)
        heard = np.fft.irfft(np.fft.rfft(pulse) * transfer, RATE)
        assert np.square(heard[500:985]).sum() < 1e-3 * np.square(heard).sum(), name


def test_a_peak_has_its_gain_at_its_centre_and_none_far_away() -> None:
    assert decibels(peak(np.array([1.0, 300.0, 90000.0]), 300.0, -6.0, 1.5)) == pytest.approx([0, -6, 0], abs=0.01)


def test_the_filters_of_the_devices() -> None:
    frequency = np.array([10.0, 200.0, 400.0, 1800.0])
    steep = decibels(response(DEVICES["Litt3200"], frequency))
    assert steep[1] == pytest.approx(0, abs=2)
    assert steep[3] < -35
    assert decibels(response(DEVICES["Meditron"], frequency))[3] == pytest.approx(-16.5, abs=1)
    assert decibels(response(DEVICES["AKGC417L"], frequency))[3] == pytest.approx(-2.6, abs=0.5)
    narrower = decibels(response(DEVICES["Litt3200"], frequency, cutoff=0.8))
    assert narrower[3] < steep[3] - 8


def test_densities_are_straight_over_log_frequency() -> None:
    found = density(((100, -20), (400, -40)), np.array([0.0, 100.0, 200.0, 400.0, 9000.0]))
    assert 10 * np.log10(found) == pytest.approx([-20, -20, -30, -40, -40])


@pytest.mark.parametrize("name", list(DEVICES))
def test_a_recording_is_the_filtered_sound_and_the_floor_at_the_rate_of_the_device(name: str) -> None:
    device, seconds = DEVICES[name], 4
    wave = 0.5 * np.sin(2 * np.pi * 250 * np.arange(seconds * RATE) / RATE)
    transfer = response(device, np.fft.rfftfreq(len(wave), 1 / RATE))
    floor = density(device.floor, np.fft.rfftfreq(seconds * device.rate, 1 / device.rate))
    heard = record(np.random.default_rng(0), wave, transfer, device=device, floor=floor)
    assert len(heard) == seconds * device.rate
    grid = np.fft.rfftfreq(len(heard), 1 / device.rate)
    spectrum = np.abs(np.fft.rfft(heard)) * 2 / len(heard)
    assert spectrum[np.isclose(grid, 250)][0] == pytest.approx(0.5 * np.abs(transfer[250 * seconds]), rel=0.02)
    quiet = (grid > 700) & (grid < 1000)
    found = np.square(spectrum[quiet]).mean() / 2 * seconds
    assert 10 * np.log10(found / floor[quiet].mean()) == pytest.approx(0, abs=1)


@pytest.mark.parametrize("name", list(DEVICES))
def test_levels_are_those_of_the_device_whatever_the_sound(name: str) -> None:
    device = DEVICES[name]
    sound = np.random.default_rng(0).standard_normal(device.rate)
    once, louder = (set_level(np.random.default_rng(1), factor * sound, device) for factor in (1.0, 100.0))
    np.testing.assert_allclose(once, louder, atol=1e-12)
    waves = [set_level(np.random.default_rng(seed), sound, device) for seed in range(200)]
    assert max(np.abs(wave).max() for wave in waves) <= 1
    assert max(abs(wave.mean()) for wave in waves) < device.offset + 0.01
    if device.level is None:
        assert min(np.abs(wave).max() for wave in waves) > 0.98
    else:
        levels = [20 * np.log10(wave.std()) for wave in waves]
        assert np.median(levels) == pytest.approx(device.level[0], abs=1.5)
        assert max(levels) < device.loudest + 0.5
