"""The long work that is killed, starved of room and compared here: four commands, made small."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import small_runs
import soundfile
import torch

from lung_srad.cli import app, screen

Reached = Callable[[float], None]  # told the share of the work that is through, 0 to 1
Report = Callable[[str, int, int], None]

RATE = 4000
TIMES = {"provenance.json", "timing.jsonl", "lock"}  # what a run's folder holds of machine and clock
WARM = (  # what the commands import at work; a parent that has it forks children that start at once
    "torch._dynamo",
    "lung_srad.training",
    "lung_srad.inference.processes",
    "lung_srad.inference.tables",
    "lung_srad.kernels",
)
OF_THE_LOG = {"log.jsonl"}  # in the order of the answers; what failed is tried again, and has another line


@dataclass(frozen=True)
class Labour:
    """A command that is given again and again until it is through.

    Attributes:
        words: makes the command line from the folder of what it reads and the folder that it writes.
        share: makes the share that is through from what the command reports.
        target: of the files it writes, those whose writes are hurt, as a regular expression.
        inside: the call of ``write`` at whose middle it dies; the first of some files is a header.
        code: the exit code of a whole run.
        left_out: names of files that are no function of the work.
        result: the folder below ``out`` that is compared.
        ending: files are still written when everything is through.
        kills: in one pass; each lets at least one piece of work through, so there are no more than pieces.
    """

    words: Callable[[Path, Path], list[str]]
    share: Callable[[str, int, int], float]
    target: str = r"\.tmp$"
    inside: int = 1
    code: int = 0
    left_out: frozenset[str] = frozenset()
    result: str = "."
    ending: bool = False
    kills: int = 100

    def go(self, given: Path, out: Path, reached: Reached) -> int:
        """Gives the command in this process, and returns its exit code."""
        os.environ["LUNG_SRAD_CACHE"] = str(out / "cache")
        reached(0)
        with _listening(lambda *step: reached(self.share(*step))):
            return app(self.words(given, out), standalone_mode=False) or 0

    def digests(self, out: Path) -> dict[str, str]:
        """Returns the SHA-256 of every file that is a function of the work."""
        root = out / self.result
        files = [path for path in root.rglob("*") if path.is_file() and path.name not in self.left_out]
        whole = [path for path in sorted(files) if path.suffix != ".tmp"]
        return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in whole}


@contextmanager
def _listening(report: Report) -> Iterator[None]:
    """Puts a listener in the place of the bars that the commands move."""

    @contextmanager
    def work() -> Iterator[Report]:
        yield report

    @contextmanager
    def progress(title: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: report(title, done, total)

    real = screen.work, screen.progress
    screen.work, screen.progress = work, progress
    try:
        yield
    finally:
        screen.work, screen.progress = real


def prepare(folder: Path) -> Path:
    """Returns the folder of what the commands read: a table of half-second cycles, and a ward of recordings."""
    torch.set_num_threads(1)  # also of a parent that forks: a child of a process with more could hang
    for name in WARM:
        import_module(name)
    small_runs.register()
    small_runs.write_corpus(folder / "corpus")
    ward = folder / "ward"
    ward.mkdir()
    for number in range(40):
        wave = 0.1 * np.random.default_rng(number).standard_normal(2 * RATE)
        soundfile.write(ward / f"10{number % 7}_{number}b1_Al_sc_Meditron.wav", wave, RATE)
    (ward / "cut.wav").write_bytes(b"RIFF")
    return folder


def clear(out: Path) -> None:
    """Removes what a command has written."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def training_words(*changes: str) -> Callable[[Path, Path], list[str]]:
    own = [f"backbone.name={small_runs.BACKBONE}", "smoothing.blocks=[0]", *small_runs.SMALL, *changes]
    sets = [word for change in own for word in ("--set", change)]

    def words(given: Path, out: Path) -> list[str]:
        data, where = f"table:{given / 'corpus' / 'table.csv'}", str(out / "runs")
        more = ["--profile", "small", "--threads", "1", "--resume", *sets]
        return ["train", "lung_srad", "--data", data, "--out", where, "--weights", "random", *more]

    return words


def _of_training(what: str, done: int, total: int) -> float:
    """Returns the share of both phases that is through; reading recordings comes before them."""
    phase = what.rpartition(": ")[2].partition(",")[0]
    return (["select", "refit"].index(phase) + done / total) / 2 if phase in ("select", "refit") else 0


def _of_reading(what: str, done: int, total: int) -> float:
    return done / total if what.endswith("reading recordings") else 1


def _share(what: str, done: int, total: int) -> float:
    return done / total


def _simulate(given: Path, out: Path) -> list[str]:
    return ["simulate", str(out / "sounds"), "--size", "tiny", "--workers", "1"]


def _classify(given: Path, out: Path) -> list[str]:
    return ["classify", str(given / "ward"), "--out", str(out / "answers"), "--threads", "1"]


TRAINING = {"result": "runs", "left_out": frozenset(TIMES), "target": r"^\.checkpoint\.safetensors\."}
SHORT = ("training.epochs=1", "training.refit=false")
LONG = ("training.epochs=6",)
LABOURS = {
    "a short training": Labour(training_words("training.epochs=1"), _of_training, **TRAINING),
    "training": Labour(training_words(*LONG), _of_training, **TRAINING),
    "training with 2 workers": Labour(training_words(*LONG, "training.workers=2"), _of_training, **TRAINING),
    "preprocessing": Labour(training_words(*SHORT), _of_reading, inside=2, result="cache", kills=10),
    "simulation": Labour(_simulate, _share, kills=10),
    "bulk": Labour(_classify, _share, code=1, left_out=frozenset(OF_THE_LOG), ending=True, kills=17),
}
