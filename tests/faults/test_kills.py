"""Commands killed with SIGKILL at random moments, also inside their writes, give the bytes of unbroken ones."""

import datetime
import os
from pathlib import Path

import pytest
from scripts import found_by, workplace

PAGE = Path(__file__).parents[2] / "benchmarks" / "kills.md"
CAMPAIGNS = {  # labour -> kills, those inside a write
    "training": (80, 22),
    "training with 2 workers": (20, 6),
    "preprocessing": (50, 16),
    "simulation": (50, 16),
    "bulk": (50, 20),
}


def killed(labour, kills, in_writes, *, seed=1, show=lambda line: None):
    numbers = ["--kills", str(kills), "--in-writes", str(in_writes), "--seed", str(seed)]
    with workplace() as folder:
        return found_by("killing.py", str(folder), "--labour", labour, *numbers, show=show)


def test_three_kills_of_a_training_change_no_byte():
    found = killed("a short training", 3, 1, seed=4)
    assert found["kills"] == 3
    assert found["in_writes"]["half of the bytes"] == 1
    assert found["files"] >= 13
    assert (found["differ"], found["code"]) == ([], True)


@pytest.fixture(scope="module")
def page():
    """Yields a dictionary for what is found; the page is written when all of it is there, and is asked for."""
    found = {}
    yield found
    if os.environ.get("LUNG_SRAD_RESULTS") and found.keys() == CAMPAIGNS.keys():
        PAGE.write_text(text_of(found), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("labour", CAMPAIGNS)
def test_kills_at_random_moments_change_no_byte(labour, page, capsys):
    kills, in_writes = CAMPAIGNS[labour]
    with capsys.disabled():
        found = page[labour] = killed(labour, kills, in_writes, show=print)
    assert found["kills"] == kills
    assert sum(found["in_writes"].values()) == in_writes
    assert (found["differ"], found["code"]) == ([], True)


def text_of(found):
    from lung_srad.runs import machine_line

    rows, stages = [], next(iter(found.values()))["in_writes"]
    for labour, each in found.items():
        inside = each["in_writes"]
        anywhere = each["kills"] - sum(inside.values()) - each["starting"]
        differ = ", ".join(each["differ"]) or "none"
        counts = [each["starting"], anywhere, *inside.values(), each["kills"], each["passes"], each["files"], differ]
        rows.append(f"| {labour} | " + " | ".join(map(str, counts)) + f" | {each['all_s']:.0f} |")
    head = ["killed", "while it starts", "anywhere", *stages, "**in all**", "passes", "files", "that differ", "seconds"]
    return f"""\
# Kills: commands that are killed and given again

{datetime.date.today().isoformat()}, {machine_line()}

Each command is killed with SIGKILL at random moments, seeded, and given again after each until it is at its end; then
every file that is a function of the work is compared by SHA-256 with that of a command that nobody killed, and where
kills are left, another pass begins in an empty folder. A moment
is a random place in the work and then a random part of a step, or the next write of a file after that place: with half
of its bytes written, before fsync, after fsync, after the rename, or within a line of the log of answers. An attempt is
a forked child of a process that has imported torch, and gives the real command; the signal is a real one.

- *training*: `lung-srad train lung_srad --resume`, both phases of six epochs, a backbone of four blocks, a checkpoint
  every other step. All its writes that are hurt are those of checkpoints. Compared: weights, checkpoints with the
  optimiser's state, predictions of every epoch, `log.jsonl`, preset, result.
- *preprocessing*: the same command while it reads recordings. Compared: the feature cache. What a killed writer leaves
  there under a temporary name goes after an hour, since another writer may be at work.
- *simulation*: `lung-srad simulate --size tiny`. Compared: everything.
- *bulk*: `lung-srad classify --out` with the weights that ship, 41 recordings of which one is broken; the four last
  kills are within the writes of its tables. Compared: everything but the log, which
  holds every attempt at the broken one.

| {" | ".join(head)} |
|{"---|" * len(head)}
{chr(10).join(rows)}

Made by `make slow-kill`, which also kills `classify` with two processes, group and all
(`tests/inference/test_bulk.py`).
"""
