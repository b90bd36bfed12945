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
    starved = [end for end in ends if "not enough memory" in end["said"]]
    assert len(starved) >= 2
    for end in ends:  # one for which the memory of this machine is enough is as always
        assert end["code"] == (1 if end in starved else end["whole"]), end
        assert "Traceback" not in end["said"]
    assert all("training.batch_size" in end["said"] or "split the file" in end["said"] for end in starved)
