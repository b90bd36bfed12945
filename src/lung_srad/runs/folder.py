"""A run's folder on disk, and the files in it.

runs/lung_srad/seed1/
  config.toml  provenance.json      the resolved preset; versions, data, weights, command
  patients.csv                      age group, sex, diagnosis of each patient, where the corpus tells: for subgroups
  select/                           run A: trained without the validation patients
    log.jsonl  timing.jsonl         one line per step and epoch; wall-clock times apart
    checkpoint.safetensors          everything that is needed to continue
    best.safetensors                the weights of the best validation epoch so far
    predictions/epoch_001_test.csv  one file per epoch and part
  refit/                            run B: trained on all training patients (absent with --no-refit)
    ...
  weights.safetensors               the headline's weights
  result.json                       the scores of the four rules; written last: the run is finished
"""

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lung_srad.config import Preset, dump_preset, load_preset
from lung_srad.errors import BusyError, RunError, message
from lung_srad.evaluation import Predictions, read_predictions, write_predictions
from lung_srad.files import is_full, remove_leftovers, replacing

STALE = 900.0  # seconds without a sign of life after which a lock is void, wherever its holder was
_BEING_WRITTEN = 10.0  # seconds after which a lock that says nothing is that of a killed process


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file in one step."""
    with replacing(path) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


@dataclass(frozen=True)
class PhaseFolder:
    """The files of one training run: select (A) or refit (B)."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """Where training continues from."""
        return self.path / "checkpoint.safetensors"

    def prepare(self) -> None:
        """Makes the folder, and removes what a killed run left half-written."""
        predictions = self.path / "predictions"
        predictions.mkdir(parents=True, exist_ok=True)
        for folder in (self.path, predictions):
            remove_leftovers(folder)

    def predictions_file(self, epoch: int, part: str) -> Path:
        """Returns where the predictions of an epoch (from 1) on a part of the data are."""
        return self.path / "predictions" / f"epoch_{epoch:03d}_{part}.csv"

    def write_predictions(self, epoch: int, part: str, predictions: Predictions) -> None:
        """Writes the predictions of one epoch."""
        write_predictions(self.predictions_file(epoch, part), predictions)

    def read_predictions(self, epoch: int, part: str) -> Predictions:
        """Returns the predictions of one epoch."""
        return read_predictions(self.predictions_file(epoch, part))

    def read_log(self) -> list[dict[str, Any]]:
        """Returns the lines of log.jsonl: one per step, and one per epoch and scored part."""
        return _lines(self.path / "log.jsonl")

    def read_timing(self) -> list[dict[str, Any]]:
        """Returns the lines of timing.jsonl: the seconds of each epoch."""
        return _lines(self.path / "timing.jsonl")


@dataclass(frozen=True)
class RunFolder:
    """One run: one preset, one seed, one dataset."""

    path: Path

    @property
    def select(self) -> PhaseFolder:
        """Run A."""
        return PhaseFolder(self.path / "select")

    @property
    def refit(self) -> PhaseFolder:
        """Run B."""
        return PhaseFolder(self.path / "refit")

    @property
    def headline(self) -> PhaseFolder:
        """The one of the two that a finished run reports."""
        return self.refit if self.result()["headline"] == "refit" else self.select

    @property
    def weights(self) -> Path:
        """The headline's weights."""
        return self.path / "weights.safetensors"

    @property
    def patients(self) -> Path:
        """What the corpus tells of its patients, see :func:`lung_srad.evaluation.read_facts`."""
        return self.path / "patients.csv"

    @property
    def finished(self) -> bool:
        """Whether the run has its result."""
        return self.started and (self.path / "result.json").is_file()

    @property
    def started(self) -> bool:
        """Whether there is anything of a run here."""
        return (self.path / "config.toml").is_file()

    @property
    def synthetic(self) -> bool:
        """Whether it was trained on simulated recordings."""
        return bool(self.facts()["data"].get("synthetic", False))

    def write_config(self, preset: Preset, facts: Mapping[str, Any]) -> None:
        """Writes the resolved preset and where the run comes from."""
        write_json(self.path / "provenance.json", facts)
        with replacing(self.path / "config.toml") as file:
            file.write(dump_preset(preset).encode())

    def config(self) -> Preset:
        """Returns the preset the run was made with."""
        return load_preset(self.require() / "config.toml")

    def facts(self) -> dict[str, Any]:
        """Returns the provenance."""
        return self._json("provenance.json", {"seed", "data", "class_names", "normal", "start", "processes"})

    def result(self) -> dict[str, Any]:
        """Returns the result of a finished run.

        Raises:
            RunError: the run is not finished.
        """
        self.require()
        if not self.finished:
            text = message(self.path, "the run is not finished", "a run with result.json", "continue it with --resume")
            raise RunError(text)
        return self._json("result.json", {"rules", "selected_epoch", "headline", "train_cycles"})

    def require(self) -> Path:
        """Returns the path, or says that there is no run."""
        if not self.started:
            text = message(self.path, "no run here (no config.toml)", "a folder that train wrote", "check the path")
            raise RunError(text)
        return self.path

    def _json(self, name: str, keys: set[str]) -> dict[str, Any]:
        path, allowed = self.require() / name, "a JSON file that train wrote"
        remedy = "restore it, or remove the run's folder and train again"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            seen = f"cannot be read ({getattr(error, 'strerror', None) or error})"
            raise RunError(message(path, seen, allowed, remedy)) from error
        if not isinstance(content, dict) or (missing := keys - content.keys()):
            seen = "lacks " + ", ".join(sorted(missing)) if isinstance(content, dict) else "is no table of facts"
            raise RunError(message(path, seen, allowed, remedy))
        return content

    @contextmanager
    def lock(self) -> Iterator[Callable[[], None]]:
        """Keeps every other process, on this machine or another with the same disk, out of the run.

        Yields a function to call at least every few minutes: it tells the others that the holder still runs.

        Raises:
            BusyError: somebody else is at work here, or has taken over since, because this process was silent.
            RunError: the folder cannot be written, or its disk is full.
        """
        lock = self.path / "lock"
        owner = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)})
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            _take(lock, owner)
        except OSError as error:
            seen = f"cannot be written ({error.strerror or error})"
            remedy = "make room and give the same command again" if is_full(error) else "choose another --out"
            raise RunError(message(self.path, seen, "a folder with room and the right to write", remedy)) from error
        try:
            remove_leftovers(self.path)
            yield partial(_show_life, lock, owner)
        finally:
            if _holder(lock) == owner:
                lock.unlink(missing_ok=True)


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        seen = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        remedy = "restore it, or remove the run's folder and train again"
        raise RunError(message(path, seen, "a file that train wrote, a JSON object per line", remedy)) from error


