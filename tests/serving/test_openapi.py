"""What /openapi.json promises, tried by schemathesis: made-up requests, right ones and wrong ones."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RUN = "from schemathesis.cli import schemathesis; schemathesis()"
EXAMPLES = 150  # of each operation and phase


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("schemathesis") is None, reason="the extra fuzz is not here; `make api-check` installs it"
)
def test_schemathesis_finds_no_failure(start: Callable, tmp_path: Path) -> None:
    service = start(megabytes=8, waiting=64)
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(HERE / "openapi_hooks.py")}
    command = [sys.executable, "-c", RUN, "run", f"http://127.0.0.1:{service.port}/openapi.json"]
    command += [
        "--continue-on-failure",
        "--checks",
        "all",
        "--max-examples",
        str(EXAMPLES),
        "--seed",
        os.environ.get("FUZZ_SEED", "1"),
    ]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    assert "4 selected / 4 total" in run.stdout
    assert "0 generated" not in run.stdout
    service.wait_until_idle()
