"""Stochastic depth per sample, drawn ahead and handed in, so that a step can be repeated to the bit.

Dropped samples are not computed: the branch sees the kept rows only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lung_srad.errors import ConfigError, ShapeError, message


class StochasticDepth(nn.Module):
    """x + branch(x) / (1 - rate) for the samples that are kept, x for the others; in eval mode x + branch(x)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            remedy = "the published rates grow from 0 to 0.3"
            raise ConfigError(message("drop_path", str(rate), "0 up to, not including, 1", remedy))
        self.rate = rate
        self.keep: Tensor | None = None  # (B,) bool, set by `drawn_depth`; None: drawn from torch's own generator

    def forward(self, x: Tensor, branch: Callable[[Tensor], Tensor]) -> Tensor:
        """Returns the sum of x (B, ...) and its branch; without a gradient it may take the place of the latter."""
        if not self.training or self.rate == 0.0:
            y = branch(x)
            return x + y if torch.is_grad_enabled() or y.dtype != x.dtype else y.add_(x)
        rows = self.rows(x)
        if len(rows) == 0:
            return x
        if len(rows) == len(x):
            return x + branch(x) / (1.0 - self.rate)
        return x.index_add(0, rows, (branch(x[rows]) / (1.0 - self.rate)).to(x.dtype))

    def rows(self, x: Tensor) -> Tensor:
        """Returns the indices of the samples of x (B, ...) that are kept: those that were drawn, in eval mode all.

        Raises:
            ShapeError: drawn for another number of samples.
        """
        if not self.training or self.rate == 0.0:
            return torch.arange(len(x), device=x.device)
        keep = torch.rand(len(x)) >= self.rate if self.keep is None else self.keep
        if len(keep) != len(x):
            seen, allowed = f"drawn for {len(keep)} samples", f"the batch has {len(x)}"
            raise ShapeError(message("stochastic depth", seen, allowed, "draw_depth(module, len(batch), generator)"))
        return keep.nonzero().squeeze(1).to(x.device)

    def extra_repr(self) -> str:
        """Returns the rate, for printing."""
        return f"rate={self.rate:.3f}"


def _layers(module: nn.Module) -> list[StochasticDepth]:
    return [layer for layer in module.modules() if isinstance(layer, StochasticDepth)]


def draw_depth(module: nn.Module, batch: int, generator: torch.Generator) -> Tensor:
    """Returns which samples each layer keeps: (layers, B) bool; drawn also in eval mode."""
    rates = torch.tensor([layer.rate for layer in _layers(module)])
    return torch.rand(len(rates), batch, generator=generator) >= rates.unsqueeze(1)


@contextmanager
def drawn_depth(module: nn.Module, keep: Tensor) -> Iterator[None]:
    """Lets every layer of ``module`` keep what was drawn ((layers, B) bool) inside the ``with`` block.

    Raises:
        ShapeError: drawn for another number of layers or, once the network runs, of samples.
    """
    layers = _layers(module)
    if len(keep) != len(layers):
        seen, allowed = f"drawn for {len(keep)} layers", f"the module has {len(layers)}"
        raise ShapeError(message("stochastic depth", seen, allowed, "draw_depth(module, len(batch), generator)"))
    before = [layer.keep for layer in layers]
    try:
        for layer, kept in zip(layers, keep, strict=True):
            layer.keep = kept
        yield
    finally:
        for layer, kept in zip(layers, before, strict=True):
            layer.keep = kept
