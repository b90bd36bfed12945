"""From a preset to objects. The only place where a configuration becomes a model, an objective, an optimiser."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_type_hints

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError

from lung_srad.audio import draw_spec_augment
from lung_srad.config import Part, Preset, shown
from lung_srad.datasets import Dataset, Prompt, TwoClass, prompt_index
from lung_srad.errors import ConfigError, message, nearest
from lung_srad.models import BACKBONES, Classifier, create_model, smooth
from lung_srad.objectives import OBJECTIVES, Facts, Objective
from lung_srad.runs.muon import Muon


def check_preset(preset: Preset) -> None:
    """Raises an error unless every named part exists, takes the options given to it, and can be built with them.

    The signature of a part's constructor is its schema: keyword-only arguments are the keys of the preset.

    Raises:
        ConfigError: no such part, no such option, or a value that is not allowed.
        ShapeError: smoothing in a block that the backbone does not have.
    """
    options = _options("objective", preset.objective, OBJECTIVES)
    with torch.device("meta"):  # parts check their values; nothing is drawn or stored
        build_model(preset, 2)
        OBJECTIVES[preset.objective.name](Facts(1, (1, 1), devices=2), **options)


def build_dataset(preset: Preset, dataset: Dataset) -> Dataset:
    """Returns the data with the classes that the preset trains on: their own, or normal against abnormal."""
    return TwoClass(dataset) if preset.training.two_class else dataset


def build_model(preset: Preset, num_classes: int) -> Classifier:
    """Returns the preset's classifier with random weights (from torch's generator) and its smoothing in place."""
    options = _options("backbone", preset.backbone, BACKBONES)
    net = create_model(preset.backbone.name, num_classes, options=options)
    if preset.smoothing is not None:
        smooth(net.backbone, **preset.smoothing.model_dump())
    return net


def build_objective(
    preset: Preset, net: Classifier, class_counts: tuple[int, ...], devices: int = 1, normal: int = 0
) -> Objective:
    """Returns the preset's objective for a model, the training cycles per class, the devices and the normal class."""
    options = _options("objective", preset.objective, OBJECTIVES)
    return OBJECTIVES[preset.objective.name](Facts(net.backbone.width, class_counts, devices, normal), **options)


def build_optimizer(preset: Preset, net: Classifier, objective: Objective) -> torch.optim.Optimizer:
    """Returns the preset's optimiser over every trainable parameter of the model and of the objective."""
    settings = preset.optimizer
    if settings.name == "muon":
        return Muon((net, objective), settings.learning_rate, settings.weight_decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.name]
    parameters = [p for module in (net, objective) for p in module.parameters() if p.requires_grad]
    return kind(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def build_augment(preset: Preset) -> Callable[..., Any]:
    """Returns the draw of SpecAugment masks: (generator, frames, bins) -> masks."""
    return partial(draw_spec_augment, **preset.augment.model_dump(exclude={"per"}))


def build_prompt(net: Classifier) -> Prompt | None:
    """Returns what gives a cycle the number of its sentence, for a network that reads one; None for the others."""
    location = net.backbone.prompt_location
    return None if location is None else partial(prompt_index, location=location)


def _options(table: str, part: Part, registry: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """Returns a part's options, checked against its constructor."""
    if part.name not in registry:
        allowed = f"known: {', '.join(registry)}"
        raise ConfigError(message(f"{table}.name", shown(part.name), allowed, nearest(part.name, registry)))
    constructor = registry[part.name]
    parameters = inspect.signature(constructor).parameters.values()
    known = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    for key in part.options:
        if key not in known:
            seen, allowed = f"unknown key {key!r}", f"{part.name} takes {', '.join(known) or 'no options'}"
            raise ConfigError(message(table, seen, allowed, nearest(key, known)))
    for key, parameter in known.items():
        if parameter.default is parameter.empty and key not in part.options:
            raise ConfigError(message(table, f"{key!r} is missing", f"{part.name} needs it", "add it to the preset"))
    hints = get_type_hints(constructor.__init__ if isinstance(constructor, type) else constructor)
    return {key: _typed(f"{table}.{key}", value, hints[key]) for key, value in part.options.items()}


def _typed(key: str, value: Any, hint: Any) -> Any:
    try:
        return TypeAdapter(hint, config=ConfigDict(strict=True, allow_inf_nan=False)).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        text = message(key, shown(value), first["msg"], "change the preset or use --set")
        raise ConfigError(text) from None
