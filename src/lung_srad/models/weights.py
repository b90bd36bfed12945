"""Strict loading of official checkpoints, with a report of what was loaded.

What a file of each backbone looks like is the backbone's own (:class:`lung_srad.models.layout.Layout`). Files are
safetensors, or ``.pth`` read with ``weights_only=True``; nothing in a file is run. A folder of the Hugging Face hub
stands for the file in it.
"""

import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from lung_srad.errors import WeightsError, message
from lung_srad.files import sha256
from lung_srad.models.catalogue import Official
from lung_srad.models.contract import Classifier
from lung_srad.models.layout import Checkpoint, Layout

PREFIXES = ("module.v.", "module.", "v.", "model.")  # DataParallel and DASS wrap the network once or twice
CONTAINERS = ("model", "state_dict", "model_state_dict")
CONFIG = "cfg"  # where BEATs keeps its configuration, beside the model
HUB = ("model.safetensors", "pytorch_model.bin")  # what the weights are called in a folder of the hub
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
HEAD_REMEDY = "leave the head out (load_head=False), or build the model with as many classes as the file has"
LISTED = 8  # keys of one kind that a message names


@dataclass(frozen=True)
class LoadReport:
    """What a checkpoint brought.

    Attributes:
        path: the file.
        sha256: hash of the file.
        loaded: number of tensors taken over.
        head: "loaded", "left out" or "absent".
        notes: what was changed on the way, e.g. "1 RGB stem summed to one channel".
    """

    path: str
    sha256: str
    loaded: int
    head: str
    notes: tuple[str, ...] = ()


def load_weights(net: Classifier, path: str | Path, *, load_head: bool = False) -> LoadReport:
    """Fills ``net`` from an official checkpoint and returns what was loaded; only the head may differ.

    Raises:
        WeightsError: the file cannot be read or trusted, is of another topology, or keys or shapes do not fit.
    """
    backbone, wanted, head = net.backbone, net.state_dict(), f"{net.backbone.head_name}."
    path = hub_file(Path(path)) or Path(path)
    checkpoint = read_checkpoint(path, backbone.official)
    _require_settings(path, checkpoint, backbone.layout)
    named = backbone.layout.named(checkpoint)
    state, notes = _fit(named.tensors, wanted, backbone.layout)
    in_file = any(key.startswith(head) for key in state)
    if not load_head:
        state, wanted = _without(head, state), _without(head, wanted)
    _compare(path, state, wanted, head, backbone.layout)
    net.load_state_dict(net.state_dict() | state)
    outcome = "loaded" if load_head else "left out" if in_file else "absent"
    return LoadReport(str(path), sha256(path), len(state), outcome, (*named.notes, *notes))


def hub_file(path: Path) -> Path | None:
    """Returns the weights in a folder that was downloaded from the Hugging Face hub; None for anything else."""
    return next((path / name for name in HUB if (path / name).is_file()), None)


def read_checkpoint(path: Path, official: Official | None = None) -> Checkpoint:
    """Returns what a safetensors or PyTorch file holds; nothing in it is run.

    ``official`` is the file that is wanted, for the error where there is none.

    Raises:
        WeightsError: no such file, damaged, not a checkpoint, or something other than tensors in it.
    """
    if not path.is_file():
        raise WeightsError(_absent(path, official))
    try:
        _require_stored(path)
        content = _content(path)
    except WeightsError:
        raise
    except PermissionError as error:
        raise WeightsError(message(path, "may not be read", "a file that you may read", "change its mode")) from error
    except Exception as error:  # a parser may raise anything at damaged or hostile bytes
        seen, allowed = f"{path.stat().st_size} bytes that cannot be read", "a whole .safetensors or .pth file"
        remedy = "download it again"
        if refused := re.search(r"GLOBAL ([\w.]+)", str(error)):
            seen, allowed = f"asks for {refused[1]}", "only tensors are read, nothing is run"
            remedy = "take a file of tensors alone, best as .safetensors"
        raise WeightsError(message(path, seen, allowed, remedy)) from error
    return _checkpoint(path, content)


def _absent(path: Path, official: Official | None) -> str:
    """Returns the error of a file that is not there: which one it is, and where it comes from, where that is known."""
    seen = "not a file" if path.exists() else "no such file"
    if official is None:
        return message(path, seen, "a .safetensors or .pth checkpoint", "check the path")
    remedy = "nothing is fetched: download it to this path, or give where it is (--weights, LUNG_SRAD_WEIGHTS)"
    return message(path, seen, f"this backbone starts from {official}", remedy)


