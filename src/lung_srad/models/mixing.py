"""The mixing matrix of a state-space layer, and of attention: which token feeds which, as one L × L matrix.

Reference: paper §3.3; Ali et al. 2024 for attention matrices of Mamba; shared conventions in DECISIONS: mixing-matrix.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lung_srad.errors import ConfigError, ShapeError, message
from lung_srad.models.ast import AST
from lung_srad.models.beats import BEATs
from lung_srad.models.contract import Backbone, Classifier
from lung_srad.models.smoothing import block_of
from lung_srad.models.vmamba import SS2D

TILE = 2**22  # decays held at once, rows × columns × channels × states: 32 MB


@torch.no_grad()
def mixing_matrix(
    net: Classifier | Backbone,
    features: Tensor,
    *,
    stage: int = 2,
    block: int = 2,
    delta: bool = False,
    channel: int | None = None,
    direction: int | None = None,
) -> Tensor:
    """Returns M with y_i = Σ_j M_ij x_j for one recording: (1, 1, F, T) -> (L, L), row-major tokens.

    M is the mean over channels (or one ``channel``) and the sum over the four directions (or one ``direction``:
    rows, columns, rows back, columns back), brought back to row-major order, without the skip D. ``delta=False``
    leaves out the factor Δ_j, as the paper's authors did; ``delta=True`` gives the operator that the layer applies.

    Raises:
        ShapeError: no such stage, block, channel or direction, or more than one recording.
        ConfigError: a backbone without state-space layers.
    """
    backbone = net.backbone if isinstance(net, Classifier) else net
    op = block_of(backbone, stage, block).op
    for name, value, count in (("channel", channel, len(op.out_norm.weight)), ("direction", direction, 4)):
        if value is not None and not 0 <= value < count:
            raise ShapeError(message(name, f"no {name} {value}", f"0-{count - 1}", "or leave it out for all"))
    _require_one(features)
    grid = _seen_at(op, backbone, features, op.tokens)[0].double()  # (H, W, C), what the scan reads
    tokens, paths = grid.flatten(0, 1), _paths(grid)
    total = features.new_zeros(len(tokens), len(tokens))
    for k in range(4) if direction is None else [direction]:
        path = paths[k]
        total[path.unsqueeze(1), path] += _along_path(op, tokens[path], k, delta, channel).to(total.dtype)
    return total


@torch.no_grad()
def attention_matrix(net: Classifier | Backbone, features: Tensor, *, layer: int = 4) -> Tensor:
    """Returns M with y_i = Σ_j M_ij v_j, the mean over heads of one layer: (1, 1, F, T) -> (L, L).

    Tokens are in the backbone's own order: of AST, the class and the distillation token and then the patches row by
    row; of BEATs, the patches column by column. Every row sums to one.

    Raises:
        ShapeError: no such layer, or more than one recording.
        ConfigError: a backbone without attention.
    """
    backbone = net.backbone if isinstance(net, Classifier) else net
    if not isinstance(backbone, AST | BEATs):
        seen, allowed = type(backbone).__name__, "only transformers (ast, beats) have attention to look into"
        raise ConfigError(message("backbone", seen, allowed, "mixing_matrix looks into DASS"))
    layers = backbone.attentions
    if not 0 <= layer < len(layers):
        raise ShapeError(message("layer", f"no layer {layer}", f"0-{len(layers) - 1}", "the paper's figure has 4"))
    _require_one(features)
    weights = _seen_at(layers[layer], backbone, features, partial(backbone.attention, layer))  # (1, heads, L, L)
    return weights[0].mean(0)


def _require_one(features: Tensor) -> None:
    if len(features) != 1:
        raise ShapeError(message("features", f"{len(features)} recordings", "one at a time", "call in a loop"))


def _seen_at(module: nn.Module, backbone: Backbone, features: Tensor, look: Callable[..., Tensor]) -> Tensor:
    """Returns ``look(*inputs)`` of what a part of the backbone is called with, before that can be overwritten."""
    seen: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(look(*inputs)))
    was_training = backbone.training
    try:
        backbone.eval()(features)
    finally:
        hook.remove()
        backbone.train(was_training)
    return seen[0]


def _paths(grid: Tensor) -> list[Tensor]:
    """Returns, per direction, the row-major token at each position along the path."""
    height, width = grid.shape[:2]
    rows = torch.arange(height * width, device=grid.device)
    columns = rows.view(height, width).t().flatten()
    return [rows, columns, rows.flip(0), columns.flip(0)]


def _along_path(op: SS2D, tokens: Tensor, k: int, with_delta: bool, channel: int | None) -> Tensor:
    """Returns one direction's lower-triangular matrix along its path: tokens (L, C) -> (L, L).

    The decay from j to i is the exponential of a difference, at most 1: a quotient of exponentials overflows.
    """
    weight, bias, A, _ = (p.double() for p in op.scan_parameters())
    states, length = A.shape[1], len(tokens)
    low, B, C = (tokens @ op.x_proj_weight[k].double().t()).split([weight.shape[2], states, states], dim=1)
    steps = F.softplus(low @ weight[k].t() + bias[k])  # (L, C)
    A = A.unflatten(0, (4, -1))[k]
    if channel is not None:
        steps, A = steps[:, channel : channel + 1], A[channel : channel + 1]
    exponent = (steps.unsqueeze(2) * A).cumsum(0)  # (L, C, N)
    drive = B.unsqueeze(1) * steps.unsqueeze(2) if with_delta else B.unsqueeze(1)
    matrix = tokens.new_zeros(length, length)
    for rows in torch.arange(length, device=tokens.device).split(max(1, TILE // exponent.numel())):
        until = rows[-1] + 1  # nothing later feeds these rows
        decay = (exponent[rows].unsqueeze(1) - exponent[:until]).clamp_(max=0).exp_()  # (rows, columns, C, N)
        part = decay.mul_(drive[:until]).mean(2)  # (rows, columns, N)
        matrix[rows, :until] = (part * C[rows].unsqueeze(1)).sum(-1)
    return matrix.tril_()
