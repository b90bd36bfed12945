"""Where a run starts: random weights, an official checkpoint, a folder of such, or another run."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lung_srad.config import Preset
from lung_srad.errors import RunError, WeightsError, message
from lung_srad.files import sha256
from lung_srad.models import CATALOGUE, Classifier, load_weights
from lung_srad.models.weights import hub_file
from lung_srad.runs import RunFolder, load_model
from lung_srad.runs.shipped import is_shipped, shipped_weights

RANDOM = "random"  # said aloud: random weights, whatever the environment says


def starting_point(start_from: str | Path | None, backbone: str) -> str | Path | None:
    """Returns the file, folder or run that a network starts from; None for random weights.

    ``None`` is what ``LUNG_SRAD_WEIGHTS`` names, or nothing; ``"random"`` and ``""`` are random weights whatever that
    says. In a folder of official files it is the backbone's own. Weights that ship go by their name.

    Raises:
        WeightsError: a folder without the file that this backbone starts from.
    """
    given = os.environ.get("LUNG_SRAD_WEIGHTS") if start_from is None else start_from
    if not given or str(given) == RANDOM:
        return None
    path, official = Path(given), CATALOGUE.get(backbone)
    if is_shipped(given) or official is None or not path.is_dir() or hub_file(path) or RunFolder(path).started:
        return given
    if found := official.within(path):
        return found
    remedy = f"nothing is fetched: download it into this folder, or give where it is; {RANDOM!r} starts without it"
    raise WeightsError(message(path, f"holds no {official.file}", f"{backbone} starts from {official}", remedy))


def require_start(presets: Iterable[Preset], start_from: str | Path | None) -> None:
    """Raises unless every system that starts from published weights has them, or random ones are asked for by name.

    Raises:
        WeightsError: nothing is said of where to start, or a folder without the file.
    """
    for preset in presets:
        backbone = preset.backbone.name
        start, official = starting_point(start_from, backbone), CATALOGUE.get(backbone)
        if start is None and start_from is None and official is not None:
            remedy = (
                "nothing is fetched: download it to where you like and name that (--weights, LUNG_SRAD_WEIGHTS); "
                f"--weights {RANDOM} trains from random weights, --profile small a small network"
            )
            raise WeightsError(message(preset.name, "no weights to start from", f"it starts from {official}", remedy))


def start_weights(net: Classifier, start_from: str | Path | None, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Fills a model from an official checkpoint, a run or weights that ship; returns what was loaded, to be kept.

    The head of a run is taken over where its classes are the same.

    Raises:
        WeightsError: a checkpoint that does not fit.
        RunError: a run without weights, or of another backbone.
    """
    if start_from is None:
        return {"weights": "random"}
    folder = RunFolder(Path(start_from))
    if is_shipped(start_from):
        weights = shipped_weights(str(start_from))[0]
    elif not folder.path.is_dir() or hub_file(folder.path):
        report = load_weights(net, start_from)
        taken = {"loaded": report.loaded, "head": report.head, "notes": list(report.notes)}
        return {"weights": "checkpoint", "sha256": report.sha256, **taken}
    else:
        folder.require()
        weights = folder.weights
    model = load_model(weights)
    own, theirs, head = net.state_dict(), model.net.state_dict(), f"{net.backbone.head_name}."
    if model.class_names != class_names:
        theirs |= {key: value for key, value in own.items() if key.startswith(head)}
    if {key: value.shape for key, value in own.items()} != {key: value.shape for key, value in theirs.items()}:
        seen = f"weights of {model.preset.backbone.name}"
        raise RunError(message(weights, seen, "a run of the same backbone", "choose another run or preset"))
    net.load_state_dict(theirs)
    same = model.class_names == class_names
    taken = {"loaded": sum(same or not key.startswith(head) for key in own), "head": "loaded" if same else "left out"}
    stamp = {"synthetic": True} if model.synthetic else {}
    return {"weights": "run", "sha256": sha256(weights), **taken, **stamp}
