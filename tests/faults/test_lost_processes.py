"""A process that a command started is killed from outside: named within ten seconds, and it costs what it had alone.

The processes that make batches: tests/training/test_mishaps.py.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from labours import prepare

SOON = 10.0
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]


def command(*words: object) -> subprocess.Popen:
    own = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "lung_srad.cli", *map(str, words)]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | own)


def children(process: subprocess.Popen, word: str) -> list[int]:
    """Returns the numbers of a process's children whose command line has a word."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in found if word in Path(f"/proc/{pid}/cmdline").read_text()]


def wait_until(true, process: subprocess.Popen, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)


def rows(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def tables(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.csv")}


def test_a_process_that_classifies(tmp_path, faults_page):
    ward, out, whole = prepare(tmp_path) / "ward", tmp_path / "out", tmp_path / "whole"
    (ward / "cut.wav").unlink()
    words = ["classify", ward, "--threads", 1, "--workers", 2, "--out"]
    with command(*words, out) as process:
        log = out / "log.jsonl"
        wait_until(lambda: len(rows(log)) >= 4, process)
        os.kill(children(process, "spawn_main")[0], signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda: any("SIGKILL" in row.get("error", "") for row in rows(log)), process, SOON)
        took = time.monotonic() - killed
        said = process.stderr.read()
    faults_page.setdefault("processes", {})["`classify --workers 2`"] = (took, said.splitlines()[0])
    assert process.returncode == 1
    (failed,) = [row for row in rows(log) if row["status"] == "failed"]
    assert said.splitlines() == [f"error: {failed['error']}", "1 of 40 recordings could not be used"]
    with command(*words, whole) as process:
        assert process.wait() == 0
    with command(*words, out) as process:  # the one recording is heard again
        assert process.wait() == 0
    assert tables(out) == tables(whole)


def test_a_process_that_simulates(tmp_path, faults_page):
    out = tmp_path / "sounds"
    with command("simulate", out, "--size", "small", "--workers", 2) as process:
        wait_until(lambda: len(list(out.glob("audio_and_txt_files/*.wav"))) >= 4, process)
        os.kill(children(process, "workers")[0], signal.SIGKILL)
        killed = time.monotonic()
        assert process.wait(SOON) == 1
        took, said = time.monotonic() - killed, process.stderr.read()
    faults_page.setdefault("processes", {})["`simulate --workers 2`"] = (took, said.strip().replace(str(out), "OUT"))
    assert said.startswith(f"error: {out}: a process ended by signal SIGKILL; ")
    assert said.count("\n") == 1
