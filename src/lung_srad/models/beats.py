"""BEATs, an audio transformer pretrained on AudioSet without labels: the backbone of PAFA.

Written from its description; parameter names are those of ``BEATs_iter3_plus_AS2M.pt``.

Reference: Chen et al. 2022 (github.com/microsoft/unilm, beats); PAFA (github.com/wa976/Patient-Aware-Feature-Alignment)
fine-tunes it on lung sounds.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from lung_srad.audio import BeatsFrontend
from lung_srad.errors import ConfigError, ShapeError, message
from lung_srad.models.beats_encoder import BUCKETS, DISTANCE, GROUPS, KERNEL, Encoder, EncoderSize
from lung_srad.models.contract import Backbone, Side
from lung_srad.models.layout import Checkpoint, Layout, Named

PATCH = 16
BIAS = "encoder.layers.{}.self_attn.relative_attention_bias.weight"


class BEATsLayout(Layout):
    """Our names and shapes, but that official files repeat the shared bias of relative positions in every block."""

    remedy = "take a checkpoint of BEATs (BEATs_iter3_plus_AS2M.pt), or the backbone of this checkpoint"

    def __init__(self, size: EncoderSize, trained: Mapping[str, float]) -> None:
        self.size, self.trained = size, trained
        self.settings = {
            "encoder_layers": size.layers,
            "encoder_embed_dim": size.width,
            "encoder_attention_heads": size.heads,
            "input_patch_size": PATCH,
            "conv_bias": False,
            "conv_pos": KERNEL,
            "conv_pos_groups": GROUPS,
            "activation_fn": "gelu",
            "layer_norm_first": False,
            "deep_norm": True,
            "relative_position_embedding": True,
            "num_buckets": BUCKETS,
            "max_distance": DISTANCE,
            "gru_rel_pos": True,
        }

    def named(self, file: Checkpoint) -> Named:
        """Returns the tensors without the repetitions, and where training is to differ from what the file says."""
        first = file.tensors.get(BIAS.format(0))
        again = {BIAS.format(layer) for layer in range(1, self.size.layers)}
        tensors = {
            name: x for name, x in file.tensors.items() if name not in again or first is None or not _same(x, first)
        }
        notes = (
            f"the file was trained with {key} = {file.config[key]!r:.40}, this backbone is with {own}"
            for key, own in self.trained.items()
            if file.config.get(key, own) != own
        )
        return Named(tensors, tuple(notes))


def _same(x: Tensor, y: Tensor) -> bool:
    return x.shape == y.shape and x.dtype == y.dtype and torch.equal(x, y)


class BEATs(Backbone):
    """BEATs on 128 mel bins × any number of frames: 8 × 31 patches without overlap for 5 s.

    Its tokens are those of one column of time after the other, as the checkpoint's positions want them. With
    ``side["padding"]``, (B, W), true for columns of a batch that hold nothing, the others are what they would be alone.
    """

    grid_axes = ("frequency", "time")
    head_name = "predictor"

    def __init__(
        self, size: EncoderSize, patch: int, *, frontend: BeatsFrontend, layer_drop: float, gradient_decay: float
    ) -> None:
        super().__init__()
        if not 0 < gradient_decay <= 1:
            allowed = "more than 0, at most 1"
            raise ConfigError(message("gradient_decay", str(gradient_decay), allowed, "the published file has 0.6"))
        self.width, self.frontend = size.width, frontend
        self.patch_embedding = nn.Conv2d(1, patch, PATCH, stride=PATCH, bias=False)
        self.layer_norm = nn.LayerNorm(patch)
        self.post_extract_proj = nn.Linear(patch, size.width)
        self.encoder = Encoder(size, layer_drop=layer_drop, gradient_decay=gradient_decay)
        none = dict.fromkeys(("dropout", "attention_dropout", "activation_dropout", "dropout_input"), 0.0)
        decays = {"encoder_layerdrop": layer_drop, "layer_wise_gradient_decay_ratio": gradient_decay}
        self.layout = BEATsLayout(size, none | decays)

    def embed(self, features: Tensor) -> Tensor:
        """Returns the patch embeddings: (B, 1, F, T) -> (B, C, F / 16, T / 16).

        Raises:
            ShapeError: not a batch of spectrograms, or one that is smaller than a patch.
        """
        if features.dim() != 4 or features.shape[1] != 1 or min(features.shape[2:]) < PATCH:
            seen, allowed = f"shape {tuple(features.shape)}", f"needs (B, 1, frequency, time), at least {PATCH} of each"
            raise ShapeError(message("features", seen, allowed, "backbone.frontend(wave) makes them"))
        return self.patch_embedding(features.mT).mT  # the checkpoint's patches lie with time first

    def tokens(self, grid: Tensor, side: Side | None = None) -> Tensor:
        """Returns the last block's tokens, column after column: (B, C, H, W) -> (B, W·H, width)."""
        x = grid.mT.flatten(2).mT  # (B, W·H, C)
        return self.encoder(self.post_extract_proj(self.layer_norm(x)), _padding(grid, side))

    def pool(self, tokens: Tensor) -> Tensor:
        """Returns the mean over tokens: (B, L, width) -> (B, width)."""
        return tokens.mean(1)

    def encode(self, grid: Tensor, side: Side | None = None) -> Tensor:
        """Returns the mean over the tokens that are not padding: (B, C, H, W) -> (B, width)."""
        tokens, padding = self.tokens(grid, side), _padding(grid, side)
        if padding is None:
            return self.pool(tokens)
        kept = ~padding[..., None]  # (B, L, 1)
        return (tokens * kept).sum(1) / kept.sum(1)

    @property
    def attentions(self) -> list[nn.Module]:
        """The attention of each layer."""
        return [layer.self_attn for layer in self.encoder.layers]

    def attention(self, layer: int, x: Tensor, bias: Tensor, padding: Tensor | None) -> Tensor:
        """Returns the weights of a layer's attention on its input: (B, L, width) -> (B, heads, L, L)."""
        part = self.attentions[layer]
        q, k = part.by_heads(part.q_proj(x)), part.by_heads(part.k_proj(x))
        return (q @ k.mT * q.shape[-1] ** -0.5 + part.gated(q, bias, padding)).softmax(-1)


