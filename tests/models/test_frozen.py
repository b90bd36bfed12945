"""A network frozen for forward passes."""

import pytest
import torch

from lung_srad.errors import ConfigError
from lung_srad.models import create_model, for_inference, smooth


@pytest.mark.parametrize("site", ["a", "b", "c"])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 2e-6), (torch.bfloat16, 1e-2)])
def test_the_numbers_are_those_of_the_network(site: str, dtype: torch.dtype, close: float):
    torch.manual_seed(0)
    net, features = create_model("dass_tiny").eval(), torch.randn(2, 1, 128, 100)
    smooth(net.backbone, blocks=(1, 2), site=site)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with torch.no_grad():
        expected, found = net(features), for_inference(net, dtype)(features)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() <= close * expected.abs().max()
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


@torch.no_grad()
def test_in_bfloat16_the_numbers_do_not_depend_on_the_cpu(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    net, features = create_model("dass_tiny").eval(), torch.randn(2, 1, 128, 100)
    here, expected = for_inference(net, torch.bfloat16)(features), net(features)
    monkeypatch.setattr("lung_srad.kernels.linear.multiplies_bfloat16", lambda: False)
    elsewhere = for_inference(net, torch.bfloat16)(features)
    for found, reference in ((elsewhere, here), (elsewhere, expected)):
        assert (found - reference).abs().max() <= 1e-2 * expected.abs().max()
    assert not torch.equal(elsewhere, expected)  # products are rounded there, too


def test_tiles_give_the_numbers_of_the_whole():
    """A recording of more columns than the stem computes together, and more tokens than go through an MLP together."""
    torch.manual_seed(0)
    net = create_model("dass_tiny").eval()
    for frames in (1025, 2050):
        features = torch.randn(1, 1, 128, frames)
        with torch.no_grad():
            grid, logits = net.backbone.embed(features), net(features)
        torch.testing.assert_close(grid, net.backbone.embed(features), rtol=0, atol=1e-5)
        torch.testing.assert_close(logits, net(features), rtol=0, atol=1e-6)


def test_the_grid_that_is_handed_in_stays_as_it_is():
    net = for_inference(create_model("dass_tiny"))
    with torch.no_grad():
        grid = net.backbone.embed(torch.randn(1, 1, 128, 64))
        before = grid.clone()
        net.backbone.encode(grid)
    assert torch.equal(grid, before)


def test_what_cannot_be_frozen_is_refused():
    net = create_model("dass_tiny")
    with pytest.raises(ConfigError, match=r"float16; torch\.float32 or torch\.bfloat16"):
        for_inference(net, torch.float16)
    with pytest.raises(ConfigError, match="frozen already"):
        for_inference(for_inference(net))
