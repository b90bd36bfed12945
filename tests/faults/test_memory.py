"""A command whose memory runs out ends in one sentence with advice, wherever it was."""

import sys

import pytest
from scripts import found_by, workplace


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space of a process")
@pytest.mark.parametrize("labour", ["training", "bulk"])
def test_a_command_without_memory_ends_with_advice(labour, faults_page, capsys):
    with workplace() as folder, capsys.disabled():
        ends = found_by("starving.py", str(folder), "--labour", labour, show=print)["ends"]
    faults_page.setdefault("memory", {})[labour] = ends
    assert len(ends) == 4
    for end in ends:
        assert end["code"] == 1, end
        assert "Traceback" not in end["said"]
        assert "not enough memory" in end["said"], end
    assert all("training.batch_size" in end["said"] for end in ends if "this process" in end["said"])
