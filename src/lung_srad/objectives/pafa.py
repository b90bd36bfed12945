"""Patient-aware feature alignment: cycles of one patient together, and no patient far from the others."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lung_srad.datasets import Batch
from lung_srad.method import total_loss
from lung_srad.models import Classifier, drawn_depth
from lung_srad.objectives.contract import ClassLoss, ClassWeights, Facts, Losses, Objective, Step, at_least_float32

EPSILON = 1e-6  # added to the distances between patients before they divide


class PatientAlignment(Objective):
    """L = CE + weight · (lambda_pcsl · PCSL + lambda_gpal · GPAL) of projected features (DECISIONS: pafa-sums).

    The published logits are the mean over tokens of the head's answer to each, which is the head's answer to their
    mean, since it is linear: what any backbone that pools by the mean gives here.

    Args:
        pooling: what is projected: tokens weighted by attention, or the feature vector that the head sees, the
            backbone's own mean (as published for AST).
        lambda_pcsl: published: 50 for BEATs, 5 for AST without attention.
        lambda_gpal: published: 0.0005 for BEATs, 0.005 for AST.

    Reference: PAFA, Patient-Aware Feature Alignment (2025).
    """

    def __init__(
        self,
        facts: Facts,
        *,
        pooling: Literal["attention", "mean"] = "attention",
        lambda_pcsl: float = 50.0,
        lambda_gpal: float = 0.0005,
        weight: float = 1.0,
        class_weights: ClassWeights = False,
    ) -> None:
        super().__init__()
        self.weights = {"pcsl": weight * lambda_pcsl, "gpal": weight * lambda_gpal}
        self.class_loss = ClassLoss(facts, class_weights)
        width = facts.width
        self.attention = nn.Linear(width, 1) if pooling == "attention" else None
        layers = nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width)
        self.projector = nn.Sequential(*layers)

    def forward(self, net: Classifier, batch: Batch, step: Step) -> Losses:
        """Returns the parts "ce", "pcsl" and "gpal"; the last two are zero where the batch has one patient."""
        backbone = net.backbone
        with drawn_depth(backbone, step.depth(net, len(batch.label))):
            tokens = backbone.tokens(backbone.embed(batch.features), batch.side)  # (B, L, width)
        features = backbone.pool(tokens)  # (B, width)
        logits = net.head(features)
        with torch.autocast(tokens.device.type, enabled=False):
            pooled = features if self.attention is None else self._attend(at_least_float32(tokens))
            z = self.projector(step.gather(at_least_float32(pooled)))  # of all processes, not normalised
            pcsl, gpal = patient_losses(z, step.gather(batch.patient))
        parts = {"ce": self.class_loss(logits, batch.label, step), "pcsl": pcsl, "gpal": gpal}
        return Losses(total_loss(parts, self.weights), parts, logits)

    def _attend(self, tokens: Tensor) -> Tensor:
        """Returns the mean of tokens under learned weights of sum one: (B, L, width) -> (B, width)."""
        share = self.attention(tokens).softmax(1)  # (B, L, 1)
        return (share * tokens).sum(1)


def patient_losses(z: Tensor, patient: Tensor) -> tuple[Tensor, Tensor]:
    """Returns PCSL = W / (Bt + 1e-6) and GPAL = mean_p ‖c_p - c̄‖², with c_p the mean of the rows of patient p.

    W = Σ_i ‖z_i - c_p(i)‖², Bt = Σ_{p<q} ‖c_p - c_q‖², and c̄ is the mean of the P centroids. The distances of all
    pairs sum up to P times those from c̄, so Bt = P² GPAL. With one patient there is nothing between: both are zero.

    >>> z = torch.tensor([[0.0], [2.0], [5.0]])  # centroids 1 and 5
    >>> patient_losses(z, torch.tensor([7, 7, 9]))
    (tensor(0.1250), tensor(4.))

    Shape:
        z (N, P), patient (N,) -> (), ()
    """
    patients, place = patient.unique(return_inverse=True)
    count = len(patients)
    if count < 2:
        return z.new_zeros(()), z.new_zeros(())
    member = F.one_hot(place, count).to(z.dtype).mT  # (patients, N)
    centroids = member @ z / member.sum(1, keepdim=True)
    within = (z - centroids[place]).square().sum()
    spread = (centroids - centroids.mean(0)).square().sum(1).mean()
    return within / (count**2 * spread + EPSILON), spread
