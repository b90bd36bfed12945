"""A command in a forked child, and how the child dies: by its parent's signal, or by its own within a write."""

import errno
import io
import os
import re
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from labours import Labour, Reached

STAGES = ("half of the bytes", "before fsync", "after fsync", "after the rename")
A_LINE = "half of a line of the log"
BROKEN = 70  # the exit code of a child that ended in a traceback


@dataclass(frozen=True)
class Moment:
    """When a command is killed.

    Attributes:
        place: the share of the work after which it dies; 0 also before anything was read.
        stage: of the next write of a file of the labour's; "" for anywhere.
        delay: of the parent's signal after the place was reached, in seconds.
    """

    place: float
    stage: str
    delay: float


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Half:
    """A file that is written as always, up to the middle of its n-th write."""

    def __init__(self, file: IO[Any], inside: int) -> None:
        self.file, self.left = file, inside

    def __enter__(self) -> "Half":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: Any) -> int:
        self.left -= 1
        if self.left:
            return self.file.write(data)
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        return die()


def die_in_the_next_write(stage: str, labour: Labour) -> None:
    """Lets this process kill itself within its next write of a file of the labour's."""
    opened, renamed = Path.open, os.replace

    def rename(*names: object) -> None:
        renamed(*names)
        die()

    def deadly(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
        file = opened(path, mode, *more, **named)
        if mode != ("a" if stage == A_LINE else "xb") or not (stage == A_LINE or re.search(labour.target, path.name)):
            return file
        if stage == "before fsync":
            os.fsync = die
        elif stage == "after fsync":
            os.replace = die
        elif stage == "after the rename":
            os.replace = rename
        return Half(file, labour.inside) if stage in (STAGES[0], A_LINE) else file

    Path.open = deadly


def attempt(labour: Labour, given: Path, out: Path, moment: Moment | None = None) -> tuple[int, int]:
    """Gives a command in a child, kills it at a moment, and returns the signal it died of, or 0, and its exit code.

    Raises:
        SystemExit: the child ended in a traceback, which is on stderr.
    """
    reader, writer = os.pipe()
    child = _forked(lambda: labour.go(given, out, _watching(moment, labour, writer)))
    os.close(writer)
    if os.read(reader, 1) == b"!":
        time.sleep(moment.delay)
        os.kill(child, signal.SIGKILL)
    os.close(reader)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == BROKEN:
        raise SystemExit("an attempt ended in a traceback; see above")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, os.WEXITSTATUS(status)


def _watching(moment: Moment | None, labour: Labour, writer: int) -> Reached:
    """Returns what tells the parent, or arms the next write, once the place is reached."""
    waiting = moment is not None

    def reached(place: float) -> None:
        nonlocal waiting
        if not waiting or place < moment.place:
            return
        waiting = False
        if moment.stage:
            os.close(writer)
            die_in_the_next_write(moment.stage, labour)
        else:
            os.write(writer, b"!")

    return reached


def _forked(work: Any, stderr: int | None = None) -> int:
    """Returns the number of a child that does the work and ends with its exit code; it says nothing on stdout."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if stderr is not None:
            os.dup2(stderr, 2)
        code = work()
        sys.stderr.flush()
        os._exit(code)
    except SystemExit as stop:
        os._exit(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(BROKEN)


class Narrow(io.FileIO):
    """A file on a disk that fills up: the bytes of all such files together are counted."""

    left = 0

    def write(self, data: Any) -> int:
        fits = memoryview(data).cast("B")[: Narrow.left]
        Narrow.left -= len(fits)
        if not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fits)


def fill_up_after(room: int) -> None:
    """Lets every file that this process writes from now on find a full disk after so many bytes in all."""
    opened, Narrow.left = Path.open, room

    def narrow(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
        if mode in ("r", "rb"):
            return opened(path, mode, *more, **named)
        raw = Narrow(path, mode.replace("b", ""))
        file = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return file if "b" in mode else io.TextIOWrapper(file, named.get("encoding"))

    Path.open = narrow


def heard(labour: Labour, given: Path, out: Path, room: int | None = None) -> tuple[int, str]:
    """Gives a command in a child, and returns its exit code and what it said on stderr.

    ``room`` is how many bytes it may write; without one, as many as the disk takes.
    """

    def work() -> int:
        if room is not None:
            fill_up_after(room)
        return labour.go(given, out, lambda share: None)

    with open(os.memfd_create("stderr"), "w+b") as file:
        child = _forked(work, file.fileno())
        status = os.waitpid(child, 0)[1]
        file.seek(0)
        return os.waitstatus_to_exitcode(status), file.read().decode()
