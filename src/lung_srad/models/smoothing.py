"""Spectral-aware regularisation: Gaussian smoothing in the slots of chosen blocks (paper §3.4)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lung_srad.errors import ConfigError, ShapeError, message, nearest
from lung_srad.method import gaussian_kernel, gaussian_smooth
from lung_srad.models.contract import Backbone
from lung_srad.models.vmamba import TO_FIRST, TO_LAST, VMamba, VSSBlock

SITES = {"a": "op.smooth_scan", "b": "smooth_op", "c": "smooth_block"}
"""Where in a block: the merged scan before its norm, SS2D's output, the block's output (DECISIONS: smoothing-site)."""


class GaussianSmoothing(nn.Module):
    """Eq. 4 and 5 on a channels-last map (B, H, W, C), in training and at test."""

    kernel: Tensor

    def __init__(self, kernel_size: int, sigma: float) -> None:
        super().__init__()
        self.register_buffer("kernel", gaussian_kernel(kernel_size, sigma), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the smoothed map, same shape."""
        with torch.autocast(x.device.type, enabled=False):  # a block's output is the residual sum: not rounded
            return gaussian_smooth(x.permute(TO_FIRST), self.kernel).permute(TO_LAST)


def smooth(
    backbone: Backbone,
    *,
    stage: int = 2,
    blocks: Sequence[int] = (2, 3),
    kernel_size: int = 5,
    sigma: float = 3.0,
    site: str = "c",
) -> None:
    """Fills the smoothing slots of some blocks of one stage (zero-based); weights and their names stay as they are.

    Raises:
        ShapeError: no such stage or block.
        ConfigError: no such site, no such kernel, or a backbone without slots.
    """
    if site not in SITES:
        raise ConfigError(message("smoothing.site", repr(site), f"one of {', '.join(SITES)}", nearest(site, SITES)))
    parent, _, slot = SITES[site].rpartition(".")
    for owner in [block_of(backbone, stage, block).get_submodule(parent) for block in blocks]:  # all, or none
        setattr(owner, slot, GaussianSmoothing(kernel_size, sigma))


def block_of(backbone: Backbone, stage: int, block: int) -> VSSBlock:
    """Returns one block, zero-based.

    Raises:
        ShapeError: no such stage or block.
        ConfigError: a backbone without such blocks.
    """
    if not isinstance(backbone, VMamba):
        seen, allowed = (
            type(backbone).__name__,
            "only state-space backbones (DASS) have blocks to smooth or to look into",
        )
        raise ConfigError(message("backbone", seen, allowed, "take dass_medium, or leave this out"))
    depths, remedy = backbone.depths, "the paper (section 3.4) smooths stage 2, blocks 2 and 3 (zero-based)"
    if not 0 <= stage < len(depths):
        raise ShapeError(message("stage", f"no stage {stage}", f"stages 0-{len(depths) - 1}", remedy))
    if not 0 <= block < depths[stage]:
        allowed = f"stage {stage} has the blocks 0-{depths[stage] - 1}"
        raise ShapeError(message("block", f"no block {block}", allowed, remedy))
    return backbone.layers[stage].blocks[block]
