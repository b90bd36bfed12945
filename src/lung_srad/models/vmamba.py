"""VMamba (v05, no gate), the network inside DASS, with channels last throughout: maps are (B, H, W, C).

Parameter names and shapes are those of the official checkpoints.

Reference: Liu et al. 2024 (VMamba); Bhati et al. 2024 (DASS).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lung_srad.audio import AudioFrontend
from lung_srad.errors import ShapeError, message
from lung_srad.kernels import merged_scan
from lung_srad.kernels.layers import depthwise_silu, layer_norm
from lung_srad.kernels.linear import linear, product_dtype
from lung_srad.models.contract import Backbone, Side
from lung_srad.models.stochastic_depth import StochasticDepth
from lung_srad.models.vmamba_layout import VMambaLayout


class Permute(nn.Module):
    """Reorders dimensions; stands where the official layout counts a layer without parameters."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        """Returns a view of x with its dimensions in the new order."""
        return x.permute(self.order)


TILE = 1024  # tokens that pass through position-wise layers together where no gradient is kept: they stay in the cache
COLUMNS = 256  # of the stem's output that are computed together there
TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def by_tiles(x: Tensor, layers: Callable[[Tensor], Tensor], *, own: bool = False) -> Tensor:
    """Returns ``layers(x)``, which treat every token alone and keep its shape: (..., C) -> (..., C).

    Where no gradient is kept they see one tile after the other; the result takes the place of x if that is ``own``,
    so that nobody else sees it change.
    """
    if torch.is_grad_enabled():
        return layers(x)
    x = x.contiguous()
    tiles = x.view(-1, x.shape[-1]).split(TILE)
    if len(tiles) == 1:
        return layers(x)
    y = x if own else torch.empty_like(x)
    for tile, out in zip(tiles, y.view(-1, y.shape[-1]).split(TILE), strict=True):
        out.copy_(layers(tile))
    return y


class LayerNorm(nn.LayerNorm):
    """Layer norm in the precision of its weights, under autocast too.

    A ``narrow`` one is read by an MLP alone, and comes in the precision of that: autocast's, or a frozen network's.
    """

    def __init__(self, channels: int, *, narrow: bool = False) -> None:
        super().__init__(channels)
        self.narrow = narrow
        self.product_dtype: torch.dtype | None = None  # set where a network is frozen in less than its own precision

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., C) -> (..., C)."""
        dtype = self.weight.dtype
        if self.narrow and torch.is_autocast_enabled(x.device.type):
            dtype = product_dtype(torch.get_autocast_dtype(x.device.type), x.device)
        elif self.narrow and self.product_dtype is not None:
            dtype = self.product_dtype
        return layer_norm(x, self.weight, self.bias, self.eps, dtype)


class Linear(nn.Linear):
    """A linear layer whose product is :func:`lung_srad.kernels.linear.linear`; ``gelu`` applies that to it."""

    def __init__(self, channels: int, out: int, *, bias: bool = True, gelu: bool = False) -> None:
        super().__init__(channels, out, bias=bias)
        self.gelu = gelu
        self.packed: Tensor | None = None  # the weight in another layout, where the network is frozen

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., in) -> (..., out)."""
        return linear(x, self.weight if self.packed is None else self.packed, self.bias, gelu=self.gelu)


class Conv2d(nn.Conv2d):
    """A convolution in the precision of its weights, under autocast too."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, C, H, W) -> (B, out, H', W')."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x)


