"""Resampling judged by physics: what a tone, a constant and an alias become."""

import math
import sys

import pytest
import torch
from torch import Tensor

from lung_srad.audio import resample, resampling
from lung_srad.errors import ConfigError, MissingExtraError

PAIRS = [
    (4_000, 16_000),
    (10_000, 16_000),
    (44_100, 16_000),
    (48_000, 16_000),
    (16_000, 48_000),
    (22_051, 16_000),
]


def tone(frequency: float, rate: int, seconds: float = 1.0) -> Tensor:
    return torch.sin(2 * math.pi * frequency * torch.arange(round(seconds * rate), dtype=torch.float64) / rate)


def inner(wave: Tensor) -> Tensor:
    """Returns the wave without its ends, where any filter meets the silence outside."""
    return wave[len(wave) // 8 : -(len(wave) // 8)]


def level(wave: Tensor) -> float:
    """Returns the level against a full-scale sine, in dB."""
    return 20 * math.log10(inner(wave).square().mean().sqrt().item() * math.sqrt(2))


@pytest.mark.parametrize("method", ["sinc", "soxr"])
@pytest.mark.parametrize(("rate", "target"), PAIRS)
def test_a_tone_stays_the_same_tone(rate, target, method):
    tolerance = 5e-3 if method == "sinc" else 1e-5
    for share in (0.02, 0.3):
        frequency = share * min(rate, target) / 2
        out = resample(tone(frequency, rate), rate, target, method=method)
        assert out.shape == (target,)
        assert (inner(out) - inner(tone(frequency, target))).abs().max() < tolerance


@pytest.mark.parametrize("method", ["sinc", "soxr"])
@pytest.mark.parametrize(("rate", "target"), PAIRS)
def test_a_constant_stays(rate, target, method):
    out = resample(torch.ones(rate), rate, target, method=method)
    assert (inner(out) - 1).abs().max() < (5e-3 if method == "sinc" else 1e-5)


def test_an_alias_is_weakened():
    wave = tone(10_000, 44_100)  # 2 kHz above the new Nyquist frequency
    assert -60 < level(resample(wave, 44_100, 16_000)) < -40
    assert level(resample(wave, 44_100, 16_000, method="soxr")) < -100


def test_soxr_keeps_what_sinc_weakens_and_agrees_below():
    high = tone(7_500, 44_100)
    assert -4.5 < level(resample(high, 44_100, 16_000)) < -3
    assert level(resample(high, 44_100, 16_000, method="soxr")) > -0.5
    low = tone(500, 44_100) + tone(1_777, 44_100)
    sinc, soxr = (resample(low, 44_100, 16_000, method=method) for method in ("sinc", "soxr"))
    assert sinc.shape == soxr.shape
    assert (inner(sinc) - inner(soxr)).abs().max() < 5e-3


@pytest.mark.parametrize("method", ["sinc", "soxr"])
@pytest.mark.parametrize("samples", [1, 2, 441, 1000, 44_101])
def test_length_and_batch(samples, method):
    wave = torch.randn(2, 3, samples, generator=torch.Generator().manual_seed(0))
    out = resample(wave, 44_100, 16_000, method=method)
    assert out.shape == (2, 3, math.ceil(samples * 16_000 / 44_100))
    assert out.dtype == wave.dtype
    assert torch.allclose(out[1, 2], resample(wave[1, 2], 44_100, 16_000, method=method), atol=1e-6)


def test_sinc_is_the_convolution_that_it_is_defined_as():
    """The slow definition: every output is a sum over all inputs, weighted by the sinc at their distance."""
    wave = torch.randn(300, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    old, new = 441, 160
    cutoff = 0.99 * new / old  # both rates in units of the input's
    distance = torch.arange(109, dtype=torch.float64)[:, None] * old / new - torch.arange(300)
    t = (distance * cutoff).clamp(-6, 6)
    expected = (torch.sinc(t) * torch.cos(t * math.pi / 12) ** 2 * cutoff) @ wave
    out = resample(wave, 44_100, 16_000)
    assert out.shape == expected.shape
    assert (out - expected).abs().max() < 1e-12


@pytest.mark.parametrize(("old", "new"), [(441, 160), (1, 4), (3, 1), (5, 8), (160, 441)])
def test_both_forms_of_the_sinc_agree(old, new):
    wave = torch.randn(2, 1500, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    length = math.ceil(1500 * new / old)
    dense = resampling._polyphase(wave, old, new, length)
    assert (dense - resampling._tap_by_tap(wave, old, new, length)).abs().max() < 1e-12


def test_coprime_rates_cost_no_giant_kernel():
    out = resample(tone(100, 383_999, 0.1), 383_999, 16_000)  # dense, this would be 6e9 weights
    assert out.shape == (1_601,)
    assert (inner(out) - inner(tone(100, 16_000, 1_601 / 16_000))).abs().max() < 5e-3


def test_equal_rates_change_nothing():
    wave = torch.randn(100)
    assert resample(wave, 16_000, 16_000) is wave


def test_the_kernel_is_cached_and_survives_inference_mode():
    resampling._dense_kernel.cache_clear()
    with torch.inference_mode():
        resample(torch.randn(100), 8_000, 16_000)
    wave = torch.randn(100, requires_grad=True)
    resample(wave, 8_000, 16_000).sum().backward()
    assert resampling._dense_kernel.cache_info().hits == 1
    assert (wave.grad[20:-20] - 2).abs().max() < 1e-2  # each sample is spread over two


def test_unknown_method_and_rate():
    with pytest.raises(ConfigError, match=r"resampler: 'sincc'; allowed: sinc, soxr; did you mean 'sinc'\?"):
        resample(torch.zeros(10), 8_000, 16_000, method="sincc")
    for rate in (0, -8_000, 8_000.5):
        with pytest.raises(ConfigError, match=rf"resample: {rate} Hz to 16000 Hz; allowed: positive whole"):
            resample(torch.zeros(10), rate, 16_000)


def test_without_soxr_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lung-srad\[audio\]'"):
        resample(torch.zeros(100), 8_000, 16_000, method="soxr")
