"""VMamba (v05, no gate), the network inside DASS, with channels last throughout: maps are (B, H, W, C).

Parameter names and shapes are those of the official checkpoints.

Reference: Liu et al. 2024 (VMamba); Bhati et al. 2024 (DASS).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lung_srad.errors import ShapeError, message
from lung_srad.kernels import ss2d
from lung_srad.models.contract import Backbone, Side
from lung_srad.models.stochastic_depth import StochasticDepth


class Permute(nn.Module):
    """Reorders dimensions; stands where the official layout counts a layer without parameters."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        """Returns a view of x with its dimensions in the new order."""
        return x.permute(self.order)


TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


class LayerNorm(nn.LayerNorm):
    """Layer norm in the precision of its weights, so that autocast leaves the residual sums in float32 on a CPU too."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., C) -> (..., C)."""
        return super().forward(x.to(self.weight.dtype))


class SS2D(nn.Module):
    """Projection, depthwise convolution, four-directional selective scan, norm, projection (Eq. 3)."""

    def __init__(self, channels: int, states: int = 1) -> None:
        super().__init__()
        rank = math.ceil(channels / 16)
        self.in_proj = nn.Linear(channels, channels, bias=False)
        self.conv2d = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.x_proj_weight = nn.Parameter(torch.empty(4, rank + 2 * states, channels))
        self.dt_projs_weight = nn.Parameter(torch.empty(4, channels, rank))
        self.dt_projs_bias = nn.Parameter(torch.empty(4, channels))
        self.A_logs = nn.Parameter(torch.empty(4 * channels, states))
        self.Ds = nn.Parameter(torch.ones(4 * channels))
        self.smooth_scan = nn.Identity()
        self.out_norm = LayerNorm(channels)
        self.out_proj = nn.Linear(channels, channels, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the weights as Mamba does: step sizes log-uniform in [0.001, 0.1], A = -1, ..., -N."""
        channels, rank = self.dt_projs_weight.shape[1:]
        nn.init.uniform_(self.x_proj_weight, -(channels**-0.5), channels**-0.5)
        nn.init.uniform_(self.dt_projs_weight, -(rank**-0.5), rank**-0.5)
        step = torch.exp(torch.empty(4, channels).uniform_(math.log(1e-3), math.log(1e-1)))
        with torch.no_grad():
            self.dt_projs_bias.copy_(step + torch.log(-torch.expm1(-step)))  # the inverse of softplus
            self.A_logs.copy_(torch.arange(1, self.A_logs.shape[1] + 1).log().expand_as(self.A_logs))

    def tokens(self, x: Tensor) -> Tensor:
        """Returns what the scan reads: (B, H, W, C) -> (B, H, W, C)."""
        x = self.conv2d(self.in_proj(x).permute(TO_FIRST))
        return F.silu(x).permute(TO_LAST)

    def scan_parameters(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns dt weight (4, C, R), dt bias (4, C), A (4C, N) and D (4C,) of the scan."""
        return self.dt_projs_weight, self.dt_projs_bias, -torch.exp(self.A_logs), self.Ds

    def project(self, x: Tensor) -> Tensor:
        """Returns step sizes, B and C of the four directions per token: (B, H, W, C) -> (B, H, W, 4(R + 2N))."""
        return F.linear(x, self.x_proj_weight.flatten(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, H, W, C) -> (B, H, W, C)."""
        x = self.tokens(x)
        y = self.smooth_scan(ss2d(x, self.project(x), *self.scan_parameters()))
        return self.out_proj(self.out_norm(y))


class Mlp(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., C) -> (..., C)."""
        return self.fc2(F.gelu(self.fc1(x)))


class VSSBlock(nn.Module):
    """A visual state-space block: SS2D, then an MLP, each with norm, residual and stochastic depth.

    ``op.smooth_scan`` (site a), ``smooth_op`` (b) and ``smooth_block`` (c) are slots for :func:`smooth`.
    """

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.norm = LayerNorm(channels)
        self.op = SS2D(channels)
        self.smooth_op = nn.Identity()
        self.norm2 = LayerNorm(channels)
        self.mlp = Mlp(channels, 4 * channels)
        self.depth = StochasticDepth(drop_path)
        self.depth2 = StochasticDepth(drop_path)
        self.smooth_block = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, H, W, C) -> (B, H, W, C)."""
        x = self.depth(x, lambda kept: self.smooth_op(self.op(self.norm(kept))))
        x = self.depth2(x, lambda kept: self.mlp(self.norm2(kept)))
        return self.smooth_block(x)


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
    convolution = nn.Conv2d(channels, out, 3, stride=2, padding=1)
    return nn.Sequential(Permute(*TO_FIRST), convolution, Permute(*TO_LAST), LayerNorm(out))


class VMamba(Backbone):
    """The VMamba backbone on log-mel spectrograms: a stem to a quarter of the size, then four stages."""

    grid_axes = ("frequency", "time")
    head_name = "classifier.head"

    def __init__(self, width: int, depths: tuple[int, ...], *, drop_path: float, frontend: nn.Module) -> None:
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
        return self.patch_embed(features).permute(TO_FIRST)

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
        nn.Conv2d(1, half, 3, stride=2, padding=1),
        Permute(*TO_LAST),
        LayerNorm(half),
        Permute(*TO_FIRST),
    ]
    second = [nn.Conv2d(half, width, 3, stride=2, padding=1), Permute(*TO_LAST), LayerNorm(width)]
    return nn.Sequential(*first, nn.GELU(), *second)


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
