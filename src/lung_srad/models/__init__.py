"""Backbones, the classifier, weights, smoothing, mixing matrices. To add a backbone: one file, and one line here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lung_srad.errors import ConfigError, message, nearest
from lung_srad.models.adapter import ast_adapter, ast_adapter_tiny
from lung_srad.models.ast import ast_base, ast_tiny
from lung_srad.models.beats import beats_base, beats_tiny
from lung_srad.models.catalogue import CATALOGUE, Official
from lung_srad.models.clap import clap, clap_audio, clap_audio_tiny, clap_tiny
from lung_srad.models.contract import Backbone, Classifier, Side
from lung_srad.models.dass import dass_medium, dass_small, dass_tiny
from lung_srad.models.frozen import for_inference
from lung_srad.models.mixing import LayerMap, attention_matrix, mixing_maps, mixing_matrix, mixing_places
from lung_srad.models.smoothing import GaussianSmoothing, smooth
from lung_srad.models.stochastic_depth import StochasticDepth, draw_depth, drawn_depth
from lung_srad.models.weights import LoadReport, load_weights

__all__ = [
    "BACKBONES",
    "CATALOGUE",
    "Backbone",
    "Classifier",
    "GaussianSmoothing",
    "LayerMap",
    "LoadReport",
    "Official",
    "Side",
    "StochasticDepth",
    "attention_matrix",
    "create_model",
    "draw_depth",
    "drawn_depth",
    "for_inference",
    "load_weights",
    "mixing_maps",
    "mixing_matrix",
    "mixing_places",
    "smooth",
]

BACKBONES: dict[str, Callable[..., Backbone]] = {
    "dass_tiny": dass_tiny,
    "dass_small": dass_small,
    "dass_medium": dass_medium,
    "ast_tiny": ast_tiny,
    "ast": ast_base,
    "ast_adapter_tiny": ast_adapter_tiny,
    "ast_adapter": ast_adapter,
    "beats_tiny": beats_tiny,
    "beats": beats_base,
    "clap_tiny": clap_tiny,
    "clap": clap,
    "clap_audio_tiny": clap_audio_tiny,
    "clap_audio": clap_audio,
}


def create_model(
    name: str,
    num_classes: int = 4,
    *,
    weights: str | Path | None = None,
    load_head: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Classifier:
    """Returns a classifier with random weights, or with those of an official checkpoint.

    ``options`` go to the backbone's constructor, e.g. ``{"drop_path": 0.1}``. ``load_head`` also takes the
    checkpoint's head, whose number of classes must then fit.

    Raises:
        ConfigError: no such backbone.
        WeightsError: the checkpoint does not fit, or is not to be trusted.
    """
    if name not in BACKBONES:
        allowed = f"one of {', '.join(BACKBONES)}"
        raise ConfigError(message("backbone", repr(name), allowed, nearest(name, BACKBONES)))
    net = Classifier(BACKBONES[name](**(options or {})), num_classes)
    net.backbone.official = CATALOGUE.get(name)
    if weights is not None:
        load_weights(net, weights, load_head=load_head)
    return net
