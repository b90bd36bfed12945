"""LungAdapter: AST with every weight frozen but two small residual adapters in each of its blocks, and the head.

A reconstruction: only the abstract was at hand, which says that 2.83 % of the parameters are trained. What stands
here trains 2,436,100 of 85.98 M (DECISIONS: lung-adapter).

Reference: LungAdapter (Interspeech 2024); the places of the adapters are those of arXiv 2401.10544.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from lung_srad.errors import ConfigError, message
from lung_srad.models.ast import AST, ast_base, ast_tiny
from lung_srad.models.ast_layout import SUMMARIES


class Adapter(nn.Module):
    """A bottleneck that begins as zero: norm, down, GELU, 3×3 neighbours on the grid, up.

    Class and distillation token have no neighbours and go past the convolution, so those of the last block, whose
    patches nobody reads, are never trained.
    """

    def __init__(self, width: int, rank: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.norm = nn.LayerNorm(width)
        self.down = nn.Linear(width, rank)
        self.conv = nn.Conv2d(rank, rank, 3, padding=1, groups=rank)
        self.up = nn.Linear(rank, width)
        nn.init.zeros_(self.up.weight)  # so that training starts from the pretrained network, unchanged
        nn.init.zeros_(self.up.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns what is added: (B, 2 + H·W, width) -> (B, 2 + H·W, width)."""
        x = nn.functional.gelu(self.down(self.norm(tokens)))  # (B, 2 + H·W, rank)
        summaries, patches = x[:, :SUMMARIES], x[:, SUMMARIES:]
        neighbours = self.conv(patches.mT.unflatten(2, self.grid)).flatten(2).mT  # (B, H·W, rank)
        return self.up(torch.cat([summaries, patches + neighbours], 1))


class AdaptedLayer(nn.Module):
    """A block of AST, its parts under their own names, with one adapter behind attention and one beside the MLP."""

    def __init__(self, layer: nn.Module, width: int, rank: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.layernorm_before, self.attention = layer.layernorm_before, layer.attention
        self.layernorm_after, self.mlp = layer.layernorm_after, layer.mlp
        self.adapter_attention = Adapter(width, rank, grid)
        self.adapter_mlp = Adapter(width, rank, grid)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, 2 + H·W, width) -> (B, 2 + H·W, width)."""
        attended = self.attention(self.layernorm_before(x))[0]
        x = x + attended + self.adapter_attention(attended)
        return x + self.mlp(self.layernorm_after(x)) + self.adapter_mlp(x)


def adapt(backbone: AST, rank: int) -> AST:
    """Returns the backbone, frozen, with adapters in its blocks; the names of its own weights stay as they are.

    Raises:
        ConfigError: a rank that is not positive.
    """
    if rank < 1:
        raise ConfigError(message("rank", str(rank), "1 or more", "the reconstruction has 64"))
    backbone.requires_grad_(False)
    layers = backbone.transformer.layers
    for index, layer in enumerate(layers):
        layers[index] = AdaptedLayer(layer, backbone.width, rank, backbone.grid)
    return backbone


def _adapted(base: Callable[..., AST], own_rank: int) -> Callable[..., AST]:
    def build(
        *,
        rank: int = own_rank,
        seconds: float = 8.0,
        positions: Literal["correct", "published"] = "correct",
        normalize: str = "audioset",
        resampler: str = "sinc",
    ) -> AST:
        """Returns the backbone with random weights; only its adapters, ``rank`` wide, are to be trained."""
        backbone = base(seconds=seconds, positions=positions, normalize=normalize, resampler=resampler)
        return adapt(backbone, rank)

    return build


ast_adapter_tiny = _adapted(ast_tiny, 8)
ast_adapter = _adapted(ast_base, 64)  # 2,436,100 trained parameters with a 4-way head
