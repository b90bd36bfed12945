"""The front end of BEATs: its constants, its scaling, and the same promises as every other front end."""

import math

import pytest
import torch
from torch import Tensor

from lung_srad.audio import AudioFrontend, BeatsFrontend, Frontend, KaldiFbank, is_silent
from lung_srad.errors import ConfigError, ShapeError


@pytest.fixture(scope="module")
def wave() -> Tensor:
    return 0.1 * torch.randn(2, 80_000, generator=torch.Generator().manual_seed(0))


def test_five_seconds_are_498_frames_that_nothing_resizes(wave: Tensor):
    frontend = BeatsFrontend()
    assert isinstance(frontend, AudioFrontend)
    spec = frontend.spectrogram(wave)
    assert spec.shape == (2, 498, 128)
    features = frontend(wave)
    assert features.shape == (2, 1, 128, 498)
    assert torch.equal(features[:, 0].mT, frontend.normalize(spec))
    assert BeatsFrontend(seconds=2.0)(wave[:, :32_000]).shape == (2, 1, 128, 198)
    with pytest.raises(ShapeError, match=r"spectrogram: shape \(498, 128\)"):
        frontend.shape(spec[0])


def test_it_hears_integers_of_16_bits_through_kaldis_own_window(wave: Tensor):
    expected = KaldiFbank(window="povey")(wave * 32_768)
    spec = BeatsFrontend().spectrogram(wave)
    torch.testing.assert_close(spec, expected, rtol=0, atol=0)
    torch.testing.assert_close(BeatsFrontend().normalize(spec), (spec - 15.41663) / 13.11164)


def test_published_scaling_sits_1_59_units_low(wave: Tensor):
    corrected, published = BeatsFrontend(), BeatsFrontend(scaling="published")
    heard = published.spectrogram(wave) > -15.9  # some of the lowest filters have no bin, and stay at the floor
    assert heard.float().mean() > 0.98
    difference = (corrected.spectrogram(wave) - published.spectrogram(wave))[heard]
    torch.testing.assert_close(difference, torch.full_like(difference, 30 * math.log(2)), rtol=0, atol=1e-3)
    lower = (corrected(wave) - published(wave))[:, 0].mT[heard].mean().item()
    assert lower == pytest.approx(1.586, abs=1e-3)


def test_the_shortest_wave_that_has_a_spectrogram():
    frontend = BeatsFrontend()
    assert frontend.spectrogram(torch.zeros(frontend.min_samples)).shape == (1, 128)
    with pytest.raises(ShapeError, match="wave: 399 samples"):
        frontend.spectrogram(torch.zeros(frontend.min_samples - 1))


@pytest.mark.parametrize("scaling", ["corrected", "published"])
def test_silence_is_known(scaling: str):
    frontend = BeatsFrontend(scaling=scaling)
    waves = torch.zeros(3, 80_000)
    waves[1] = 0.25  # a constant is silence, too
    waves[2] = 1e-4 * torch.randn(80_000, generator=torch.Generator().manual_seed(2))
    assert is_silent(frontend.spectrogram(waves)).tolist() == [True, True, False]
    assert frontend(waves).isfinite().all()


def test_the_cache_key_names_what_changes_the_spectrogram():
    keys = [BeatsFrontend().cache_key(), Frontend().cache_key()]
    keys += [BeatsFrontend(seconds=8.0).cache_key(), Frontend(seconds=5.0).cache_key()]
    keys += [BeatsFrontend(scaling="published").cache_key(), BeatsFrontend(resampler="soxr").cache_key()]
    assert all(keys.count(key) == 1 for key in keys)
    assert all(isinstance(value, str | int | float) for key in keys for value in key.values())


def test_it_adds_nothing_to_a_checkpoint():
    frontend = BeatsFrontend()
    assert not frontend.state_dict()
    assert not list(frontend.parameters())


def test_unknown_options():
    with pytest.raises(ConfigError, match="scaling: 'corect'; allowed: corrected, published; did you mean 'corrected'"):
        BeatsFrontend(scaling="corect")
    with pytest.raises(ConfigError, match="resampler: 'sox'"):
        BeatsFrontend(resampler="sox")
    with pytest.raises(ConfigError, match="seconds: 0"):
        BeatsFrontend(seconds=0.0)
    with pytest.raises(ConfigError, match=r"seconds: 4000\.0; allowed: more than 0, up to 3600; PAFA takes 5 s"):
        BeatsFrontend(seconds=4000.0)
