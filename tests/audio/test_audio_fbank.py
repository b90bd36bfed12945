"""Kaldi's filter bank against its definition, one frame at a time, and on every kind of input."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lung_srad.audio import KaldiFbank, kaldi_fbank
from lung_srad.errors import ConfigError, ShapeError


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return (0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).to(dtype)


def slow_fbank(wave: np.ndarray, power_of_hann: float = 1.0) -> np.ndarray:
    """Returns the definition, loop by loop."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** power_of_hann
    low, high = (1127 * math.log(1 + hertz / 700) for hertz in (20, 8_000))
    edges = np.linspace(low, high, 130)
    rows = []
    for start in range(0, len(wave) - 399, 160):
        frame = wave[start : start + 400] - wave[start : start + 400].mean()
        frame = np.array([x - 0.97 * frame[max(i - 1, 0)] for i, x in enumerate(frame)])
        power = np.abs(np.fft.rfft(frame * window, 512)) ** 2
        row = []
        for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
            energy = 0.0
            for k in range(256):  # not the Nyquist bin
                mel = 1127 * math.log(1 + k * 16_000 / 512 / 700)
                energy += max(0.0, min((mel - left) / (centre - left), (right - mel) / (right - centre))) * power[k]
            row.append(math.log(max(energy, 2**-23)))
        rows.append(row)
    return np.array(rows)


def test_it_is_what_it_is_defined_as():
    wave = noise(1_000, dtype=torch.float64)
    expected = slow_fbank(wave.numpy())
    assert expected.shape == (4, 128)
    assert np.abs(kaldi_fbank(wave).numpy() - expected).max() < 1e-9
    assert np.abs(kaldi_fbank(wave.float()).numpy() - expected).max() < 2e-3


def test_the_povey_window_is_a_power_of_hann():
    wave = noise(1_000, dtype=torch.float64)
    found = KaldiFbank(window="povey").double()(wave)
    assert np.abs(found.numpy() - slow_fbank(wave.numpy(), 0.85)).max() < 1e-9
    assert not torch.allclose(found, kaldi_fbank(wave), atol=1e-2)
    with pytest.raises(ConfigError, match="window: 'povay'; allowed: hanning, povey; did you mean 'povey'"):
        KaldiFbank(window="povay")


def test_shapes_batches_and_precision():
    wave = noise(2, 3, 128_000)
    spec = kaldi_fbank(wave)
    assert spec.shape == (2, 3, 798, 128)
    assert spec.dtype == torch.float32
    assert torch.allclose(spec[1, 2], kaldi_fbank(wave[1, 2]), atol=1e-4)
    exact = KaldiFbank().double()(wave.double())
    assert exact.dtype == torch.float64
    assert (spec - exact).abs().mean() < 1e-5
    assert kaldi_fbank(noise(400)).shape == (1, 128)
    assert KaldiFbank(sample_rate=48_000)(noise(48_000)).shape == (98, 128)


def test_silence_and_a_constant_are_the_floor():
    for value in (0.0, 0.25):
        assert kaldi_fbank(torch.full((1_600,), value)).sub(math.log(2**-23)).abs().max() < 1e-4


@pytest.mark.parametrize("frequency", [250, 1_000, 4_000])
def test_a_tone_rises_in_its_bin(frequency):
    wave = torch.sin(2 * math.pi * frequency * torch.arange(16_000) / 16_000)
    low, high = (1127 * math.log1p(hertz / 700) for hertz in (20, 8_000))
    place = (1127 * math.log1p(frequency / 700) - low) / (high - low) * 129 - 1
    assert abs(kaldi_fbank(wave).mean(0).argmax().item() - place) <= 1


def test_ten_times_the_level_adds_its_logarithm():
    wave = noise(16_000, dtype=torch.float64)
    spec, louder = kaldi_fbank(wave), kaldi_fbank(10 * wave)
    heard = spec > math.log(2**-23)
    assert torch.allclose((louder - spec)[heard], torch.tensor(2 * math.log(10), dtype=torch.float64))
    assert heard.sum() == 98 * 127  # filter 3 covers no bin of the spectrum, as in Kaldi


def test_half_precision_around_it_changes_nothing():
    wave, module = noise(2, 16_000), KaldiFbank()
    expected = module(wave)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert module(wave).equal(expected)
    assert torch.nn.Sequential(KaldiFbank()).bfloat16()(wave).equal(expected)
    with torch.device("meta"):
        built_without_memory = KaldiFbank()
    assert built_without_memory.to_empty(device="cpu")(wave).equal(expected)
    assert not module.state_dict()


def test_it_is_differentiable_and_does_not_touch_the_wave():
    wave = noise(1_600, dtype=torch.float64)
    kept = wave.clone()
    with torch.inference_mode():
        kaldi_fbank(wave)
    source = wave.clone().requires_grad_()
    kaldi_fbank(source).sum().backward()
    assert source.grad.isfinite().all()
    assert source.grad.abs().max() > 0
    assert wave.equal(kept)


def test_too_short_a_wave():
    with pytest.raises(ShapeError, match=r"wave: 399 samples; allowed: 400 or more; repeat it"):
        kaldi_fbank(torch.zeros(399))