class SS2D(nn.Module):
    """Projection, depthwise convolution, four-directional selective scan, norm, projection (Eq. 3)."""

    def __init__(self, channels: int, states: int = 1) -> None:
        super().__init__()
        rank = math.ceil(channels / 16)
        self.in_proj = Linear(channels, channels, bias=False)
        self.conv2d = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.x_proj_weight = nn.Parameter(torch.empty(4, rank + 2 * states, channels))
        self.dt_projs_weight = nn.Parameter(torch.empty(4, channels, rank))
        self.dt_projs_bias = nn.Parameter(torch.empty(4, channels))
        self.A_logs = nn.Parameter(torch.empty(4 * channels, states))
        self.A: Tensor | None = None  # set where the network is frozen
        self.Ds = nn.Parameter(torch.ones(4 * channels))
        self.smooth_scan = nn.Identity()
        self.out_norm = LayerNorm(channels)
        self.out_proj = Linear(channels, channels, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the weights as Mamba does: step sizes log-uniform in [0.001, 0.1], A = -1, ..., -N."""
        if self.A_logs.is_meta:  # there is nothing to draw, and for an exp of nothing torch imports its compiler: 2 s
            return
        channels, rank = self.dt_projs_weight.shape[1:]
        nn.init.uniform_(self.x_proj_weight, -(channels**-0.5), channels**-0.5)
        nn.init.uniform_(self.dt_projs_weight, -(rank**-0.5), rank**-0.5)
        step = torch.exp(torch.empty(4, channels).uniform_(math.log(1e-3), math.log(1e-1)))
        with torch.no_grad():
            self.dt_projs_bias.copy_(step + torch.log(-torch.expm1(-step)))  # the inverse of softplus
            self.A_logs.copy_(torch.arange(1, self.A_logs.shape[1] + 1).log().expand_as(self.A_logs))

    def tokens(self, x: Tensor, norm: nn.Module) -> Tensor:
        """Returns what the scan reads: (B, H, W, C) -> (B, H, W, C)."""
        return depthwise_silu(by_tiles(x, lambda tile: self.in_proj(norm(tile))), self.conv2d.weight)

    def scan_parameters(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns dt weight (4, C, R), dt bias (4, C), A (4C, N) and D (4C,) of the scan."""
        A = -torch.exp(self.A_logs) if self.A is None else self.A
        return self.dt_projs_weight, self.dt_projs_bias, A, self.Ds

    def project(self, x: Tensor) -> Tensor:
        """Returns step sizes, B and C of the four directions per token: (B, H, W, C) -> (B, H, W, 4(R + 2N))."""
        return linear(x, self.x_proj_weight.flatten(0, 1))

    def forward(self, x: Tensor, norm: nn.Module) -> Tensor:
        """Returns SS2D of ``norm(x)``, which is never kept whole: (B, H, W, C) -> (B, H, W, C)."""
        x = self.tokens(x, norm)
        y = self.smooth_scan(merged_scan(x, self.project(x), *self.scan_parameters(), own=True))
        return by_tiles(y, lambda tile: self.out_proj(self.out_norm(tile)), own=True)


class Mlp(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(channels, hidden, gelu=True)
        self.fc2 = Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., C) -> (..., C)."""
        return self.fc2(self.fc1(x))


class VSSBlock(nn.Module):
    """A visual state-space block: SS2D, then an MLP, each with norm, residual and stochastic depth.

    ``op.smooth_scan`` (site a), ``smooth_op`` (b) and ``smooth_block`` (c) are slots for :func:`smooth`.
    """

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.norm = LayerNorm(channels)
        self.op = SS2D(channels)
        self.smooth_op = nn.Identity()
        self.norm2 = LayerNorm(channels, narrow=True)
        self.mlp = Mlp(channels, 4 * channels)
        self.depth = StochasticDepth(drop_path)
        self.depth2 = StochasticDepth(drop_path)
        self.smooth_block = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, H, W, C) -> (B, H, W, C)."""
        x = self.depth(x, lambda kept: self.smooth_op(self.op(kept, self.norm)))
        if self.training:
            x = self.depth2(x, self.position_wise)
        else:
            x = by_tiles(x, lambda tile: tile + self.position_wise(tile), own=True)
        return self.smooth_block(x)

    def position_wise(self, x: Tensor) -> Tensor:
        """Returns the second branch, which treats every token alone: (..., C) -> (..., C)."""
        return self.mlp(self.norm2(x))


class Stage(nn.Module):
    """Blocks at one resolution, then a convolution that halves it and doubles the channels."""

    def __init__(self, channels: int, drop_path: list[float], *, last: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(VSSBlock(channels, rate) for rate in drop_path))
        self.downsample = nn.Identity() if last else _halve(channels, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, H, W, C) -> (B, H/2, W/2, 2C), or the same shape for the last stage."""
        return self.downsample(self.blocks(x))


def _halve(channels: int, out: int) -> nn.Sequential:
    convolution = Conv2d(channels, out, 3, stride=2, padding=1)
    return nn.Sequential(Permute(*TO_FIRST), convolution, Permute(*TO_LAST), LayerNorm(out))


class VMamba(Backbone):
    """The VMamba backbone on log-mel spectrograms: a stem to a quarter of the size, then four stages."""

    grid_axes = ("frequency", "time")
    head_name = "classifier.head"
    layout = VMambaLayout()

    def __init__(self, width: int, depths: tuple[int, ...], *, drop_path: float, frontend: AudioFrontend) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(len(depths))]
        last = sum(depths) - 1
        rates = iter([drop_path * block / last for block in range(last + 1)])
        self.width, self.depths, self.frontend = widths[-1], depths, frontend
        self.patch_embed = _stem(width)
        self.layers = nn.Sequential(
            *(
                Stage(channels, [next(rates) for _ in range(depth)], last=channels == self.width)
                for channels, depth in zip(widths, depths, strict=True)
            )
        )
        self.classifier = nn.ModuleDict({"norm": LayerNorm(self.width)})
        self.apply(_init_linear)

    def embed(self, features: Tensor) -> Tensor:
        """Returns the grid after the stem: (B, 1, F, T) -> (B, C, F/4, T/4).

        Raises:
            ShapeError: not a batch of spectrograms.
        """
        if features.dim() != 4 or features.shape[1] != 1 or 0 in features.shape:
            seen, allowed = f"shape {tuple(features.shape)}", "needs (B, 1, frequency, time)"
            raise ShapeError(message("features", seen, allowed, "backbone.frontend(wave) makes them"))
        if torch.is_grad_enabled():
            return self.patch_embed(features).permute(TO_FIRST)
        step = 4 * COLUMNS  # frames; a tile begins one column early, which then lacks what is to its left
        starts = range(0, features.shape[3], step)
        parts = [self.patch_embed(features[..., max(0, at - 4) : at + step]) for at in starts]
        return torch.cat([*parts[:1], *(part[:, :, 1:] for part in parts[1:])], 2).permute(TO_FIRST)

    def tokens(self, grid: Tensor, side: Side | None = None) -> Tensor:
        """Returns the last stage's normalised tokens, row-major: (B, C, H, W) -> (B, L, width)."""
        return self.classifier["norm"](self.layers(grid.permute(TO_LAST))).flatten(1, 2)

    def pool(self, tokens: Tensor) -> Tensor:
        """Returns the mean over tokens: (B, L, width) -> (B, width)."""
        return tokens.mean(1)


def _stem(width: int) -> nn.Sequential:
    """Two strided convolutions; the indices of the layers are those of the official layout."""
    half = width // 2
    first = [
        Conv2d(1, half, 3, stride=2, padding=1),
        Permute(*TO_LAST),
        LayerNorm(half),
        Permute(*TO_FIRST),
    ]
    second = [Conv2d(half, width, 3, stride=2, padding=1), Permute(*TO_LAST), LayerNorm(width)]
    return nn.Sequential(*first, nn.GELU(), *second)


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
