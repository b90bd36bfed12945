"""A run folder with an untrained network whose answers differ, and recordings to classify."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from lung_srad.config import load_preset
from lung_srad.inference import Model, load
from lung_srad.runs import RunFolder, TrainedModel, build_model, save_model

CLASSES = ("normal", "crackle", "wheeze", "both")
RATE = 4000


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


LONG = (  # windows as published
    "backbone.seconds=8.0",
    "backbone.frames=32",
    "backbone.normalize=cycle",
    "backbone.start=official",
)


def write_run(folder: Path, *overrides: str, synthetic: bool = True) -> Path:
    """Returns the folder of a run that was never trained."""
    preset = load_preset("lung_srad", profile="small", overrides=[*LONG, *overrides])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = build_model(preset, len(CLASSES))
        torch.nn.init.normal_(net.head.weight, std=0.3)  # else all answers are alike
    run = RunFolder(folder)
    folder.mkdir(parents=True)
    facts = {"seed": 1, "data": {}, "class_names": list(CLASSES), "normal": 0, "start": {}, "processes": 1}
    run.write_config(preset, facts)
    save_model(run.weights, TrainedModel(net, preset, CLASSES, 0, synthetic))
    return folder


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    return write_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("inference") / "lung_srad-small" / "seed1")


@pytest.fixture(scope="session")
def model(run: Path) -> Model:
    return load(run)


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes a recording: breath-like noise whose level and pitch change."""

    def write(name: str = "a.wav", *, seconds: float = 9.5, rate: int = RATE, channels: int = 1, seed: int = 0) -> Path:
        draw = np.random.default_rng(seed)
        times = np.arange(max(1, round(seconds * rate))) / rate
        tone = np.sin(2 * np.pi * (200 + 20 * times) * times) * (times % 3 > 1.5)
        wave = 0.05 * draw.standard_normal((len(times), channels)) + 0.2 * tone[:, None]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(path, "w", rate, channels) as file:
            for start in range(0, len(wave), 4096):  # libsndfile's Vorbis encoder takes no long blocks
                file.write(wave[start : start + 4096])
        return path

    return write
