"""Several processes that make one corpus."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from lung_srad.datasets.simulated.store import finished, not_writable, read_settings, write_recordings
from lung_srad.errors import DataError, message

_START = "from lung_srad.datasets.simulated.workers import work; work()"
_DONE, _FAILED = "done", "failed"


def written_by(workers: int, root: Path) -> Iterator[str]:
    """Yields the names of recordings as several processes finish them.

    They are programs of their own and read from the folder what to make. The pools of the standard library would
    import the caller's script again: a script without a main guard, or one from standard input, could not simulate.

    Raises:
        DataError: one of them failed; the others are ended.
    """
    search = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    environment = {**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    read, write = os.pipe()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _START, os.fspath(root), str(number), str(workers)],
            stdin=subprocess.DEVNULL,
            stdout=write,  # one pipe for all: each line is written at once
            env=environment,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the others
        )
        for number in range(workers)
    ]
    os.close(write)
    try:
        with os.fdopen(read, encoding="utf-8") as lines:
            for line in lines:
                word, _, text = line.rstrip("\n").partition("\t")
                if word == _FAILED:
                    raise DataError(text)
                yield text
                _require_well(root, [process.poll() for process in processes])  # the others need not end first
        _require_well(root, [process.wait() for process in processes])
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def _require_well(root: Path, codes: Iterable[int | None]) -> None:
    """Raises a DataError where a process has ended other than well."""
    for code in filter(None, codes):
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        remedy = "memory may have run out: use fewer workers; the same command keeps finished recordings"
        raise DataError(message(root, f"a process ended {how}", "allowed: one that ends its work", remedy))


def work() -> None:
    """Makes every n-th recording that is not there; says so line by line. Arguments: folder, number, n."""
    root, number, step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    try:
        settings = read_settings(root)
        plans = settings.plan()[number::step] if settings else ()
        for name in write_recordings(root, [plan for plan in plans if not finished(root, plan)], settings):
            _say(_DONE, name)
    except OSError as error:
        _say(_FAILED, str(not_writable(root, error)))


def _say(word: str, text: str) -> None:
    try:
        os.write(1, f"{word}\t{text}\n".encode())
    except BrokenPipeError:  # nobody listens: the process that started this one was killed
        os._exit(1)
