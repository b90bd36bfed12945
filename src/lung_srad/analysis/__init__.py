"""What a network and its runs look like: figures as vector drawings that follow a page's light and dark."""

from lung_srad.analysis.figures import (
    CLASS_COLOURS,
    Curve,
    Lane,
    Mark,
    Span,
    learning_curves,
    recording_figure,
    spectrogram,
    svg,
)
from lung_srad.analysis.timeline import Bar, Levels, timeline_figure

__all__ = [
    "CLASS_COLOURS",
    "Bar",
    "Curve",
    "Lane",
    "Levels",
    "Mark",
    "Span",
    "learning_curves",
    "recording_figure",
    "spectrogram",
    "svg",
    "timeline_figure",
]
