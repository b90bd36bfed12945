"""The blocks to smooth: planted spectra, and a planted network."""

import pytest
import torch
from torch import Tensor, nn

from lung_srad.analysis import LayerSpectrum, NetworkSpectrum, network_spectrum, suggest
from lung_srad.errors import ConfigError
from lung_srad.models import create_model

GRID = (8, 16)


def planted(place: tuple[int, ...], *, low: float = 0.3, high: float = 0.02) -> LayerSpectrum:
    """Returns a layer with a share of DC at slow changes along time, and another at everything quick."""
    plane = torch.full((2, *GRID), high)
    plane[:, 0, 1:3] = plane[:, 0, -2:] = low
    plane[:, 0, 0] = 1
    line = torch.full((2, GRID[0] * GRID[1]), high)
    line[:, GRID[0]] = line[:, 2 * GRID[0]] = low  # a row's period
    line[:, 0] = 1
    return LayerSpectrum(place, GRID, line, plane, torch.zeros(2, 0), torch.zeros(2, 2))


def network(*layers: LayerSpectrum) -> NetworkSpectrum:
    return NetworkSpectrum("planted", "", 8.0, ("", ""), layers)


def test_the_grid_names_what_is_quick_and_the_flattened_view_what_has_the_period_of_rows():
    layers = [planted((2, block)) for block in range(6)]
    layers[1] = planted((2, 1), high=0.2)
    layers[4] = planted((2, 4), high=0.1)
    layers[5] = planted((2, 5), low=0.9)  # slow, and constant over frequency: smoothing would leave it
    layers[0] = planted((2, 0), low=0.8)
    found = suggest(network(*layers))
    assert found.places == ((2, 1), (2, 4))
    assert found.overrides == "--set smoothing.stage=2 --set smoothing.blocks=[1,4]"
    assert str(found) == "stage 2, block 1; stage 2, block 4"
    assert found.scores[1].mean == pytest.approx(0.2, abs=1e-6)
    assert found.scores[1].deviation == pytest.approx(0, abs=1e-6)
    assert suggest(network(*layers), score="paper").places == ((2, 0), (2, 5))


def test_blocks_are_of_one_stage_and_no_more_than_there_are():
    layers = [planted((0, 0), high=0.11), planted((1, 0), high=0.2), planted((2, 0), high=0.1), planted((2, 1))]
    assert suggest(network(*layers)).places == ((1, 0),)
    assert suggest(network(*layers[2:]), count=1).places == ((2, 0),)
    assert suggest(network(*layers), stage=2).places == ((2, 0), (2, 1))
    with pytest.raises(ConfigError, match=r"no block in stage 3; stages of planted with a score: 0, 1, 2"):
        suggest(network(*layers), stage=3)


def test_recordings_that_differ_have_a_deviation():
    layer = planted((2, 0), high=0.1)
    layer.plane[1] = planted((2, 0), high=0.3).plane[1]
    (score,) = suggest(network(layer)).scores
    assert (score.mean, score.deviation) == (pytest.approx(0.2), pytest.approx(0.1414, abs=1e-3))


def test_a_transformer_has_layers_and_no_slots():
    found = suggest(network(*(planted((layer,), high=0.02 * (layer + 1)) for layer in range(4))))
    assert (found.places, found.overrides) == (((2,), (3,)), "")


def test_the_kernel_decides_what_is_quick():
    """A narrow kernel halves fewer frequencies than a wide one: a bump between them counts for the latter alone."""
    bump = planted((2, 0))
    bump.plane[:, 0, 3] = bump.plane[:, 0, -3] = 0.9
    layers = network(bump, planted((2, 1), high=0.05))
    wide, narrow = (suggest(layers, kernel_size=size, sigma=sigma, count=1) for size, sigma in ((9, 3.0), (3, 0.6)))
    assert wide.scores[0].mean > narrow.scores[0].mean
    assert narrow.places == ((2, 1),)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ConfigError, match=r"score: 'papr'; one of band, paper; did you mean 'paper'\?"):
        suggest(network(planted((2, 0))), score="papr")
    tiny = LayerSpectrum((2, 0), (1, 1), torch.ones(1, 1), torch.ones(1, 1, 1), torch.zeros(1, 0), torch.ones(1, 1))
    with pytest.raises(ConfigError, match="no grid large enough"):
        suggest(network(tiny))
    authors = NetworkSpectrum("planted", "", 8.0, ("",), (planted((2, 0)),), "authors")
    with pytest.raises(ConfigError, match="leave out the authors' way"):
        suggest(authors)


@pytest.mark.parametrize("blocks", [(0, 2), (1, 3)])
def test_planted_blocks_of_a_network_are_found(blocks: tuple[int, int]):
    """A scan that forgets at once has a diagonal map and a flat response; one that never forgets, a low-pass one."""
    torch.manual_seed(0)
    net = create_model("dass_tiny").eval()
    times, tones = torch.linspace(0, 1, 256), torch.linspace(0, 1, 64)
    features: Tensor = (torch.cos(2 * times) + torch.sin(2 * tones).unsqueeze(1)).view(1, 1, 64, 256)
    for stage in net.backbone.layers:
        for number, block in enumerate(stage.blocks):
            forgets = stage is net.backbone.layers[2] and number in blocks
            nn.init.constant_(block.op.dt_projs_bias, 50.0 if forgets else -6.0)
    found = suggest(network_spectrum(net, [features], name="tiny"))
    assert found.places == tuple((2, block) for block in blocks)
