"""Eight processes that fill one cache at once leave the bytes of one, round after round."""

import pytest
from scripts import found_by, workplace

ROUNDS = 20


@pytest.mark.slow
def test_eight_writers_leave_the_bytes_of_one(faults_page, capsys):
    with workplace() as folder, capsys.disabled():
        found = found_by("writers.py", str(folder), "--rounds", str(ROUNDS), show=print)
    faults_page["writers"] = found
    assert (found["rounds"], found["equal"], found["failed"]) == (ROUNDS, ROUNDS, 0)
