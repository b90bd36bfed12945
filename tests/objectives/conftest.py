"""Networks, batches and the randomness of a step, small enough for a slow form beside them."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))  # by_hand

from lung_srad.audio import Frontend
from lung_srad.datasets import Batch
from lung_srad.models import Backbone, Classifier
from lung_srad.models.vmamba import VMamba
from lung_srad.objectives import Facts, Objective, Step

BATCH, CLASSES, DEVICES = 6, 3, 3
COUNTS = (3, 2, 1)
Slow = Callable[[Classifier, Objective, Batch, Step], dict[str, Tensor]]  # "total" and the parts


class Transformer(Backbone):
    """A tiny AST: patches on a grid, two tokens in front, positions, one attention layer; pooled from the two."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.width, self.grid_axes, self.frontend = width, ("frequency", "time"), nn.Identity()
        self.patches = nn.Conv2d(1, width, (32, 8), stride=(24, 8))  # (128, 32) -> (5, 4)
        self.front = nn.Parameter(0.5 * torch.randn(2, width))
        self.positions = nn.Parameter(0.5 * torch.randn(22, width))
        self.attention = nn.Linear(width, 3 * width)
        self.norm = nn.LayerNorm(width)

    def embed(self, features):
        return self.patches(features)

    def tokens(self, grid, side=None):
        patches = grid.flatten(2).mT  # (B, L, width)
        x = torch.cat((self.front.expand(len(patches), -1, -1), patches), dim=1) + self.positions
        query, key, value = self.attention(x).chunk(3, dim=2)
        return self.norm(x + (query @ key.mT).softmax(2) @ value)

    def pool(self, tokens):
        return tokens[:, :2].mean(1)


@pytest.fixture
def net() -> Classifier:
    torch.manual_seed(1)
    backbone = VMamba(4, (1, 1, 1, 1), drop_path=0.5, frontend=Frontend(seconds=0.5, frames=32))
    return Classifier(backbone, CLASSES).train()


@pytest.fixture
def transformer() -> Classifier:
    torch.manual_seed(4)
    net = Classifier(Transformer(), CLASSES)
    nn.init.normal_(net.head.weight)  # so that answers differ
    return net.train()


@pytest.fixture
def batch() -> Batch:
    draw = torch.Generator().manual_seed(2)
    features, second = (torch.randn(BATCH, 1, 128, 32, generator=draw) for _ in range(2))
    label, device, patient = (torch.tensor(x) for x in ([0, 1, 2, 0, 1, 0], [0, 2, 2, 0, 1, 0], [4, 4, 1, 9, 1, 4]))
    return Batch(features, label, device, patient, tuple(map(str, range(BATCH))), second=second)


@pytest.fixture
def step() -> Callable[..., Step]:
    """Returns a function that gives the same randomness each time, or another for another seed."""

    def make(seed: int = 3, progress: float = 0.0) -> Step:
        own = (torch.Generator().manual_seed(seed + 1),)
        return Step(torch.Generator().manual_seed(seed), own, progress=progress)

    return make


@pytest.fixture(params=[(torch.float64, 1e-6), (torch.float32, 1e-4)], ids=["float64", "float32"])
def agree(request, transformer, batch, step) -> Callable[..., None]:
    """Returns a function that compares an objective with a slow form of it, gradients included."""
    dtype, tolerance = request.param

    def compare(kind: type[Objective], slow: Slow, *, progress: float = 0.0, **options) -> None:
        net = transformer.to(dtype)
        objective = kind(Facts(net.backbone.width, COUNTS, DEVICES), **options).to(dtype).train()
        own = replace(batch, features=batch.features.to(dtype), second=batch.second.to(dtype))
        found = objective(net, own, step(progress=progress))
        assert found.total.dtype == dtype
        named = [*net.named_parameters(), *objective.named_parameters()]
        gradients = torch.autograd.grad(found.total, [p for _, p in named], allow_unused=True)
        expected = slow(net, objective, own, step(progress=progress))
        total = expected.pop("total")
        again = torch.autograd.grad(total, [p for _, p in named], allow_unused=True)
        torch.testing.assert_close(found.total, total, rtol=tolerance, atol=tolerance)
        assert found.parts.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found.parts[name], value, rtol=tolerance, atol=tolerance, msg=name)
        for (name, _), one, other in zip(named, gradients, again, strict=True):
            assert (one is None) == (other is None), name
            if one is not None:
                size = max(1.0, other.abs().max().item())
                torch.testing.assert_close(one, other, rtol=0, atol=tolerance * size, msg=f"gradient of {name}")
        assert max(g.abs().max().item() for g in again if g is not None) > 1e-3

    return compare
