"""SpecAugment in two halves: draw the masks (random, frozen), then apply them (pure)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lung_srad.errors import ConfigError, ShapeError, message


@dataclass(frozen=True, slots=True)
class SpecMasks:
    """Bands to hide, each as (start, width): ``time`` in frames, ``freq`` in mel bins; ``roll``: frames to turn by."""

    time: tuple[tuple[int, int], ...] = ()
    freq: tuple[tuple[int, int], ...] = ()
    roll: int = 0


def draw_spec_augment(
    generator: torch.Generator,
    frames: int,
    bins: int,
    *,
    time_mask: int = 160,
    freq_mask: int = 48,
    masks: int = 1,
    probability: float = 1.0,
    roll: bool = False,
) -> SpecMasks:
    """Returns ``masks`` bands per axis with the given probability, otherwise none.

    A width is ⌊U(0, time_mask)⌋ or ⌊U(0, freq_mask)⌋, never more than the axis has; a start is uniform over
    all places where the band fits. With ``roll`` the spectrogram is also turned by a number of frames, uniform over
    all; what was its end is then followed by its start.

    Raises:
        ConfigError: a probability outside [0, 1], or a negative count or width.

    Reference:
        Policy ``icbhi_ast_sup``: two masks per axis, probability Φ(1) = 0.841.
    """
    if not 0 <= probability <= 1 or min(masks, time_mask, freq_mask) < 0:
        seen = f"probability {probability}, masks {masks}, widths {time_mask} and {freq_mask}"
        allowed = "allowed: a probability of 0 to 1, counts and widths of 0 or more"
        raise ConfigError(message("spec_augment", seen, allowed, "correct the value"))
    if _uniform(generator) >= probability:
        return SpecMasks(roll=int(_uniform(generator) * frames) if roll else 0)
    freq = tuple(_draw_band(generator, bins, freq_mask) for _ in range(masks))
    time = tuple(_draw_band(generator, frames, time_mask) for _ in range(masks))
    return SpecMasks(time, freq, roll=int(_uniform(generator) * frames) if roll else 0)


def apply_spec_augment(spec: Tensor, masks: SpecMasks) -> Tensor:
    """Returns a new spectrogram, turned in time, with the bands hidden under its mean: frequency first, then time.

    The mean is that of the spectrogram as it stands, so it is taken anew before the time bands.

    >>> apply_spec_augment(torch.arange(4.0).reshape(2, 2), SpecMasks(time=((0, 1),))).tolist()
    [[1.5, 1.5], [2.0, 3.0]]

    Shape:
        (..., T, mel) -> (..., T, mel)

    Raises:
        ShapeError: a band reaches beyond the spectrogram.
    """
    spec = spec.roll(masks.roll, -2)
    for axis, bands in ((-1, masks.freq), (-2, masks.time)):
        hidden = torch.zeros(spec.shape[axis], dtype=torch.bool, device=spec.device)
        for start, width in bands:
            if not 0 <= start <= start + width <= len(hidden):
                allowed = f"allowed: 0 to {len(hidden)}"
                raise ShapeError(message("mask", f"{start} to {start + width}", allowed, "draw it for this shape"))
            hidden[start : start + width] = True
        if axis == -2:
            hidden = hidden[:, None]
        spec = torch.where(hidden, spec.mean((-2, -1), keepdim=True), spec)
    return spec


def _uniform(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator, dtype=torch.float64, device=generator.device).item()


def _draw_band(generator: torch.Generator, size: int, widest: int) -> tuple[int, int]:
    width = min(int(_uniform(generator) * widest), size)
    return int(_uniform(generator) * (size - width + 1)), width
