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
)
from lung_srad.drawing import svg

__all__ = [
    "CLASS_COLOURS",
    "Curve",
    "Lane",
    "Mark",
    "Span",
    "learning_curves",
    "recording_figure",
    "spectrogram",
    "svg",
]
