"""Strict loading of official checkpoints, with a report of what was loaded.

Read here: DASS v1 and v2 (small and medium), v3 if its file has that layout, and VMamba's ImageNet files of the same
topology, whose RGB stem is summed to one channel. Files are safetensors, or ``.pth`` read with ``weights_only=True``;
nothing in a file is run.
"""

import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from lung_srad.errors import WeightsError, message
from lung_srad.files import sha256
from lung_srad.models.contract import Classifier

PREFIXES = ("module.v.", "module.", "v.", "model.")  # DataParallel and DASS wrap the network once or twice
CONTAINERS = ("model", "state_dict", "model_state_dict")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
STEM, INNER = "patch_embed.0.weight", "layers.0.blocks.0.op.out_norm.weight"
TOPOLOGIES = {  # (width, depths, inner width / width) -> what the file is
    (96, (2, 2, 5, 2), 2.0): "VMamba-T (vssm1_tiny_0230)",
    (96, (2, 2, 8, 2), 1.0): "DASS-small or VMamba-T (vssm1_tiny_0230s)",
    (96, (2, 2, 15, 2), 2.0): "VMamba-S (vssm1_small_0229)",
    (96, (2, 2, 20, 2), 1.0): "DASS-medium or VMamba-S (vssm1_small_0229s)",
    (128, (2, 2, 15, 2), 2.0): "VMamba-B (vssm1_base_0229)",
    (128, (2, 2, 20, 2), 1.0): "VMamba-B (vssm1_base_0229s)",
}
REMEDY = "take a checkpoint of this backbone, or the backbone of this checkpoint (dass_small, dass_medium)"
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
    path, wanted, head = Path(path), net.state_dict(), f"{net.backbone.head_name}."
    state, notes = _fit(read_tensors(path), wanted)
    in_file = any(key.startswith(head) for key in state)
    if not load_head:
        state, wanted = _without(head, state), _without(head, wanted)
    _compare(path, state, wanted, head)
    net.load_state_dict(net.state_dict() | state)
    outcome = "loaded" if load_head else "left out" if in_file else "absent"
    return LoadReport(str(path), sha256(path), len(state), outcome, notes)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Returns the named tensors of a safetensors or PyTorch file, without a common prefix; nothing in it is run.

    Raises:
        WeightsError: no such file, damaged, not a checkpoint, or something other than tensors in it.
    """
    if not path.is_file():
        seen = "not a file" if path.exists() else "no such file"
        raise WeightsError(message(path, seen, "a .safetensors or .pth checkpoint", "check the path"))
    try:
        content = _content(path)
    except PermissionError as error:
        raise WeightsError(message(path, "may not be read", "a file that you may read", "change its mode")) from error
    except Exception as error:  # a parser may raise anything at damaged or hostile bytes
        seen, allowed = f"{path.stat().st_size} bytes that cannot be read", "a whole .safetensors or .pth file"
        remedy = "download it again"
        if refused := re.search(r"GLOBAL ([\w.]+)", str(error)):
            seen, allowed = f"asks for {refused[1]}", "only tensors are read, nothing is run"
            remedy = "take a file of tensors alone, best as .safetensors"
        raise WeightsError(message(path, seen, allowed, remedy)) from error
    return _tensors(path, content)


def _content(path: Path) -> object:
    if path.suffix == ".safetensors":
        return load_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of an unusual pickle before it refuses it
        return torch.load(path, map_location="cpu", weights_only=True)


def _tensors(path: Path, content: object) -> dict[str, Tensor]:
    """Returns the table of tensors in a file's content, without the names and prefixes that wrap it."""
    for name in CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not content:
        seen = f"holds no named tensors ({type(content).__name__})"
        raise WeightsError(message(path, seen, f"names and tensors, or these under {', '.join(CONTAINERS)}", REMEDY))
    for key, value in content.items():
        if not isinstance(key, str) or not _is_plain(value):
            seen = f"{key!r:.80} is not a name with a plain tensor ({type(value).__name__})"
            raise WeightsError(message(path, seen, f"nothing else, or all under {', '.join(CONTAINERS)}", REMEDY))
    prefix = next((prefix for prefix in PREFIXES if all(key.startswith(prefix) for key in content)), "")
    return {key.removeprefix(prefix): value for key, value in content.items()}


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and not (value.is_meta or value.is_nested)


