"""The loops and the network as published compute what the package computes."""

import pytest
import torch

from baselines import LOOPS, Published, register_loops
from lung_srad import kernels
from lung_srad.models import create_model


@pytest.fixture(autouse=True)
def loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "BACKENDS", dict(kernels.BACKENDS))
    register_loops()


@pytest.mark.parametrize("loop", LOOPS)
def test_the_published_network_gives_our_logits(loop: str) -> None:
    torch.manual_seed(0)
    net, x = create_model("dass_tiny").eval(), torch.randn(2, 1, 128, 64)
    with torch.no_grad(), kernels.use(loop):
        torch.testing.assert_close(Published(net)(x), net(x))
    with torch.no_grad(), kernels.use("torch"):
        ours = net(x)
    with torch.no_grad(), kernels.use(loop):
        torch.testing.assert_close(Published(net)(x), ours)


def test_a_loop_is_never_preferred() -> None:
    assert kernels.available()[-1] not in LOOPS
