"""The matrix of a selective scan, exact and stable, as products of matrices.

Along a path, token j reaches token i ≥ j through the decay exp(E_i - E_j), where E falls along the path. A quotient of
exponentials would overflow, and one exponential for each pair and channel takes minutes on a large grid. But for any
token r between the two, exp(E_i - E_j) = exp(E_i - E_r) · exp(E_r - E_j), neither exponent being positive: everything
left of r reaches everything right of r by one product of matrices. Halving the path again and again leaves small tiles
on the diagonal, which are computed pair by pair.
"""

import math

import torch
from torch import Tensor

LEAF = 16  # tokens of a tile on the diagonal, at most
HELD = 2**22  # decays of such tiles held at once


def scan_matrix(exponent: Tensor, left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns Σ_k left_ik exp(E_ik - E_jk) right_jk for j ≤ i, and 0 above the diagonal.

    Differences of exponents are formed in their own precision, which has to be double; the rest in ``dtype``.

    Shape:
        exponent, left, right (L, K) -> (L, L)
    """
    length = len(exponent)
    levels = max(0, math.ceil(math.log2(length / LEAF)))
    leaf = math.ceil(length / 2**levels)
    size = leaf << levels
    left, right = (_padded(x.to(dtype), size, 0.0) for x in (left, right))
    exponent = _padded(exponent, size, None)
    matrix = torch.zeros(size, size, dtype=dtype, device=exponent.device)
    _fill_diagonal(matrix, leaf, exponent, left, right)
    for level in range(levels):
        _fill_below(matrix, leaf << level, exponent, left, right)
    return matrix if size == length else matrix[:length, :length].contiguous()


def _padded(x: Tensor, size: int, value: float | None) -> Tensor:
    """Returns rows of a value, or the last row again, up to a number of rows."""
    if len(x) == size:
        return x
    last = x[-1:] if value is None else torch.full_like(x[-1:], value)
    return torch.cat([x, last.expand(size - len(x), -1)])


def _tiles(matrix: Tensor, side: int) -> Tensor:
    """Returns the square tiles on the diagonal as a view: (size, size) -> (size / side, side, side)."""
    count = len(matrix) // side
    return matrix.view(count, side, count, side).diagonal(dim1=0, dim2=2).permute(2, 0, 1)


def _fill_below(matrix: Tensor, span: int, exponent: Tensor, left: Tensor, right: Tensor) -> None:
    """Fills what the first half of each stretch of 2 · span tokens feeds into its second half."""
    before, after = exponent.view(-1, 2, span, exponent.shape[1]).unbind(1)  # (tiles, span, K)
    border = before[:, -1:]
    rows = (after - border).to(left.dtype).exp_().mul_(left.view(-1, 2, span, left.shape[1])[:, 1])
    columns = (border - before).to(left.dtype).exp_().mul_(right.view(-1, 2, span, right.shape[1])[:, 0])
    _tiles(matrix, 2 * span)[:, span:, :span] = rows @ columns.mT


def _fill_diagonal(matrix: Tensor, leaf: int, exponent: Tensor, left: Tensor, right: Tensor) -> None:
    """Fills the smallest tiles, pair by pair."""
    tiles, width = _tiles(matrix, leaf), exponent.shape[1]
    some = max(1, HELD // (leaf * leaf * width))
    parts = (x.view(-1, leaf, width).split(some) for x in (exponent, left, right))
    for tile, E, C, B in zip(tiles.split(some), *parts, strict=True):
        decay = (E.unsqueeze(2) - E.unsqueeze(1)).clamp_(max=0).to(C.dtype).exp_()  # (tiles, i, j, K)
        tile.copy_((decay.mul_(B.unsqueeze(1)) @ C.unsqueeze(3)).squeeze(3).tril_())
