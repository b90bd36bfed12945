"""The three steps of the front end, and the published pipeline to the last value."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lung_srad.audio import NORMALIZATIONS, SILENCE_STD, AudioFrontend, Frontend, KaldiFbank, is_silent, load_cycle
from lung_srad.errors import ConfigError, ShapeError


def spectrograms(batch: int = 3, frames: int = 798) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(batch, frames, 128, generator=generator) - 6 + torch.linspace(0, -4, 128)


@pytest.mark.parametrize("cycle", range(2))
@pytest.mark.parametrize("stem", ["101_1b1_Al_sc_Meditron", "104_1b1_Al_sc_Litt3200"])
def test_the_published_pipeline(shared, stem, cycle):
    folder = shared / "data" / "icbhi_raw"
    with np.load(shared / "reference" / "pipeline_icbhi_raw.npz") as stored:
        golden = {name: stored[f"{stem}/{cycle}/{name}"] for name in ("wave_head", "wave_tail", "fbank", "dass_input")}
    start, end = map(float, (folder / f"{stem}.txt").read_text().splitlines()[cycle].split()[:2])
    wave = load_cycle(folder / f"{stem}.wav", start, end)
    assert np.abs(wave[:4000].numpy() - golden["wave_head"]).max() <= 1e-6
    assert np.abs(wave[-2000:].numpy() - golden["wave_tail"]).max() <= 1e-6
    frontend = Frontend()
    error = np.abs(frontend.spectrogram(wave).numpy() - golden["fbank"])
    assert error.max() <= 2e-3
    assert error.mean() <= 1e-4
    features = frontend(wave[None])
    assert features.shape == (1, 1, 128, 1024)
    assert np.abs(features[0, 0, :, ::8].numpy() - golden["dass_input"]).max() <= 2e-3


def test_per_cycle_each_clip_has_mean_0_and_deviation_one_half():
    out = Frontend(normalize="cycle").normalize(spectrograms())
    assert torch.allclose(out.mean((1, 2)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(out.std((1, 2)), torch.full((3,), 0.5), atol=1e-5)


def test_audioset_uses_the_constants_and_keeps_the_level():
    frontend, spec = Frontend(normalize="audioset"), spectrograms()
    assert torch.allclose(frontend.normalize(spec), (spec + 4.2677393) / (2 * 4.5689974), atol=1e-6)
    assert torch.allclose(frontend.normalize(spec + 1) - frontend.normalize(spec), torch.tensor(0.109433), atol=1e-5)


def test_mel_mean_does_not_hear_the_stethoscope():
    frontend, spec = Frontend(normalize="mel_mean"), spectrograms()
    out = frontend.normalize(spec)
    assert out.mean(1).abs().max() < 1e-5
    assert torch.allclose(out.std((1, 2)), torch.full((3,), 0.5), atol=1e-5)
    colour = 5 * torch.sin(torch.arange(128) / 9)  # a device's response adds to a log spectrum
    assert torch.allclose(frontend.normalize(spec + colour), out, atol=1e-5)
    assert not torch.allclose(Frontend().normalize(spec + colour), Frontend().normalize(spec), atol=0.1)


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_the_steps_make_the_whole_and_clips_do_not_mix(normalize):
    wave = 0.1 * torch.randn(3, 128_000, generator=torch.Generator().manual_seed(1))
    frontend = Frontend(normalize=normalize, frames=256)
    whole = frontend(wave)
    assert whole.shape == (3, 1, 128, 256)
    assert frontend.shape(frontend.normalize(frontend.spectrogram(wave))).equal(whole)
    assert torch.allclose(frontend(wave[1:2])[0], whole[1], atol=1e-4)
    assert frontend.normalize(frontend.spectrogram(wave[1])).shape == (798, 128)


def test_shape_grows_as_bilinear_and_filters_when_it_shrinks():
    stripes = torch.tensor([1.0, -1.0]).repeat(512)[None, :, None].expand(1, 1024, 128)  # the fastest that there is
    assert Frontend(frames=1024).shape(stripes)[0, 0].equal(stripes[0].T)
    assert Frontend(frames=341).shape(stripes)[..., 5:-5].abs().max() < 0.2
    ramp = torch.arange(798.0)[None, :, None].expand(1, 798, 128)
    grown = Frontend(frames=1024).shape(ramp)[0, 0, 7]
    place = ((torch.arange(1024) + 0.5) * 798 / 1024 - 0.5).clamp(0, 797)
    assert torch.allclose(grown, place, atol=1e-3)


def test_without_a_width_the_frames_stay_as_they_are():
    for seconds, frames in ((8.0, 798), (5.0, 498), (0.025, 1)):
        frontend = Frontend(seconds=seconds, frames=None)
        assert frontend.frames == frames
        wave = torch.randn(2, round(16_000 * seconds), generator=torch.Generator().manual_seed(4))
        spec = frontend.spectrogram(wave)
        assert spec.shape == (2, frames, 128)
        assert frontend.shape(spec)[:, 0].equal(spec.mT)


def test_the_shortest_wave_that_has_a_spectrogram():
    for frontend in (Frontend(), Frontend(sample_rate=48_000)):
        assert frontend.spectrogram(torch.zeros(frontend.min_samples)).shape == (1, 128)
        with pytest.raises(ShapeError, match="wave: "):
            frontend.spectrogram(torch.zeros(frontend.min_samples - 1))


def test_a_front_end_must_define_every_step():
    class Half(AudioFrontend):
        sample_rate, seconds, resampler = 16_000, 8.0, "sinc"

    assert isinstance(Frontend(), AudioFrontend)
    with pytest.raises(TypeError, match="cache_key, min_samples, normalize, shape, spectrogram"):
        Half()


def test_shape_needs_a_batch():
    with pytest.raises(ShapeError, match=r"spectrogram: shape \(798, 128\); allowed: \(B, T, mel\); .*spec\[None\]"):
        Frontend().shape(spectrograms()[0])


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_silence_is_known_and_never_becomes_nan(normalize):
    frontend = Frontend(normalize=normalize)
    waves = torch.zeros(3, 128_000)
    waves[1] = 0.25  # a constant is silence, too
    waves[2] = 1e-3 * torch.randn(128_000, generator=torch.Generator().manual_seed(2))
    spec = frontend.spectrogram(waves)
    assert is_silent(spec).tolist() == [True, True, False]
    assert is_silent(spec[2]).shape == ()
    assert frontend(waves).isfinite().all()
    edge = torch.randn(798, 128, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    edge = edge / edge.std()
    assert is_silent(0.99 * SILENCE_STD * edge)
    assert not is_silent(1.01 * SILENCE_STD * edge)


def test_the_cache_key_names_what_changes_the_spectrogram_and_nothing_else():
    key = Frontend().cache_key()
    assert key == Frontend(normalize="mel_mean", frames=512).cache_key()
    for changed in (Frontend(sample_rate=48_000), Frontend(seconds=5.0), Frontend(resampler="soxr")):
        assert changed.cache_key() != key
    assert all(isinstance(value, str | int | float) for value in key.values())
    published = {"version": 1, "sample_rate": 16_000, "seconds": 8.0, "resampler": "sinc", "mels": 128}
    published |= {"window_ms": 25, "hop_ms": 10, "low_hz": 20.0, "preemphasis": 0.97}
    assert key == published  # another one, and every cache is computed anew


def test_it_adds_nothing_to_a_checkpoint():
    frontend = Frontend()
    assert not frontend.state_dict()
    assert not list(frontend.parameters())
    assert isinstance(frontend.fbank, KaldiFbank)


def test_unknown_options():
    with pytest.raises(ConfigError, match=r"normalize: 'melmean'; allowed: cycle, .*; did you mean 'mel_mean'\?"):
        Frontend(normalize="melmean")
    with pytest.raises(ConfigError, match="resampler: 'sox'"):
        Frontend(resampler="sox")


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 3601.0, 1e18])
def test_a_length_that_no_model_hears(seconds):
    with pytest.raises(
        ConfigError, match=rf"seconds: {seconds}; allowed: more than 0, up to 3600; ".replace("+", r"\+")
    ):
        Frontend(seconds=seconds)


@pytest.mark.parametrize("frames", [0, -1, 2**19 + 1, 2**63])
def test_a_width_that_no_model_hears(frames):
    with pytest.raises(
        ConfigError, match=f"frames: {frames}; allowed: more than 0, up to 524288; the paper takes 1024"
    ):
        Frontend(frames=frames)


def test_an_hour_is_heard():
    assert Frontend(seconds=3600.0, frames=None).frames == 359_998
