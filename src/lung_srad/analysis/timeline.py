"""A recording of any length and what is said of it over time: levels gathered in constant memory, and their drawing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from lung_srad.analysis.figures import FLOOR_DB, HOP, TOP_HERTZ, WINDOW
from lung_srad.audio import StreamResampler
from lung_srad.drawing import INK, SYSTEM_COLOURS, drawing_style

COLUMNS = 1200  # of the picture
_COLOURS = dict(zip(("crackle", "wheeze", "both", "normal"), ("#56b4e9", "#e69f00", "#d69ac0", "#a9b0b8"), strict=True))


class Levels:
    """The spectrogram of :func:`lung_srad.analysis.spectrogram`, of a wave that arrives in pieces.

    A column of the picture holds the mean power of as many frames as make at most :data:`COLUMNS` of them.

    Args:
        rate: of the wave, in hertz.
        seconds: length of the recording.
    """

    def __init__(self, rate: int, seconds: float) -> None:
        self._resampler = StreamResampler(rate, 2 * TOP_HERTZ)
        frames = max(1, math.ceil(seconds * 2 * TOP_HERTZ / HOP))
        self._together = math.ceil(frames / COLUMNS)
        self._power = np.zeros((math.ceil(frames / self._together), WINDOW // 2 + 1))
        self._window, self._held, self._frames = torch.hann_window(WINDOW), torch.empty(0), 0

    def hear(self, wave: Tensor) -> None:
        """Takes in a piece of the wave: (n,)."""
        self._take(self._resampler.push(wave))

    def close(self) -> NDArray[np.float32]:
        """Returns decibels below the loud parts: (frequencies from 0 up to 2 kHz, columns)."""
        self._take(self._resampler.close())
        self._take(self._held[-1:].expand(WINDOW // 2))
        levels = 10 * np.log10(np.maximum(self._power.T, 1e-18))
        return np.clip(levels - np.percentile(levels, 99.7), -FLOOR_DB, 0).astype(np.float32)

    def _take(self, wave: Tensor) -> None:
        if not len(wave):
            return
        if not len(self._held):  # an edge that does not move is no click
            self._held = wave[:1].expand(WINDOW // 2 + 1)
        held = torch.cat((self._held, wave))
        count = max(0, (len(held) - WINDOW - 1) // HOP + 1)
        if count:
            rising = held.diff()  # 6 dB per octave make up for the fall of breath noise, so that events show
            frames = rising.unfold(0, WINDOW, HOP)[:count]
            power = torch.fft.rfft(frames * self._window).abs().square().numpy()
            columns = np.minimum((self._frames + np.arange(count)) // self._together, len(self._power) - 1)
            np.add.at(self._power, columns, power / self._together)
            self._frames += count
        self._held = held[count * HOP :].clone()


@dataclass(frozen=True, slots=True)
class Bar:
    """An event: seconds, and what it is."""

    start: float
    end: float
    label: str


def timeline_figure(
    levels: NDArray[np.float32],
    edges: Sequence[float],
    curves: Mapping[str, Sequence[float | None]],
    bars: Sequence[Bar],
    *,
    threshold: float,
) -> Figure:
    """Returns a spectrogram, the probability of each class below it, and events at the bottom, on one time axis.

    Args:
        levels: of :meth:`Levels.close`.
        edges: where stretches begin and end, in seconds; the last one is the end of the recording.
        curves: by class, a probability for each stretch; None where there is no answer.
        bars: the events.
        threshold: from which on an event begins.
    """
    kinds = list(dict.fromkeys(bar.label for bar in bars))
    heights = [2.0, 1.3, 0.22 * max(1, len(kinds))]
    with drawing_style():
        figure = Figure(figsize=(9.2, sum(heights) + 0.9), layout="constrained")
        picture, lines, strip = figure.subplots(3, 1, sharex=True, height_ratios=heights)
        extent = (0, edges[-1], 0, TOP_HERTZ / 1000)
        picture.imshow(levels, origin="lower", aspect="auto", cmap="magma", extent=extent, vmax=0)
        picture.set_ylabel("kHz")
        _draw_curves(lines, edges, curves, threshold)
        _draw_bars(strip, bars, kinds)
        strip.set_xlim(0, edges[-1])
        strip.set_xlabel("seconds")
    return figure


def _draw_curves(
    axes: Axes, edges: Sequence[float], curves: Mapping[str, Sequence[float | None]], threshold: float
) -> None:
    axes.axhline(threshold, color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
    for index, (name, values) in enumerate(curves.items()):
        colour = _COLOURS.get(name, SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)])
        heights = [math.nan if value is None else value for value in values]
        axes.stairs(heights, edges, baseline=None, color=colour, linewidth=1.7, label=name)
    axes.set(ylim=(-0.02, 1.02), ylabel="probability")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_bars(axes: Axes, bars: Sequence[Bar], kinds: Sequence[str]) -> None:
    for row, kind in enumerate(kinds):
        spans = [(bar.start, bar.end - bar.start) for bar in bars if bar.label == kind]
        axes.broken_barh(spans, (row - 0.36, 0.72), color=_COLOURS.get(kind, SYSTEM_COLOURS[row % 4]), linewidth=0)
    axes.set_yticks(range(max(1, len(kinds))), kinds or ["no event"])
    axes.set_ylim(max(1, len(kinds)) - 0.5, -0.5)
    axes.tick_params(left=False)
    axes.spines[["left", "right", "top"]].set_visible(False)
