"""The figures of the spectral analysis: who is drawn, in which colour, with which axes."""

import dataclasses

import numpy as np
import pytest
import torch

from lung_srad.analysis import (
    LayerSpectrum,
    NetworkSpectrum,
    Panel,
    PanelPoint,
    layers_figure,
    network_map,
    png,
    shown_places,
    smoothed_blocks,
    smoothed_responses,
    smoothing_figure,
    svg,
    sweep_figure,
)
from lung_srad.drawing import SYSTEM_COLOURS, system_colours
from lung_srad.errors import ConfigError
from lung_srad.method import gaussian_kernel, spectral_response
from lung_srad.models import create_model


def layer(place: tuple[int, ...], seed: int, summaries: int = 0) -> LayerSpectrum:
    draw = torch.Generator().manual_seed(seed)
    line, plane = (0.01 + torch.rand(2, *size, generator=draw) / 10 for size in ((24,), (4, 6)))
    line[:, 0] = plane[:, 0, 0] = 1
    received = torch.rand(2, summaries, generator=draw)
    return LayerSpectrum(place, (4, 6), line, plane, received, torch.rand(24, 24, generator=draw))


@pytest.fixture
def dass() -> NetworkSpectrum:
    places = [(0, 0), (0, 1), *((1, block) for block in range(5)), (2, 0)]
    layers = tuple(layer(place, seed) for seed, place in enumerate(places))
    return NetworkSpectrum("DASS", "random weights", 8.0, ("", ""), layers)


@pytest.fixture
def ast() -> NetworkSpectrum:
    layers = tuple(layer((number,), 20 + number, summaries=2) for number in range(6))
    return NetworkSpectrum("AST", "", 8.0, ("", ""), layers)


def test_fig_1_draws_both_systems_at_like_depths_in_their_colours(dass, ast):
    figure = layers_figure([dass, ast])
    curves = [axes for axes in figure.axes if axes.get_xlabel() == "cycles per token"]
    assert len(curves) == 3 * 4  # DASS has three stages, AST four layers
    for axes in curves[:3]:
        assert [line.get_color() for line in axes.lines] == list(SYSTEM_COLOURS[:2])
    assert "stage 0, block 1" in curves[0].get_title(loc="left")
    np.testing.assert_allclose(curves[0].lines[0].get_ydata(), dass.layers[1].line_share.mean(0)[:13], rtol=1e-6)
    np.testing.assert_allclose(curves[1].lines[1].get_ydata(), ast.layers[0].plane_share.mean(0)[0, :4], rtol=1e-6)
    np.testing.assert_allclose(curves[2].lines[1].get_ydata(), ast.layers[0].plane_share.mean(0)[:3, 0], rtol=1e-6)
    assert curves[0].get_ylabel() == "flattened tokens\nshare of DC"
    received = figure.axes[-1]
    assert received.get_ylabel() == "attention received\n(equal share = 1)"
    assert [text.get_text() for text in received.get_legend().get_texts()] == [
        "the same for all tokens",
        "class token",
        "distillation token",
    ]
    text = svg(figure)
    assert "random weights" in text
    assert "2 recordings" in text
    assert "prefers-color-scheme" in text
    assert png(figure).startswith(b"\x89PNG")


def test_a_system_has_one_colour_in_every_figure():
    blue, orange, green, purple = SYSTEM_COLOURS
    assert system_colours(["AST fine-tuning", "DASS fine-tuning (dass_medium)"]) == [orange, blue]
    assert system_colours(["DASS + smoothing", "Lung-SRAD"]) == [green, purple]
    assert system_colours(["DASS 1", "DASS 2", "my own"]) == [blue, orange, green]


def test_depths(dass, ast):
    assert shown_places([each.place for each in dass.layers]) == [(0, 1), (1, 2), (2, 0)]
    assert shown_places([each.place for each in ast.layers]) == [(0,), (2,), (3,), (5,)]
    assert shown_places([(0,), (1,)]) == [(0,), (1,)]


