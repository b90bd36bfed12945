"""What a Lung-SRAD step costs, in plain cross-entropy steps: forward, backward and optimiser, stochastic depth on.

The paper's reading runs both mixed passes without autograd; of three passes' work it should cost about 5/3 of one.
"""

from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import torch

from lung_srad.config import load_preset
from lung_srad.datasets import Batch
from lung_srad.runs import PhaseFolder, build_model, build_objective
from lung_srad.training.distributed import World
from lung_srad.training.phase import Job, Phase
from settings import Settings
from timing import Times, take_turns

SYSTEMS = {"cross-entropy": "dass_finetuning", "Lung-SRAD": "lung_srad"}


def phase(system: str, settings: Settings) -> Phase:
    """Returns a phase of training that is ready for its next step."""
    overrides = [f"backbone.name={settings.models['small']}", f"backbone.frames={settings.frames}"]
    preset = load_preset(SYSTEMS[system], overrides=["reading=paper", *overrides])
    torch.manual_seed(0)
    net = build_model(preset, 4)
    objective = build_objective(preset, net, (1, 1, 1, 1))
    job = Job(preset, SimpleNamespace(steps=lambda *_: 1), 1, World(0, 1, torch.device("cpu")), lambda *_: None)
    return Phase(job, PhaseFolder(Path()), net, objective, part="train", scored=[])


def one_step(each: Phase, batch: Batch, steps: Iterator[int]) -> None:
    """Trains on a batch, with the random draws of the next step."""
    each.step(batch, 1, next(steps))


def measure(settings: Settings) -> Times:
    """Returns the seconds of each system's step on one batch."""
    batch = max(2, settings.batches[-1])  # batch norm needs two
    label = torch.arange(batch) % 4
    features = torch.randn(batch, 1, 128, settings.frames, generator=torch.Generator().manual_seed(0))
    given = Batch(features, label, label, label, ())
    calls = {system: partial(one_step, phase(system, settings), given, count()) for system in SYSTEMS}
    return take_turns("a training step of", calls, seconds=20 * settings.pace, least=settings.least, most=7)
