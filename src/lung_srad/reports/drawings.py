"""The figures of a report: operating curves and reliability, from an assessment's numbers."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lung_srad.drawing import INK, SYSTEM_COLOURS, drawing_style
from lung_srad.evaluation import Calibration, Detection

_DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)))
_DOTTED = (0, (2, 3))
_MARKS = "os^D"


def operating_curves(detections: Sequence[Detection]) -> Figure:
    """Returns the ROC and the precision-recall curve of each finding; dotted is what chance gives."""
    with drawing_style():
        figure = Figure(figsize=(8.6, 4.0), layout="constrained")
        roc, precision = figure.subplots(1, 2)
        for index, found in enumerate(detections):
            colour, dash = SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)], _DASHES[index % len(_DASHES)]
            look = {"color": colour, "linestyle": dash, "linewidth": 1.8}
            curve = found.curve
            roc.plot(100 - np.array(curve.sp), curve.se, label=f"{found.name} {found.auroc.value:.1f}", **look)
            precision.plot(curve.recall, curve.precision, label=f"{found.name} {found.auprc.value:.1f}", **look)
            chance = 100 * found.present / found.units
            precision.axhline(chance, color=colour, linewidth=1, linestyle=_DOTTED)
        roc.plot((0, 100), (0, 100), color=INK, linewidth=1, linestyle=_DOTTED)
        roc.set(title="ROC", xlabel="100 − specificity, %", ylabel="sensitivity, %")
        precision.set(title="precision and recall", xlabel="sensitivity (recall), %", ylabel="PPV (precision), %")
        for axes, where in ((roc, "lower right"), (precision, "best")):
            _percent_axes(axes)
            axes.legend(loc=where, title="area", alignment="left")
    return figure


def reliability(before: Sequence[Calibration], after: Sequence[Calibration] = ()) -> Figure:
    """Returns how often it was so against how probable it was called; on the diagonal probabilities mean what they say.

    Args:
        before: of the probabilities as they are.
        after: of the same at the temperature that validation patients chose; a second drawing where there is any.
    """
    shown = [("as they are", before)] + ([("at the fitted temperature", after)] if after else [])
    with drawing_style():
        figure = Figure(figsize=(4.3 * len(shown), 4.0), layout="constrained")
        for axes, (title, calibrations) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            axes.plot((0, 100), (0, 100), color=INK, linewidth=1, linestyle=_DOTTED)
            for index, each in enumerate(calibrations):
                colour = SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)]
                points = np.array([(point.confidence, point.accuracy) for point in each.bins])
                label = f"{each.name}, ECE {each.ece.value:.1f}"
                mark = _MARKS[index % len(_MARKS)]
                axes.plot(*points.T, color=colour, marker=mark, markersize=4, linewidth=1.2, label=label)
            axes.set(title=title, xlabel="probability, %", ylabel="how often it was so, %")
            _percent_axes(axes)
            axes.legend(loc="lower right")
    return figure


def _percent_axes(axes: Axes) -> None:
    axes.set(xlim=(-1, 101), ylim=(-1, 101))
    axes.set_aspect("equal")
