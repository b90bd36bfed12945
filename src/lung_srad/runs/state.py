"""Tensors on disk: safetensors files with facts, and checkpoints that training continues from to the same bits."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lung_srad.errors import RunError, message
from lung_srad.files import replacing
from lung_srad.memory import ran_out

FACTS = "lung_srad"  # the one metadata key: safetensors writes several in random order, and so other bytes each time

REMEDY = "continue an unfinished run with --resume; remove the folder of a finished one and train again"


@dataclass(frozen=True)
class Progress:
    """How far a training run is.

    Attributes:
        epoch: epochs that are complete, evaluation included.
        step: steps taken in all.
        log_bytes: length of log.jsonl at this moment; on resume it is cut back to it.
    """

    epoch: int = 0
    step: int = 0
    log_bytes: int = 0


def save_checkpoint(
    path: Path, progress: Progress, net: nn.Module, objective: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Writes weights, optimiser state and progress in one step: a kill leaves the old checkpoint or the new one."""
    tensors = {f"net/{key}": value for key, value in net.state_dict().items()}
    tensors |= {f"objective/{key}": value for key, value in objective.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": value for key, value in state.items()}
    write_tensors(path, tensors, asdict(progress))


def load_checkpoint(path: Path, net: nn.Module, objective: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Restores weights and optimiser state and returns the progress.

    Raises:
        RunError: the file is damaged or belongs to another run.
    """
    tensors, facts = read_tensors(path)
    groups: dict[str, dict[str, Tensor]] = {"net": {}, "objective": {}, "optimizer": {}}
    states: dict[int, dict[str, Tensor]] = {}
    try:
        for key, value in tensors.items():
            group, _, name = key.partition("/")
            groups[group][name] = value
        for name, value in groups["optimizer"].items():
            index, _, key = name.partition("/")
            states.setdefault(int(index), {})[key] = value
        net.load_state_dict(groups["net"])
        objective.load_state_dict(groups["objective"])
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
        return Progress(**facts)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        if ran_out(error):  # which says nothing of the file
            raise
        seen = f"does not fit this run ({cause(error)})"
        raise RunError(message(path, seen, "the checkpoint of this preset", "choose another --out")) from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Writes tensors and facts (anything that JSON takes) in one step; the same content gives the same bytes."""
    content = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with replacing(path) as file:
        file.write(save(content, {FACTS: json.dumps(facts)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the tensors and facts in a file of ours.

    Raises:
        RunError: the file is absent, damaged, or not ours.
    """
    if not path.is_file():
        raise RunError(message(path, "is not there", "a file that train writes", REMEDY))
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[FACTS])
            # cloned: what safetensors gives is a view of the file, which a later checkpoint replaces
            return {key: file.get_tensor(key).clone() for key in file.keys()}, facts  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
        seen = f"cannot be read, or is not ours ({cause(error)})"
        raise RunError(message(path, seen, "a whole file that train wrote", "restore it, or train again")) from error


def cause(error: Exception) -> str:
    """Returns another library's message in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."
