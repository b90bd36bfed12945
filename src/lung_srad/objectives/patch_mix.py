"""Cross-entropy and Patch-Mix contrastive learning along one axis, both, or single cells (paper §3.5, §3.6).

The stem is run once. All mixed grids go through the rest of the backbone in one batch; where the reading stops
their gradient they leave no graph behind, so Lung-SRAD costs about 5/3 of a plain step.
"""

from typing import Literal

import torch
from torch import Tensor

from lung_srad.datasets import Batch
from lung_srad.errors import ConfigError, message
from lung_srad.method import Mix, apply_mix, patch_mix_info_nce, project_pair, total_loss
from lung_srad.models import Classifier, Side
from lung_srad.objectives.contract import ClassLoss, ClassWeights, Facts, Losses, Objective, Step, at_least_float32
from lung_srad.objectives.passes import AXES, draw_mix_for_all, encode, own_mix
from lung_srad.objectives.projector import Projector


class PatchMix(Objective):
    """L = CE + weight · Σ_axes InfoNCE (Eq. 8-10); the options are the rows of the readings, see DECISIONS.md."""

    def __init__(
        self,
        facts: Facts,
        *,
        stop_gradient: Literal["mixed", "original"],
        project_on: Literal["both", "mixed"],
        train_projector: bool,
        form: Literal["log_of_mean", "mean_of_logs"],
        anchor: Literal["original", "mixed"],
        positive: Literal["holds_anchor", "printed"],
        reduction: Literal["mean", "sum"],
        lam: Literal["true", "drawn"],
        axes: list[Literal["time", "freq", "random"]],
        temperature: float = 0.2,
        beta: float = 1.0,
        weight: float = 1.0,
        class_weights: ClassWeights = False,
    ) -> None:
        super().__init__()
        _check(axes, temperature, beta)
        self.axes, self.beta, self.weight = tuple(axes), beta, weight
        self.stop_gradient, self.project_on = stop_gradient, project_on
        self.contrast = {
            "temperature": temperature,
            "form": form,
            "anchor": anchor,
            "positive": positive,
            "reduction": reduction,
            "lam": lam,
        }
        self.class_loss = ClassLoss(facts, class_weights)
        self.projector = Projector(facts.width)
        self.projector.requires_grad_(train_projector)

    def forward(self, net: Classifier, batch: Batch, step: Step) -> Losses:
        """Returns the parts "ce" and, per axis, "mix_time", "mix_freq" or "mix_random"."""
        backbone = net.backbone
        for axis in self.axes:
            backbone.require_axis(AXES[axis])
        grid = backbone.embed(batch.features)  # (B, C, H, W)
        features = encode(backbone, grid, batch.side, step.depth(net, len(grid)))  # (B, width)
        logits = net.head(features)
        mixes = {axis: draw_mix_for_all(axis, grid, self.beta, step) for axis in self.axes}
        mixed = self._encode_mixed(net, grid, batch.side, mixes, step)  # per axis (B, width)
        parts = {"ce": self.class_loss(logits, batch.label, step), **self._contrast(features, mixed, mixes, step)}
        weights = {name: self.weight for name in parts if name != "ce"}
        return Losses(total_loss(parts, weights), parts, logits)

    def _encode_mixed(
        self, net: Classifier, grid: Tensor, side: Side | None, mixes: dict[str, Mix], step: Step
    ) -> list[Tensor]:
        """Returns the features of the mixed grids, one (B, width) per axis."""
        depth = torch.cat([step.depth(net, len(grid)) for _ in mixes], dim=1)
        graph = self.stop_gradient != "mixed"
        grid = grid if graph else grid.detach()
        mixed = torch.cat([apply_mix(grid, own_mix(mix, len(grid), step)) for mix in mixes.values()])
        again = {name: torch.cat([value] * len(mixes)) for name, value in (side or {}).items()}
        return list(encode(net.backbone, mixed, again or None, depth, graph=graph).split(len(grid)))

    def _contrast(self, features: Tensor, mixed: list[Tensor], mixes: dict[str, Mix], step: Step) -> dict[str, Tensor]:
        """Returns one contrastive loss per axis, over the features of all processes, unrounded."""
        everyone = [step.gather(at_least_float32(x)) for x in (features, *mixed)]
        with torch.autocast(features.device.type, enabled=False):
            q, *others = project_pair(self.projector, *everyone, stop=self.stop_gradient, project_on=self.project_on)
            return {
                f"mix_{axis}": patch_mix_info_nce(q, q_mix, mix, **self.contrast)
                for (axis, mix), q_mix in zip(mixes.items(), others, strict=True)
            }


def _check(axes: list[str], temperature: float, beta: float) -> None:
    if not axes or len(set(axes)) < len(axes):
        allowed = "one or more of time, freq, random, each once"
        raise ConfigError(message("objective.axes", repr(axes), allowed, "e.g. ['time', 'freq']"))
    for key, value, printed in (("temperature", temperature, 0.2), ("beta", beta, 1)):
        if not value > 0:
            raise ConfigError(message(f"objective.{key}", repr(value), "greater than 0", f"the paper takes {printed}"))
