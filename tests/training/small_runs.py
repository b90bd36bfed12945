"""A small corpus, a smaller backbone, presets that train on it in a second, and what is left of a run on disk."""

import hashlib
from pathlib import Path

import numpy as np
import soundfile

from lung_srad.audio import Frontend
from lung_srad.config import Preset, load_preset
from lung_srad.models import BACKBONES
from lung_srad.models.vmamba import VMamba
from lung_srad.runs import RunFolder

RATE = 4000
SECONDS = 0.5
CLASSES = ("normal", "crackle", "wheeze")
BACKBONE = "dass_micro"
SMALL = (
    f"backbone.seconds={SECONDS}",
    "backbone.frames=32",
    "backbone.drop_path=0.3",
    "backbone.normalize=cycle",
    "augment.time_mask=10",
    "augment.roll=false",
    "objective.class_weights=false",
    "optimizer.name=adam",
    "optimizer.learning_rate=1e-3",
    "optimizer.weight_decay=1e-6",
    "optimizer.warmup_steps=3",
    "training.epochs=2",
    "training.batch_size=8",
    "training.checkpoint_every=2",
)


def dass_micro(
    *,
    drop_path: float = 0.3,
    seconds: float = 8.0,
    frames: int = 1024,
    normalize: str = "cycle",
    resampler: str = "sinc",
    start: str = "official",
) -> VMamba:
    """Returns a backbone like DASS with one block per stage and widths 8/16/32/64; ``start`` changes nothing."""
    frontend = Frontend(seconds=seconds, frames=frames, normalize=normalize, resampler=resampler)
    return VMamba(8, (1, 1, 1, 1), drop_path=drop_path, frontend=frontend)


def register() -> None:
    """Makes the small backbone known; tests do it by monkeypatch, scripts for their own process."""
    BACKBONES[BACKBONE] = dass_micro


def small_preset(name: str = "lung_srad", *overrides: str) -> Preset:
    """Returns a shipped preset with the small backbone on small inputs."""
    own = [f"backbone.name={BACKBONE}", *SMALL]
    if load_preset(name).smoothing is not None:
        own.append("smoothing.blocks=[0]")
    return load_preset(name, profile="small", overrides=[*own, *overrides])


def write_corpus(folder: Path, *, silent: str = "", unknown: str = "", classes: tuple[str, ...] = CLASSES) -> Path:
    """Returns a table of ten patients, seven to train on, with four half-second cycles each.

    Args:
        silent: the id of a cycle of zeros, e.g. "p0-1".
        unknown: the id of a cycle without a label.
    """
    folder.mkdir(parents=True)
    lines = ["path,label,patient,split,device,id"]
    for patient in range(10):
        for number in range(4):
            kind, name = (patient + number) % 3, f"p{patient}-{number}"
            sound = _sound([patient, number], 200 + 500 * kind) * (name != silent)
            soundfile.write(folder / f"{name}.wav", sound, RATE, subtype="PCM_16")
            label = "" if name == unknown else classes[kind]
            split, device = "train" if patient < 7 else "test", "pen" if patient % 2 else "phone"
            lines.append(f"{name}.wav,{label},p{patient},{split},{device},{name}")
    table = folder / "table.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def _sound(seed: list[int], pitch: float) -> np.ndarray:
    times = np.arange(int(RATE * SECONDS)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(times))
    return 0.05 * noise + 0.1 * np.sin(2 * np.pi * pitch * times)


def digests(run: RunFolder) -> dict[str, str]:
    """Returns the SHA-256 of every file of a run that is a function of the run."""
    machine = {"provenance.json", "timing.jsonl", "lock"}
    files = [path for path in run.path.rglob("*") if path.is_file() and path.name not in machine]
    return {str(path.relative_to(run.path)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}
