"""Windows of a long recording: read in parts, without a seam, without holding it all."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from lung_srad.audio import Frontend, load_recording
from lung_srad.inference import clips
from lung_srad.inference.clips import BLOCK, MARGIN, Windows

Record = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "rate", "resampler"),
    [
        ("a.wav", 4000, "sinc"),
        ("a.flac", 44_100, "sinc"),
        ("a.wav", 11_021, "sinc"),  # no common divisor
        ("a.wav", 16_000, "sinc"),
        ("a.mp3", 22_050, "sinc"),
        ("a.ogg", 22_050, "sinc"),
        ("a.wav", 10_000, "soxr"),
    ],
)
def test_parts_fit_together_without_a_seam(record: Record, name: str, rate: int, resampler: str) -> None:
    if resampler == "soxr":
        pytest.importorskip("soxr")
    path = record(name, seconds=2 * BLOCK + 3.3, rate=rate)
    frontend = Frontend(resampler=resampler)
    whole = load_recording(path, resampler=resampler, fades=False).samples
    windows = Windows(path, frontend, 3.7)
    found = list(windows)
    starts = [round(clip.start * 16_000) for clip in found]
    assert starts[-1] == len(whole) - 128_000
    assert all(after - before <= round(3.7 * 16_000) for before, after in pairwise(starts))
    for start, clip in zip(starts, found, strict=True):
        assert torch.allclose(clip.wave, whole[start : start + 128_000], rtol=0, atol=1e-6)


def test_a_long_recording_is_never_held_whole(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record(seconds=4 * BLOCK, rate=1000)
    asked = []

    def listening(path: Path, **options):
        asked.append(options["stop"] - options["start"])
        return load_recording(path, **options)

    monkeypatch.setattr(clips, "load_recording", listening)
    held = [clip.wave.untyped_storage().nbytes() for clip in Windows(path, Frontend(), 2.0)]
    assert len(asked) == 4
    assert max(asked) <= BLOCK + 2 * MARGIN
    assert max(held) <= (BLOCK + 8) * 16_000 * 4


def test_nothing_is_faded_in_a_window(record: Record) -> None:
    path = record(seconds=9)
    first, last = Windows(path, Frontend(), 8.0)
    whole = load_recording(path, fades=False).samples
    assert torch.equal(first.wave, whole[:128_000])
    assert torch.equal(last.wave, whole[-128_000:])
    faded = load_recording(path).samples
    assert not torch.allclose(first.wave[:500], faded[:500], atol=1e-3)


def test_what_is_true_of_some_parts_only_says_so(tmp_path: Path) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((2 * BLOCK * 4000, 2))
    samples[(BLOCK - MARGIN) * 4000 :, 1] = 0
    soundfile.write(tmp_path / "a.wav", samples, 4000)
    windows = Windows(tmp_path / "a.wav", Frontend(), 8.0)
    assert windows.notices == ()
    list(windows)
    assert windows.notices == (
        "mixed_down: the mean of 2 channels",
        "dead_channel: channel 2 of 2 carries no signal (in 1 of 2 parts)",
    )
