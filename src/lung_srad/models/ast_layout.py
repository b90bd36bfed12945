"""Official files of AST: the original ``audioset_10_10_0.4593.pth`` and its twin on the Hugging Face hub.

Our names are those of transformers (version 5), with the head of the original layout: a norm, ``mlp_head.0``, and a
linear layer, ``mlp_head.1``.
"""

import re
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from lung_srad.errors import ConfigError, message, nearest
from lung_srad.models.layout import Change, Checkpoint, Layout, Named

POSITIONS = ("correct", "published")
EMBEDDING = "transformer.embeddings.position_embeddings"
SUMMARIES = 2  # tokens in front of the patches: the class token, and that of DeiT's distillation
DEIT_HEADS = ("head.", "head_dist.")  # 1,000 classes of ImageNet, which AST never reads
RENAMES = tuple(
    (re.compile(pattern), ours)
    for pattern, ours in (  # one after the other; the first lines are the original layout's, the last the hub's
        (r"^(v|audio_spectrogram_transformer|transformer)\.", ""),
        (r"^cls_token$", "embeddings.cls_token"),
        (r"^dist_token$", "embeddings.distillation_token"),
        (r"^pos_embed$", "embeddings.position_embeddings"),
        (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
        (r"^norm\.", "layernorm."),
        (r"^(blocks|encoder\.layer)\.(?=\d)", "layers."),
        (r"^(layers\.\d+)\.norm1\.", r"\1.layernorm_before."),
        (r"^(layers\.\d+)\.norm2\.", r"\1.layernorm_after."),
        (r"^(layers\.\d+)\.attn\.proj\.", r"\1.attention.o_proj."),
        (r"^(layers\.\d+)\.attention\.attention\.query\.", r"\1.attention.q_proj."),
        (r"^(layers\.\d+)\.attention\.attention\.key\.", r"\1.attention.k_proj."),
        (r"^(layers\.\d+)\.attention\.attention\.value\.", r"\1.attention.v_proj."),
        (r"^(layers\.\d+)\.attention\.output\.dense\.", r"\1.attention.o_proj."),
        (r"^(layers\.\d+)\.intermediate\.dense\.", r"\1.mlp.fc1."),
        (r"^(layers\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
        (r"^classifier\.layernorm\.", "mlp_head.0."),
        (r"^classifier\.dense\.", "mlp_head.1."),
        (r"^(?=(embeddings|layers|layernorm)\.)", "transformer."),
    )
)


class ASTLayout(Layout):
    """Both layouts, for a grid of patches; ``positions`` as in :func:`fit_positions`.

    Raises:
        ConfigError: neither "correct" nor "published" positions.
    """

    remedy = "take AudioSet weights of AST with 16x16 patches of 128 mel bins, or the backbone of this checkpoint"

    def __init__(self, grid: tuple[int, int], positions: str) -> None:
        if positions not in POSITIONS:
            allowed = f"one of {', '.join(POSITIONS)}"
            raise ConfigError(message("positions", repr(positions), allowed, nearest(positions, POSITIONS)))
        self.grid, self.positions = grid, positions

    def named(self, file: Checkpoint) -> Named:
        """Returns the tensors under our names, queries, keys and values apart, without DeiT's own heads."""
        tensors: dict[str, Tensor] = {}
        heads = 0
        for name, value in file.tensors.items():
            if name.removeprefix("v.").startswith(DEIT_HEADS):
                heads += 1
                continue
            for ours, part in _split(_renamed(name), value):
                tensors[name if ours in tensors else ours] = part  # a second of one kind is refused under its own name
        return Named(tensors, (f"{heads} tensors of DeiT's own heads left out",) if heads else ())

    def change(self, key: str, value: Tensor, own: Tensor) -> Change | None:
        """Returns how the position embeddings of another number of frames become ours."""
        like = (len(own), value.shape[1:2].numel(), *own.shape[2:])
        if key != EMBEDDING or value.shape == own.shape or value.shape != like:
            return super().change(key, value, own)
        rows = self.grid[0]
        columns, rest = divmod(value.shape[1] - SUMMARIES, rows)
        if rest or columns < 1:
            return None
        sizes = f"{rows}x{columns} to {self.grid[0]}x{self.grid[1]}"
        what = f"position embedding fitted from {sizes} patches (positions = {self.positions!r})"
        return Change(what, lambda x: fit_positions(x, (rows, columns), self.grid, positions=self.positions))

    def may_lack(self, key: str) -> bool:
        """Returns whether a tensor belongs to an adapter: no official file has any."""
        return ".adapter_" in key


def _renamed(name: str) -> str:
    for pattern, ours in RENAMES:
        name = pattern.sub(ours, name)
    return name


def _split(name: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yields a tensor, or the three that the original layout stores as one."""
    if ".attn.qkv." not in name or value.ndim == 0:
        yield name, value
        return
    for own, part in zip(("q_proj", "k_proj", "v_proj"), value.tensor_split(3), strict=True):
        yield name.replace(".attn.qkv.", f".attention.{own}."), part


def fit_positions(embedding: Tensor, before: tuple[int, int], grid: tuple[int, int], *, positions: str) -> Tensor:
    """Returns the position embeddings of another grid of patches, cropped in the middle or stretched where it grows.

    "correct" keeps the rows of frequency and takes the middle columns of time. "published" does what the public
    code of the lung-sound papers does: it takes frequency for time, so the middle of the *columns* is stretched
    over as many rows as there are columns of time, and the result is read row by row for a grid that lies the other
    way (DECISIONS: ast-positions).

    Shape:
        (1, 2 + h·w, C) -> (1, 2 + H·W, C)

    Reference:
        YuanGongND/ast, src/models/ast_models.py; raymin0223/patch-mix builds it with the two sizes swapped.
    """
    summaries, patches = embedding[:, :SUMMARIES], embedding[:, SUMMARIES:]
    image = patches.mT.unflatten(2, before)  # (1, C, h, w)
    height, width = grid if positions == "correct" else grid[::-1]
    image = _fitted(_fitted(image, width).mT, height).mT  # (1, C, H, W), or W × H where it is swapped
    return torch.cat([summaries, image.flatten(2).mT], 1)


def _fitted(image: Tensor, width: int) -> Tensor:
    """Returns the middle columns, or more of them, bilinear: (1, C, h, w) -> (1, C, h, width)."""
    if width > image.shape[3]:
        return F.interpolate(image, (image.shape[2], width), mode="bilinear", align_corners=False)
    start = image.shape[3] // 2 - width // 2
    return image[..., start : start + width]
