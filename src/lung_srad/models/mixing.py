"""The mixing matrix of a state-space layer, and of attention: which token feeds which, as one L × L matrix.

Reference: paper §3.3; Ali et al. 2024 for attention matrices of Mamba; shared conventions in DECISIONS: mixing-matrix.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lung_srad.errors import ConfigError, ShapeError, message
from lung_srad.models.ast import AST
from lung_srad.models.ast_layout import SUMMARIES
from lung_srad.models.beats import BEATs
from lung_srad.models.contract import Backbone, Classifier
from lung_srad.models.scan_matrix import scan_matrix
from lung_srad.models.smoothing import block_of
from lung_srad.models.vmamba import SS2D, VMamba


@dataclass(frozen=True)
class LayerMap:
    """How one layer mixes the tokens of one recording.

    Attributes:
        place: stage and block, or the layer of a transformer, from zero.
        grid: rows of frequency and columns of time.
        matrix: (L, L); the tokens of the grid row by row, after the summaries.
        summaries: tokens in front that belong to no place of the grid: of AST, two.
    """

    place: tuple[int, ...]
    grid: tuple[int, int]
    matrix: Tensor
    summaries: int = 0

    @property
    def patches(self) -> Tensor:
        """What the tokens of the grid get from each other: (H·W, H·W)."""
        return self.matrix[self.summaries :, self.summaries :]


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
    layer: int | None = None,
) -> Tensor:
    """Returns M with y_i = Σ_j M_ij x_j for one recording: (1, 1, F, T) -> (L, L), row-major tokens.

    M is the mean over channels (or one ``channel``) and the sum over the four directions (or one ``direction``:
    rows, columns, rows back, columns back), brought back to row-major order, without the skip D. ``delta=False``
    leaves out the factor Δ_j, as the paper's authors did; ``delta=True`` gives the operator that the layer applies.
    Decays are formed in double precision, products in that of the features.

    With ``layer`` it is the attention of that layer of a transformer, :func:`attention_matrix`, whose heads are its
    channels.

    Raises:
        ShapeError: no such stage, block, channel, direction or layer, or more than one recording.
        ConfigError: a backbone without state-space layers (or, with ``layer``, without attention).
    """
    if layer is not None:
        return attention_matrix(net, features, layer=layer, head=channel)
    backbone = net.backbone if isinstance(net, Classifier) else net
    op = block_of(backbone, stage, block).op
    for name, value, count in (("channel", channel, len(op.out_norm.weight)), ("direction", direction, 4)):
        if value is not None and not 0 <= value < count:
            raise ShapeError(message(name, f"no {name} {value}", f"0-{count - 1}", "or leave it out for all"))
    ((x,),), _ = _inputs(backbone, features, [op], [op.tokens])
    return _scan_map(op, x[0], delta, channel, range(4) if direction is None else [direction])


@torch.no_grad()
def attention_matrix(
    net: Classifier | Backbone, features: Tensor, *, layer: int = 4, head: int | None = None
) -> Tensor:
    """Returns M with y_i = Σ_j M_ij v_j of one layer, the mean over heads or one ``head``: (1, 1, F, T) -> (L, L).

    Tokens are in the backbone's own order: of AST, the class and the distillation token and then the patches row by
    row; of BEATs, the patches column by column. Every row sums to one.

    Raises:
        ShapeError: no such layer or head, or more than one recording.
        ConfigError: a backbone without attention.
    """
    backbone = net.backbone if isinstance(net, Classifier) else net
    if not isinstance(backbone, AST | BEATs):
        seen, allowed = type(backbone).__name__, "only transformers (ast, beats) have attention to look into"
        raise ConfigError(message("backbone", seen, allowed, "mixing_matrix looks into DASS"))
    layers = backbone.attentions
    if not 0 <= layer < len(layers):
        raise ShapeError(message("layer", f"no layer {layer}", f"0-{len(layers) - 1}", "the paper's figure has 4"))
    (inputs,), _ = _inputs(backbone, features, layers[layer : layer + 1])
    weights = backbone.attention(layer, *inputs)[0]  # (heads, L, L)
    if head is None:
        return weights.mean(0)
    if not 0 <= head < len(weights):
        raise ShapeError(message("head", f"no head {head}", f"0-{len(weights) - 1}", "or leave it out for all"))
    return weights[head]


@torch.no_grad()
def mixing_maps(
    net: Classifier | Backbone,
    features: Tensor,
    *,
    delta: bool = False,
    places: Sequence[tuple[int, ...]] | None = None,
) -> Iterator[LayerMap]:
    """Yields the map of every layer, or of some ``places``, from one pass of one recording (1, 1, F, T).

    One map is made at a time: those of all blocks of a large network would not fit into memory.

    Raises:
        ShapeError: no such place, or more than one recording.
        ConfigError: a backbone that mixes tokens in neither of the two ways.
    """
    backbone = net.backbone if isinstance(net, Classifier) else net
    modules = _layers(backbone)
    for place in places or ():
        if place not in modules:
            allowed = f"places of this network: {', '.join(map(str, modules))}"
            raise ShapeError(message("place", str(place), allowed, "count stages, blocks and layers from zero"))
    chosen = list(modules if places is None else dict.fromkeys(places))
    if isinstance(backbone, VMamba):
        looks = [modules[place].tokens for place in chosen]
        seen, _ = _inputs(backbone, features, [modules[place] for place in chosen], looks)
        for place, (x,) in zip(chosen, seen, strict=True):
            matrix = _scan_map(modules[place], x[0], delta, None, range(4))
            yield LayerMap(place, (x.shape[1], x.shape[2]), matrix)
        return
    seen, grid = _inputs(backbone, features, [modules[place] for place in chosen])
    summaries = SUMMARIES if isinstance(backbone, AST) else 0
    for place, inputs in zip(chosen, seen, strict=True):
        matrix = backbone.attention(place[0], *inputs)[0].mean(0)
        if isinstance(backbone, BEATs):  # its tokens come column by column
            order = torch.arange(len(matrix), device=matrix.device).view(grid[1], grid[0]).t().flatten()
            matrix = matrix[order][:, order]
        yield LayerMap(place, grid, matrix, summaries)


def mixing_places(net: Classifier | Backbone) -> list[tuple[int, ...]]:
    """Returns the places of the layers that mix tokens: (stage, block), or (layer,).

    Raises:
        ConfigError: a backbone that has none that can be looked into.
    """
    return list(_layers(net.backbone if isinstance(net, Classifier) else net))


def _layers(backbone: Backbone) -> dict[tuple[int, ...], nn.Module]:
    """Returns what mixes tokens, by place."""
    if isinstance(backbone, VMamba):
        blocks = [(stage, block) for stage, depth in enumerate(backbone.depths) for block in range(depth)]
        return {place: block_of(backbone, *place).op for place in blocks}
    if isinstance(backbone, AST | BEATs):
        return {(layer,): module for layer, module in enumerate(backbone.attentions)}
    seen, allowed = type(backbone).__name__, "only DASS, AST and BEATs can be looked into"
    raise ConfigError(message("backbone", seen, allowed, "take one of these"))


def _inputs(
    backbone: Backbone,
    features: Tensor,
    modules: Sequence[nn.Module],
    looks: Sequence[Callable[..., Tensor]] | None = None,
) -> tuple[list[tuple], tuple[int, int]]:
    """Returns what each module is called with (or what ``look`` makes of it), and the grid of patches.

    Everything is copied before the network can write over it.
    """
    if len(features) != 1:
        raise ShapeError(message("features", f"{len(features)} recordings", "one at a time", "call in a loop"))
    seen: list[tuple] = [()] * len(modules)

    def keep(index: int, _: nn.Module, inputs: tuple) -> None:
        made = inputs if looks is None else (looks[index](*inputs),)
        seen[index] = tuple(x.clone() if isinstance(x, Tensor) else x for x in made)

    hooks = [module.register_forward_pre_hook(partial(keep, index)) for index, module in enumerate(modules)]
    was_training = backbone.training
    try:
        grid = backbone.eval().embed(features)
        backbone.tokens(grid)
    finally:
        for hook in hooks:
            hook.remove()
        backbone.train(was_training)
    return seen, (grid.shape[2], grid.shape[3])


def _scan_map(op: SS2D, grid: Tensor, with_delta: bool, channel: int | None, directions: Sequence[int]) -> Tensor:
    """Returns the sum of some directions' matrices in row-major order: what the scan reads (H, W, C) -> (L, L)."""
    height, width, channels = grid.shape
    dtype = grid.dtype if grid.dtype == torch.float64 else torch.float32
    grid, total = grid.double(), torch.zeros(2 * (height, width), dtype=dtype, device=grid.device)
    for k in directions:
        tokens = (grid.transpose(0, 1) if k % 2 else grid).reshape(-1, channels)
        matrix = _along_path(op, tokens.flip(0) if k > 1 else tokens, k, with_delta, channel, dtype)
        matrix = matrix.flip(0, 1) if k > 1 else matrix
        if k % 2:
            total += matrix.view(2 * (width, height)).permute(1, 0, 3, 2)
        else:
            total += matrix.view_as(total)
    return total.view(height * width, -1)


def _along_path(op: SS2D, tokens: Tensor, k: int, with_delta: bool, channel: int | None, dtype: torch.dtype) -> Tensor:
    """Returns one direction's lower-triangular matrix along its path: tokens (L, C) -> (L, L)."""
    weight, bias, A, _ = (p.double() for p in op.scan_parameters())
    states, length = A.shape[1], len(tokens)
    low, B, C = (tokens @ op.x_proj_weight[k].double().t()).split([weight.shape[2], states, states], dim=1)
    steps = F.softplus(low @ weight[k].t() + bias[k])  # (L, C)
    A = A.unflatten(0, (4, -1))[k]
    if channel is not None:
        steps, A = steps[:, channel : channel + 1], A[channel : channel + 1]
    exponent = (steps.unsqueeze(2) * A).cumsum(0)  # (L, C, N), falling along the path
    drive = B.unsqueeze(1) * steps.unsqueeze(2) if with_delta else B.unsqueeze(1)
    left = C.unsqueeze(1) / steps.shape[1]  # the mean over channels
    rows = [x.expand_as(exponent).reshape(length, -1) for x in (exponent, left, drive)]
    return scan_matrix(*rows, dtype)
