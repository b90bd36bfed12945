"""The page about faults, from what the slow tests of this folder found."""

import datetime
import statistics
from typing import Any

from lung_srad.runs import machine_line

PARTS = {"disk", "memory", "processes", "writers"}


def text_of(found: dict[str, Any]) -> str:
    """Returns the page as Markdown."""
    writers = found["writers"]
    work = [number / writers["files"] for number in writers["computed"]]
    equal = f"{writers['equal']} of {writers['rounds']}"
    return f"""\
# Faults: full disks, lost processes, no memory, many writers

{datetime.date.today().isoformat()}, {machine_line()}

Made by `make slow-faults`. Kills are on a page of their own, `kills.md`.

## A disk that fills up

Each command writes to a small disk of its own (a tmpfs) that has room for a share of what it writes in all, none at
first. It has to end with exit code 1 and sentences that name the place and say that there is no space left; every
checkpoint that is there has to load. Then the disk gets room and the same command is given again: it has to end well,
with the bytes of a command that always had room, and no temporary file and no lock may be left.

| command | bytes that it writes | points | with a checkpoint on the disk | files compared | faults |
|---|---|---|---|---|---|
{_disks(found["disk"])}

## Processes that are lost

A process of two that a command started is killed with SIGKILL from outside.

| command | seconds until it is said | what is said |
|---|---|---|
{_processes(found["processes"])}

A process that makes batches for training is killed in `tests/training/test_mishaps.py`: named in a sentence, and the
run goes on to the bytes of one that nobody disturbed.

## No memory

The address space of a command is limited (RLIMIT_AS) to what it holds when it begins, and so many MiB more. Every one
ends with exit code 1 and a sentence with advice, none with a traceback. Where the address space ends within a product,
oneDNN may crash instead (DECISIONS.md, no-memory); these limits are below or above that.

| command | MiB more | exit code | what is said |
|---|---|---|---|
{_ends(found["memory"])}

## Eight writers of one feature cache

{writers["rounds"]} rounds of 8 processes that begin at once with an empty cache of {writers["files"]} recordings.
Caches equal by SHA-256 to that of one writer: **{equal}**; writers that failed: {writers["failed"]}.
Work done twice, as files computed by all of them to files there: {statistics.median(work):.2f} (median),
{max(work):.2f} (most).
"""


def _disks(found: dict[str, Any]) -> str:
    lines = []
    for labour, each in found.items():
        faults = "; ".join(each["faults"]) or "**none**"
        cells = [labour, f"{each['needed']:,}", each["points"], each["checkpoints"], each["files"], faults]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _processes(found: dict[str, tuple[float, str]]) -> str:
    return "\n".join(f"| {command} | {took:.1f} | {_short(said)} |" for command, (took, said) in found.items())


def _ends(found: dict[str, list[dict[str, Any]]]) -> str:
    return "\n".join(
        f"| {labour} | {end['more']} | {end['code']} | {_short(_error(end['said']))} |"
        for labour, ends in found.items()
        for end in ends
    )


def _error(said: str) -> str:
    return next((line for line in said.splitlines() if "enough memory" in line), said[-200:])


def _short(said: str) -> str:
    """Returns a sentence without the path that it starts with."""
    return said.removeprefix("error: ").partition(": ")[2]