def _padding(grid: Tensor, side: Side | None) -> Tensor | None:
    """Returns which tokens are padding, (B, W·H), from the columns that are.

    Raises:
        ShapeError: not one value for each column of each sample, or a sample that is nothing but padding.
    """
    if side is None or "padding" not in side:
        return None
    padding = side["padding"].bool()
    empty = padding.shape == (len(grid), grid.shape[3]) and bool(padding.all(1).any())
    if padding.shape != (len(grid), grid.shape[3]) or empty:
        seen = f"shape {tuple(padding.shape)}" + ", true throughout a sample" * empty
        allowed = f"({len(grid)}, {grid.shape[3]}), true for columns without sound, but not for all of a sample"
        raise ShapeError(message("side['padding']", seen, allowed, "leave it out where nothing is padded"))
    return padding.repeat_interleave(grid.shape[2], 1)


def _beats(size: EncoderSize, patch: int, decay: float) -> Callable[..., BEATs]:
    def build(
        *,
        seconds: float = 5.0,
        scaling: Literal["corrected", "published"] = "corrected",
        layer_drop: float = 0.0,
        gradient_decay: float = decay,
        resampler: str = "sinc",
    ) -> BEATs:
        """Returns the backbone with random weights.

        ``scaling`` is that of the wave, ``layer_drop`` how often a sample passes a block by in training,
        ``gradient_decay`` what each block leaves of the gradient.
        """
        frontend = BeatsFrontend(seconds=seconds, scaling=scaling, resampler=resampler)
        return BEATs(size, patch, frontend=frontend, layer_drop=layer_drop, gradient_decay=gradient_decay)

    return build


beats_tiny = _beats(EncoderSize(width=96, layers=3, heads=4), 64, 1.0)  # 0.4 M parameters; for CPUs and tests
beats_base = _beats(EncoderSize(width=768, layers=12, heads=12), 512, 0.6)  # 90.3 M parameters
