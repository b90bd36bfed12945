"""Mutants in child processes: each mutant has two seconds of processor time, each process a gibibyte of memory."""

import faulthandler
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from fuzzing.mutators import mutate
from fuzzing.seeds import Seeds
from fuzzing.targets import BrokenPromiseError, Target

FAULTS = ("crash", "hang", "memory")
BATCH = 500  # mutants of one child


@dataclass(frozen=True)
class Limits:
    """What a mutant may take.

    Attributes:
        seconds: of the processor; beyond it, it hangs.
        waiting: seconds on the clock; beyond it, it waits for something.
        memory: bytes of the process.
    """

    seconds: float = 2.0
    waiting: float = 30.0
    memory: int = 2**30


@dataclass(frozen=True)
class Fate:
    """What became of one mutant.

    Attributes:
        outcome: "accepted", "refused" as it has to be, or one of :data:`FAULTS`.
        seconds: of the processor.
        peak: bytes that the process held at most so far.
        text: what is wrong.
    """

    number: int
    outcome: str
    seconds: float = 0.0
    peak: int = 0
    text: str = ""


def mutant(name: str, target: Target, seeds: Seeds, seed: int, number: int) -> tuple[str, bytes]:
    """Returns the suffix and the content of a mutant; they follow from the target's name, the seed and the number."""
    draw = random.Random(f"{name}:{seed}:{number}")
    chosen = draw.choice(sorted(seeds))
    return Path(chosen).suffix, mutate(draw, seeds[chosen], list(seeds.values()), target.mutators)


def fates(
    name: str, target: Target, seeds: Seeds, seed: int, numbers: Sequence[int], limits: Limits | None = None
) -> Iterator[Fate]:
    """Yields what becomes of each mutant, in order; a child that fails is followed by another."""
    limits, place = limits or Limits(), 0
    while place < len(numbers):
        batch = numbers[place : place + BATCH]
        contents = (mutant(name, target, seeds, seed, number) for number in batch)
        for fate in in_child(target, zip(batch, contents, strict=True), limits):
            place += 1
            yield fate


def warm_up(target: Target, seeds: Seeds) -> None:
    """Gives the seeds themselves to a target, in this process: what it imports at its first call is there for all.

    Raises:
        BrokenPromiseError: a seed is not as it has to be.
    """
    with TemporaryDirectory() as folder:
        for name, content in seeds.items():
            path = Path(folder) / f"seed{Path(name).suffix}"
            path.write_bytes(content)
            if not target.take(path):
                raise BrokenPromiseError(f"the seed {name} is refused")


def in_child(target: Target, given: "Iterator[tuple[int, tuple[str, bytes]]]", limits: Limits) -> Iterator[Fate]:
    """Yields the fates of mutants in one child, up to the first that has a fault."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            _confine(limits)
            _work(target, given, limits, writing)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    number, begun, fault = -1, False, False
    with os.fdopen(reading) as lines:
        for line in lines:
            content = json.loads(line)
            number, begun = content["number"], "outcome" not in content
            if not begun:
                fate = Fate(**content)
                fault = fate.outcome in FAULTS
                yield fate
    _, status = os.waitpid(child, 0)
    if status and not fault:
        yield _fate_of_dead(number if begun else -1, status, limits)


def _fate_of_dead(number: int, status: int, limits: Limits) -> Fate:
    """Returns the fate of the mutant at which a child ended."""
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if killed == signal.SIGPROF:
        return Fate(number, "hang", limits.seconds, text=f"more than {limits.seconds:g} s of the processor")
    if killed == signal.SIGALRM:
        return Fate(number, "hang", text=f"waits for more than {limits.waiting:g} s")
    ended = signal.Signals(killed).name if killed else f"exit code {os.WEXITSTATUS(status)}"
    return Fate(number, "crash", text=f"the process ended: {ended}")


def _confine(limits: Limits) -> None:
    """Bounds this process: its memory, no core file, no word on the terminal, and signals that end it."""
    held, mapped = _memory()
    allowed = mapped + max(0, limits.memory - held)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    faulthandler.disable()
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silence, stream)
    torch.set_num_threads(1)  # the threads of the process that forked are not here; to wait for them would be for ever


def _memory() -> tuple[int, int]:
    """Returns how many bytes this process holds, and how many are mapped."""
    mapped, held = Path("/proc/self/statm").read_text().split()[:2]
    page = resource.getpagesize()
    return int(held) * page, int(mapped) * page


def _work(target: Target, given: "Iterator[tuple[int, tuple[str, bytes]]]", limits: Limits, out: int) -> None:
    """Gives mutants to a target and writes a line before and after each; ends at the first with a fault."""
    with TemporaryDirectory() as folder:
        for number, (suffix, content) in given:
            os.write(out, (json.dumps({"number": number}) + "\n").encode())
            fate = _one(target, Path(folder) / f"mutant{suffix}", content, number, limits)
            os.write(out, (json.dumps(asdict(fate)) + "\n").encode())
            if fate.outcome in FAULTS:
                return


def _one(target: Target, path: Path, content: bytes, number: int, limits: Limits) -> Fate:
    for old in path.parent.iterdir():
        old.unlink()
    path.write_bytes(content)
    outcome, text, start = "refused", "", time.process_time()
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    signal.setitimer(signal.ITIMER_REAL, limits.waiting)
    try:
        outcome = "accepted" if target.take(path) else "refused"
    except MemoryError as error:
        outcome, text = "memory", f"MemoryError: {error}"
    except Exception as error:  # whatever is not a refusal of ours is a fault
        last = traceback.extract_tb(error.__traceback__)[-1]
        outcome, text = "crash", f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if peak > limits.memory and outcome not in FAULTS:
        outcome, text = "memory", f"{peak / 2**20:.0f} MiB held"
    return Fate(number, outcome, time.process_time() - start, peak, text[:2000])
