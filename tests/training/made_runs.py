"""Finished runs made by hand: answers drawn from a seed, and everything that tables read, without any training."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lung_srad.config import Preset
from lung_srad.evaluation import Predictions, select
from lung_srad.runs import RunFolder
from lung_srad.runs.folder import write_json
from lung_srad.training import run_name

LABELS = np.array([0] * 12 + [1] * 6 + [2] * 4 + [3] * 2)
CLASSES = ("normal", "crackle", "wheeze", "both")
EPOCHS = 3


def answers(preset: Preset, seed: int, epoch: int, part: str = "test") -> Predictions:
    """Returns what a made run answers: half right, half drawn."""
    two = preset.training.two_class
    labels = (LABELS > 0).astype(int) if two else LABELS
    names = ("normal", "abnormal") if two else CLASSES
    draw = np.random.default_rng([seed, epoch, len(part), *preset.name.encode()])
    logits = draw.standard_normal((len(labels), len(names))) + 1.5 * np.eye(len(names))[labels]
    weights = np.exp(logits)
    count = len(labels)
    words = [[f"{kind}{index % size}" for index in range(count)] for kind, size in (("r", 8), ("p", 6), ("d", 2))]
    columns = ([f"c{index}" for index in range(count)], *words, ["Al"] * count, [part] * count)
    times = np.zeros(count), np.ones(count)
    return Predictions(names, *columns, *times, labels, weights / weights.sum(1, keepdims=True))


def make_run(out: Path, preset: Preset, seed: int, *, cycles: int = 28, **facts: Any) -> RunFolder:
    """Returns the folder of a finished run; ``facts`` change its provenance, e.g. ``data={...}``."""
    run = RunFolder(out / run_name(preset) / f"seed{seed}")
    kind = "two" if preset.training.two_class else "four"
    known = {
        "seed": seed,
        "data": {"name": "icbhi", "split": "official", "fingerprint": f"{kind} classes"},
        "class_names": list(answers(preset, seed, 1).class_names),
        "normal": 0,
        "start": {"weights": "checkpoint", "sha256": "0" * 64},
        "processes": 1,
    }
    run.path.mkdir(parents=True)
    run.write_config(preset, known | facts)
    phase = run.refit if preset.training.refit else run.select
    phase.prepare()
    for epoch in range(1, EPOCHS + 1):
        phase.write_predictions(epoch, "test", answers(preset, seed, epoch))
    epochs = range(1, EPOCHS + 1)
    rules = select(*([answers(preset, seed, epoch, part).scores() for epoch in epochs] for part in ("v", "test")))
    (chosen,) = next(choice.epochs for choice in rules if choice.headline)
    result = {
        "selected_epoch": chosen,
        "headline": phase.path.name,
        "train_cycles": cycles,
        "rules": [asdict(choice) for choice in rules],
    }
    write_json(run.path / "result.json", result)
    return run
