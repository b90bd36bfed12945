"""What a machine does to a run - no room, no memory, a process that is gone - in one sentence each."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lung_srad.errors import LungSradError, RunError, message
from lung_srad.files import is_full
from lung_srad.memory import ran_out

_CONTINUE = "continue the run with --resume (a demo: by the same command)"
_LOST = re.compile(r"DataLoader worker \(pid\S* [\d, ]+\) (is killed by signal: \w+|exited unexpectedly)")
_FAR = re.compile(r"Caught \w+ in DataLoader worker process \d+\.\n")  # then the traceback of there, as text


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Says which file or folder it was where the system refuses to write or read.

    Raises:
        RunError: the disk is full, or there is no right to write.
    """
    try:
        yield
    except OSError as error:
        seen = f"cannot be written or read ({error.strerror or _own_words(error)})"
        remedy = f"make room, then {_CONTINUE}" if is_full(error) else "choose another --out"
        where = error.filename or path
        raise RunError(message(where, seen, "a folder with room and the right to write", remedy)) from error


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Says in one sentence what ended the work on a run, also where it happened in a process that makes batches.

    Raises:
        RunError: there is no room or no memory, or a process was lost.
        LungSradError: what was raised, without the traceback that another process put in front of it.
    """
    try:
        with written(path):
            yield
    except LungSradError as error:
        if _FAR.match(str(error)):
            raise type(error)(_own_words(error)) from error
        raise
    except (RuntimeError, MemoryError) as error:
        if ran_out(error):
            seen = f"there is not enough memory ({_own_words(error)})"
            remedy = "lower training.batch_size, training.eval_batch_size or training.workers, or take precision=bf16"
            raise RunError(message(path, seen, "a step that fits; the last checkpoint is kept", remedy)) from error
        if lost := _LOST.search(f"{error.__cause__}\n{error}"):  # the cause knows the signal, if it is known
            seen = f"a process that makes batches {lost[1].replace('is killed', 'was killed')}"
            remedy = f"look at the machine's memory, lower training.workers, and {_CONTINUE}"
            raise RunError(message(path, seen, "processes that live; the last checkpoint is kept", remedy)) from error
        raise


def _own_words(error: Exception) -> str:
    """Returns the line of a message that says what happened: the last of a traceback, else the first."""
    lines = str(error).split("\n")
    if not _FAR.match(str(error)):
        return lines[0][:200] or type(error).__name__
    last = next(line for line in reversed(lines) if line.strip())
    return last.partition(": ")[2] or last
