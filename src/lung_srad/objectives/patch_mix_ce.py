"""Patch-Mix cross-entropy: mixed samples with mixed labels, the ablation of Patch-Mix contrastive learning."""

from typing import Literal

from lung_srad.datasets import Batch
from lung_srad.errors import ConfigError, message
from lung_srad.method import apply_mix
from lung_srad.models import Classifier
from lung_srad.objectives.contract import ClassLoss, ClassWeights, Facts, Losses, Objective, Step
from lung_srad.objectives.passes import AXES, draw_mix_for_all, encode, own_mix


class PatchMixCrossEntropy(Objective):
    """L = λ CE(ŷ, y_i) + (1 - λ) CE(ŷ, y_π(i)) of the mixed pass; there is no clean one (DECISIONS: patch-mix-ce).

    Reference: Bae et al. 2023, mode ``patchmix``.
    """

    def __init__(
        self,
        facts: Facts,
        *,
        axis: Literal["time", "freq", "random"] = "random",
        beta: float = 1.0,
        lam: Literal["true", "drawn"] = "true",
        class_weights: ClassWeights = False,
    ) -> None:
        super().__init__()
        if not beta > 0:
            remedy = "the published system takes 1"
            raise ConfigError(message("objective.beta", repr(beta), "greater than 0", remedy))
        self.axis, self.beta, self.lam = axis, beta, lam
        self.class_loss = ClassLoss(facts, class_weights)

    def forward(self, net: Classifier, batch: Batch, step: Step) -> Losses:
        """Returns the mixed cross-entropy as the only part, "ce", and the logits of the mixed samples."""
        backbone = net.backbone
        backbone.require_axis(AXES[self.axis])
        grid = backbone.embed(batch.features)  # (B, C, H, W)
        rows = len(grid)
        mix = own_mix(draw_mix_for_all(self.axis, grid, self.beta, step), rows, step)
        logits = net.head(encode(backbone, apply_mix(grid, mix), batch.side, step.depth(net, rows)))
        other = batch.label[mix.perm.to(batch.label.device)]  # whose patches lie in the sample
        share = mix.lam if self.lam == "true" else mix.lam_drawn
        kept, put_in = (self.class_loss(logits, label, step) for label in (batch.label, other))
        loss = share * kept + (1 - share) * put_in
        return Losses(loss, {"ce": loss}, logits)
