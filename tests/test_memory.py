"""Freed memory stays with the process, seen by the pages that the system has to hand out."""

import subprocess
import sys

import pytest

from lung_srad import memory

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
