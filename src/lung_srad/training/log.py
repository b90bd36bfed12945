"""The files that grow while a run trains: log.jsonl, a function of the run alone, and timing.jsonl."""

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from lung_srad.errors import RunError, message, optional_import
from lung_srad.runs.state import Progress


class RunLog:
    """Appends lines to log.jsonl and timing.jsonl, and to TensorBoard if asked; only the leader writes.

    Opening cuts both files back to where the checkpoint stands.
    """

    def __init__(self, folder: Path, progress: Progress, leader: bool, tensorboard: bool) -> None:
        self._leader = leader
        self._board = None
        if not leader:
            return
        if tensorboard:
            module = optional_import("torch.utils.tensorboard", "track")
            self._board = module.SummaryWriter(folder / "tensorboard", purge_step=progress.step)
        timing = folder / "timing.jsonl"
        self._log = _open_at(folder / "log.jsonl", progress.log_bytes)
        self._timing = _open_at(timing, _bytes_of_lines(timing, progress.epoch))

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_: object) -> None:
        if self._leader:
            self._log.close()
            self._timing.close()
        if self._board:
            self._board.close()

    def write(self, entry: dict[str, Any]) -> None:
        """Appends what is a function of the run."""
        if not self._leader:
            return
        self._log.write((json.dumps(entry) + "\n").encode())
        if self._board:
            prefix, place = entry.get("part", "train"), entry.get("step", entry["epoch"])
            for name, value in entry.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"{prefix}/{name}", value, place)

    def time(self, entry: dict[str, Any]) -> None:
        """Appends what depends on the machine: one line per epoch."""
        if self._leader:
            self._timing.write((json.dumps(entry) + "\n").encode())

    def flush(self) -> int:
        """Brings both files to the disk and returns the length of log.jsonl."""
        if not self._leader:
            return 0
        for file in (self._log, self._timing):
            file.flush()
            os.fsync(file.fileno())
        return self._log.tell()


def _bytes_of_lines(path: Path, count: int) -> int:
    """Returns the length of the first ``count`` lines of a file, 0 where it is not there."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return sum(map(len, lines[:count]))


def _open_at(path: Path, length: int) -> BinaryIO:
    """Opens a file for appending after its first ``length`` bytes; what follows them is dropped."""
    path.touch()
    if path.stat().st_size < length:
        seen = f"{path.stat().st_size} bytes, fewer than when its checkpoint was written"
        raise RunError(message(path, seen, f"at least {length}", "restore the run folder, or choose another --out"))
    file = path.open("r+b")
    file.truncate(length)
    file.seek(length)
    return file
