"""What official files of a backbone look like, and how their tensors become ours: a property of each backbone.

Loading is strict for every backbone (:mod:`lung_srad.models.weights`); a layout says what is another name, another
shape or a left-out tensor of the same weights, and nothing else is forgiven.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        tensors: by name, without a prefix that all names have.
        config: what the file says of its network; empty where it says nothing.
        path: the file, for layouts that need what lies beside it.
    """

    tensors: Mapping[str, Tensor]
    config: Mapping[str, object]
    path: Path = Path()


@dataclass(frozen=True)
class Named:
    """The tensors of a file under our names, and in words what was left out on the way."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """How a tensor comes into the shape of ours: in words (none where the shape is the same), and as a function."""

    what: str
    apply: Callable[[Tensor], Tensor]


class Layout:
    """The layout of a backbone whose official files hold our names and shapes.

    Attributes:
        remedy: what to do where a file does not fit.
        settings: what a file's configuration has to say, where it says it: what shapes of tensors do not show.
    """

    remedy = "take a checkpoint of this backbone, or the backbone of this checkpoint"
    settings: Mapping[str, object] = {}

    def named(self, file: Checkpoint) -> Named:
        """Returns the file's tensors under our names; what is not known keeps its own, and is refused later."""
        return Named(dict(file.tensors))

    def change(self, key: str, value: Tensor, own: Tensor) -> Change | None:
        """Returns how ``value`` becomes ``own``'s shape without losing what is used; None where it does not."""
        return Change("", lambda x: x) if value.shape == own.shape else None

    def may_lack(self, key: str) -> bool:
        """Returns whether a file may be without one of our tensors."""
        return False

    def topology(self, tensors: Mapping[str, Tensor]) -> str:
        """Returns which network these tensors make, in words; "" where that is not known."""
        return ""
