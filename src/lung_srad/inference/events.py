"""From overlapping windows to events: when an abnormal sound begins and when it ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from lung_srad.errors import ConfigError, message
from lung_srad.inference.segments import Segment

_BOTH, _SOUNDS = "both", ("crackle", "wheeze")
_GRID = 1e6  # times are compared to the microsecond


@dataclass(frozen=True, slots=True)
class EventRule:
    """When an event begins and ends (DECISIONS: events).

    Attributes:
        onset: probability from which on an event begins.
        offset: probability under which it ends; not above ``onset``.
        gap: seconds up to which two events of a sound are one.
        shortest: seconds that an event lasts at least; checked after events became one.

    Raises:
        ConfigError: probabilities outside 0 to 1 or in the wrong order, or negative times.
    """

    onset: float = 0.5
    offset: float = 0.3
    gap: float = 0.0
    shortest: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.offset <= self.onset < 1 and self.gap >= 0 and self.shortest >= 0):
            seen = f"onset {self.onset}, offset {self.offset}, gap {self.gap} s, shortest {self.shortest} s"
            allowed = "0 < offset <= onset < 1, and times of 0 or more"
            raise ConfigError(message("events", seen, allowed, "the defaults are 0.5, 0.3, 0 and 0"))


@dataclass(frozen=True, slots=True)
class Cell:
    """A stretch between two ends of segments: the mean over those that lie over it; empty where there is no answer."""

    start: float
    end: float
    probabilities: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """An abnormal sound; ``peak`` and ``mean`` are of its probability from ``start`` to ``end`` seconds."""

    start: float
    end: float
    label: str
    peak: float
    mean: float


def timeline(segments: Sequence[Segment]) -> tuple[Cell, ...]:
    """Returns the mean over overlapping segments, in order, without a gap between the first and the last of them.

    Silence has no say: where only segments without an answer lie, and where none does, a cell is empty.
    """
    if not segments:
        return ()
    times = np.round(np.array([(each.start, each.end) for each in segments]) * _GRID)
    edges = np.unique(times)
    first, last = (np.searchsorted(edges, times[:, side]) for side in (0, 1))
    answered = np.array([bool(each.probabilities) for each in segments])
    count = np.zeros(len(edges))
    np.add.at(count, first[answered], 1)
    np.add.at(count, last[answered], -1)
    rows = np.array([each.probabilities for each in segments if each.probabilities])
    total = np.zeros((len(edges), rows.shape[1] if len(rows) else 0))
    if len(rows):
        np.add.at(total, first[answered], rows)
        np.subtract.at(total, last[answered], rows)
    count, total = np.cumsum(count), np.cumsum(total, 0)
    mean = np.clip(total / np.maximum(count, 1)[:, None], 0, 1)  # a running sum leaves a rest of 1e-16
    edges = edges / _GRID
    return tuple(
        Cell(float(edges[i]), float(edges[i + 1]), tuple(mean[i].tolist()) if count[i] > 0.5 else ())
        for i in range(len(edges) - 1)
    )


def sounds(class_names: Sequence[str], normal: str) -> dict[str, tuple[int, ...]]:
    """Returns the abnormal sounds and the classes in which each is heard: a crackle also in "both"."""
    index = {name: place for place, name in enumerate(class_names) if name != normal}
    if _BOTH in index and set(_SOUNDS) <= index.keys():
        both = index.pop(_BOTH)
        return {name: (place, both) if name in _SOUNDS else (place,) for name, place in index.items()}
    return {name: (place,) for name, place in index.items()}


def find_events(cells: Sequence[Cell], class_names: Sequence[str], normal: str, rule: EventRule) -> tuple[Event, ...]:
    """Returns the events of every sound by onset: hysteresis over the timeline; a cell without an answer ends one.

    An event grows from every cell that reaches ``onset`` in both directions, down to ``offset``.
    """
    found: list[Event] = []
    for label, places in sounds(class_names, normal).items():
        levels = [sum(cell.probabilities[place] for place in places) if cell.probabilities else None for cell in cells]
        for first, last in _merged(cells, _grown(levels, rule), rule.gap):
            event = _event(label, cells[first : last + 1], levels[first : last + 1])
            if event.end - event.start >= rule.shortest:
                found.append(event)
    return tuple(sorted(found, key=lambda event: (event.start, event.end, event.label)))


def _grown(levels: Sequence[float | None], rule: EventRule) -> list[tuple[int, int]]:
    """Returns the first and the last cell of each event."""
    kept = [level is not None and level >= rule.offset for level in levels]
    runs = [list(group) for held, group in groupby(range(len(levels)), key=kept.__getitem__) if held]
    return [(run[0], run[-1]) for run in runs if any((levels[place] or 0.0) >= rule.onset for place in run)]


def _merged(cells: Sequence[Cell], runs: Sequence[tuple[int, int]], gap: float) -> list[tuple[int, int]]:
    """Returns the runs, those with a short gap between them as one."""
    merged: list[tuple[int, int]] = []
    for first, last in runs:
        if merged and cells[first].start - cells[merged[-1][1]].end <= gap:
            merged[-1] = merged[-1][0], last
        else:
            merged.append((first, last))
    return merged


def _event(label: str, cells: Sequence[Cell], levels: Sequence[float | None]) -> Event:
    heard = [(cell.end - cell.start, level) for cell, level in zip(cells, levels, strict=True) if level is not None]
    seconds = sum(length for length, _ in heard)
    mean = sum(length * level for length, level in heard) / seconds
    return Event(cells[0].start, cells[-1].end, label, max(level for _, level in heard), min(mean, 1.0))
