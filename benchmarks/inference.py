"""Writes benchmarks/inference.md: how fast recordings are classified, and what a day and a large folder take.

    python benchmarks/inference.py [--minutes 10] [--hours 24] [--files 10000] [--model demo] [--threads N]

Speed is that of ``model.classify`` on a file, decoding and quality included, the model loaded; what is compared takes
turns in one process. The day and the folder go through the command ``lung-srad classify``, each in a process of its
own. Sound is noise that swells like breath; the weights make no difference to the time. Nothing is downloaded.
"""

import argparse
import csv
import datetime
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch

import lung_srad as ls
from breathing import RATE, breath
from lung_srad.inference import Model
from lung_srad.models import create_model, for_inference
from lung_srad.runs import machine_line
from page import spread, table
from timing import STARTED, on, say, take_turns

HOP = 2.0
GOALS = {"dass_medium, fp32": 12.0, "dass_medium, bf16": 20.0, "demo (dass_tiny)": 200.0}
BROKEN = 100  # every hundredth file
BETWEEN = """\
import resource, subprocess, sys
code = subprocess.run([sys.executable, "-m", "lung_srad.cli", *sys.argv[1:]]).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, flush=True)
"""
PAGE = """\
# Classifying recordings

Made {date} by `{command}` in {minutes:.0f} minutes, at {machine}.
Load of the machine before it began: {load:.2f}.

## Speed

{sound:g} minutes at {rate} Hz, 16-bit WAV, windows every {hop:g} s, {threads}. Times faster than real time: seconds of
sound by seconds from opening the file to the last answer.

{speed}
- *dass_medium* and *dass_tiny, as published*: windows of 8 s, 1024 frames. *demo* ships with the package: dass_tiny on
  4 s and 128 frames, the profile for CPUs.

## A day in one file

{day}

## A folder

{folder}
"""


@dataclass(frozen=True)
class Ran:
    """What a command did: its exit code, what it printed, seconds, and the most memory that it held, in GB."""

    code: int
    output: str
    seconds: float
    gigabytes: float


def write_long(path: Path, hours: float) -> None:
    """Writes a long FLAC, a minute at a time."""
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for minute in range(round(hours * 60)):
            file.write(breath(60, seed=minute % 50))


