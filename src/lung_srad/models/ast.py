"""AST, the audio spectrogram transformer: the layers of transformers' ASTModel, in the steps of the contract.

Reference: Gong et al. 2021 (github.com/YuanGongND/ast); Bae et al. 2023 fine-tune it on lung sounds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lung_srad.audio import Frontend
from lung_srad.errors import ConfigError, ShapeError, message, optional_import
from lung_srad.models.ast_layout import SUMMARIES, ASTLayout
from lung_srad.models.contract import Backbone, Head, Side

MELS, PATCH = 128, 16


@dataclass(frozen=True)
class Size:
    """Width, depth and heads of a transformer, and the step from one 16×16 patch to the next."""

    width: int
    layers: int
    heads: int
    stride: int


class AST(Backbone):
    """AST on 128 mel bins × as many frames as its front end gives: 12 × 79 overlapping patches of 8 s.

    Mixing happens between patch embedding and the tokens that are put in front (class, distillation) and the
    positions that are added. The head is that of AST: a norm, then a linear layer (DECISIONS: ast-head).

    Attributes:
        grid: rows of frequency and columns of time.
    """

    grid_axes = ("frequency", "time")
    head_name = "mlp_head"

    def __init__(self, size: Size, *, frontend: Frontend, positions: str) -> None:
        super().__init__()
        if frontend.frames < PATCH:
            seen, allowed = f"{frontend.seconds} ({frontend.frames} frames)", f"at least {PATCH} frames, one patch"
            raise ConfigError(message("seconds", seen, allowed, "the published length is 8 s"))
        self.width, self.frontend = size.width, frontend
        self.grid = tuple((cells - PATCH) // size.stride + 1 for cells in (MELS, frontend.frames))
        self.layout = ASTLayout(self.grid, positions)
        self.transformer = _transformer(size, frontend.frames)

    def new_head(self, num_classes: int) -> nn.Module:
        """Returns a norm and a linear layer: (B, width) -> (B, num_classes)."""
        return nn.Sequential(nn.LayerNorm(self.width), Head(self.width, num_classes))

    def embed(self, features: Tensor) -> Tensor:
        """Returns the patch embeddings: (B, 1, 128, T) -> (B, width, H, W).

        Raises:
            ShapeError: not a batch of spectrograms of this backbone's size.
        """
        size = (1, MELS, self.frontend.frames)
        if features.dim() != 4 or features.shape[1:] != size:
            seen, allowed = f"shape {tuple(features.shape)}", f"needs (B, {', '.join(map(str, size))})"
            raise ShapeError(message("features", seen, allowed, "backbone.frontend(wave) makes them"))
        return self.transformer.embeddings.patch_embeddings.projection(features)

    def tokens(self, grid: Tensor, side: Side | None = None) -> Tensor:
        """Returns the normalised tokens, class and distillation first: (B, width, H, W) -> (B, 2 + H·W, width)."""
        embeddings, patches = self.transformer.embeddings, grid.flatten(2).mT  # (B, H·W, width), row-major
        summaries = torch.cat([embeddings.cls_token, embeddings.distillation_token], 1)
        x = torch.cat([summaries.expand(len(patches), -1, -1), patches], 1) + embeddings.position_embeddings
        for layer in self.transformer.layers:
            x = layer(x)
        return self.transformer.layernorm(x)

    def pool(self, tokens: Tensor) -> Tensor:
        """Returns the mean of the class and the distillation token: (B, 2 + H·W, width) -> (B, width)."""
        return tokens[:, :SUMMARIES].mean(1)

    @property
    def attentions(self) -> list[nn.Module]:
        """The attention of each layer."""
        return [layer.attention for layer in self.transformer.layers]

    def attention(self, layer: int, x: Tensor, mask: None = None) -> Tensor:
        """Returns the weights of a layer's attention on its input: (B, L, width) -> (B, heads, L, L)."""
        part = self.attentions[layer]
        q, k = (project(x).unflatten(2, (-1, part.head_dim)).transpose(1, 2) for project in (part.q_proj, part.k_proj))
        return (q @ k.mT * part.scaling).softmax(-1)


def _transformer(size: Size, frames: int) -> nn.Module:
    """Returns transformers' model with random weights; its own forward is not used."""
    transformers = optional_import("transformers", "baselines")
    config = transformers.ASTConfig(
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        layer_norm_eps=1e-6,  # as the published network; transformers has 1e-12 (DECISIONS: ast-norms)
        frequency_stride=size.stride,
        time_stride=size.stride,
        max_length=frames,
        num_mel_bins=MELS,
        attn_implementation="sdpa",
    )
    model = transformers.ASTModel(config)
    embeddings = model.embeddings
    for token in (embeddings.cls_token, embeddings.distillation_token, embeddings.position_embeddings):
        nn.init.trunc_normal_(token, std=0.02)  # zeros, as transformers has them, would stay equal in training
    return model


def _ast(size: Size) -> Callable[..., AST]:
    def build(
        *,
        seconds: float = 8.0,
        positions: Literal["correct", "published"] = "correct",
        normalize: str = "audioset",
        resampler: str = "sinc",
    ) -> AST:
        """Returns the backbone with random weights; ``positions`` says how a checkpoint's embeddings are fitted."""
        frontend = Frontend(seconds=seconds, frames=None, normalize=normalize, resampler=resampler)
        return AST(size, frontend=frontend, positions=positions)

    return build


ast_tiny = _ast(Size(width=64, layers=4, heads=4, stride=16))  # 0.25 M parameters, 0.16 GMAC; for CPUs and tests
ast_base = _ast(Size(width=768, layers=12, heads=12, stride=10))  # 86.0 M parameters
