"""Stethoscope-guided supervised contrastive learning: cycles of one device attract each other."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lung_srad.datasets import Batch
from lung_srad.errors import ConfigError, ShapeError, message
from lung_srad.method import total_loss
from lung_srad.models import Classifier
from lung_srad.objectives.contract import ClassLoss, ClassWeights, Facts, Losses, Objective, Step, at_least_float32
from lung_srad.objectives.passes import encode
from lung_srad.objectives.projector import Projector


class StethoscopeContrast(Objective):
    """L = CE(view 1) + weight · SupCon over the devices of both views; nothing is learnt through view 2.

    Each cycle is there twice, under other masks: the batch brings the second view (DECISIONS: second-view). The
    projections of view 2 are constants, so its pass leaves no graph and a step costs about 4/3 of a plain one.

    Reference: Kim et al. 2024 (SG-SCL), mode ``project1_project2block``.
    """

    def __init__(
        self,
        facts: Facts,
        *,
        views: Literal["published", "corrected"] = "published",
        temperature: float = 0.06,
        weight: float = 1.0,
        class_weights: ClassWeights = False,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            remedy = "the published system takes 0.06"
            raise ConfigError(message("objective.temperature", repr(temperature), "greater than 0", remedy))
        self.second_view = "first" if views == "published" else "clean"
        self.temperature, self.weight = temperature, weight
        self.class_loss = ClassLoss(facts, class_weights)
        self.projector = Projector(facts.width)

    def forward(self, net: Classifier, batch: Batch, step: Step) -> Losses:
        """Returns the parts "ce" and "scl".

        Raises:
            ShapeError: the batch has no second view, or one sample only.
        """
        if batch.second is None:
            remedy = "give CycleDataset the second_view of the objective"
            raise ShapeError(message("sg_scl", "a batch without a second view", "Batch.second is needed", remedy))
        backbone, rows = net.backbone, len(batch.label)
        first = encode(backbone, backbone.embed(batch.features), batch.side, step.depth(net, rows))  # (B, width)
        logits = net.head(first)
        with torch.no_grad():
            grid = backbone.embed(batch.second)
        second = encode(backbone, grid, batch.side, step.depth(net, rows), graph=False)
        parts = {
            "ce": self.class_loss(logits, batch.label, step),
            "scl": self._contrast(first, second, batch.device, step),
        }
        return Losses(total_loss(parts, {"scl": self.weight}), parts, logits)

    def _contrast(self, first: Tensor, second: Tensor, device: Tensor, step: Step) -> Tensor:
        """Returns the contrastive loss over the features of all processes, not rounded."""
        first, second = (step.gather(at_least_float32(x)) for x in (first, second))
        with torch.autocast(first.device.type, enabled=False):
            projected = self.projector(first)
            with torch.no_grad():
                constant = self.projector(second)
            rows = F.normalize(torch.cat((projected, constant)), dim=1)  # (2B, width)
            return supervised_contrast(rows, step.gather(device).repeat(2), self.temperature)


def supervised_contrast(rows: Tensor, group: Tensor, temperature: float) -> Tensor:
    """Returns mean_i -1/|P(i)| Σ_{p∈P(i)} log softmax_{a≠i}(z_i·z_a / τ)_p of unit rows, P(i) the others of i's group.

    An anchor that is alone in its group has nothing to be drawn to: its sum is empty and counts as zero in the mean.
    With two views of every sample there is none. If all rows are of one group, every pair is a positive one.

    >>> supervised_contrast(torch.eye(3), torch.tensor([0, 0, 1]), 1.0)  # 2/3 log 2: the third is alone
    tensor(0.4621)

    Shape:
        rows (N, P), group (N,) -> ()

    Reference: Khosla et al. 2020, Eq. 2 (L_out).
    """
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    log_p = (rows @ rows.mT / temperature).masked_fill(itself, -torch.inf).log_softmax(1)  # (anchor, other)
    positive = (group[:, None] == group) & ~itself
    attraction = log_p.masked_fill(~positive, 0.0).sum(1) / positive.sum(1).clamp_min(1)
    return -attraction.mean()
