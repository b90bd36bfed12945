"""Cross-entropy: plain fine-tuning."""

from lung_srad.datasets import Batch
from lung_srad.models import Classifier, drawn_depth
from lung_srad.objectives.contract import ClassLoss, ClassWeights, Facts, Losses, Objective, Step


class CrossEntropy(Objective):
    """Cross-entropy of the clean pass."""

    def __init__(self, facts: Facts, *, class_weights: ClassWeights = False) -> None:
        super().__init__()
        self.class_loss = ClassLoss(facts, class_weights)

    def forward(self, net: Classifier, batch: Batch, step: Step) -> Losses:
        """Returns the cross-entropy as the only part, "ce"."""
        with drawn_depth(net.backbone, step.depth(net, len(batch.label))):
            logits = net(batch.features, batch.side)
        loss = self.class_loss(logits, batch.label, step)
        return Losses(loss, {"ce": loss}, logits)
