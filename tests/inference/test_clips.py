"""Windows of a long recording: cut from pieces, without a seam, without holding it all."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from lung_srad.audio import Frontend
from lung_srad.inference.clips import Windows

RATE = 16_000


def noise(seconds: float) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32))


@pytest.mark.parametrize("size", [100, 7777, 10**6])
@pytest.mark.parametrize(("seconds", "hop"), [(33.3, 3.7), (33.3, 8.0), (8.0, 2.0), (8.1, 2.0), (12.0, 2.0)])
def test_windows_are_those_of_the_whole_wave(seconds: float, hop: float, size: int) -> None:
    wave, windows = noise(seconds), Windows(Frontend(), hop)
    found = [clip for piece in wave.split(size) for clip in windows.push(piece)] + windows.close(seconds)
    starts = [round(clip.start * RATE) for clip in found]
    assert starts[0] == 0
    assert starts[-1] == len(wave) - 8 * RATE
    assert all(after - before == round(hop * RATE) for before, after in pairwise(starts[:-1]))
    for start, clip in zip(starts, found, strict=True):
        assert torch.equal(clip.wave, wave[start : start + 8 * RATE])
        assert clip.end == pytest.approx(clip.start + 8)
        assert clip.end <= seconds


def test_a_window_comes_as_soon_as_it_is_whole() -> None:
    windows = Windows(Frontend(), 2.0)
    assert windows.push(noise(7.99)) == []
    assert [clip.start for clip in windows.push(noise(0.01))] == [0.0]
    assert [clip.start for clip in windows.push(noise(4.5))] == [2.0, 4.0]
    assert [clip.start for clip in windows.close(12.5)] == [4.5]


def test_a_long_wave_is_never_held_whole() -> None:
    windows = Windows(Frontend(), 2.0)
    for _ in range(20):
        held = [clip.wave.untyped_storage().nbytes() for clip in windows.push(noise(5))]
        assert max([windows._kept.untyped_storage().nbytes(), *held]) <= 4 * 16 * RATE


def test_less_than_a_frame_cannot_be_heard() -> None:
    windows = Windows(Frontend(), 2.0)
    assert windows.push(torch.ones(300)) == []
    assert [(clip.start, clip.end, clip.wave) for clip in windows.close(300 / RATE)] == [(0.0, 300 / RATE, None)]
