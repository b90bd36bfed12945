"""What Gaussian smoothing does to a layer's response: theory, practice, and the paper's view of it (§3.4, Fig. 2)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lung_srad.analysis.spectra import place_name
from lung_srad.analysis.spectrum_figures import CYCLES, LOWEST, SHARE
from lung_srad.drawing import INK, SYSTEM_COLOURS, drawing_style, head
from lung_srad.errors import ConfigError, message
from lung_srad.method import gaussian_kernel, smooth_matrix, smoothing_response, spectral_response
from lung_srad.models import Backbone, Classifier, mixing_maps

PLAIN, SMOOTHED = SYSTEM_COLOURS[0], SYSTEM_COLOURS[2]


@dataclass(frozen=True)
class Smoothed:
    """Responses of M and of G·M at one place, means over recordings, not normalised.

    Attributes:
        factor: Ĝ, what smoothing does to each frequency of the grid if that goes round: (H, W).
        line, plane: of M, over flattened tokens (L,) and over the grid (H, W).
        line_zeros, plane_zeros: of G·M with zeros beyond the border, as networks smooth.
        plane_circular: of G·M on a grid that goes on at its other side.
    """

    place: tuple[int, ...]
    factor: Tensor
    line: Tensor
    line_zeros: Tensor
    plane: Tensor
    plane_zeros: Tensor
    plane_circular: Tensor

    @property
    def line_factor(self) -> Tensor:
        """What a bin of the flattened response would be multiplied by, were it a frequency of the grid: (L,).

        Bin b of H × W tokens in a row turns b / (H·W) times per column and b mod H times over all rows.
        """
        (H, W), L = self.factor.shape, self.factor.numel()
        b = torch.arange(L)
        along_h = self.factor[:, 0][b % H]
        k = torch.arange(W)  # the kernel's response at any number of turns per column, from that at multiples of 1/W
        taps = torch.fft.ifft(self.factor[0].double()).real
        taps, k = taps.roll(W // 2), k - W // 2
        along_w = (taps * torch.cos(2 * torch.pi * torch.outer(b.double() / L, k.double()))).sum(1)
        return along_h * along_w.to(along_h.dtype)

    def departures(self) -> dict[str, Tensor]:
        """Returns observed over expected response, each frequency: 1 where smoothing does what theory says."""
        expected = self.factor.abs().clamp_min(1e-12)
        return {
            "circular": self.plane_circular / self.plane / expected,
            "zeros": self.plane_zeros / self.plane / expected,
            "flattened": self.line_zeros / self.line / self.line_factor.abs().clamp_min(1e-12),
        }


def smoothed_responses(
    matrices: Iterable[Tensor], grid: tuple[int, int], kernel: Tensor, *, place: tuple[int, ...] = ()
) -> Smoothed:
    """Returns the responses of some recordings' maps of one layer with and without smoothing.

    Raises:
        ShapeError: the grid does not fit the matrices.
    """
    return _mean(place, smoothing_response(grid, kernel), [_responses(M, grid, kernel) for M in matrices])


def smoothed_blocks(
    net: Classifier | Backbone,
    recordings: Sequence[Tensor],
    places: Sequence[tuple[int, ...]],
    *,
    kernel_size: int = 5,
    sigma: float = 3.0,
    delta: bool = False,
) -> list[Smoothed]:
    """Returns, for each place, its responses with and without smoothing, means over recordings.

    Raises:
        ConfigError: no recording, or no such kernel.
        ShapeError: no such place.
    """
    if not recordings:
        raise ConfigError(message("recordings", "none", "at least one", "choose a part of the data that has cycles"))
    kernel, found, factors = gaussian_kernel(kernel_size, sigma), {}, {}
    for features in recordings:
        for each in mixing_maps(net, features, places=places, delta=delta):  # a map goes before the next is made
            factors[each.place] = smoothing_response(each.grid, kernel)
            found.setdefault(each.place, []).append(_responses(each.patches, each.grid, kernel))
    return [_mean(place, factors[place], each) for place, each in found.items()]


def _responses(M: Tensor, grid: tuple[int, int], kernel: Tensor) -> list[Tensor]:
    """Returns the five responses of one map, in the order of :class:`Smoothed`."""
    zeros, circular = (smooth_matrix(M, grid, kernel.to(M), padding=padding) for padding in ("zeros", "circular"))
    lines = [spectral_response(each) for each in (M, zeros)]
    return lines + [spectral_response(each, grid) for each in (M, zeros, circular)]


def _mean(place: tuple[int, ...], factor: Tensor, found: Sequence[Sequence[Tensor]]) -> Smoothed:
    return Smoothed(place, factor, *(torch.stack(each).mean(0) for each in zip(*found, strict=True)))


def smoothing_figure(blocks: Sequence[Smoothed], heading: str) -> Figure:
    """Returns Fig. 2: M against G·M over flattened tokens and along time, and how far practice is from theory."""
    with drawing_style():
        figure = Figure(figsize=(10.4, 2.75 * len(blocks) + 0.5), layout="constrained")
        rows = np.atleast_2d(figure.subplots(len(blocks), 3))
        for axes, block in zip(rows, blocks, strict=True):
            _draw_line(axes[0], block)
            _draw_time(axes[1], block)
            _draw_theory(axes[2], block)
        head(figure, heading)
    return figure


def _half(values: Tensor) -> np.ndarray:
    return values[: len(values) // 2 + 1].numpy()


def _draw_line(axes: Axes, block: Smoothed) -> None:
    """The paper's view: both curves as shares of the unsmoothed DC."""
    for values, colour, style, name in (
        (block.line, PLAIN, "-", "M"),
        (block.line_zeros, SMOOTHED, "-", "G·M"),
    ):
        curve = _half(values / block.line[0])
        axes.plot(np.arange(len(curve)) / len(values), curve, style, color=colour, linewidth=1, label=name)
    axes.set(yscale="log", xlabel=CYCLES, ylabel=f"{place_name(block.place)}\n{SHARE} of M" if block.place else SHARE)
    axes.set(title="flattened tokens", ylim=(LOWEST, 1.6))
    axes.legend(loc="upper right")


