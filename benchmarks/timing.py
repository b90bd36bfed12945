"""Taking turns: everything that is compared runs in one process, one after the other, again and again."""

import statistics
import time
from collections.abc import Callable, Collection, Mapping

Times = dict[str, list[float | None]]
"""Seconds per turn of each contestant; None where it sat out."""

STARTED = time.perf_counter()


def say(text: str) -> None:
    """Prints a line of progress with the seconds since the start of this process."""
    print(f"[{time.perf_counter() - STARTED:6.1f} s] {text}", flush=True)


def seconds_of(call: Callable[[], object], at_least: float) -> float:
    """Returns the median seconds of a call that is repeated until ``at_least`` seconds have passed."""
    taken: list[float] = []
    while sum(taken) < at_least or not taken:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def take_turns(
    title: str,
    calls: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    least: int = 3,
    most: int = 9,
    limits: Mapping[str, int] | None = None,
    singly: Collection[str] = (),
    at_least: float = 0.05,
) -> Times:
    """Returns the times of all contestants, in turns, back and forth, after one turn to warm up that does not count.

    Goes on until ``seconds`` have passed, for ``least`` turns or more and ``most`` at most. A contestant named in
    ``limits`` runs in that many turns only, and not in the one that warms up: it takes too long. A call of less than
    ``at_least`` seconds is repeated within its turn, unless it is one of ``singly``.
    """
    limits, times, start = dict(limits or {}), {name: [] for name in calls}, time.perf_counter()
    for turn in range(most + 1):
        if turn > least and time.perf_counter() - start > seconds:
            break
        for name, call in list(calls.items())[:: 1 if turn % 2 else -1]:
            sits_out = name in limits and not 1 <= turn <= limits[name]
            taken = None if sits_out else seconds_of(call, 0.0 if name in singly else at_least)
            if turn:
                times[name].append(taken)
            elif taken is not None:
                say(f"{title}, warm-up: {name} {taken:.4f} s")
        if turn:
            seen = {name: taken[-1] for name, taken in times.items() if taken[-1] is not None}
            say(f"{title}, turn {turn}: " + ", ".join(f"{name} {taken:.4f}" for name, taken in seen.items()))
    return times


def on(threads: int | str) -> str:
    """Returns "1 thread", "2 threads" and so on."""
    return f"{threads} thread{'s' * (str(threads) != '1')}"


def known(times: list[float | None]) -> list[float]:
    """Returns the turns that were run."""
    return [taken for taken in times if taken is not None]


def ratio(slow: list[float | None], fast: list[float | None]) -> tuple[float, float, float]:
    """Returns median, least and greatest of slow / fast over the turns in which both ran."""
    each = [a / b for a, b in zip(slow, fast, strict=True) if a is not None and b is not None]
    return statistics.median(each), min(each), max(each)


def weighted_sum(parts: list[tuple[int, list[float | None]]]) -> list[float | None]:
    """Returns per turn the sum of count × time; None where one of the parts sat out."""
    counts = [count for count, _ in parts]
    turns = zip(*(times for _, times in parts), strict=True)
    return [None if None in turn else sum(map(lambda n, t: n * t, counts, turn)) for turn in turns]
