"""What an objective receives and returns, and the cross-entropy that all of them share."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lung_srad.datasets import Batch, SecondView
from lung_srad.models import Classifier, draw_depth


def _alone(features: Tensor) -> Tensor:
    return features


@dataclass(frozen=True)
class Facts:
    """What an objective is built for: the network and the training data, as far as an objective may know them.

    Attributes:
        width: length of the backbone's feature vector.
        class_counts: number of training cycles of each class.
        devices: number of devices among the training cycles; ``Batch.device`` is below it.
        normal: index of the normal class.
    """

    width: int
    class_counts: tuple[int, ...]
    devices: int = 1
    normal: int = 0


@dataclass(frozen=True)
class Step:
    """The randomness of one step, the company in which it is taken, and when.

    Attributes:
        shared: generator that is in the same state on every process.
        own: one generator per process, all of them known to all: permutations stay within a process.
        rank: this process.
        gather: rows of this process (B, ...) -> rows of all (world·B, ...), differentiable.
        world: number of processes.
        progress: share of the training's steps that lie behind, from 0 up to, not including, 1.
    """

    shared: Generator
    own: tuple[Generator, ...]
    rank: int = 0
    gather: Callable[[Tensor], Tensor] = field(default=_alone)
    world: int = 1
    progress: float = 0.0

    def rows(self, drawn: Tensor) -> Tensor:
        """Returns this process's share of what was drawn for all: (..., world·B) -> (..., B)."""
        return drawn.chunk(self.world, dim=-1)[self.rank]

    def depth(self, net: Classifier, batch: int) -> Tensor:
        """Returns which layers each sample of one pass keeps: (layers, B) bool."""
        return self.rows(draw_depth(net.backbone, batch * self.world, self.shared))


@dataclass(frozen=True)
class Losses:
    """The loss to minimise, its parts by name, and the logits of the pass that is classified.

    ``total`` and ``parts`` are of the samples of all processes, the same on each; ``logits`` of this one's.
    """

    total: Tensor
    parts: dict[str, Tensor]
    logits: Tensor


class Objective(nn.Module, ABC):
    """A loss with parameters of its own; the optimiser takes those of the model *and* of the objective.

    Constructors take :class:`Facts` from the run; everything keyword-only is a key of the preset.
    Every random draw comes from the step.

    Attributes:
        second_view: what ``Batch.second`` is masked from; None for an objective that needs no second view.
    """

    second_view: SecondView | None = None

    @abstractmethod
    def forward(self, net: Classifier, batch: Batch, step: Step) -> Losses:
        """Returns the losses of one batch."""


ClassWeights = bool | Literal["score"]
"""Whether classes weigh the same (true), as often as they occur (false), or as in the Score ("score")."""


class ClassLoss(nn.Module):
    """Cross-entropy over the samples of all processes, with class weights of sum one if asked.

    ``True``: ∝ 1/n per class. ``"score"``: normal cycles together weigh as much as abnormal ones together, whatever
    their class, as in Score = (Sp + Se) / 2.
    """

    def __init__(self, facts: Facts, class_weights: ClassWeights) -> None:
        super().__init__()
        counts, shared = facts.class_counts, list(facts.class_counts)
        if class_weights == "score":
            abnormal = sum(counts) - counts[facts.normal]
            shared = [count if label == facts.normal else abnormal for label, count in enumerate(counts)]
        weights = torch.tensor([1 / all_ if own else 0.0 for own, all_ in zip(counts, shared, strict=True)])
        weights = weights / weights.sum() if class_weights else None  # a class without cycles weighs nothing
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: Tensor, label: Tensor, step: Step) -> Tensor:
        """Returns the (weighted) mean over the samples of all processes, from this one's (B, classes) and (B,)."""
        return F.cross_entropy(step.gather(at_least_float32(logits)), step.gather(label), weight=self.weights)


def at_least_float32(x: Tensor) -> Tensor:
    """Returns half-precision numbers as float32 and others as they are, since losses are not rounded."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
