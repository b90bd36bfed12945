"""Which blocks to smooth: a score for each layer, and the layers that it names (paper §3.4).

The paper picks "layers that show excessive mid-to-high frequency responses" by eye, on the response over flattened
tokens. Here it is a number. ``band`` is the mean response, as a share of DC, over the frequencies of the grid that the
smoothing would halve or more: how much of what smoothing takes away the layer lets through. ``paper`` is the largest
response outside DC over the flattened tokens, as a share of DC: the height of the peaks that the paper points at
(DECISIONS: block-score).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lung_srad.analysis.spectra import LayerSpectrum, NetworkSpectrum, place_name
from lung_srad.errors import ConfigError, message, nearest
from lung_srad.method import gaussian_kernel, smoothing_response


def band_score(layer: LayerSpectrum, kernel: Tensor) -> Tensor:
    """Returns the mean share of DC over frequencies that the smoothing halves or more, for each recording: (R,)."""
    band = smoothing_response(layer.grid, kernel).abs() <= 0.5
    return layer.plane_share[:, band].mean(1)  # NaN where a grid is too small to have such frequencies


def paper_score(layer: LayerSpectrum, kernel: Tensor) -> Tensor:
    """Returns the largest share of DC outside DC over the flattened tokens, for each recording: (R,)."""
    return layer.line_share[:, 1:].amax(1)


SCORES: dict[str, Callable[[LayerSpectrum, Tensor], Tensor]] = {"band": band_score, "paper": paper_score}


@dataclass(frozen=True, slots=True)
class LayerScore:
    """The score of one layer: mean and deviation over recordings."""

    place: tuple[int, ...]
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The scores of all layers, and the places to smooth: blocks of one stage, since smoothing takes one."""

    scores: tuple[LayerScore, ...]
    places: tuple[tuple[int, ...], ...]

    @property
    def overrides(self) -> str:
        """The keys of a preset that smooth there; "" for a transformer, which has no smoothing slots."""
        if len(self.places[0]) == 1:
            return ""
        blocks = ",".join(str(block) for _, block in self.places)
        return f"--set smoothing.stage={self.places[0][0]} --set smoothing.blocks=[{blocks}]"

    def __str__(self) -> str:
        return "; ".join(map(place_name, self.places))


def require_score(score: str) -> None:
    """Raises a ConfigError unless there is such a score."""
    if score not in SCORES:
        raise ConfigError(message("score", repr(score), f"one of {', '.join(SCORES)}", nearest(score, SCORES)))


def suggest(
    network: NetworkSpectrum,
    *,
    score: str = "band",
    count: int = 2,
    stage: int | None = None,
    kernel_size: int = 5,
    sigma: float = 3.0,
) -> Suggestion:
    """Returns the layers with the highest scores: the best of all, and the next best of its stage.

    Scores of one stage compare layers of one size. Between stages they compare shares of DC on grids of other sizes.

    Args:
        score: "band" (over the grid) or "paper" (over the flattened tokens).
        count: how many blocks to smooth, fewer where the stage has fewer.
        stage: only of this stage; by default of the one that holds the best block.

    Raises:
        ConfigError: no such score, kernel or stage, responses of the authors' way, or no layer that has a score.
    """
    require_score(score)
    if network.way != "alike":
        seen, allowed = "responses scaled from 0 to 1", "shares of DC are needed"
        raise ConfigError(message(network.name, seen, allowed, "leave out the authors' way"))
    kernel = gaussian_kernel(kernel_size, sigma)
    scores = []
    for layer in network.layers:
        values = SCORES[score](layer, kernel)
        spread = values.std().item() if len(values) > 1 else 0.0
        scores.append(LayerScore(layer.place, values.mean().item(), spread))
    ranked = sorted((each for each in scores if not math.isnan(each.mean)), key=lambda each: -each.mean)
    if not ranked:
        seen = f"no grid large enough for a kernel of {kernel_size}"
        raise ConfigError(message(network.name, seen, "a layer with frequencies to smooth", "take a larger input"))
    best = ranked[0].place[:-1] if stage is None else (stage,)
    chosen = [each.place for each in ranked if each.place[:-1] == best][:count]
    if not chosen:
        stages = sorted({each.place[0] for each in ranked if len(each.place) > 1})
        allowed = f"stages of {network.name} with a score: {', '.join(map(str, stages)) or 'none'}"
        raise ConfigError(message("stage", f"no block in stage {stage}", allowed, "leave it out for the best"))
    return Suggestion(tuple(scores), tuple(sorted(chosen)))
