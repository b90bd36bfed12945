"""The mixing matrix of a state-space layer: which token feeds which, as one L × L matrix.

Reference: paper §3.3; Ali et al. 2024 for attention matrices of Mamba; shared conventions in DECISIONS: mixing-matrix.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lung_srad.errors import ShapeError, message
from lung_srad.models.contract import Classifier
from lung_srad.models.smoothing import block_of
from lung_srad.models.vmamba import SS2D, VMamba

TILE = 64  # rows computed at once: memory is TILE × L × channels


@torch.no_grad()
def mixing_matrix(
    net: Classifier | VMamba,
    features: Tensor,
    *,
    stage: int = 2,
    block: int = 2,
    delta: bool = False,
    channel: int | None = None,
    direction: int | None = None,
) -> Tensor:
    """Returns M with y_i = Σ_j M_ij x_j for one recording: (1, 1, F, T) -> (L, L), row-major tokens.

    M is the mean over channels (or one ``channel``) and the sum over the four directions (or one ``direction``),
    brought back to row-major order, without the skip D. ``delta=False`` leaves out the factor Δ_j, as the paper's
    authors did; ``delta=True`` gives the operator that the layer applies.

    Raises:
        ShapeError: no such stage, block, channel or direction, or more than one recording.
    """
    backbone = net.backbone if isinstance(net, Classifier) else net
    if len(features) != 1:
        raise ShapeError(message("features", f"{len(features)} recordings", "one at a time", "call in a loop"))
    op = block_of(backbone, stage, block).op
    x = _input_of(op, backbone, features)
    _check(op, channel, direction)
    total = torch.zeros(x.shape[1] * x.shape[2], x.shape[1] * x.shape[2])
    for k in range(4) if direction is None else [direction]:
        order = _paths(*x.shape[1:3])[k]  # position along the path -> row-major token
        total[order.unsqueeze(1), order] += _direction(op, x.flatten(1, 2)[0, order], k, delta, channel)
    return total


def _input_of(op: SS2D, backbone: VMamba, features: Tensor) -> Tensor:
    """Returns what the layer's scan reads, (1, H, W, C) in float64."""
    seen: list[Tensor] = []
    hook = op.register_forward_pre_hook(lambda _, inputs: seen.append(op.tokens(inputs[0])))
    was_training = backbone.training
    try:
        backbone.eval()(features)
    finally:
        hook.remove()
        backbone.train(was_training)
    return seen[0].double()


def _check(op: nn.Module, channel: int | None, direction: int | None) -> None:
    for name, value, count in (("channel", channel, op.conv2d.in_channels), ("direction", direction, 4)):
        if value is not None and not 0 <= value < count:
            raise ShapeError(message(name, f"no {name} {value}", f"0-{count - 1}", "or leave it out for all"))


def _paths(height: int, width: int) -> list[Tensor]:
    rows = torch.arange(height * width)
    columns = rows.view(height, width).t().flatten()
    return [rows, columns, rows.flip(0), columns.flip(0)]


def _direction(op: SS2D, tokens: Tensor, k: int, with_delta: bool, channel: int | None) -> Tensor:
    """Returns one direction's lower-triangular matrix along its path: tokens (L, C) -> (L, L).

    The decay from j to i is the exponential of a difference, at most 1: a quotient of exponentials overflows.
    """
    weight, bias, A, _ = (p.double() for p in op.scan_parameters())
    states = A.shape[1]
    low, B, C = (tokens @ op.x_proj_weight[k].double().t()).split([weight.shape[2], states, states], dim=1)
    steps = F.softplus(low @ weight[k].t() + bias[k])  # (L, C)
    A = A.view(4, -1, states)[k]
    if channel is not None:
        steps, A = steps[:, channel : channel + 1], A[channel : channel + 1]
    exponent = (steps.unsqueeze(2) * A).cumsum(0)  # (L, C, N)
    drive = B.unsqueeze(1) * steps.unsqueeze(2) if with_delta else B.unsqueeze(1).expand_as(exponent)
    matrix = torch.zeros(len(tokens), len(tokens), dtype=tokens.dtype)
    for start in range(0, len(tokens), TILE):
        stop = min(start + TILE, len(tokens))
        gap = exponent[start:stop].unsqueeze(1) - exponent[:stop].unsqueeze(0)  # (rows, columns, C, N)
        part = torch.einsum("ijcn,in,jcn->ij", gap.clamp(max=0).exp(), C[start:stop], drive[:stop])
        matrix[start:stop, :stop] = part / steps.shape[1]
    return matrix.tril()
