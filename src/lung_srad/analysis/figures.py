"""Drawings of recordings and of training: numbers in, a matplotlib figure out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from lung_srad.audio import resample
from lung_srad.drawing import INK, SYSTEM_STYLES, drawing_style, system_colours

CLASS_COLOURS = ("#a9b0b8", "#56b4e9", "#e69f00", "#d69ac0")  # normal, crackle, wheeze, both; black text reads on all
TOP_HERTZ = 2000  # breath, crackles and wheezes lie below

WINDOW, HOP, FLOOR_DB = 256, 96, 50.0  # samples at 4 kHz: 64 ms and 24 ms
_INCHES, _INCHES_PER_LETTER = 7.6, 0.065  # width of a time axis, and of a letter on it


@dataclass(frozen=True, slots=True)
class Curve:
    """The training of one system: mean loss and validation Score of each epoch, and the epoch that was chosen."""

    name: str
    loss: Sequence[float]
    validation: Sequence[float | None]
    chosen: int


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a recording, in seconds, with the class that it is given; ``right`` is None for a truth."""

    start: float
    end: float
    class_index: int
    text: str
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """An event: seconds, the row of its lane it is drawn in, and its pitch where it has one."""

    start: float
    end: float
    kind: str
    hertz: float | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """A named strip along a recording: what somebody says of each cycle, or events by kind."""

    name: str
    spans: Sequence[Span] = ()
    marks: Sequence[Mark] = ()


def learning_curves(curves: Sequence[Curve], *, floor: float = 50.0) -> Figure:
    """Returns training loss and validation Score by epoch; ``floor`` is the Score of always answering "normal"."""
    with drawing_style():
        figure = Figure(figsize=(8.6, 2.9), layout="constrained")
        loss, score = figure.subplots(1, 2)
        colours = system_colours([curve.name for curve in curves])
        for index, (curve, colour) in enumerate(zip(curves, colours, strict=True)):
            epochs, style = np.arange(1, len(curve.loss) + 1), SYSTEM_STYLES[index % len(SYSTEM_STYLES)]
            look = {"color": colour, "markersize": 3.5, "linewidth": 1.6, "label": curve.name}
            loss.plot(epochs, np.array(curve.loss) / curve.loss[0], style, **look)
            score.plot(epochs, [np.nan if value is None else value for value in curve.validation], style, **look)
            best = curve.validation[curve.chosen - 1]
            if best is not None:
                score.plot(curve.chosen, best, "o", color="none", markeredgecolor=colour, markersize=11, mew=1.6)
        score.axhline(floor, color=INK, linewidth=1, linestyle=(0, (2, 3)))
        score.annotate("always normal", (1, floor), (0, 3), textcoords="offset points", fontsize=8)
        for axes, title in ((loss, "training loss, as a share of the first epoch's"), (score, "validation Score, %")):
            axes.set(title=title, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        loss.set_ylim(bottom=0)
        loss.legend(loc="best")
    return figure


def spectrogram(wave: Tensor, rate: int) -> NDArray[np.float32]:
    """Returns the levels of a recording up to 2 kHz, in decibels below its loud parts, rising 6 dB per octave.

    The rise (a difference of neighbouring samples) makes up for the fall of breath noise, so that events show.

    Shape:
        (samples,) -> (frequencies from 0 up, frames)
    """
    low = resample(wave, rate, 2 * TOP_HERTZ)
    power = torch.stft(
        low.diff(), WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True, pad_mode="constant"
    ).abs()
    levels = 20 * power.clamp_min(1e-9).log10().numpy()
    return np.clip(levels - np.percentile(levels, 99.7), -FLOOR_DB, 0)


def recording_figure(levels: NDArray, seconds: float, lanes: Sequence[Lane]) -> Figure:
    """Returns a spectrogram with the lanes of cycles above it and those of events below it, on one time axis.

    Args:
        levels: of :func:`spectrogram`.
        seconds: the length of the recording.
        lanes: in order from above, those of cycles and those of events.
    """
    above, below = [lane for lane in lanes if lane.spans], [lane for lane in lanes if not lane.spans]
    kinds = [list(dict.fromkeys(mark.kind for mark in lane.marks)) or ["none"] for lane in below]
    heights = [0.26] * len(above) + [1.9] + [0.2 * len(names) for names in kinds]
    with drawing_style():
        figure = Figure(figsize=(9.2, sum(heights) + 0.75), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.015, hspace=0.01)
        rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        rows = np.atleast_1d(rows)
        picture = rows[len(above)]
        picture.imshow(
            levels, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, TOP_HERTZ / 1000), vmax=0
        )
        picture.set_ylabel("kHz")
        for axes, lane in zip(rows, above, strict=False):
            _draw_spans(axes, lane, seconds / _INCHES)
        for span in above[0].spans if above else ():
            picture.axvline(span.start, color="white", linewidth=0.5, alpha=0.6)
        for axes, lane, names in zip(rows[len(above) + 1 :], below, kinds, strict=True):
            _draw_marks(axes, lane, names)
            pitched = [mark for mark in lane.marks if mark.hertz is not None]
            lines = [[(m.start, m.hertz / 1000), (m.end, m.hertz / 1000)] for m in pitched]
            picture.add_collection(LineCollection(lines, colors="white", linewidths=0.9, linestyles=(0, (2, 2))))
        picture.set_xlim(0, seconds)
        rows[-1].set_xlabel("seconds")
        for axes in rows[:-1]:
            axes.tick_params(bottom=False, labelbottom=False)
    return figure


def _draw_spans(axes: Axes, lane: Lane, seconds_per_inch: float) -> None:
    """Draws what is said of each cycle: a box in the colour of the class, a cross where it is wrong.

    A word that does not fit into its box gives way to its first letter.
    """
    for span in lane.spans:
        colour = CLASS_COLOURS[span.class_index % len(CLASS_COLOURS)]
        axes.barh(0, span.end - span.start, left=span.start, height=0.9, color=colour, edgecolor="none", zorder=1)
        axes.axvline(span.start, color="black", linewidth=0.8, zorder=2)
        cross = " ✗" if span.right is False else ""
        word, room = f"{span.text}{cross}", (span.end - span.start) / seconds_per_inch
        if len(word) * _INCHES_PER_LETTER > room:
            word = f"{span.text[:1].upper()}{cross}"
        middle = (span.start + span.end) / 2
        axes.text(middle, 0, word, ha="center", va="center_baseline", color="black", fontsize=8, zorder=3, clip_on=True)
    _strip(axes, [lane.name], 0.5)


def _draw_marks(axes: Axes, lane: Lane, kinds: Sequence[str]) -> None:
    """Draws events as bars, one row for each kind; what is short stays visible."""
    for row, kind in enumerate(kinds):
        lines = [[(m.start, row - 0.32), (m.start, row + 0.32)] for m in lane.marks if m.kind == kind]
        bars = [(m.start, m.end - m.start) for m in lane.marks if m.kind == kind]
        axes.broken_barh(bars, (row - 0.32, 0.64), color=INK, alpha=0.55, linewidth=0)
        axes.add_collection(LineCollection(lines, colors=INK, linewidths=0.7), autolim=False)
    _strip(axes, list(kinds), len(kinds) - 0.5)
    axes.invert_yaxis()


def _strip(axes: Axes, names: Sequence[str], top: float) -> None:
    """Turns axes into a strip with names at its left."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.5, top)
    axes.tick_params(left=False)
    axes.spines[:].set_visible(False)
