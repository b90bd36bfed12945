"""The front end of CLAP against the processor of transformers, and against its own definition."""

import math

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from lung_srad.audio import ClapFrontend, ClapMel, Frontend, cut_cycle, fade, is_silent
from lung_srad.errors import ConfigError, ShapeError

RATE = 48_000


def noise(samples: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def as_at_4_khz(wave: Tensor) -> Tensor:
    """Returns a wave with next to nothing above 2 kHz, as recordings at 4 kHz are."""
    spectrum = torch.fft.rfft(wave.double())
    spectrum[int(len(spectrum) * 2000 / (RATE / 2)) :] = 0
    return torch.fft.irfft(spectrum, len(wave)).float()


@pytest.mark.parametrize("seconds", [8.0, 10.0, 3.3, 0.5])
@pytest.mark.parametrize("sound", [lambda wave: wave, as_at_4_khz, torch.zeros_like], ids=["white", "4 kHz", "zero"])
def test_the_processor_of_transformers(seconds, sound):
    published = {"frequency_min": 50, "frequency_max": 14_000, "truncation": "rand_trunc", "padding": "repeatpad"}
    processor = transformers.ClapFeatureExtractor(**published)  # of laion/clap-htsat-unfused
    wave = sound(noise(int(seconds * RATE)))
    theirs = processor(wave.numpy(), sampling_rate=RATE, return_tensors="pt")["input_features"]  # (1, 1, T, mel)
    ours = ClapFrontend(seconds=seconds)(wave[None])
    assert theirs.shape == (1, 1, 1001, 64)
    assert ours.shape == (1, 1, 64, 1001)
    error = (ours.mT - theirs).abs()
    assert error.max() < 1e-4  # dB
    assert error.mean() < 1e-6


def test_one_frame_by_its_definition():
    wave = noise(10 * RATE)
    frame = wave[4800 - 512 : 4800 + 512].numpy().astype(np.float64)
    power = np.abs(np.fft.rfft(frame * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)))) ** 2

    def hertz(mel: float) -> float:
        return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    top = 15 + 27 * math.log(14) / math.log(6.4)  # 14 kHz
    edges = [hertz(0.75 + (top - 0.75) * step / 65) for step in range(66)]  # 0.75 mel are 50 Hz
    for band in (0, 7, 20, 40, 63):
        left, middle, right = edges[band : band + 3]
        places = np.arange(513) * RATE / 1024
        weights = np.maximum(0, np.minimum((places - left) / (middle - left), (right - places) / (right - middle)))
        expected = 10 * np.log10(weights @ power * 2 / (right - left))
        assert ClapMel()(wave)[10, band].item() == pytest.approx(expected, abs=1e-4)


def test_eight_seconds_are_followed_by_two_of_nothing_and_shorter_ones_are_repeated():
    spec = ClapFrontend().spectrogram(noise(8 * RATE))
    assert (spec[803:] == -100).all()
    assert spec[:798].min() > -70
    again = ClapFrontend(seconds=2.5).spectrogram(noise(int(2.5 * RATE)))
    assert torch.allclose(again[10:240], again[260:490], atol=1e-4)
    assert again[760:990].min() > -70  # four times, so to the end


def test_a_cycle_is_faded_over_3000_samples():
    cycle = cut_cycle(torch.ones(RATE), 0, 1, seconds=8.0, sample_rate=RATE)
    assert cycle.shape == (8 * RATE,)
    assert cycle[-3001] == 1
    assert torch.equal(cycle[-3000:], fade(torch.ones(3000), 3000, start=False))


def test_leading_axes_precision_and_autocast():
    wave = noise(6 * RATE).reshape(2, 1, 3 * RATE)
    frontend = ClapFrontend(seconds=3.0)
    spec = frontend.spectrogram(wave)
    assert spec.shape == (2, 1, 1001, 64)
    assert torch.equal(spec[1, 0], frontend.spectrogram(wave[1, 0]))
    assert frontend.spectrogram(wave.double()).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(frontend.spectrogram(wave), spec)
    assert torch.equal(frontend.to(torch.bfloat16).spectrogram(wave), spec)


def test_silence_is_known():
    frontend = ClapFrontend()
    assert is_silent(frontend.spectrogram(torch.zeros(2, 8 * RATE))).tolist() == [True, True]
    assert is_silent(frontend.spectrogram(1e-9 * noise(8 * RATE)))  # all of it under the floor
    assert not is_silent(frontend.spectrogram(1e-4 * noise(8 * RATE)))


def test_the_cache_key_is_its_own():
    key = ClapFrontend().cache_key()
    assert key.items() - Frontend(sample_rate=RATE).cache_key().items() >= {("kind", "clap"), ("mels", 64)}
    for changed in (ClapFrontend(seconds=5.0), ClapFrontend(resampler="soxr")):
        assert changed.cache_key() != key


def test_it_adds_nothing_to_a_checkpoint():
    assert not ClapFrontend().state_dict()
    assert not list(ClapFrontend().parameters())


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"seconds: 10\.5; allowed: more than 0, up to 10"):
        ClapFrontend(seconds=10.5)
    with pytest.raises(ConfigError, match="resampler: 'sox'"):
        ClapFrontend(resampler="sox")
    shortest = ClapFrontend().min_samples
    assert ClapFrontend().spectrogram(torch.zeros(shortest)).shape == (1001, 64)
    for samples in (shortest - 1, 480_001):
        with pytest.raises(ShapeError, match=f"wave: {samples} samples; allowed: 1024 to 480000"):
            ClapFrontend().spectrogram(torch.zeros(samples))
    with pytest.raises(ShapeError, match=r"spectrogram: shape \(1001, 64\)"):
        ClapFrontend().shape(torch.zeros(1001, 64))