def _draw_time(axes: Axes, block: Smoothed) -> None:
    """Along time alone, where the peaks of the flattened view are."""
    for values, colour, style, name in (
        (block.plane, PLAIN, "o-", "M"),
        (block.plane_zeros, SMOOTHED, "o-", "G·M, zeros beyond the border"),
        (block.plane_circular, SMOOTHED, ":", "G·M, circular"),
    ):
        curve = _half(values[0] / block.plane[0, 0])
        axes.plot(np.arange(len(curve)) / values.shape[1], curve, style, color=colour, ms=2.5, lw=1.2, label=name)
    axes.set(yscale="log", xlabel=CYCLES, title="over the grid, along time", ylim=(LOWEST, 1.6))
    axes.legend(loc="upper right", fontsize=7.5)


def _draw_theory(axes: Axes, block: Smoothed) -> None:
    """The factor that each frequency is seen to be multiplied by, against the one that theory gives."""
    line_factor = block.line_factor.abs()
    axes.plot([LOWEST, 1], [LOWEST, 1], color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
    for expected, observed, colour, marker, name in (
        (line_factor, block.line_zeros / block.line, "#8a929b", "x", "flattened tokens"),
        (block.factor.abs(), block.plane_zeros / block.plane, SMOOTHED, "o", "grid, zeros"),
        (block.factor.abs(), block.plane_circular / block.plane, INK, ".", "grid, circular"),
    ):
        points = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 3, "label": name}
        axes.plot(expected.flatten().numpy(), observed.flatten().numpy(), **points)
    axes.set(
        xscale="log", yscale="log", xlim=(LOWEST, 1.3), ylim=(LOWEST, 2), title="what smoothing does to a frequency"
    )
    axes.set(xlabel="factor by theory, |Ĝ|", ylabel="factor seen")
    axes.legend(loc="upper left", fontsize=7.5)