def _require_stored(path: Path) -> None:
    """Raises a WeightsError at an archive that unpacks to more than it holds: PyTorch never compresses one."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked, held = sum(each.file_size for each in archive.infolist()), path.stat().st_size
    if unpacked > held:
        seen, allowed = f"{held:,} bytes that unpack to {unpacked:,}", "tensors that are stored as they are"
        raise WeightsError(message(path, seen, allowed, "take the file from its source again"))


def _content(path: Path) -> object:
    if path.suffix == ".safetensors":
        return load_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of an unusual pickle before it refuses it
        return torch.load(path, map_location="cpu", weights_only=True)


def _checkpoint(path: Path, content: object) -> Checkpoint:
    """Returns the table of tensors in a file's content, without the names and prefixes that wrap it."""
    config = content.get(CONFIG) if isinstance(content, Mapping) else None
    for name in CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not content:
        seen = f"holds no named tensors ({type(content).__name__})"
        allowed = f"names and tensors, or these under {', '.join(CONTAINERS)}"
        raise WeightsError(message(path, seen, allowed, Layout.remedy))
    for key, value in content.items():
        if not isinstance(key, str) or not _is_plain(value):
            seen = f"{key!r:.80} is not a name with a plain tensor ({type(value).__name__})"
            allowed = f"nothing else, or all under {', '.join(CONTAINERS)}"
            raise WeightsError(message(path, seen, allowed, Layout.remedy))
    prefix = next((prefix for prefix in PREFIXES if all(key.startswith(prefix) for key in content)), "")
    tensors = {key.removeprefix(prefix): value for key, value in content.items()}
    return Checkpoint(tensors, config if isinstance(config, Mapping) else {}, path)


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and not (value.is_meta or value.is_nested)


def _require_settings(path: Path, file: Checkpoint, layout: Layout) -> None:
    """Raises a WeightsError where a file's configuration says that its network computes something else."""
    for key, own in layout.settings.items():
        value = file.config.get(key, own)
        if not isinstance(value, bool | int | float | str) or value != own:
            seen, allowed = f"{CONFIG}: {key} = {value!r:.40}", f"this backbone computes with {key} = {own!r}"
            raise WeightsError(message(path, seen, allowed, layout.remedy))


def _without(head: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if not key.startswith(head)}


def _fit(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], layout: Layout
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Returns the state in our shapes and precision where that loses nothing we use, and what was changed."""
    fitted, changes = dict(state), Counter[str]()
    for key, value in state.items():
        own = wanted.get(key)
        if own is None or value.dtype not in FLOATS or not own.is_floating_point():
            continue
        change = layout.change(key, value, own)
        if change is None:
            continue
        changes[change.what] += 1
        if value.dtype != own.dtype:
            changes[f"tensors of {value.dtype} converted to {own.dtype}".replace("torch.", "")] += 1
        fitted[key] = change.apply(value.to(own.dtype))
    return fitted, tuple(f"{count} {what}" for what, count in changes.items() if what)


def _compare(path: Path, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], head: str, layout: Layout) -> None:
    own, other = layout.topology(wanted), layout.topology(state)
    if own and other and own != other:
        raise WeightsError(message(path, other, f"this backbone is {own}", layout.remedy))
    wrong = {"unexpected": [], "missing": [], "unusable": []}
    for key in sorted(state.keys() | wanted.keys()):
        if key not in wanted:
            wrong["unexpected"].append(key)
        elif key not in state:
            wrong["missing"] += [] if layout.may_lack(key) else [key]
        elif defect := _defect(state[key], wanted[key]):
            wrong["unusable"].append(f"{key} {defect}")
    if not any(wrong.values()):
        return
    seen = ", ".join(_listed(what, keys) for what, keys in wrong.items() if keys)
    only_head = all(key.startswith(head) for keys in wrong.values() for key in keys)
    text = message(path, seen, "only the head may differ", HEAD_REMEDY if only_head else layout.remedy)
    raise WeightsError(text)


def _defect(value: Tensor, own: Tensor) -> str:
    if value.shape != own.shape:
        return f"is {tuple(value.shape)}, not {tuple(own.shape)}"
    if not own.is_floating_point() and value.dtype != own.dtype:
        return f"is {value.dtype}, not {own.dtype}".replace("torch.", "")
    if own.is_floating_point() and value.dtype not in FLOATS:
        return f"is {value.dtype}, not floating point".replace("torch.", "")
    return "" if value.isfinite().all() else "holds values that are not finite"


def _listed(what: str, keys: list[str]) -> str:
    """Returns e.g. "2 missing ('a', 'b')"; names from a file are quoted and cut."""
    names = [f"{key!r:.120}" for key in keys[:LISTED]]
    return f"{len(keys)} {what} ({', '.join(names)}{', ...' if len(keys) > LISTED else ''})"
