"""What a backbone is, and the classifier that a backbone and its head make.

Mixing happens between ``embed`` and ``encode``: no backbone knows of it, and nothing changes a return type.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from lung_srad.audio import AudioFrontend
from lung_srad.errors import ShapeError, message
from lung_srad.models.catalogue import Official
from lung_srad.models.layout import Layout
from lung_srad.prompt_texts import Location

Side = Mapping[str, Tensor]
"""Side input of a backbone, e.g. the number of a sentence about the recording, or a text's token ids."""


class Backbone(nn.Module, ABC):
    """Turns a recording into one feature vector, in steps that others can step between.

    Attributes:
        width: length of the feature vector.
        grid_axes: what H and W of the grid mean, ``("frequency", "time")``; ``None`` where the backbone has no grid.
        frontend: the module that makes features from a waveform.
        head_name: where official checkpoints of this backbone keep the head.
        layout: what these checkpoints look like.
        official: the one that it starts from, for those who have yet to download it; None where there is none.
        prompt_location: which site the sentences that it reads name ("published", "filename"): it then takes the
            number of a sentence per sample as side input "text_ids". ``None`` where it reads none.
    """

    width: int
    grid_axes: tuple[str, str] | None
    frontend: AudioFrontend
    head_name: str = "head"
    layout: Layout = Layout()
    official: Official | None = None
    prompt_location: Location | None = None

    @abstractmethod
    def embed(self, features: Tensor) -> Tensor:
        """Returns the grid of patch embeddings: (B, 1, F, T) -> (B, C, H, W), H = frequency, W = time."""

    @abstractmethod
    def tokens(self, grid: Tensor, side: Side | None = None) -> Tensor:
        """Returns the last layer's tokens: (B, C, H, W) -> (B, L, width)."""

    @abstractmethod
    def pool(self, tokens: Tensor) -> Tensor:
        """Returns the feature vector: (B, L, width) -> (B, width)."""

    def encode(self, grid: Tensor, side: Side | None = None) -> Tensor:
        """Returns the feature vector of a grid: (B, C, H, W) -> (B, width)."""
        return self.pool(self.tokens(grid, side))

    def forward(self, features: Tensor, side: Side | None = None) -> Tensor:
        """Returns the feature vector of features: (B, 1, F, T) -> (B, width)."""
        return self.encode(self.embed(features), side)

    def new_head(self, num_classes: int) -> nn.Module:
        """Returns a head with random weights: (B, width) -> (B, num_classes). Its names follow ``head_name``."""
        return Head(self.width, num_classes)

    def require_axis(self, axis: str) -> None:
        """Raises a ShapeError unless the grid has this axis ("time" or "frequency")."""
        if self.grid_axes is None or axis not in self.grid_axes:
            has = "has no grid" if self.grid_axes is None else f"has the axes {', '.join(self.grid_axes)}"
            text = message(type(self).__name__, f"mixing along {axis}", has, "choose another axis or backbone")
            raise ShapeError(text)


class Head(nn.Linear):
    """A linear layer in the precision of its weights, under autocast too: logits are not rounded."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__(width, num_classes)
        nn.init.trunc_normal_(self.weight, std=0.02)
        nn.init.zeros_(self.bias)

    def forward(self, encoded: Tensor) -> Tensor:
        """Returns the logits: (B, width) -> (B, num_classes)."""
        with torch.autocast(encoded.device.type, enabled=False):
            return super().forward(encoded.to(self.weight.dtype))


class Classifier(nn.Module):
    """A backbone and its head: (B, 1, F, T) -> (B, num_classes).

    Parameters carry the names of the official checkpoints (no ``backbone.`` in front, the head under the
    backbone's ``head_name``), in ``state_dict``, ``load_state_dict`` and ``named_parameters`` alike.
    """

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        self.backbone, self.num_classes = backbone, num_classes  # the length of the logits
        self.head = backbone.new_head(num_classes)
        self.register_state_dict_post_hook(_to_official)
        self.register_load_state_dict_pre_hook(_to_own)

    def forward(self, features: Tensor, side: Side | None = None) -> Tensor:
        """Returns the logits: (B, 1, F, T) -> (B, num_classes)."""
        return self.head(self.backbone(features, side))

    def official_name(self, name: str) -> str:
        """Returns the official name of one of this module's parameters."""
        own, rest = name.split(".", 1)
        return rest if own == "backbone" else f"{self.backbone.head_name}.{rest}"

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields (official name, parameter); arguments as in ``nn.Module``."""
        for name, parameter in super().named_parameters("", recurse, remove_duplicate):
            yield f"{prefix}." * bool(prefix) + self.official_name(name), parameter


def _to_official(module: Classifier, state: dict[str, Tensor], prefix: str, _: object) -> None:
    _rename(state, prefix, module.official_name)


def _to_own(module: Classifier, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    head = module.backbone.head_name + "."

    def own_name(name: str) -> str:
        return f"head.{name.removeprefix(head)}" if name.startswith(head) else f"backbone.{name}"

    _rename(state, prefix, own_name)


def _rename(state: dict[str, Tensor], prefix: str, rename: Callable[[str], str]) -> None:
    """Renames, in place, every key under a prefix; all at once, since a new name may be another's old one."""
    keys = [key for key in state if key.startswith(prefix)]
    state.update({prefix + rename(key.removeprefix(prefix)): state.pop(key) for key in keys})
