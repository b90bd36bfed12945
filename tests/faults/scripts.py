"""Starts a script of this folder, hands on its lines, and returns what it found."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PLACES = (HERE, HERE.parent / "training", HERE.parent)
ALONE = 3  # the exit code of a script that may not mount
MEMORY = Path("/dev/shm")  # a kill loses nothing that was written, so there is no need to wait for a disk


def found_by(script: str, *words: str, show: Callable[[str], object] = lambda line: None) -> dict[str, Any]:
    """Returns the JSON of a script's last line; ``show`` gets the others as they come."""
    places = [*map(str, PLACES), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command, lines = [sys.executable, str(HERE / script), *words], []
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | own) as run,
    ):
        for line in run.stdout:
            lines.append(line)
            if not line.startswith("{"):
                show(line.rstrip())
        code = run.wait()
        if code == ALONE:
            pytest.skip("a small disk can be mounted by root only, and not in every container")
        errors.seek(0)
        assert code == 0, errors.read()[-3000:]
    return json.loads(lines[-1])


@contextmanager
def workplace() -> Iterator[Path]:
    """Yields a folder in memory where there is one."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)
