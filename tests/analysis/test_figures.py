"""Figures: what is in a spectrogram, and that a drawing shows what it was given."""

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch

from lung_srad.analysis import Curve, Lane, Mark, Span, learning_curves, recording_figure, spectrogram, svg

RATE = 8000
CURVES = [Curve("First", [2.0, 1.0, 0.5], [40.0, None, 60.0], 3), Curve("Second", [4.0, 3.0, 2.0], [50.0] * 3, 1)]
LANES = [
    Lane("true", [Span(0, 2, 0, "normal"), Span(2, 2.2, 1, "crackle")]),
    Lane("system", [Span(0, 2, 2, "wheeze", right=False), Span(2, 2.2, 1, "crackle", right=True)]),
    Lane("events", marks=[Mark(2.05, 2.06, "crackle"), Mark(0.5, 1.5, "wheeze", 400.0)]),
]


def tone(hertz: float, seconds: float = 2.0) -> torch.Tensor:
    times = torch.arange(int(RATE * seconds)) / RATE
    return torch.sin(2 * math.pi * hertz * times)


def words(drawing: str) -> list[str]:
    """Returns the texts in a drawing, which must be XML."""
    return ["".join(node.itertext()) for node in ElementTree.fromstring(drawing).iter() if node.tag.endswith("}text")]


@pytest.mark.parametrize("hertz", [250.0, 1000.0])
def test_a_tone_stands_at_its_pitch(hertz):
    levels = spectrogram(tone(hertz), RATE)
    loudest = levels.mean(1).argmax() * 2000 / (len(levels) - 1)
    assert loudest == pytest.approx(hertz, abs=16)
    assert levels.max() == 0
    assert levels.min() == -50


def test_a_click_stands_at_its_time():
    wave = torch.zeros(2 * RATE)
    wave[RATE // 2] = 1.0
    levels = spectrogram(wave, RATE)
    assert levels.mean(0).argmax() / levels.shape[1] * 2 == pytest.approx(0.5, abs=0.03)


def test_levels_rise_by_6_db_per_octave_and_loudness_does_not_matter():
    quiet = spectrogram(tone(400) + tone(800), RATE)
    assert quiet == pytest.approx(spectrogram(100 * (tone(400) + tone(800)), RATE), abs=1e-3)
    low, high = (quiet[round(hertz / 2000 * (len(quiet) - 1))].mean() for hertz in (400, 800))
    assert high - low == pytest.approx(6, abs=1.5)


def test_silence_can_be_drawn():
    assert np.isfinite(spectrogram(torch.zeros(RATE), RATE)).all()


def test_ink_follows_the_page():
    drawing = svg(learning_curves(CURVES))
    assert "var(--ink)" in drawing
    assert "#010203" not in drawing
    assert "prefers-color-scheme:dark" in drawing


def test_the_same_figure_gives_the_same_bytes():
    assert svg(learning_curves(CURVES)) == svg(learning_curves(CURVES))


def test_curves_show_losses_scores_and_the_chosen_epoch():
    figure = learning_curves(CURVES)
    loss, score = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines] == [[1, 0.5, 0.25], [1, 0.75, 0.5]]
    rings = [line for line in score.lines if line.get_markersize() == 11]
    assert [(*ring.get_xdata(), *ring.get_ydata()) for ring in rings] == [(3, 60), (1, 50)]
    assert {"First", "Second", "always normal", "epoch"} <= set(words(svg(figure)))


def test_a_recording_shows_its_lanes_on_one_time_axis():
    figure = recording_figure(spectrogram(tone(400, 4.0), RATE), 4.0, LANES)
    assert {axes.get_xlim() for axes in figure.axes} == {(0.0, 4.0)}
    said = words(svg(figure))
    assert {"true", "system", "normal", "wheeze ✗", "crackle", "wheeze", "kHz", "seconds"} <= set(said)
    assert said.count("C") == 2  # a box of 0.2 s has room for a letter only
    picture = figure.axes[2]
    assert picture.images
    ((start, end),) = [segment for line in picture.collections for segment in line.get_segments()]
    assert (start.tolist(), end.tolist()) == ([0.5, 0.4], [1.5, 0.4])


def test_lanes_may_be_absent_or_empty():
    levels = spectrogram(tone(400), RATE)
    assert len(recording_figure(levels, 2.0, []).axes) == 1
    assert "none" in words(svg(recording_figure(levels, 2.0, [Lane("events")])))


def test_texts_are_escaped():
    drawing = svg(recording_figure(spectrogram(tone(400), RATE), 2.0, [Lane("<b>&", [Span(0, 2, 0, "<i>")])]))
    assert {"<b>&", "<i>"} <= set(words(drawing))
