"""Domain-adversarial training: features from which the device cannot be told."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from lung_srad.datasets import Batch
from lung_srad.errors import ConfigError, message
from lung_srad.method import total_loss
from lung_srad.models import Classifier
from lung_srad.objectives.contract import ClassLoss, ClassWeights, Facts, Losses, Objective, Step, at_least_float32
from lung_srad.objectives.passes import encode


class DomainAdversarial(Objective):
    """L = CE of the class + weight · CE of the device, whose gradient is reversed before the backbone.

    The device's head is the objective's own and no part of the model: at test it is not there.

    Args:
        ramp: "published" keeps the reversal at ``coefficient`` throughout; "corrected" lets it grow from 0 towards
            that over the training (DECISIONS: reversal-coefficient).

    Reference: Kim et al. 2024 (SG-SCL), its DAT variant; Ganin et al. 2016.
    """

    def __init__(
        self,
        facts: Facts,
        *,
        ramp: Literal["published", "corrected"] = "published",
        coefficient: float = 1.0,
        weight: float = 1.0,
        class_weights: ClassWeights = False,
    ) -> None:
        super().__init__()
        if facts.devices < 2:
            seen = f"{facts.devices} device among the training cycles"
            remedy = "add recordings of another device, fill the column device, or choose another objective"
            raise ConfigError(message("objective.name: dat", seen, "two or more, to be told apart", remedy))
        self.ramp, self.coefficient, self.weight = ramp, coefficient, weight
        self.class_loss = ClassLoss(facts, class_weights)
        self.domain = nn.Sequential(nn.LayerNorm(facts.width), nn.Linear(facts.width, facts.devices))

    def forward(self, net: Classifier, batch: Batch, step: Step) -> Losses:
        """Returns the parts "ce", of the class, and "device"."""
        grid = net.backbone.embed(batch.features)  # (B, C, H, W)
        features = encode(net.backbone, grid, batch.side, step.depth(net, len(grid)))  # (B, width)
        logits = net.head(features)
        turned = step.gather(reverse_gradient(at_least_float32(features), self.strength(step.progress)))
        with torch.autocast(turned.device.type, enabled=False):
            device = F.cross_entropy(self.domain(turned), step.gather(batch.device))
        parts = {"ce": self.class_loss(logits, batch.label, step), "device": device}
        return Losses(total_loss(parts, {"device": self.weight}), parts, logits)

    def strength(self, progress: float) -> float:
        """Returns the factor of the reversed gradient when this share of the training lies behind."""
        ramp = 1.0 if self.ramp == "published" else 2 / (1 + math.exp(-10 * progress)) - 1
        return self.coefficient * ramp


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, coefficient: float) -> Tensor:
        ctx.coefficient = coefficient
        return x.view_as(x)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        return -ctx.coefficient * grad, None


def reverse_gradient(x: Tensor, coefficient: float = 1.0) -> Tensor:
    """Returns x, whose gradient comes back times -coefficient.

    >>> x = torch.ones(2, requires_grad=True)
    >>> reverse_gradient(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    """
    return _Reverse.apply(x, coefficient)
