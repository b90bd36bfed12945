"""A run's weights: safetensors that carry their preset and class names, so that the file alone is a model."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lung_srad.config import Preset, dump_preset, parse_preset
from lung_srad.errors import RunError, message
from lung_srad.memory import ran_out
from lung_srad.models import Classifier
from lung_srad.runs.build import build_model
from lung_srad.runs.state import cause, read_tensors, write_tensors


@dataclass(frozen=True)
class TrainedModel:
    """A classifier with what is needed to use it; ``synthetic``: it was trained on simulated recordings."""

    net: Classifier
    preset: Preset
    class_names: tuple[str, ...]
    normal: int
    synthetic: bool = False


def save_model(path: Path, model: TrainedModel) -> None:
    """Writes weights, preset and class names in one step."""
    facts = {"preset": dump_preset(model.preset), "class_names": model.class_names, "normal": model.normal}
    stamp = {"synthetic": True} if model.synthetic else {}  # where it is true, as files of real data never had it
    write_tensors(path, model.net.state_dict(), facts | stamp)


def load_model(path: Path) -> TrainedModel:
    """Returns the model in a weights file of ours.

    Raises:
        RunError: the file is absent, damaged, or not a model of ours.
    """
    tensors, facts = read_tensors(path)
    try:
        preset = parse_preset(tomllib.loads(facts["preset"]), str(path))
        names, normal = tuple(facts["class_names"]), facts["normal"]
        if not all(isinstance(name, str) for name in names) or normal not in range(len(names)):
            raise ValueError(f"class names {names}, of which {normal!r} is the normal one")
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise ValueError("values that are not finite")
        with torch.device("meta"):  # only what fits the file is made: a few letters may name a large network
            _require_fit(build_model(preset, len(names)), tensors)
        net = build_model(preset, len(names))
        net.load_state_dict(tensors)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        if ran_out(error):  # which says nothing of the file
            raise
        seen = f"not a model of ours ({cause(error)})"
        remedy = "give weights.safetensors of a run; official checkpoints go to --weights"
        raise RunError(message(path, seen, "a weights file that train wrote", remedy)) from error
    return TrainedModel(net.eval(), preset, names, normal, bool(facts.get("synthetic", False)))


def _require_fit(net: Classifier, tensors: dict[str, Tensor]) -> None:
    """Raises a ValueError unless the tensors are those of a network, in name, type and shape."""
    wanted, found = (
        {key: f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}" for key, value in state.items()}
        for state in (net.state_dict(), tensors)
    )
    wrong = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
    if wrong:
        first, more = wrong[0], f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        is_there, fits = found.get(first, "missing"), wanted.get(first, "no such tensor")
        raise ValueError(f"{first!r:.80} is {is_there}, its preset has {fits}{more}")