def _take(lock: Path, owner: str) -> None:
    for _ in range(2):
        try:
            file = lock.open("x", encoding="utf-8")
        except FileExistsError:
            if not _void(lock):
                break
            lock.unlink(missing_ok=True)  # two may do this at once: the first to come finds out in _show_life
            continue
        try:
            with file:
                file.write(owner)
        except OSError:  # a full disk: a lock that says nothing would keep the next command out
            lock.unlink(missing_ok=True)
            raise
        return
    text = message(lock.parent, "another process works on this run", "one at a time", f"wait, or remove {lock}")
    raise BusyError(text)


def _show_life(lock: Path, owner: str) -> None:
    if _holder(lock) != owner:
        seen = "another process has taken this run over"
        raise BusyError(message(lock, seen, "one at a time", "continue it with --resume when the other has ended"))
    os.utime(lock)


def _holder(lock: Path) -> str | None:
    try:
        return lock.read_text(encoding="utf-8")
    except OSError:
        return None


def _void(lock: Path) -> bool:
    """Whether a lock's holder is gone: dead on this machine, or silent for long."""
    try:
        age = time.time() - lock.stat().st_mtime
        owner = json.loads(lock.read_text(encoding="utf-8"))
        host, pid = owner["host"], int(owner["pid"])
    except FileNotFoundError:
        return True
    except (ValueError, TypeError, KeyError):
        return age > _BEING_WRITTEN
    return age > STALE or (host == socket.gethostname() and not _alive(pid))


def _alive(pid: int) -> bool:
    if os.name == "nt":  # there os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's process, or no number of one
        return True
    return True
