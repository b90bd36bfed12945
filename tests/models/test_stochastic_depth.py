"""Stochastic depth: what is kept is drawn ahead; what is dropped is not computed."""

import pytest
import torch
from torch import Tensor, nn

from lung_srad.errors import ConfigError, ShapeError
from lung_srad.models import StochasticDepth, create_model, draw_depth, drawn_depth

RATE = 0.25


class Branch(nn.Module):
    """A branch that counts the samples it sees; squares, so that rows do not depend on each other."""

    def __init__(self) -> None:
        super().__init__()
        self.samples = 0

    def forward(self, x: Tensor) -> Tensor:
        self.samples += len(x)
        return x * x


@pytest.fixture
def x() -> Tensor:
    return torch.randn(8, 3, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kept", [[], [0], [7], [1, 2, 6], [0, 1, 2, 3, 4, 5, 7], list(range(8))])
def test_each_sample_is_kept_or_left(x: Tensor, kept: list[int]):
    layer, branch = StochasticDepth(RATE).train(), Branch()
    keep = torch.zeros(8, dtype=torch.bool)
    keep[kept] = True
    with drawn_depth(layer, keep.unsqueeze(0)):
        y = layer(x, branch)
    for i in range(8):
        assert torch.equal(y[i], x[i] + x[i] * x[i] / (1 - RATE) if i in kept else x[i])
    assert branch.samples == len(kept)


def test_gradients_flow_through_what_is_kept(x: Tensor):
    layer, keep = StochasticDepth(0.5).train(), torch.tensor([[True, False] * 4])
    x.requires_grad_()
    with drawn_depth(layer, keep):
        layer(x, lambda kept: kept * kept).sum().backward()
    assert torch.equal(x.grad, 1 + 4 * x.detach() * keep.view(8, 1, 1))


def test_the_expected_value_is_that_of_eval():
    layer, x = StochasticDepth(RATE).train(), torch.ones(40_000, 1)
    torch.manual_seed(0)
    mean = layer(x, lambda kept: 2 * kept).mean().item()
    assert mean == pytest.approx(3.0, abs=0.03)  # five standard errors
    assert layer.eval()(x, lambda kept: 2 * kept).mean() == 3.0


@pytest.mark.parametrize("rate", [0.0, RATE])
def test_eval_keeps_everything(x: Tensor, rate: float):
    layer = StochasticDepth(rate).eval()
    with drawn_depth(layer, torch.zeros(1, 8, dtype=torch.bool)):
        assert torch.equal(layer(x, Branch()), x + x * x)


def test_what_is_drawn_repeats_a_step_to_the_bit():
    torch.manual_seed(0)
    net = create_model("dass_tiny", options={"drop_path": 0.9}).train()
    features = torch.randn(4, 1, 32, 32)
    draws = [draw_depth(net, 4, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert draws[0].shape == (14, 4)  # two layers in each of seven blocks
    assert draws[0].dtype == torch.bool
    outputs = []
    for keep in draws:
        with drawn_depth(net, keep):
            outputs.append(net(features))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_layers_are_drawn_at_their_own_rate():
    net = create_model("dass_tiny", options={"drop_path": 0.6})
    share = draw_depth(net.eval(), 20_000, torch.Generator().manual_seed(0)).float().mean(1)
    rates = torch.tensor([layer.rate for layer in net.modules() if isinstance(layer, StochasticDepth)])
    torch.testing.assert_close(share, 1 - rates, rtol=0, atol=0.02)
    assert share[0] == 1.0


def test_the_draw_is_over_after_the_block_whatever_happens():
    layers = nn.ModuleList([StochasticDepth(RATE), StochasticDepth(RATE)])
    outer, inner = torch.ones(2, 3, dtype=torch.bool), torch.zeros(2, 3, dtype=torch.bool)

    def kept() -> list[Tensor | None]:
        return [layer.keep for layer in layers]

    def fail_inside() -> None:
        with drawn_depth(layers, inner):
            assert all(torch.equal(own, row) for own, row in zip(kept(), inner, strict=True))
            raise KeyError

    with drawn_depth(layers, outer):
        with pytest.raises(KeyError):
            fail_inside()
        assert all(torch.equal(own, row) for own, row in zip(kept(), outer, strict=True))
    assert kept() == [None, None]
    with pytest.raises(ShapeError, match="drawn for 3 layers; the module has 2"), drawn_depth(layers, outer.T):
        pass
    assert kept() == [None, None]


def test_a_draw_for_another_batch_is_refused(x: Tensor):
    layer = StochasticDepth(RATE).train()
    keep = torch.ones(1, 4, dtype=torch.bool)
    with drawn_depth(layer, keep), pytest.raises(ShapeError, match="drawn for 4 samples; the batch has 8"):
        layer(x, Branch())


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_an_impossible_rate_is_refused(rate: float):
    with pytest.raises(ConfigError, match="drop_path"):
        StochasticDepth(rate)
