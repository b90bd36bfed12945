"""Kills a training run with SIGKILL at random moments, resumes it each time, and compares it with an unbroken one.

    python killing.py FOLDER --kills 20 --in-writes 8 --seed 1

Each attempt is a forked child. Where a moment is reached, the parent kills the child after a random part of a step,
or the child kills itself within the next write of a checkpoint: with half of the bytes written, before fsync, after
fsync, or after the rename. Prints a line per kill and then what came of it, as JSON.
"""

# ruff: noqa: T201 - a script

import argparse
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import small_runs
import torch

from lung_srad import files
from lung_srad.config import Preset
from lung_srad.datasets import Table
from lung_srad.runs import RunFolder, state
from lung_srad.training import fit

STAGES = ("half of the bytes", "before fsync", "after fsync", "after the rename")
PHASES = ("select", "refit")
LATEST = 1.8  # of 2 phases: near the very end a run could finish before its signal comes


@dataclass(frozen=True)
class Moment:
    """When a run is killed: once ``place`` phases are through (0.5: half of the first), or on starting again.

    Attributes:
        stage: of the next checkpoint's write; "" for anywhere.
        delay: of the parent's signal after the place was reached, in seconds.
    """

    place: float
    stage: str
    delay: float


def draw_moments(seed: int, kills: int, in_writes: int, step_s: float) -> list[Moment]:
    """Returns moments at random over both phases, in order; one in five of those anywhere is on starting again."""
    draw = random.Random(seed)
    stages = [STAGES[index % len(STAGES)] for index in range(in_writes)] + [""] * (kills - in_writes)
    draw.shuffle(stages)
    places = sorted(draw.uniform(0, LATEST) for _ in range(kills))
    starting = [not stage and draw.random() < 0.2 for stage in stages]
    return [
        Moment(0 if start else place, stage, draw.uniform(0, step_s))
        for place, stage, start in zip(places, stages, starting, strict=True)
    ]


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_the_next_write(stage: str) -> None:
    """Lets this process kill itself within its next write of a checkpoint."""

    class Half:
        def __init__(self, file: BinaryIO) -> None:
            self.file = file

        def write(self, data: bytes) -> None:
            self.file.write(data[: len(data) // 2])
            self.file.flush()
            die()

    @contextmanager
    def deadly(path: Path) -> Iterator[BinaryIO | Half]:
        with files.replacing(path) as file:
            if stage == "before fsync":
                os.fsync = die
            elif stage == "after fsync":
                os.replace = die
            yield Half(file) if stage == "half of the bytes" else file
        die()

    state.replacing = deadly


def attempt(train: Callable[[Callable[[float], None]], None], moment: Moment | None) -> int:
    """Trains in a child up to a moment, kills it there, and returns the signal it died of, or 0."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        waiting = moment is not None

        def reached(place: float) -> None:
            nonlocal waiting
            if not waiting or place < moment.place:
                return
            waiting = False
            if moment.stage:
                die_in_the_next_write(moment.stage)
            else:
                os.write(writer, b"!")

        try:
            train(reached)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    if os.read(reader, 1):
        time.sleep(moment.delay)
        os.kill(child, signal.SIGKILL)
    os.close(reader)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("an attempt ended in an error; see above")
    return os.WTERMSIG(status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--in-writes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[])
    args = parser.parse_args()
    torch.set_num_threads(1)  # of the parent too: a child of a process with more could hang
    small_runs.register()
    preset = small_runs.small_preset("lung_srad", *args.set)
    table = small_runs.write_corpus(args.folder / "corpus")
    os.environ["LUNG_SRAD_CACHE"] = str(args.folder / "cache")

    started = time.perf_counter()
    attempt(trainer(preset, table, args.folder / "unbroken"), None)
    seconds = time.perf_counter() - started
    unbroken = RunFolder(next((args.folder / "unbroken").glob("*/seed1")))
    moments = draw_moments(args.seed, args.kills, args.in_writes, step_seconds(unbroken))
    train, killed = trainer(preset, table, args.folder / "killed"), []
    for number, moment in enumerate(moments, start=1):
        if attempt(train, moment) == signal.SIGKILL:
            killed.append(moment)
        where = moment.stage or ("starting again" if moment.place == 0 else "anywhere")
        print(f"{number:3d} of {args.kills}: after {moment.place / 2:4.0%} of the run, {where}", flush=True)
    attempt(train, None)
    again = RunFolder(args.folder / "killed" / unbroken.path.relative_to(args.folder / "unbroken"))
    whole, other = small_runs.digests(unbroken), small_runs.digests(again)
    result = {
        "kills": len(killed),
        "in_writes": {stage: sum(moment.stage == stage for moment in killed) for stage in STAGES},
        "files": len(whole),
        "differ": sorted(name for name in whole.keys() | other.keys() if whole.get(name) != other.get(name)),
        "unbroken_s": seconds,
    }
    print(json.dumps(result))


def step_seconds(run: RunFolder) -> float:
    """Returns how long a step of a run takes, its share of the scoring included."""
    seconds = steps = 0
    for phase in (run.select, run.refit):
        times = [json.loads(line) for line in (phase.path / "timing.jsonl").read_text().splitlines()]
        seconds += sum(time["train_s"] + time["score_s"] for time in times)
        steps += sum('"loss"' in line for line in (phase.path / "log.jsonl").read_text().splitlines())
    return seconds / steps


def trainer(preset: Preset, table: Path, out: Path) -> Callable[[Callable[[float], None]], None]:
    """Returns a function that trains or resumes a run and tells how many of its two phases are through."""

    def train(reached: Callable[[float], None]) -> None:
        def report(what: str, done: int, total: int) -> None:
            phase = what.partition(",")[0]
            reached(PHASES.index(phase) + done / total if phase in PHASES else 0)

        fit(preset, Table(table), out=out, resume=True, report=report)

    return train


if __name__ == "__main__":
    main()
