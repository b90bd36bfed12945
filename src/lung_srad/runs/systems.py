"""The systems that ship, at a glance: how large their networks are, and which weights they start from."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lung_srad.config import Preset, load_preset
from lung_srad.evaluation import Sheet
from lung_srad.literature import load_ensemble
from lung_srad.models import CATALOGUE
from lung_srad.runs.build import build_model, check_preset
from lung_srad.shipped import ensemble_names, preset_names

_HEADER = ("preset", "system", "backbone", "parameters", "trained", "printed Score")
_COUNTED = "Parameters: of the network with its head; those of objectives, which are gone at test, are not counted."
_PLACE = (
    "Nothing is fetched. Download a file to where you like and name it (--weights FILE), or all of them into one "
    "folder, under these names, and name the folder (--weights FOLDER); LUNG_SRAD_WEIGHTS does the same."
)


@dataclass(frozen=True, slots=True)
class Size:
    """Number of parameters of a network, and of those that training changes."""

    parameters: int
    trained: int

    @property
    def share(self) -> str:
        """Returns what is trained in words: all, or so many, and their share of what is not."""
        if self.trained == self.parameters:
            return "all"
        return f"{self.trained:,}, {100 * self.trained / (self.parameters - self.trained):.2f} % of what is frozen"


def network_size(preset: Preset) -> Size:
    """Returns the size of a preset's network for ICBHI; nothing is drawn, stored or downloaded.

    Raises:
        ConfigError: the preset cannot be built.
    """
    check_preset(preset)
    with torch.device("meta"):
        net = build_model(preset, 2 if preset.training.two_class else 4)
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in net.parameters()]
    return Size(sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained))


def systems_sheet(*, profile: str | None = None, overrides: Sequence[str] = ()) -> Sheet:
    """Returns the shipped presets with their sizes, the ensembles, and below them the weights that they start from.

    Raises:
        ConfigError: no such profile or key, or a value that is not allowed.
    """
    cells, starts = [], {}
    for name in preset_names():
        preset = load_preset(name, profile=profile, overrides=overrides)
        size, backbone = network_size(preset), preset.backbone.name
        cells.append((name, preset.title, backbone, f"{size.parameters:,}", size.share, printed_score(name)))
        if backbone in CATALOGUE:
            starts.setdefault(str(CATALOGUE[backbone]), []).append(name)
    for name in ensemble_names():
        ensemble = load_ensemble(name)
        cells.append((name, ensemble.title, f"seeds of {ensemble.members}", "–", "–", printed_score(name)))
    weights = [f"{official}: {', '.join(names)}." for official, names in starts.items()]
    remarks = (_COUNTED, *weights, *([_PLACE] if weights else []))
    return Sheet("", _HEADER, tuple(cells), remarks, texts=3)


def printed_score(name: str) -> str:
    """Returns the printed Score of a preset or ensemble, a dash where there is none."""
    system = load_ensemble(name) if name in ensemble_names() else load_preset(name)
    if system.printed is None or system.printed.figures is None:
        return "–"
    return f"{system.printed.figures.score:.2f}" + (" (two classes)" if system.printed.four_class is None else "")
