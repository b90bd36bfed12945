"""What an objective receives: features, labels, and whose they are."""

from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

import torch

SecondView: TypeAlias = Literal["clean", "first"]
"""What a second view is masked from: the cycle as it is, or the first view, whose masks it then has too."""

UNKNOWN_LABEL = -1  # the label of a cycle that has none; a loss over it is an error, never silently zero


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """The cycles of one step.

    Attributes:
        features: (B, 1, F, T).
        label: (B,) indices into the class names; -1 where unknown.
        device: (B,) indices into the devices that the dataset was given.
        patient: (B,) indices into the patients that the dataset was given.
        cycle_id: the id of each cycle.
        text_ids: (B,) numbers of sentences about the recordings, for networks that read them.
        teacher_logits: (B, classes), for distillation.
        second: (B, 1, F, T), the same cycles under other masks, for objectives that ask for a second view.
    """

    features: torch.Tensor
    label: torch.Tensor
    device: torch.Tensor
    patient: torch.Tensor
    cycle_id: tuple[str, ...]
    text_ids: torch.Tensor | None = None
    teacher_logits: torch.Tensor | None = None
    second: torch.Tensor | None = None

    @property
    def side(self) -> dict[str, torch.Tensor] | None:
        """Returns what a backbone takes besides features; None where there is nothing."""
        return None if self.text_ids is None else {"text_ids": self.text_ids}

    def to(self, device: torch.device | str) -> "Batch":
        """Returns the same batch with every tensor on a device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Batch(**{k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in values.items()})