def write_folder(folder: Path, files: int) -> int:
    """Writes short recordings, every hundredth of them broken in one of four ways, and returns how many are broken."""
    folder.mkdir()
    broken = 0
    for number in range(files):
        path = folder / f"{number % 100:02d}" / f"{number:05d}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, breath(1 + number % 5, seed=number % 97), RATE)
        if number % BROKEN == 0:
            content = path.read_bytes()
            path.write_bytes((b"", content[: len(content) // 2], b"no sound", content[:43])[broken % 4])
            broken += 1
    return broken


def run(*words: str) -> Ran:
    """Returns what a command did, and the most memory that it held.

    A small process stands between: at its start one counts the memory of whoever started it.
    """
    start = time.perf_counter()
    process = subprocess.run([sys.executable, "-c", BETWEEN, *words], stdout=subprocess.PIPE, text=True, check=True)
    output, _, last = process.stdout.rstrip().rpartition("\n")
    code, kilobytes = map(int, last.split())
    return Ran(code, output, time.perf_counter() - start, kilobytes * 1024 / 1e9)


def models() -> Iterator[tuple[str, Model]]:
    """Yields what is timed, by name."""
    demo = ls.load("demo")
    medium, tiny = (create_model(name, num_classes=4) for name in ("dass_medium", "dass_tiny"))
    yield "dass_medium, fp32", replace(demo, net=for_inference(medium))
    yield "dass_medium, bf16", replace(demo, net=for_inference(medium, torch.bfloat16))
    yield "dass_tiny, as published", replace(demo, net=for_inference(tiny))
    yield "demo (dass_tiny)", demo


def speed(folder: Path, minutes: float, wanted: str) -> str:
    """Returns the table of real-time factors of the models whose names begin as wanted."""
    path = folder / "sound.wav"
    soundfile.write(path, breath(60 * minutes), RATE)
    calls = {
        name: (lambda model=model: model.classify(path, hop=HOP)) for name, model in models() if name.startswith(wanted)
    }
    times = take_turns("speed", calls, seconds=120, least=1, most=5)
    lines = []
    for name, taken in times.items():
        factors = [None if each is None else 60 * minutes / each for each in taken]
        best = [each for each in factors if each is not None]
        asked = GOALS.get(name)
        verdict = "" if asked is None else "reached" if float(np.median(best)) >= asked else "**missed**"
        lines.append([name, f"at least {asked:g}" if asked else "", spread(factors, 1), spread(taken, 1), verdict])
    return table(["model", "asked", "times faster than real time", "seconds", ""], lines)


def day(folder: Path, hours: float, threads: int) -> str:
    """Returns what a long FLAC takes."""
    path, out = folder / "day.flac", folder / "day"
    write_long(path, hours)
    say(f"wrote {hours:g} hours, {path.stat().st_size / 1e6:.0f} MB")
    ran = run("classify", str(path), "--out", str(out), "--timing", "--threads", str(threads))
    with (out / "table.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    expected = round((hours * 3600 - 4.0) / HOP) + 1
    if ran.code or int(row["segments"]) != expected:
        sys.exit(
            f"error: {path}: exit code {ran.code}, {row['segments']} windows; 0 and {expected}; look at {ran.output}"
        )
    lines = [
        ["peak memory, GB", "under 1" if hours >= 24 else "", f"{ran.gigabytes:.2f}"],
        ["seconds", "", f"{ran.seconds:.0f}"],
        ["windows", "", row["segments"]],
    ]
    megabytes = path.stat().st_size / 1e6
    said = f"`lung-srad classify day.flac --out day`: {hours:g} hours at {RATE} Hz, {megabytes:.0f} MB, demo."
    return f"{said}\n\n{table(['', 'asked', 'measured'], lines)}"


def many(folder: Path, files: int, threads: int) -> str:
    """Returns what a folder of short files takes, and what became of them."""
    source, out = folder / "ward", folder / "answers"
    broken = write_folder(source, files)
    say(f"wrote {files} files, {broken} of them broken")
    ran = run("classify", str(source), "--out", str(out), "--timing", "--threads", str(threads))
    with (out / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    failed = [row for row in rows if row["status"] == "failed"]
    named = sum(bool(row["error"]) for row in failed)
    again = run("classify", str(source), "--out", str(out), "--threads", str(threads))
    lines = [
        ["files in the table", f"{files:,}", f"{len(rows):,}"],
        ["with an answer", f"{files - broken:,}", f"{len(rows) - len(failed):,}"],
        ["failed, with a reason", f"{broken:,}", f"{named:,}"],
        ["exit code", "1", str(ran.code)],
        ["seconds", "", f"{ran.seconds:.0f}"],
        ["peak memory, GB", "", f"{ran.gigabytes:.2f}"],
        ["seconds of a second run", "", f"{again.seconds:.0f}"],
    ]
    said = f"`lung-srad classify ward --out answers`: files of 1 to 5 s at {RATE} Hz, demo, one process."
    return f"{said}\n\n{table(['', 'asked', 'measured'], lines)}"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="of sound for the speed")
    parser.add_argument("--hours", type=float, default=24, help="of the long file; 0 leaves it out")
    parser.add_argument("--files", type=int, default=10_000, help="of the folder; 0 leaves it out")
    parser.add_argument("--model", default="", help="how the names of the models begin that are timed")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    args = parser.parse_args(words)
    torch.set_num_threads(args.threads)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fast = speed(folder, args.minutes, args.model)
        long = day(folder, args.hours, args.threads) if args.hours else "Left out."
        wide = many(folder, args.files, args.threads) if args.files else "Left out."
    page = PAGE.format(
        date=datetime.date.today().isoformat(),
        command=" ".join(["python benchmarks/inference.py", *(sys.argv[1:] if words is None else words)]),
        minutes=(time.perf_counter() - STARTED) / 60,
        machine=machine_line(),
        load=load,
        sound=args.minutes,
        rate=RATE,
        hop=HOP,
        threads=on(args.threads),
        speed=fast,
        day=long,
        folder=wide,
    )
    args.out.write_text(page, encoding="utf-8")
    say(f"wrote {args.out}")


if __name__ == "__main__":
    main()
