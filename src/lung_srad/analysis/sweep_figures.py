"""Fig. 3: the Score by the value of one key, from finished runs."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from lung_srad.drawing import INK, drawing_style, head, system_colours


@dataclass(frozen=True, slots=True)
class PanelPoint:
    """One value: the Score of each seed in per cent, and the 95 % interval over patients of their mean.

    ``shipped`` marks the value that the preset has; a point without scores has not been run.
    """

    value: str
    scores: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    shipped: bool = False
    synthetic: bool = False

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.scores)


@dataclass(frozen=True, slots=True)
class Panel:
    """The values of one key, in order; ``title`` names the axis, ``system`` what it is a key of."""

    title: str
    system: str
    points: tuple[PanelPoint, ...]


def sweep_figure(panels: Sequence[Panel], *, heading: str = "") -> Figure:
    """Returns a panel for each key: means over seeds joined by a line, intervals over patients, a dot for each seed."""
    synthetic = any(point.synthetic for panel in panels for point in panel.points)
    heading = " ".join(["SYNTHETIC: trained and scored on simulated recordings." * synthetic, heading]).strip()
    systems = list(dict.fromkeys(panel.system for panel in panels))
    colours = dict(zip(systems, system_colours(systems), strict=True))
    with drawing_style():
        figure = Figure(figsize=(2.6 * max(len(panels), 1.7) + 0.5, 3.0), layout="constrained")
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            colour = colours[panel.system]
            run = [(place, point) for place, point in enumerate(panel.points) if point.scores]
            axes.plot([place for place, _ in run], [point.mean for _, point in run], color=colour, linewidth=1.4)
            for place, point in run:
                if point.interval is not None:
                    axes.plot([place] * 2, point.interval, color=colour, alpha=0.35, linewidth=5, solid_capstyle="butt")
                axes.plot([place] * len(point.scores), point.scores, ".", color=colour, markersize=4)
                face = colour if point.shipped else "none"
                axes.plot(place, point.mean, "o", markersize=7, markerfacecolor=face, markeredgecolor=colour, mew=1.4)
            axes.axhline(50, color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
            axes.set_xticks(range(len(panel.points)), [point.value for point in panel.points])
            axes.set(xlabel=panel.title, title=panel.system, xlim=(-0.5, len(panel.points) - 0.5))
        row[0].set_ylabel("Score, %")
        row[0].annotate("always normal", (-0.45, 50), (0, 3), textcoords="offset points", fontsize=8)
        head(figure, heading)
    return figure
