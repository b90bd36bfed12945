"""Freed memory stays with the process, seen by the pages that the system hands out; and the end of memory is known."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from lung_srad import memory
from lung_srad.cli import app

FAULTS = """
import resource, sys
from lung_srad.memory import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
for _ in range(20):
    bytearray(2**26)  # 64 MB, above what glibc keeps by itself
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def faults(how: str) -> int:
    run = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_pages_are_asked_for_once():
    assert faults("keep") < faults("leave") / 4


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    assert memory.keep_memory() is False


ENDED = [
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("could not create a primitive"),
    RuntimeError("std::bad_alloc"),
]


@pytest.mark.parametrize("error", ENDED)
def test_the_end_of_memory_is_known(error):
    assert memory.ran_out(error)


@pytest.mark.parametrize("error", [RuntimeError("size mismatch"), ValueError("out of memory"), RuntimeError()])
def test_other_errors_are_not_the_end_of_memory(error):
    assert not memory.ran_out(error)


@pytest.mark.parametrize("error", ENDED)
def test_a_command_without_memory_says_so_in_one_line(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("lung_srad.datasets.open_dataset", fail)
    result = CliRunner().invoke(app, ["check", "icbhi:nowhere"])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: this process: there is not enough memory; ")
    assert "training.batch_size" in line


def test_a_fault_of_ours_is_not_taken_for_it(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("size mismatch")

    monkeypatch.setattr("lung_srad.datasets.open_dataset", fail)
    result = CliRunner().invoke(app, ["check", "icbhi:nowhere"])
    assert isinstance(result.exception, RuntimeError)
    assert str(result.exception) == "size mismatch"
