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
from lung_srad.analysis.recordings import choose_cycles, choose_recordings
from lung_srad.analysis.smoothing_spectra import Smoothed, smoothed_blocks, smoothed_responses, smoothing_figure
from lung_srad.analysis.spectra import (
    AUTHORS_BINS,
    LayerSpectrum,
    NetworkSpectrum,
    authors_response,
    layer_spectrum,
    network_spectrum,
    place_name,
    spectra_csv,
)
from lung_srad.analysis.spectrum_figures import layers_figure, network_map, shown_places
from lung_srad.analysis.suggestion import SCORES, LayerScore, Suggestion, require_score, suggest
from lung_srad.analysis.sweep_figures import Panel, PanelPoint, sweep_figure
from lung_srad.analysis.timeline import Bar, Levels, timeline_figure
from lung_srad.drawing import png, svg

__all__ = [
    "AUTHORS_BINS",
    "CLASS_COLOURS",
    "SCORES",
    "Bar",
    "Curve",
    "Lane",
    "LayerScore",
    "LayerSpectrum",
    "Levels",
    "Mark",
    "NetworkSpectrum",
    "Panel",
    "PanelPoint",
    "Smoothed",
    "Span",
    "Suggestion",
    "authors_response",
    "choose_cycles",
    "choose_recordings",
    "layer_spectrum",
    "layers_figure",
    "learning_curves",
    "network_map",
    "network_spectrum",
    "place_name",
    "png",
    "recording_figure",
    "require_score",
    "shown_places",
    "smoothed_blocks",
    "smoothed_responses",
    "smoothing_figure",
    "spectra_csv",
    "spectrogram",
    "suggest",
    "svg",
    "sweep_figure",
    "timeline_figure",
]
