"""Official files of VMamba's layout: DASS v1 and v2, v3 if its file has it, and VMamba's ImageNet files.

The RGB stem of an ImageNet file is summed to one channel; linear layers may be stored as 1×1 convolutions.
"""

import re
from collections import Counter
from collections.abc import Mapping

from torch import Tensor

from lung_srad.models.layout import Change, Layout

STEM, INNER = "patch_embed.0.weight", "layers.0.blocks.0.op.out_norm.weight"
TOPOLOGIES = {  # (width, depths, inner width / width) -> what the file is
    (96, (2, 2, 5, 2), 2.0): "VMamba-T (vssm1_tiny_0230)",
    (96, (2, 2, 8, 2), 1.0): "DASS-small or VMamba-T (vssm1_tiny_0230s)",
    (96, (2, 2, 15, 2), 2.0): "VMamba-S (vssm1_small_0229)",
    (96, (2, 2, 20, 2), 1.0): "DASS-medium or VMamba-S (vssm1_small_0229s)",
    (128, (2, 2, 15, 2), 2.0): "VMamba-B (vssm1_base_0229)",
    (128, (2, 2, 20, 2), 1.0): "VMamba-B (vssm1_base_0229s)",
}


class VMambaLayout(Layout):
    """Our names are the official ones; two shapes may differ."""

    remedy = "take a checkpoint of this backbone, or the backbone of this checkpoint (dass_small, dass_medium)"

    def change(self, key: str, value: Tensor, own: Tensor) -> Change | None:
        """Returns how a linear layer that is stored as a convolution, or an RGB stem, becomes ours."""
        if value.shape[:2] == own.shape and value.shape[2:] == (1, 1):
            return Change("linear layers stored as 1x1 convolutions", lambda x: x.view_as(own))
        if key == STEM and value.shape == (len(own), 3, *own.shape[2:]):
            return Change("RGB stem summed to one channel", lambda x: x.sum(1, keepdim=True))
        return super().change(key, value, own)

    def topology(self, tensors: Mapping[str, Tensor]) -> str:
        """Returns the name, width, depths and inner width / width of a VMamba state dict."""
        blocks = {match[0]: match[1] for key in tensors if (match := re.match(r"layers\.(\d)\.blocks\.\d+\.", key))}
        depths = tuple(Counter(sorted(blocks.values())).values())
        width, inner = (tensors[key].numel() if key in tensors else 0 for key in ("patch_embed.7.bias", INNER))
        if not (blocks and width and inner):
            return ""
        name = TOPOLOGIES.get((width, depths, inner / width), "a VMamba")
        return f"{name}: width {width}, depths {'/'.join(map(str, depths))}, ssm_ratio {inner / width:g}"
