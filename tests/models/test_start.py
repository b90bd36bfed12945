"""The centred start: norms give channels of mean 0 and deviation 1, and the loudness of the input comes through."""

import pytest
import torch

from lung_srad.models import create_model

OPTIONS = {"frames": 64, "drop_path": 0.0}


def network(start, seed=0):
    torch.manual_seed(seed)
    return create_model("dass_tiny", 4, options={**OPTIONS, "start": start}).eval()


def noise(seed=1, batch=8):
    return 0.5 * torch.randn(batch, 1, 128, 64, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_channels_begin_centred():
    tokens = network("centred").backbone.tokens(network("centred").backbone.embed(noise())).flatten(0, 1)
    assert tokens.mean(0).abs().mean() < 0.15
    assert tokens.std(0).median() == pytest.approx(1, abs=0.15)
    plain = network("official").backbone
    old = plain.tokens(plain.embed(noise())).flatten(0, 1)
    assert old.mean(0).abs().mean() > 0.4  # what is the same for every token outweighs what differs


@torch.no_grad()
def test_the_stem_hears_how_loud_a_spectrogram_is():
    """Twice the input is twice the deviation of the stem's output from silence; a plain start hides that."""
    ratios = {}
    for start in ("official", "centred"):
        embed = network(start).backbone.embed
        silent = embed(torch.zeros(1, 1, 128, 64))
        ratios[start] = ((embed(noise() * 4) - silent).norm() / (embed(noise()) - silent).norm()).item()
    assert ratios["centred"] > 2.5 > 1.8 > ratios["official"]


def test_the_start_depends_on_the_generator_alone():
    first, second, other = network("centred"), network("centred"), network("centred", seed=2)
    state = first.state_dict()
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in state.items())
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in state.items())


def test_names_and_shapes_are_those_of_the_official_layout():
    shapes = [{k: v.shape for k, v in network(start).state_dict().items()} for start in ("official", "centred")]
    assert shapes[0] == shapes[1]


def test_a_network_without_weights_can_be_asked_for():
    with torch.device("meta"):
        net = create_model("dass_tiny", 4, options={**OPTIONS, "start": "centred"})
    assert all(parameter.is_meta for parameter in net.parameters())
