"""A disk that fills up under a command: one sentence, nothing good is lost, and nothing half-written stays."""

import pytest
from scripts import found_by, workplace

STARVED = ("training", "preprocessing", "simulation", "bulk")
POINTS = 10


@pytest.mark.parametrize("labour", ["a short training", "bulk"])
def test_a_disk_that_is_full_after_some_bytes_is_one_sentence(labour):
    """Without a small disk: the bytes that a command writes are counted, also into files that are replaced."""
    with workplace() as folder:
        found = found_by("filling.py", str(folder), "--labour", labour, "--points", "2", "--pretend")
    assert found["files"] >= 13
    assert found["faults"] == []


@pytest.mark.slow
@pytest.mark.parametrize("labour", STARVED)
def test_a_small_disk_loses_nothing(labour, faults_page, capsys):
    with workplace() as folder, capsys.disabled():
        found = found_by("filling.py", str(folder), "--labour", labour, "--points", str(POINTS), show=print)
    faults_page.setdefault("disk", {})[labour] = found
    assert found["points"] == POINTS
    assert found["faults"] == []
    if labour == "training":
        assert found["checkpoints"] >= 3
