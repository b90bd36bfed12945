"""Strict loading of official checkpoints, with a report of what was loaded.

Read here: DASS v1, v2 and v3 (small and medium), and VMamba's ImageNet files of the same topology, whose RGB stem
is summed to one channel. Files are safetensors, or ``.pth`` read with ``weights_only=True``; nothing in a file is run.
"""

import hashlib
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lung_srad.errors import WeightsError, message
from lung_srad.models.contract import Classifier

PREFIXES = ("module.v.", "module.", "v.", "model.")  # DataParallel and DASS wrap the network once or twice
CONTAINERS = ("model", "state_dict", "model_state_dict")
STEM = "patch_embed.0.weight"
TOPOLOGIES = {  # (width, depths, inner width / width) -> what the file is
    (96, (2, 2, 5, 2), 2.0): "VMamba-T (vssm1_tiny_0230)",
    (96, (2, 2, 8, 2), 1.0): "DASS-small or VMamba-T (vssm1_tiny_0230s)",
    (96, (2, 2, 15, 2), 2.0): "VMamba-S (vssm1_small_0229)",
    (96, (2, 2, 20, 2), 1.0): "DASS-medium or VMamba-S (vssm1_small_0229s)",
    (128, (2, 2, 15, 2), 2.0): "VMamba-B (vssm1_base_0229)",
    (128, (2, 2, 20, 2), 1.0): "VMamba-B (vssm1_base_0229s)",
}
REMEDY = "take a checkpoint of this backbone, or another backbone (lung-srad presets lists them)"


@dataclass(frozen=True)
class LoadReport:
    """What a checkpoint brought.

    Attributes:
        path: the file.
        sha256: hash of the file.
        loaded: number of tensors taken over.
        head: "loaded", "left out" or "absent".
        notes: what was changed on the way, e.g. "RGB stem summed to one channel".
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
    path = Path(path)
    notes: list[str] = []
    state = _unwrap(read_tensors(path), notes)
    wanted = net.state_dict()
    state = _fit(state, wanted, notes)
    head = {key for key in wanted if key.startswith(net.backbone.head_name + ".")}
    in_file = {key for key in state if key.startswith(net.backbone.head_name + ".")}
    if not load_head:
        state = {key: value for key, value in state.items() if key not in in_file}
        wanted = {key: value for key, value in wanted.items() if key not in head}
    _compare(path, state, wanted)
    net.load_state_dict(net.state_dict() | state)
    outcome = "loaded" if load_head else "left out" if in_file else "absent"
    return LoadReport(str(path), sha256(path), len(state), outcome, tuple(notes))


def sha256(path: Path) -> str:
    """Returns the hash of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Returns the named tensors of a safetensors or PyTorch file; nothing in the file is run.

    Raises:
        WeightsError: no such file, damaged, not a checkpoint, or something other than tensors in it.
    """
    if not path.is_file():
        raise WeightsError(message(path, "no such file", "a .safetensors or .pth checkpoint", "check the path"))
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise WeightsError(message(path, f"damaged ({error})", "a whole file", "download it again")) from error
    except pickle.UnpicklingError as error:
        seen = "holds something other than tensors, or is damaged"
        allowed = "only tensors are read, nothing is run"
        raise WeightsError(message(path, seen, allowed, "take a file you trust, as .safetensors")) from error
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
    ) as error:
        reason = str(error).split("\n")[0][:160]
        text = message(path, f"cannot be read ({reason})", "a whole .safetensors or .pth file", "download it again")
        raise WeightsError(text) from error
    return _tensors(path, content)


def _tensors(path: Path, content: object) -> dict[str, Tensor]:
    for name in CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if isinstance(content, Mapping):
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if tensors and len(tensors) == len(content):
            return tensors
    seen = f"a {type(content).__name__} that is not a table of tensors"
    raise WeightsError(message(path, seen, f"names and tensors, or these under {', '.join(CONTAINERS)}", REMEDY))


def _unwrap(state: dict[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in state):
            notes.append(f"prefix {prefix!r} removed")
            return {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _fit(state: dict[str, Tensor], wanted: Mapping[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    """Returns the state with linear layers that are stored as 1×1 convolutions, and an RGB stem, brought to our shapes."""
    fitted, reshaped = {}, 0
    for key, value in state.items():
        own = wanted.get(key)
        if own is not None and value.dim() == 4 and own.dim() == 2 and value.shape == (*own.shape, 1, 1):
            value, reshaped = value.flatten(1), reshaped + 1
        elif key == STEM and own is not None and value.dim() == 4 and value.shape[1] == 3:
            value = value.sum(1, keepdim=True)
            notes.append("RGB stem summed to one channel")
        fitted[key] = value
    if reshaped:
        notes.append(f"{reshaped} linear layers stored as 1x1 convolutions")
    return fitted


def _topology(state: Mapping[str, Tensor]) -> tuple[int, tuple[int, ...], float] | None:
    """Returns (width, depths, inner width / width) of a VMamba state dict."""
    blocks = {match.groups() for key in state if (match := re.match(r"layers\.(\d+)\.blocks\.(\d+)\.", key))}
    stem, inner = state.get("patch_embed.7.bias"), state.get("layers.0.blocks.0.op.out_norm.weight")
    if not blocks or stem is None or inner is None:
        return None
    stages = 1 + max(int(stage) for stage, _ in blocks)
    depths = tuple(len({block for s, block in blocks if int(s) == stage}) for stage in range(stages))
    return len(stem), depths, len(inner) / len(stem)


def _describe(topology: tuple[int, tuple[int, ...], float]) -> str:
    width, depths, ratio = topology
    name = TOPOLOGIES.get(topology, "a VMamba")
    return f"{name}: width {width}, depths {'/'.join(map(str, depths))}, ssm_ratio {ratio:g}"


def _compare(path: Path, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    own, other = _topology(wanted), _topology(state)
    if own and other and own != other:
        raise WeightsError(message(path, _describe(other), f"this backbone is {_describe(own)}", REMEDY))
    problems = [f"missing {key}" for key in wanted if key not in state]
    problems += [f"unexpected {key}" for key in state if key not in wanted]
    for key in wanted.keys() & state.keys():
        if state[key].shape != wanted[key].shape:
            problems.append(f"{key} is {tuple(state[key].shape)}, not {tuple(wanted[key].shape)}")
        elif not state[key].is_floating_point():
            problems.append(f"{key} is {state[key].dtype}, not floating point")
        elif not state[key].isfinite().all():
            problems.append(f"{key} holds values that are not finite")
    if problems:
        seen = f"{len(problems)} keys do not fit: {'; '.join(sorted(problems)[:12])}"
        seen += f" and {len(problems) - 12} more" if len(problems) > 12 else ""
        raise WeightsError(message(path, seen, "only the head may differ", REMEDY))
