"""Fades and cycles: end points, lengths, repetition, and what lies outside a recording."""

import math

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_srad.audio import cut_cycle, fade, load_cycle, load_recording
from lung_srad.errors import AudioError, ConfigError

RATE = 16_000


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(samples, generator=torch.Generator().manual_seed(seed)) + 0.5


def test_fade_is_a_line_from_zero_to_one_and_leaves_the_middle():
    wave = noise(5_000)
    kept = wave.clone()
    faded = fade(wave, 1_000)
    assert faded[0] == 0
    assert faded[-1] == 0
    assert faded[1_000:-1_000].equal(wave[1_000:-1_000])
    assert torch.allclose(faded[:1_000] / wave[:1_000], torch.arange(1_000) / 999, atol=1e-6)
    assert torch.allclose(faded.flip(0), fade(wave.flip(0), 1_000), atol=1e-6)
    assert wave.equal(kept)


def test_fade_on_one_side_and_of_a_short_wave():
    wave = torch.ones(2, 10)
    assert fade(wave, 4, start=False)[:, :6].equal(wave[:, :6])
    assert fade(wave, 4, end=False)[:, -6:].equal(wave[:, -6:])
    short = fade(torch.ones(5), 1_000)
    assert short[0] == short[-1] == 0
    assert (short[1:-1] > 0).all()
    assert fade(torch.ones(0), 1_000).shape == (0,)


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 9.9), st.floats(0.01, 12), st.sampled_from([0.5, 5.0, 8.0]))
def test_a_cycle_is_cut_or_repeated(start, length, seconds):
    wave = noise(10 * RATE)
    cycle = cut_cycle(wave, start, start + length, seconds=seconds)
    size, source = int(seconds * RATE), wave[int(start * RATE) : int((start + length) * RATE)]
    assert cycle.shape == (size,)
    if len(source) > size:
        assert cycle.equal(source[:size])
    else:
        tiled = source.repeat(math.ceil(size / len(source)))[:size]
        assert cycle[: -RATE // 16].equal(tiled[: -RATE // 16])
        assert cycle[-1] == 0


def test_a_cycle_of_exactly_the_length_is_faded_as_published():
    wave = noise(10 * RATE)
    assert cut_cycle(wave, 1.0, 9.0)[-1] == 0
    assert cut_cycle(wave, 1.0, 9.0 + 1 / RATE)[-1] != 0


def test_the_end_is_clamped_and_the_wave_is_not_touched():
    wave = noise(RATE)
    kept = wave.clone()
    to_end = cut_cycle(wave, 0.5, math.inf)
    assert to_end.equal(cut_cycle(wave, 0.5, 1.0))
    assert to_end.equal(cut_cycle(wave, 0.5, 20.0))
    cut_cycle(wave, 0.0, 1.0, seconds=0.5).zero_()
    assert wave.equal(kept)


@pytest.mark.parametrize(
    ("start", "end"),
    [(1.0, 2.0), (-0.1, 0.5), (0.5, 0.5), (0.5, 0.4), (math.nan, 1.0), (0.0, math.nan), (0.5, 0.50001)],
)
def test_a_cycle_outside_its_recording(start, end, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(RATE).numpy() / 2, RATE)
    with pytest.raises(AudioError) as caught:
        load_cycle(path, start, end)
    assert str(caught.value).startswith(f"{path}: the part from {start} to {end} s; allowed: a part of 0 to 1.000 s")
    with pytest.raises(AudioError, match=r"^wave: the part from"):
        cut_cycle(noise(RATE), start, end)


@pytest.mark.parametrize(("rate", "resampler"), [(4_000, "sinc"), (44_100, "sinc"), (44_100, "soxr"), (RATE, "sinc")])
def test_a_recording_is_resampled_then_faded_as_a_whole(rate, resampler, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(2 * rate, 0.25, np.float32), rate, subtype="FLOAT")
    recording = load_recording(path, resampler=resampler)
    assert (recording.rate, len(recording.samples)) == (RATE, 2 * RATE)
    assert recording.samples[0] == recording.samples[-1] == 0
    assert torch.allclose(recording.samples[1_000:-1_000], torch.tensor(0.25), atol=2e-3)
    assert abs(recording.samples[500] - 0.125) < 1e-3
    cycle = load_cycle(path, 0.25, 0.75, resampler=resampler)
    assert cycle.shape == (8 * RATE,)
    assert cycle.dtype == torch.float32
    assert cycle.equal(cut_cycle(recording.samples, 0.25, 0.75))


def test_another_rate_and_length(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(RATE).numpy() / 2, RATE)
    cycle = load_cycle(path, 0.0, 1.0, 5.0, sample_rate=48_000)
    assert cycle.shape == (5 * 48_000,)
    assert cycle[-1] == 0
    assert (cycle[-3_000:-1] != 0).all()  # the fade lasts 3,000 samples at 48 kHz


def test_an_unknown_resampler_is_refused_before_the_file_is_read(tmp_path):
    with pytest.raises(ConfigError, match="resampler: 'sox'"):
        load_recording(tmp_path / "absent.wav", resampler="sox")
