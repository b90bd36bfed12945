"""DASS, the distilled audio state-space models: VMamba on 128 mel bins × 1024 frames.

Reference: Bhati et al. 2024; sizes as in the official checkpoints (github.com/Saurabhbhati/DASS).
"""

from collections.abc import Callable
from typing import Literal

from lung_srad.audio import Frontend
from lung_srad.models.start import centre
from lung_srad.models.vmamba import VMamba


def _dass(width: int, depths: tuple[int, ...], depth_rate: float) -> Callable[..., VMamba]:
    def build(
        *,
        drop_path: float = depth_rate,
        seconds: float = 8.0,
        frames: int = 1024,
        normalize: str = "cycle",
        resampler: str = "sinc",
        start: Literal["official", "centred"] = "official",
    ) -> VMamba:
        """Returns the backbone with random weights; ``drop_path`` grows linearly from 0 to this over the blocks.

        ``start`` is how weights are drawn: as VMamba does, or so that a network learns sooner (:func:`centre`).
        """
        frontend = Frontend(seconds=seconds, frames=frames, normalize=normalize, resampler=resampler)
        backbone = VMamba(width, depths, drop_path=drop_path, frontend=frontend)
        if start == "centred" and not backbone.patch_embed[0].weight.is_meta:
            centre(backbone)
        return backbone

    return build


dass_tiny = _dass(32, (1, 1, 4, 1), 0.1)  # 1.86 M parameters; for CPUs and from scratch, no official checkpoint
dass_small = _dass(96, (2, 2, 8, 2), 0.3)  # 29.5 M parameters, 12.5 GMAC for 1024 frames
dass_medium = _dass(96, (2, 2, 20, 2), 0.3)  # 48.2 M parameters, 22.1 GMAC; the paper's backbone
