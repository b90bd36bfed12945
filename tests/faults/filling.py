"""Fills a small disk under a command at several points, then makes room and gives the command again.

    python filling.py FOLDER --labour training --points 10

The disk is a tmpfs, so this needs root. With --pretend there is none: what is written is counted instead. Prints a line
per point and then what came of them, as JSON.
"""

# ruff: noqa: T201 - a script

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from forks import heard
from labours import LABOURS, Labour, prepare

from lung_srad.errors import LungSradError
from lung_srad.runs.state import read_tensors

ROOM, PAGE = 256 << 20, 4096
ALONE = 3  # the exit code where no disk can be mounted


class Disk:
    """An empty disk in memory, mounted at a folder for as long as the block lasts."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __enter__(self) -> "Disk":
        self.place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(self.place)]
        if os.name != "posix" or subprocess.run(command, capture_output=True, check=False).returncode:
            sys.exit(ALONE)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", str(self.place)], check=True)

    def used(self) -> int:
        """Returns how many bytes are on it."""
        there = os.statvfs(self.place)
        return (there.f_blocks - there.f_bfree) * there.f_frsize

    def starve(self, labour: Labour, given: Path, room: int) -> tuple[int, str]:
        """Returns how a command ends for which there are only so many bytes."""
        (self.place / "others").write_bytes(bytes(PAGE))  # all that fits where there is no room at all
        self._resize(PAGE + room)
        ended = heard(labour, given, self.place / "whole")
        self._resize(ROOM)
        return ended

    def _resize(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.place)], check=True)


class Pretended(Disk):
    """A folder on any disk; the bytes of one command are counted."""

    def __enter__(self) -> Disk:
        self.place.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.place)

    def used(self) -> int:
        """Returns how many bytes are in it."""
        return sum(path.stat().st_size for path in self.place.rglob("*") if path.is_file())

    def starve(self, labour: Labour, given: Path, room: int) -> tuple[int, str]:
        """Returns how a command ends for which there are only so many bytes."""
        return heard(labour, given, self.place / "whole", room)


def faults_of(labour: Labour, code: int, said: str, place: Path) -> list[str]:
    """Returns what is wrong with the end of a command for which there was no room."""
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    wrong = [] if code == 1 else [f"exit code {code}"]
    if "Traceback" in said or not errors:
        wrong.append(f"said {said[-1000:]!r}")
    wrong += [f"said {line!r}" for line in errors if "No space left" not in line or line.count("; ") < 2]
    for checkpoint in place.rglob("checkpoint.safetensors"):
        try:
            read_tensors(checkpoint)
        except LungSradError as error:
            wrong.append(str(error))
    return wrong


def faults_later(labour: Labour, given: Path, place: Path, whole: dict[str, str]) -> list[str]:
    """Returns what is wrong when there is room again and the same command is given."""
    code, said = heard(labour, given, place / "whole")
    wrong = [] if code == labour.code else [f"exit code {code}, said {said[-1000:]!r}"]
    if labour.digests(place / "whole") != whole:
        wrong.append("other bytes")
    left = (path for path in place.rglob("*") if path.suffix == ".tmp" or path.name == "lock")
    return wrong + [f"left behind: {path}" for path in left]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labour", choices=LABOURS, default="training")
    parser.add_argument("--points", type=int, default=10)
    parser.add_argument("--pretend", action="store_true")
    args = parser.parse_args()
    labour, given, kind = LABOURS[args.labour], prepare(args.folder), Pretended if args.pretend else Disk
    found = {"labour": args.labour, "points": args.points, "checkpoints": 0, "faults": []}
    with kind(args.folder / "roomy") as disk:
        code, said = heard(labour, given, disk.place / "whole")
        if code != labour.code:
            sys.exit(said)
        whole, needed = labour.digests(disk.place / "whole"), disk.used()
        found |= {"needed": needed, "files": len(whole)}
    for number in range(args.points):
        with kind(args.folder / f"narrow{number}") as disk:
            code, said = disk.starve(labour, given, needed * number // args.points)
            wrong = faults_of(labour, code, said, disk.place)
            found["checkpoints"] += any(disk.place.rglob("checkpoint.safetensors"))
            told = next((line for line in said.splitlines() if line.startswith("error: ")), said[-300:])
            share = f"{number / args.points:4.0%} of the room"
            print(f"{args.labour}, {share}: {told.replace(str(disk.place), 'DISK')}", flush=True)
            wrong += [f"with room again: {each}" for each in faults_later(labour, given, disk.place, whole)]
            found["faults"] += [f"{share}: {each}" for each in wrong]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
