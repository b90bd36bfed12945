"""Patch-Mix along one axis of the grid: Eq. 6 and 7 (paper §3.5.1), and of single cells (Table 2, row 3).

A mix is drawn once, from a generator, as a plain value; applying it is a pure function. A grid is
(B, C, H, W) with H = frequency and W = time.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from ..errors import ConfigError, ShapeError, message
from ._checked import checked


@dataclass(frozen=True, eq=False)
class AxisMix:
    """A band of one axis, [start, start + width), in which sample i holds sample perm[i] (π).

    ``lam`` is the share of the grid that sample i keeps, 1 - width / size; ``lam_drawn`` is λ before the
    width was rounded down (DECISIONS #8).
    """

    axis: Literal["time", "freq"]
    start: int
    width: int
    perm: Int[Tensor, " B"]
    lam: float
    lam_drawn: float


@dataclass(frozen=True, eq=False)
class TokenMix:
    """Cells of the grid, numbered row by row, in which sample i holds sample perm[i]; the rest as AxisMix."""

    positions: Int[Tensor, " m"]
    perm: Int[Tensor, " B"]
    lam: float
    lam_drawn: float


Mix: TypeAlias = AxisMix | TokenMix


@checked
def draw_mix(
    kind: Literal["time", "freq", "random"],
    grid_shape: tuple[int, int, int, int],
    beta: float,
    generator: Generator,
    *,
    perm_generator: Generator | None = None,
) -> Mix:
    """Returns a mix of a batch of grids: λ ~ Beta(β, β), a place for ⌊size (1 - λ)⌋ cells, a permutation.

    λ and the place come from ``generator``, then the permutation from ``perm_generator`` if there is one, so
    that processes can share the first and draw the second each for their own batch. The start is uniform
    (DECISIONS #17); fixed points of the permutation are kept.

    >>> mix = draw_mix("time", (4, 96, 32, 256), 1.0, torch.Generator().manual_seed(0))
    >>> 0 <= mix.start <= 256 - mix.width and mix.lam == 1 - mix.width / 256
    True

    Raises:
        ConfigError: beta is not a positive number.
        ShapeError: the shape is not that of a grid.
    Reference: §3.5.1; λ per batch as under Eq. 9.
    """
    if len(grid_shape) != 4 or min(grid_shape) < 1:
        seen = str(tuple(grid_shape))
        raise ShapeError(message("draw_mix: grid_shape", seen, "four sizes (B, C, H, W)", "give x.shape"))
    B, _, H, W = grid_shape
    size = {"time": W, "freq": H, "random": H * W}[kind]
    lam_drawn = _draw_beta(beta, generator)
    width = math.floor(size * (1 - lam_drawn))
    lam = 1 - width / size
    if kind == "random":
        positions = _permutation(size, generator)[:width]
        return TokenMix(positions, _permutation(B, perm_generator or generator), lam, lam_drawn)
    start = int(torch.randint(size - width + 1, (), generator=generator, device=generator.device))
    return AxisMix(kind, start, width, _permutation(B, perm_generator or generator), lam, lam_drawn)


def _draw_beta(beta: float, generator: Generator) -> float:
    """Returns a draw of Beta(β, β), from two Gammas because torch.distributions takes no generator."""
    if not 0 < beta < math.inf:
        remedy = "the paper takes 1, which is uniform"
        raise ConfigError(message("draw_mix: beta", str(beta), "a positive number", remedy))
    shape = torch.full((2,), beta, dtype=torch.float64, device=generator.device)
    x, y = torch._standard_gamma(shape, generator=generator).tolist()
    return float(x / (x + y))


def _permutation(size: int, generator: Generator) -> Tensor:
    return torch.randperm(size, generator=generator, device=generator.device)


@checked
def mix_time(x: Float[Tensor, "B C H W"], mix: AxisMix) -> Float[Tensor, "B C H W"]:
    """Returns x with the columns [t, t + w) of sample π(i) in sample i (Eq. 6).

    >>> x = torch.tensor([[[[1.0, 1.0, 1.0]]], [[[2.0, 2.0, 2.0]]]])
    >>> mix = AxisMix("time", start=1, width=1, perm=torch.tensor([1, 0]), lam=2 / 3, lam_drawn=0.6)
    >>> mix_time(x, mix).flatten(1)
    tensor([[1., 2., 1.],
            [2., 1., 2.]])

    Raises:
        ConfigError: a mix that was not drawn for time.
        ShapeError: the mix was drawn for another grid or batch.
    """
    return _replace_band(x, mix, "time")


@checked
def mix_freq(x: Float[Tensor, "B C H W"], mix: AxisMix) -> Float[Tensor, "B C H W"]:
    """Returns x with the rows [f, f + h) of sample π(i) in sample i (Eq. 7).

    >>> x = torch.tensor([[[[1.0], [1.0], [1.0]]], [[[2.0], [2.0], [2.0]]]])
    >>> mix = AxisMix("freq", start=0, width=2, perm=torch.tensor([1, 0]), lam=1 / 3, lam_drawn=0.3)
    >>> mix_freq(x, mix).flatten(1)
    tensor([[2., 2., 1.],
            [1., 1., 2.]])

    Raises:
        ConfigError: a mix that was not drawn for frequency.
        ShapeError: the mix was drawn for another grid or batch.
    """
    return _replace_band(x, mix, "freq")


def _replace_band(x: Tensor, mix: AxisMix, axis: Literal["time", "freq"]) -> Tensor:
    if not isinstance(mix, AxisMix) or mix.axis != axis:
        seen = f"along {mix.axis!r}" if isinstance(mix, AxisMix) else type(mix).__name__
        allowed = f"takes a mix along {axis!r}"
        raise ConfigError(message(f"mix_{axis}: mix", seen, allowed, "apply_mix takes any"))
    dim, end = {"time": 3, "freq": 2}[axis], mix.start + mix.width
    _check_fit(x, mix, end, x.shape[dim])
    before, band, after = x.tensor_split((mix.start, end), dim=dim)
    return torch.cat((before, band[mix.perm], after), dim=dim)


@checked
def mix_tokens(x: Float[Tensor, "B C H W"], mix: TokenMix) -> Float[Tensor, "B C H W"]:
    """Returns x with the chosen cells of sample π(i) in sample i, wherever they lie (DECISIONS #18).

    >>> x = torch.tensor([[[[1.0, 1.0], [1.0, 1.0]]], [[[2.0, 2.0], [2.0, 2.0]]]])
    >>> mix = TokenMix(torch.tensor([3, 0]), perm=torch.tensor([1, 0]), lam=0.5, lam_drawn=0.4)
    >>> mix_tokens(x, mix).flatten(1)
    tensor([[2., 1., 1., 2.],
            [1., 2., 2., 1.]])

    Raises:
        ConfigError: a mix of a band.
        ShapeError: the mix was drawn for another grid or batch.
    Reference: Bae et al. 2023 (Patch-Mix).
    """
    if not isinstance(mix, TokenMix):
        seen = type(mix).__name__
        raise ConfigError(message("mix_tokens: mix", seen, "takes a TokenMix", "apply_mix takes any"))
    tokens = x.flatten(2)  # (B, C, H*W)
    end = int(mix.positions.max()) + 1 if len(mix.positions) else 0
    _check_fit(x, mix, end, tokens.shape[2])
    positions = mix.positions.to(x.device)
    return tokens.index_copy(2, positions, tokens[:, :, positions][mix.perm]).view_as(x)


def _check_fit(x: Tensor, mix: Mix, end: int, size: int) -> None:
    if len(mix.perm) != len(x) or end > size:
        seen = f"a batch of {len(mix.perm)}, cells up to {end}"
        allowed = f"x has a batch of {len(x)} and {size} cells to choose from"
        raise ShapeError(message("mix", seen, allowed, "draw it with draw_mix(kind, x.shape, ...)"))


def apply_mix(x: Float[Tensor, "B C H W"], mix: Mix) -> Float[Tensor, "B C H W"]:
    """Returns x mixed as the mix says: Eq. 6, Eq. 7, or single tokens.

    >>> x = torch.randn(4, 2, 8, 16)
    >>> mixes = [draw_mix(kind, x.shape, 1.0, torch.Generator()) for kind in ("time", "freq", "random")]
    >>> [apply_mix(x, mix).shape == x.shape for mix in mixes]
    [True, True, True]

    Raises:
        ShapeError: the mix was drawn for another grid or batch.
    """
    if isinstance(mix, TokenMix):
        return mix_tokens(x, mix)
    return mix_time(x, mix) if mix.axis == "time" else mix_freq(x, mix)
