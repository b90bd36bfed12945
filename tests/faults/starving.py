"""Takes memory away from a command, at several limits, and prints how it ends, as JSON.

    python starving.py FOLDER --labour training

The limit is on the address space of a forked child: what its parent holds, and so many MiB more.
"""

# ruff: noqa: T201 - a script

import argparse
import json
import resource
from dataclasses import replace
from pathlib import Path

from forks import heard
from labours import LABOURS, Labour, prepare, training_words

# Of bulk, up to what loading takes; a little above it oneDNN's products may crash: DECISIONS.md, no-memory.
MIB = {"training": (8, 32, 96, 192), "bulk": (4, 16, 32, 44)}
LARGE = ("backbone.seconds=8", "backbone.frames=1024", "training.batch_size=20", "training.epochs=1")


class Capped(Labour):
    """A command whose process may hold so many bytes more than now."""

    more = 0

    def go(self, given, out, reached):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + Capped.more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        return super().go(given, out, reached)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labour", choices=("training", "bulk"), default="training")
    args = parser.parse_args()
    given, labour = prepare(args.folder), LABOURS[args.labour]
    if args.labour == "training":
        labour = replace(labour, words=training_words(*LARGE))
    labour = Capped(**{name: getattr(labour, name) for name in Labour.__dataclass_fields__})
    ends = []
    for more in MIB[args.labour]:
        Capped.more = more << 20
        code, said = heard(labour, given, args.folder / f"out{more}")
        ends.append({"more": more, "code": code, "whole": labour.code, "said": said[-1500:]})
        print(f"{args.labour}, {more} MiB more: exit code {code}, {said.splitlines()[-1] if said else ''}", flush=True)
    print(json.dumps({"ends": ends}))


if __name__ == "__main__":
    main()
