"""A run killed with SIGKILL at random moments, also inside the checkpoint write, gives the bytes of an unbroken one."""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "benchmarks" / "kills.md"


def kill(folder, *arguments, show=lambda line: None):
    """Returns what killing.py found; hands on a line per kill as it comes."""
    command = [sys.executable, str(HERE / "killing.py"), str(folder), *arguments]
    setting = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=setting) as run:
        lines = []
        for line in run.stdout:
            lines.append(line)
            show(line.rstrip())
        error = run.stderr.read()
    assert run.returncode == 0, error[-3000:]
    return json.loads(lines[-1])


def test_three_kills_change_no_byte(tmp_path):
    found = kill(tmp_path, "--kills", "3", "--in-writes", "1", "--seed", "4")
    assert found["kills"] == 3
    assert found["in_writes"]["half of the bytes"] == 1
    assert found["files"] >= 15
    assert found["differ"] == []


@pytest.mark.slow
def test_20_kills_at_random_moments_change_no_byte(tmp_path, capsys):
    with capsys.disabled():
        tiny = ["backbone.name=dass_tiny", "smoothing.blocks=[2,3]", "backbone.frames=64", "training.epochs=4"]
        found = kill(tmp_path, "--kills", "20", "--in-writes", "8", "--seed", "1", "--set", *tiny, show=print)
    if os.environ.get("LUNG_SRAD_RESULTS"):
        write_page(found)
    assert found["kills"] == 20
    assert sum(found["in_writes"].values()) == 8
    assert found["differ"] == []


def write_page(found):
    from lung_srad.runs import machine_line

    writes = found["in_writes"]
    stages = "\n".join(f"| in the write of a checkpoint: {stage} | {count} |" for stage, count in writes.items())
    verdict = "none" if not found["differ"] else ", ".join(found["differ"])
    PAGE.write_text(f"""\
# Kills: runs that are killed and resumed

{datetime.date.today().isoformat()}, {machine_line()}

A Lung-SRAD run of both phases (`dass_tiny`, four epochs each, a small corpus of noise, a checkpoint every other step;
{found["unbroken_s"]:.0f} s unbroken) is killed with SIGKILL at random moments, seeded, and continued with `--resume`
each time. A moment is a random place in the run and then a random part of a step, or the next write of a checkpoint
after that place.

| killed | times |
|---|---|
| anywhere, starting again included | {found["kills"] - sum(writes.values())} |
{stages}
| **in all** | **{found["kills"]}** |

Files compared by SHA-256 with those of the unbroken run (weights, checkpoints with the optimiser's state, predictions
of every epoch, `log.jsonl`, preset, result): {found["files"]}. Files that differ: **{verdict}**.

Made by `make slow-kill`.
""")
