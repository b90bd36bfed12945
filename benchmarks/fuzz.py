"""Fifty thousand mutants of valid files for everything that reads foreign bytes: benchmarks/fuzz.md.

A mutant follows from its target, the seed and its number. One that has a fault is saved, and shown again by
``python benchmarks/fuzz.py --replay FILE``, or by ``--replay TARGET:SEED:NUMBER``.
"""

import argparse
import datetime
import time
from collections import Counter
from pathlib import Path

import torch

from fuzzing.children import FAULTS, Fate, Limits, fates, in_child, mutant, warm_up
from fuzzing.seeds import SEEDS
from fuzzing.targets import TARGETS
from lung_srad.runs import machine_line
from page import table
from timing import say

ASKED = 50_000
SAVED = Path("fuzz-failures")
PAGE = """\
# Mutants of valid files

Made {date} by `make slow-fuzz` in {minutes:.1f} minutes, at {machine}.

{total:,} mutants, seed {seed}: bits, bytes, lengths and numbers changed, pieces cut out, repeated and taken from other
files, one to five changes each. They run in child processes with 1 GiB of memory (RLIMIT_AS); one that takes more than
2 s of the processor hangs. A mutant has to be accepted with a result that keeps what is promised of it (samples finite
and the same in blocks, at once and without torch; times and labels possible; a preset the same when read again; nothing
held after an upload), or refused by an error of the project in one line that says where, what was seen, what is allowed
and what to do. Anything else counts as a crash.

{lines}
{verdict}

MiB is the most that a process held; {base:.0f} MiB of it is held before the first mutant, most of it torch.
`python benchmarks/fuzz.py --replay TARGET:{seed}:NUMBER` runs one mutant again.
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


def page(found: dict[str, list[Fate]], seed: int, minutes: float) -> str:
    """Returns the page: a line for each target, and what failed."""
    lines, total = [], Counter[str]()
    for name, each in found.items():
        counts = Counter(fate.outcome for fate in each)
        total.update(counts)
        slowest, peak = max(fate.seconds for fate in each), max(fate.peak for fate in each)
        cells = [name, *(f"{number:,}" for number in (len(each), counts["accepted"], counts["refused"]))]
        cells += [str(counts[kind]) for kind in FAULTS]
        lines.append([*cells, f"{slowest:.2f}", f"{peak / 2**20:.0f}"])
    head = [
        "reader",
        "mutants",
        "accepted",
        "refused",
        "crashes",
        "hangs",
        "out of memory",
        "slowest, s",
        "most memory, MiB",
    ]
    number = sum(total.values())
    reached = number >= ASKED and number == total["accepted"] + total["refused"]
    goal = f"Asked: {ASKED:,} mutants, no crash, no hang, under 1 GiB."
    return PAGE.format(
        date=datetime.date.today().isoformat(),
        minutes=minutes,
        machine=machine_line(),
        total=number,
        seed=seed,
        lines=table(head, lines),
        verdict=f"{goal} {'Reached.' if reached else 'Not reached.'}",
        base=min(each[0].peak for each in found.values()) / 2**20,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=ASKED)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=TARGETS, help="one target alone; no page is written")
    parser.add_argument("--replay", metavar="FILE or TARGET:SEED:NUMBER")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.replay:
        fate = replay(args.replay)
        raise SystemExit(f"{fate.outcome}: {fate.text}" if fate.outcome in FAULTS else 0)
    start = time.perf_counter()
    names = [args.only] if args.only else list(TARGETS)
    found = {name: campaign(name, round(args.mutants * TARGETS[name].share), args.seed) for name in names}
    failed = sum(fate.outcome in FAULTS for each in found.values() for fate in each)
    if not args.only:
        args.out.write_text(page(found, args.seed, (time.perf_counter() - start) / 60), encoding="utf-8")
        say(f"wrote {args.out}")
    if failed:
        raise SystemExit(f"error: {failed} mutants have a fault; --replay shows one of {SAVED}/ again")


if __name__ == "__main__":
    main()
