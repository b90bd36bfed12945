"""The page of a recording: everything on it, nothing from elsewhere."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lung_srad.analysis import Levels, spectrogram
from lung_srad.inference import Model
from lung_srad.inference.report import folder_page, recording_page


def test_a_page_tells_everything_and_needs_nothing(model: Model, record: Callable[..., Path]) -> None:
    path = record(seconds=20)
    found = model.classify(path)
    page = recording_page(found, path)
    for words in (
        "Over time",
        "Events",
        "Quality",
        "Summary",
        "a.wav",
        found.model["notice"],
        "Probabilities of a model",
    ):
        assert words in page
    assert page.count("<tr>") >= len(found.segments) + len(found.class_names)
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "<script" not in page


def test_a_page_of_an_array_and_of_silence(model: Model) -> None:
    samples = np.zeros(40_000, dtype=np.float32)
    page = recording_page(model.classify(samples, rate=4000), samples, 4000)
    assert "No stretch reaches" in page
    assert "silence" in page


def test_a_folder_of_one_and_of_paths_that_have_nothing_in_common(model: Model) -> None:
    row = {"status": "failed", "codes": "", "patient": "", "seconds": "", "segments": "", "events": "", "error": "no"}
    for paths in (["a.wav"], ["a.wav", "/b/c.wav"], ["in/a.wav", "in/b.wav"]):
        page = folder_page([row | {"path": path} for path in paths], [], model.facts(), {})
        assert f"<h1>{len(paths)} recording" in page
        assert page.count("<li>no</li>") == len(paths)
        assert "c.wav" in page or "a.wav" in page


@pytest.mark.parametrize("size", [1000, 99_999, 10**6])
def test_levels_in_pieces_are_the_spectrogram(size: int) -> None:
    wave = torch.from_numpy(np.random.default_rng(0).standard_normal(12 * 8000).astype(np.float32))
    levels = Levels(8000, 12.0)
    for piece in wave.split(size):
        levels.hear(piece)
    found, whole = levels.close(), spectrogram(wave, 8000)
    assert found.shape == (129, 500)
    assert np.abs(found[:, 2:-2] - whole[:, 2:498]).mean() < 0.5


def test_the_levels_of_a_day_are_few() -> None:
    levels = Levels(4000, 24 * 3600.0)
    assert levels._power.shape[1] == 129
    assert levels._power.shape[0] <= 1200
