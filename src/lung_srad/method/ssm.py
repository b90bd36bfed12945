"""State-space models and the two-dimensional scan: Eq. 1-3 (paper §3.1).

The state matrix is diagonal, as in Mamba, and given by its diagonal: one decay rate for each of N states.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import ShapeError, message
from ._checked import checked


@checked
def derivative(
    h: Float[Tensor, "*#rows N"],
    x: Float[Tensor, "*#rows"],
    A: Float[Tensor, "*#rows N"],
    B: Float[Tensor, "*#rows N"],
    C: Float[Tensor, "*#rows N"],
) -> tuple[Float[Tensor, "*rows N"], Float[Tensor, "*rows"]]:
    """Returns the rate of the state and the output, h' = A h + B x and y = C h (Eq. 1).

    >>> derivative(torch.ones(2), torch.tensor(3.0), torch.tensor([-1.0, -2.0]), torch.ones(2), torch.ones(2))
    (tensor([2., 1.]), tensor(2.))
    """
    return A * h + B * x.unsqueeze(-1), (C * h).sum(-1)


@checked
def discretize(
    A: Float[Tensor, "*#rows N"],
    B: Float[Tensor, "*#rows N"],
    delta: Float[Tensor, "*#rows"],
    *,
    rule: Literal["zoh", "euler"] = "zoh",
) -> tuple[Float[Tensor, "*rows N"], Float[Tensor, "*rows N"]]:
    """Returns Ā = exp(ΔA) and B̄ of a step Δ over which the input is held.

    "zoh" is the paper's zero-order hold, B̄ = (ΔA)⁻¹ (exp(ΔA) - I) ΔB, which is exact. "euler" is its first
    order, B̄ = ΔB, with which Mamba, VMamba and so the published checkpoints were trained (DECISIONS #20).

    >>> A_bar, B_bar = discretize(torch.tensor([-1.0]), torch.tensor([1.0]), torch.tensor(0.5))
    >>> f"{A_bar.item():.4f} {B_bar.item():.4f}"
    '0.6065 0.3935'
    >>> discretize(torch.tensor([-1.0]), torch.tensor([1.0]), torch.tensor(0.5), rule="euler")[1]
    tensor([0.5000])

    Reference: §3.1, between Eq. 1 and Eq. 2.
    """
    delta = delta.unsqueeze(-1)
    A_bar = torch.exp(delta * A)
    B_bar = delta * B
    return A_bar, B_bar if rule == "euler" else _held(delta * A) * B_bar


def _held(x: Tensor) -> Tensor:
    """Returns (exp(x) - 1) / x, continued through x = 0, where its value is 1 and its slope 1/2."""
    zero = x == 0
    return torch.where(zero, 1 + x / 2, torch.expm1(x) / x.masked_fill(zero, 1))


@checked
def recurrence(
    u: Float[Tensor, "B KC L"],
    delta: Float[Tensor, "B KC L"],
    A: Float[Tensor, "KC N"],
    B: Float[Tensor, "B K N L"],
    C: Float[Tensor, "B K N L"],
    D: Float[Tensor, " KC"] | None = None,
    *,
    rule: Literal["zoh", "euler"] = "euler",
) -> Float[Tensor, "B KC L"]:
    """Returns y_t = C_t h_t + D u_t with h_t = Ā_t h_{t-1} + B̄_t u_t and h_0 = 0 (Eq. 2), one step at a time.

    This is the definition that every kernel is held against, written to be read. The scan is selective: Δ, B
    and C change with time. Each of K directions has a B and a C, which its C channels share; Δ is positive
    already. D is Mamba's direct path, which Eq. 2 leaves out.

    >>> ones = torch.ones(1, 1, 3)
    >>> recurrence(ones, ones, torch.tensor([[-0.6931472]]), ones[None], ones[None])  # halves, then adds one
    tensor([[[1.0000, 1.5000, 1.7500]]])

    Raises:
        ShapeError: the channels are not a multiple of the directions.
    Reference: mamba ``selective_scan_ref``.
    """
    channels, directions = u.shape[1], B.shape[1]
    if channels % directions:
        allowed = f"needs a multiple of the {directions} directions of B"
        remedy = "give K directions of C channels each"
        raise ShapeError(message("recurrence: u", f"{channels} channels", allowed, remedy))
    B, C = (x.repeat_interleave(channels // directions, dim=1).mT for x in (B, C))  # (B, KC, L, N)
    A_bar, B_bar = discretize(A.unsqueeze(1), B, delta, rule=rule)  # (B, KC, L, N)
    h = torch.zeros_like(A_bar[:, :, 0])
    y = []
    for A_t, B_t, C_t, u_t in zip(*(x.unbind(2) for x in (A_bar, B_bar, C, u.unsqueeze(-1))), strict=True):
        h = A_t * h + B_t * u_t
        y.append((C_t * h).sum(-1))
    skip = 0 if D is None else D.unsqueeze(-1) * u
    return torch.stack(y, dim=-1) + skip


@checked
def cross_scan(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 4 C H*W"]:
    """Returns a grid read along four paths: by rows, by columns, and both in reverse.

    >>> cross_scan(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).squeeze()
    tensor([[1., 2., 3., 4.],
            [1., 3., 2., 4.],
            [4., 3., 2., 1.],
            [4., 2., 3., 1.]])

    Reference: §3.1, SS2D; VMamba ``CrossScan``, in its order of directions.
    """
    forward = torch.stack((x.flatten(2), x.mT.flatten(2)), dim=1)
    return torch.cat((forward, forward.flip(-1)), dim=1)


@checked
def cross_merge(ys: Float[Tensor, "B 4 C L"], grid: tuple[int, int]) -> Float[Tensor, "B C H W"]:
    """Returns the sum of four paths, each brought back to the grid (H, W) (Eq. 3); the adjoint of cross_scan.

    >>> x = torch.arange(6.0).view(1, 1, 2, 3)
    >>> torch.equal(cross_merge(cross_scan(x), (2, 3)), 4 * x)
    True

    Raises:
        ShapeError: the paths are not H·W long.
    Reference: VMamba ``CrossMerge``.
    """
    (batch, _, channels, length), (H, W) = ys.shape, grid
    if length != H * W:
        seen, allowed = f"paths of {length} tokens", f"a grid of {H} × {W} has {H * W}"
        raise ShapeError(message("cross_merge: ys", seen, allowed, "give the grid that was scanned"))
    forward, backward = ys.chunk(2, dim=1)
    rows, columns = (forward + backward.flip(-1)).unbind(1)
    return rows.reshape(batch, channels, H, W) + columns.reshape(batch, channels, W, H).mT
