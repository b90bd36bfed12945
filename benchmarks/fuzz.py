"""Fifty thousand mutants of valid files for everything that reads foreign bytes: benchmarks/fuzz.md.

A mutant follows from its target, the seed and its number. One that has a fault is saved, and shown again by
``python benchmarks/fuzz.py --replay FILE``, or by ``--replay TARGET:SEED:NUMBER``.
"""

import argparse
import datetime
import re
import time
from collections import Counter
from pathlib import Path

import torch

from fuzzing.children import FAULTS, Fate, Limits, fates, in_child, mutant, warm_up
from fuzzing.seeds import SEEDS
from fuzzing.targets import TARGETS
from lung_srad.runs import machine_line
from lung_srad.runs.provenance import commit
from page import table
from timing import say

ASKED = 50_000
SAVED = Path("fuzz-failures")
ROW = re.compile(r"^\| (\w+) \| (.+) \|$", re.MULTILINE)
HEAD = ("reader", "mutants", "accepted", "refused", "crashes", "hangs", "out of memory", "slowest, s", "MiB", "minutes")
PAGE = """\
# Mutants of valid files

Made by `make slow-fuzz`, the last row on {date}, at {machine}.
Each row names its commit; `python benchmarks/fuzz.py --only READER` makes one again.

Bits, bytes, lengths and numbers of valid files are changed, pieces cut out, repeated and taken from other files, one to
five changes for each mutant. They run in child processes with 1 GiB of memory (RLIMIT_AS); one that takes more than 2 s
of the processor hangs. A mutant has to be accepted with a result that keeps what is promised of it (samples finite and
the same in blocks, at once and without torch; times and labels possible; a preset the same when read again; nothing
held after an upload), or refused by an error of the project in one line that says where, what was seen, what is allowed
and what to do. Anything else counts as a crash.

{lines}
{verdict}

MiB is the most that a process held, torch and the package included.
`python benchmarks/fuzz.py --replay READER:SEED:NUMBER` runs one mutant again.
"""


def campaign(name: str, count: int, seed: int) -> list[Fate]:
    """Returns what became of a target's mutants; saves those with a fault and says how it goes."""
    target, seeds, found, told = TARGETS[name], SEEDS[name](), [], time.monotonic()
    warm_up(target, seeds)
    for fate in fates(name, target, seeds, seed, range(count)):
        found.append(fate)
        if fate.outcome in FAULTS:
            suffix, content = mutant(name, target, seeds, seed, fate.number)
            SAVED.mkdir(exist_ok=True)
            path = SAVED / f"{name}-{seed}-{fate.number}{suffix}"
            path.write_bytes(content)
            say(f"{name} {fate.number}: {fate.outcome}: {fate.text[:300]}; saved as {path}")
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(f"{name}: {len(found)} of {count} mutants")
    return found


def replay(which: str) -> Fate:
    """Returns what becomes of one mutant, a saved file or TARGET:SEED:NUMBER."""
    if Path(which).is_file():
        name, suffix, content = Path(which).name.partition("-")[0], Path(which).suffix, Path(which).read_bytes()
        number = 0
    else:
        name, seed, number = which.split(":")[0], *map(int, which.split(":")[1:])
        suffix, content = mutant(name, TARGETS[name], SEEDS[name](), seed, number)
    warm_up(TARGETS[name], SEEDS[name]())
    return next(in_child(TARGETS[name], iter([(number, (suffix, content))]), Limits()))


def row(found: list[Fate], seed: int, minutes: float) -> list[str]:
    """Returns what the page says of a target."""
    counts = Counter(fate.outcome for fate in found)
    cells = [f"{number:,}" for number in (len(found), counts["accepted"], counts["refused"])]
    cells += [str(counts[kind]) for kind in FAULTS]
    slowest, peak = max(fate.seconds for fate in found), max(fate.peak for fate in found)
    return [*cells, f"{slowest:.2f}", f"{peak / 2**20:.0f}", f"{minutes:.1f}", str(seed), commit()]


def page(rows: dict[str, list[str]]) -> str:
    """Returns the page: a line for each target, and whether what was asked is reached."""
    mutants, faults = (
        sum(int(cells[column].replace(",", "")) for cells in rows.values() for column in columns)
        for columns in ((0,), (3, 4, 5))
    )
    reached = mutants >= ASKED and not faults
    goal = (
        f"Asked: {ASKED:,} mutants, no crash, no hang, under 1 GiB. Seen: {mutants:,} mutants, {faults} with a fault."
    )
    return PAGE.format(
        date=datetime.date.today().isoformat(),
        machine=machine_line(),
        lines=table([*HEAD, "seed", "commit"], [[name, *cells] for name, cells in rows.items()]),
        verdict=f"{goal} {'Reached.' if reached else 'Not reached.'}",
    )


def rows_of(text: str) -> dict[str, list[str]]:
    """Returns the rows of an earlier page by their readers, in order."""
    found = {name: cells.split(" | ") for name, cells in ROW.findall(text)}
    return {name: found[name] for name in TARGETS if name in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=ASKED)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=TARGETS, help="one reader alone; the other rows stay")
    parser.add_argument("--replay", metavar="FILE or TARGET:SEED:NUMBER")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.replay:
        fate = replay(args.replay)
        raise SystemExit(f"{fate.outcome}: {fate.text}" if fate.outcome in FAULTS else 0)
    failed, rows = 0, rows_of(args.out.read_text(encoding="utf-8")) if args.only and args.out.is_file() else {}
    for name in [args.only] if args.only else TARGETS:
        start = time.perf_counter()
        found = campaign(name, round(args.mutants * TARGETS[name].share), args.seed)
        rows[name] = row(found, args.seed, (time.perf_counter() - start) / 60)
        failed += sum(fate.outcome in FAULTS for fate in found)
    args.out.write_text(page({name: rows[name] for name in TARGETS if name in rows}), encoding="utf-8")
    say(f"wrote {args.out}")
    if failed:
        raise SystemExit(f"error: {failed} mutants have a fault; --replay shows one of {SAVED}/ again")


if __name__ == "__main__":
    main()
