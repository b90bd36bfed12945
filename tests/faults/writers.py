"""Eight processes that fill one feature cache at once, round after round, compared with one.

    python writers.py FOLDER --rounds 20

Prints a line per round and then what came of them, as JSON.
"""

# ruff: noqa: T201 - a script

import argparse
import hashlib
import json
import os
import time
from pathlib import Path

from labours import prepare

from lung_srad.audio import Frontend
from lung_srad.datasets import Cycle, FeatureCache, Table

WRITERS = 8


class Counting(FeatureCache):
    """A cache that counts the files which this process computes."""

    written = 0

    def _write(self, *given):
        super()._write(*given)
        self.written += 1


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def fill(folder: Path, cycles: list[Cycle]) -> int:
    """Fills a cache and returns how many files were computed for it here."""
    cache = Counting(folder, Frontend(seconds=0.5))
    cache.prepare(cycles)
    return cache.written


def fill_together(folder: Path, cycles: list[Cycle]) -> tuple[list[int], int]:
    """Lets all writers begin at once; returns how many files each computed, and how many writers failed."""
    gate, start = os.pipe()
    reader, results = os.pipe()
    children = []
    for _ in range(WRITERS):
        child = os.fork()
        if child == 0:
            try:
                os.close(start)
                os.read(gate, 1)  # until the parent lets go
                os.write(results, f"{fill(folder, cycles)}\n".encode())
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    for end in (gate, start, results):
        os.close(end)
    failed = sum(os.waitpid(child, 0)[1] != 0 for child in children)
    with os.fdopen(reader) as lines:
        return [int(line) for line in lines], failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    cycles = Table(prepare(args.folder) / "corpus" / "table.csv").cycles()
    fill(args.folder / "one", cycles)
    one = digests(args.folder / "one")
    found = {"rounds": 0, "equal": 0, "failed": 0, "files": len(one), "computed": []}
    started = time.perf_counter()
    for number in range(1, args.rounds + 1):
        each, failed = fill_together(args.folder / str(number), cycles)
        found["rounds"] += 1
        found["failed"] += failed
        found["equal"] += digests(args.folder / str(number)) == one
        found["computed"].append(sum(each))
        print(f"writers, {number:2d} of {args.rounds}: {sum(each)} files computed for {len(one)}", flush=True)
    print(json.dumps(found | {"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