def _without(head: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if not key.startswith(head)}


def _fit(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Returns the state in our shapes and precision where that loses nothing we use, and what was changed."""
    fitted, changes = dict(state), Counter[str]()
    for key, value in state.items():
        own = wanted.get(key)
        if own is None or value.dtype not in FLOATS:
            continue
        rgb = key == STEM and value.shape == (len(own), 3, *own.shape[2:])
        if value.shape[:2] == own.shape and value.shape[2:] == (1, 1):
            changes["linear layers stored as 1x1 convolutions"] += 1
        elif rgb:
            changes["RGB stem summed to one channel"] += 1
        elif value.shape != own.shape:
            continue
        if value.dtype != own.dtype:
            changes[f"tensors of {value.dtype} converted to {own.dtype}".replace("torch.", "")] += 1
        value = value.to(own.dtype)
        fitted[key] = value.sum(1, keepdim=True) if rgb else value.view_as(own)
    return fitted, tuple(f"{count} {what}" for what, count in changes.items())


def _topology(state: Mapping[str, Tensor]) -> tuple[int, tuple[int, ...], float] | None:
    """Returns (width, depths, inner width / width) of a VMamba state dict."""
    blocks = {match[0]: match[1] for key in state if (match := re.match(r"layers\.(\d)\.blocks\.\d+\.", key))}
    depths = Counter(sorted(blocks.values()))
    width, inner = (state[key].numel() if key in state else 0 for key in ("patch_embed.7.bias", INNER))
    return (width, tuple(depths.values()), inner / width) if blocks and width and inner else None


def _describe(topology: tuple[int, tuple[int, ...], float]) -> str:
    width, depths, ratio = topology
    name = TOPOLOGIES.get(topology, "a VMamba")
    return f"{name}: width {width}, depths {'/'.join(map(str, depths))}, ssm_ratio {ratio:g}"


def _compare(path: Path, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], head: str) -> None:
    own, other = _topology(wanted), _topology(state)
    if own and other and own != other:
        raise WeightsError(message(path, _describe(other), f"this backbone is {_describe(own)}", REMEDY))
    wrong = {"unexpected": [], "missing": [], "unusable": []}
    for key in sorted(state.keys() | wanted.keys()):
        if key not in wanted:
            wrong["unexpected"].append(key)
        elif key not in state:
            wrong["missing"].append(key)
        elif defect := _defect(state[key], wanted[key]):
            wrong["unusable"].append(f"{key} {defect}")
    if not any(wrong.values()):
        return
    seen = ", ".join(_listed(what, keys) for what, keys in wrong.items() if keys)
    only_head = all(key.startswith(head) for keys in wrong.values() for key in keys)
    text = message(path, seen, "only the head may differ", HEAD_REMEDY if only_head else REMEDY)
    raise WeightsError(text)


def _defect(value: Tensor, own: Tensor) -> str:
    if value.shape != own.shape:
        return f"is {tuple(value.shape)}, not {tuple(own.shape)}"
    if value.dtype not in FLOATS:
        return f"is {value.dtype}, not floating point".replace("torch.", "")
    return "" if value.isfinite().all() else "holds values that are not finite"


def _listed(what: str, keys: list[str]) -> str:
    """Returns e.g. "2 missing ('a', 'b')"; names from a file are quoted and cut."""
    names = [f"{key!r:.120}" for key in keys[:LISTED]]
    return f"{len(keys)} {what} ({', '.join(names)}{', ...' if len(keys) > LISTED else ''})"
