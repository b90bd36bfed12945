"""Kills a command with SIGKILL at random moments, gives it again each time, and compares with an unbroken one.

    python killing.py FOLDER --labour training --kills 20 --in-writes 8 --seed 1

Each attempt is a forked child that gives the real command. Where a moment is reached, the parent kills the child after
a random part of a step, or the child kills itself within the next write of a file: with half of the bytes written,
before fsync, after fsync, or after the rename. Prints a line per kill and then what came of it, as JSON.
"""

# ruff: noqa: T201 - a script

import argparse
import json
import random
import signal
import time
from pathlib import Path

from forks import A_LINE, STAGES, Moment, attempt
from labours import LABOURS, Labour, clear, prepare

LATEST = 0.9  # near the very end a command could finish before its signal comes
STARTING = 0.2  # the share of the kills anywhere that come while the command starts


def draw_moments(labour: Labour, seed: int, kills: int, in_writes: int, pace: tuple[float, float]) -> list[Moment]:
    """Returns moments at random, in order over each pass; ``pace``: seconds until the work begins, and per step."""
    draw = random.Random(seed)
    stages = [*STAGES, A_LINE] if labour.ending else [*STAGES]
    chosen = [stages[index % len(stages)] for index in range(in_writes)] + [""] * (kills - in_writes)
    draw.shuffle(chosen)
    parts = [min(labour.kills, kills - done) for done in range(0, kills, labour.kills)]
    places = [place for part in parts for place in sorted(draw.uniform(0, LATEST) for _ in range(part))]
    moments = []
    for place, stage in zip(places, chosen, strict=True):
        start = not stage and draw.random() < STARTING
        moments.append(Moment(0 if start else place, stage, draw.uniform(0, pace[0] if start else pace[1])))
    if labour.ending:  # the tables that are written when all is through
        ends = [index for index, moment in enumerate(moments) if moment.stage and moment.stage != A_LINE][-4:]
        last = [Moment(1, moments[index].stage, 0) for index in ends]
        moments = [moment for index, moment in enumerate(moments) if index not in ends] + last
    return moments


def paced(labour: Labour, given: Path, out: Path) -> tuple[float, float, float]:
    """Gives a command to its end; returns seconds in all, until its work begins, and of one of its steps."""
    clear(out)
    times = out / "times"
    started = time.perf_counter()

    class Timed(Labour):
        def go(self, given, out, reached):
            with times.open("w") as file:

                def noted(share):
                    file.write(f"{share} {time.perf_counter()}\n")
                    reached(share)

                return super().go(given, out, noted)

    timed = Timed(**{name: getattr(labour, name) for name in Labour.__dataclass_fields__})
    _, code = attempt(timed, given, out)
    if code != labour.code:
        raise SystemExit(f"the unbroken command ended with exit code {code}; expected: {labour.code}")
    whole = time.perf_counter() - started
    steps = [tuple(map(float, line.split())) for line in times.read_text().splitlines()]
    times.unlink()
    begun = [when for share, when in steps if share > 0]
    number = len({share for share, _ in steps if share > 0})
    return whole, begun[0] - started, (begun[-1] - begun[0]) / max(1, number - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labour", choices=LABOURS, default="training")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--in-writes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    labour, given = LABOURS[args.labour], prepare(args.folder)
    whole, killed = args.folder / "whole", args.folder / "killed"

    started = time.perf_counter()
    unbroken, *pace = paced(labour, given, whole)
    one, differ, passes, fell = labour.digests(whole), set(), 0, []

    def finished() -> None:
        """Compares what is through with the unbroken work, and begins anew."""
        nonlocal passes
        other = labour.digests(killed)
        differ.update(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
        passes += 1
        clear(killed)

    clear(killed)
    for number, moment in enumerate(draw_moments(labour, args.seed, args.kills, args.in_writes, pace), start=1):
        for _ in range(2):  # where the work was through before the moment, the next pass has it
            if attempt(labour, given, killed, moment)[0] == signal.SIGKILL:
                fell.append(moment)
                break
            finished()
        where = moment.stage or ("while it starts" if moment.place == 0 else "anywhere")
        print(f"{args.labour}, {number:3d} of {args.kills}: after {moment.place:4.0%}, {where}", flush=True)
    _, code = attempt(labour, given, killed)
    finished()
    result = {
        "labour": args.labour,
        "kills": len(fell),
        "in_writes": {stage: sum(m.stage == stage for m in fell) for stage in (*STAGES, A_LINE)},
        "starting": sum(not moment.stage and moment.place == 0 for moment in fell),
        "passes": passes,
        "files": len(one),
        "differ": sorted(differ),
        "code": code == labour.code,
        "unbroken_s": unbroken,
        "all_s": time.perf_counter() - started,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