def test_the_authors_way_says_so_and_keeps_its_bins(dass):
    authors = dataclasses.replace(dass, way="authors")
    figure = layers_figure([authors], bins=5)
    (axes, *_) = [each for each in figure.axes if each.get_xlabel() == "cycles per token"]
    assert len(axes.lines[0].get_xdata()) == 5
    assert axes.get_ylabel() == "flattened tokens\nresponse, 0 to 1"
    assert "authors" in svg(figure)


def test_the_whole_network_is_one_map(dass):
    figure = network_map(dass)
    rows = figure.axes[0].images
    assert len(rows) == len(dass.layers)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][1] == "stage 0, block 1"
    np.testing.assert_allclose(figure.axes[1].images[3].get_array()[0], dass.layers[3].plane_share.mean(0)[0, :4])
    both = figure.axes[3].images[0].get_array()[0, 0]
    assert both == pytest.approx(dass.layers[0].plane_share.mean(0)[1:, 1:].mean().item())


def test_theory_holds_on_a_grid_that_goes_round_and_nowhere_else():
    draw = torch.Generator().manual_seed(0)
    matrices = [torch.rand(48, 48, dtype=torch.float64, generator=draw) for _ in range(2)]
    found = smoothed_responses(matrices, (4, 12), gaussian_kernel(5, 3.0).double())
    torch.testing.assert_close(found.plane, (sum(spectral_response(M, (4, 12)) for M in matrices) / 2))
    seen = found.departures()
    expected = found.factor.abs() > 1e-3  # elsewhere a quotient of nearly nothing by nearly nothing
    assert (seen["circular"][expected] - 1).abs().max() < 1e-9
    assert (seen["zeros"][expected] - 1).abs().max() > 0.1
    assert (seen["flattened"] - 1).abs().max() > 0.1
    along_time = found.line_factor[::4]  # bins 4 m are the frequencies (0, m) of the grid
    torch.testing.assert_close(along_time, found.factor[0], rtol=1e-9, atol=1e-12)
    figure = smoothing_figure([found], "a title")
    assert figure.axes[2].get_xlabel() == "factor by theory, |Ĝ|"
    assert figure.axes[0].lines[0].get_color() == SYSTEM_COLOURS[0]


def test_blocks_are_smoothed_over_recordings():
    torch.manual_seed(0)
    net = create_model("dass_tiny").eval()
    features = list(torch.randn(2, 1, 1, 64, 80, generator=torch.Generator().manual_seed(1)))
    found = smoothed_blocks(net, features, [(2, 2), (2, 3)])
    assert [(each.place, each.plane.shape) for each in found] == [((2, 2), (4, 5)), ((2, 3), (4, 5))]
    assert found[0].plane_zeros[2, 2] < found[0].plane[2, 2]
    with pytest.raises(ConfigError, match="recordings: none"):
        smoothed_blocks(net, [], [(2, 2)])


def test_fig_3_has_a_panel_for_each_key_and_says_what_is_simulated():
    points = (
        PanelPoint("0.01", (50.0, 54.0), (45.0, 60.0), synthetic=True),
        PanelPoint("0.2", (61.0,), None, shipped=True),
        PanelPoint("0.5"),
    )
    figure = sweep_figure([Panel("temperature τ", "Lung-SRAD", points), Panel("K", "DASS", points[:2])], heading="h")
    first = figure.axes[0]
    assert (first.get_xlabel(), first.get_ylabel(), first.get_title(loc="left")) == (
        "temperature τ",
        "Score, %",
        "Lung-SRAD",
    )
    assert list(first.lines[0].get_ydata()) == [52.0, 61.0]
    assert [label.get_text() for label in first.get_xticklabels()] == ["0.01", "0.2", "0.5"]
    assert first.lines[0].get_color() != figure.axes[1].lines[0].get_color()
    assert "SYNTHETIC" in svg(figure)
