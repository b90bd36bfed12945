"""What a look at a corpus found, as plain data, and its text for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lung_srad.datasets.partitions import Partition, partition

if TYPE_CHECKING:
    from lung_srad.datasets.contract import Dataset, Scan

UNKNOWN_CLASS = "unknown"
NO_SPLIT = "no split"
_PER_FILE = 10  # defects of one file in the text; the report has them all


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong: where, of what kind, what was seen, what is allowed, what to do."""

    file: str
    kind: str
    seen: str
    allowed: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        """Returns one line, as every error message of the project."""
        allowed = self.allowed and f"allowed: {self.allowed}"
        return f"{self.file}: " + "; ".join(part for part in (self.seen, allowed, self.remedy) if part)


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording at hand, with or without readable cycles."""

    recording: str
    patient: str
    device: str
    split: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many recordings, patients and cycles."""

    recordings: int
    patients: int
    cycles: int


@dataclass(frozen=True, slots=True)
class Leak:
    """A patient on several sides of the split: recordings per split in the split file, and at hand."""

    patient: str
    listed: dict[str, int]
    at_hand: dict[str, int]

    def __str__(self) -> str:
        """Returns the sentence of the report."""
        listed = f"split file {_sides(self.listed)}; " if self.listed else ""
        verdict = "on both sides here" if len(self.at_hand) > 1 else "on one side here" if self.at_hand else "not here"
        here = f"recordings here {_sides(self.at_hand)}: " if self.at_hand else ""
        return f"patient {self.patient}: {listed}{here}{verdict}"


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of :meth:`Dataset.validate`.

    Attributes:
        total: everything at hand.
        by_split: split -> count.
        by_class: class -> split -> cycles.
        by_device: device -> split -> count.
        leaks: patients on several sides of the split, in the split file or among the recordings at hand.
        defects: everything that must be mended before the data can be used.
        notices: everything that is good to know.
        partition: the split, its hash, and whether any patient is on two sides.
    """

    dataset: str
    location: str
    total: Count
    by_split: dict[str, Count]
    by_class: dict[str, dict[str, int]]
    by_device: dict[str, dict[str, Count]]
    leaks: tuple[Leak, ...]
    defects: tuple[Defect, ...]
    notices: tuple[str, ...]
    partition: Partition

    @property
    def ok(self) -> bool:
        """Whether nothing has to be mended."""
        return not self.defects


def tally(dataset: Dataset, scan: Scan, defects: Iterable[Defect], notices: Iterable[str]) -> Report:
    """Returns the report on a scan: its tables, and the findings as given."""
    splits = [split for split in (*dataset.splits, "") if any(entry.split == split for entry in scan.recordings)]
    devices = sorted({entry.device for entry in scan.recordings})
    names = [*dataset.class_names, UNKNOWN_CLASS]
    cells = [(cycle.split, names[-1 if cycle.label is None else cycle.label]) for cycle in scan.cycles]

    def count(split: str | None = None, device: str | None = None) -> Count:
        entries = [e for e in scan.recordings if split in (None, e.split) and device in (None, e.device)]
        cycles = sum(split in (None, c.split) and device in (None, c.device) for c in scan.cycles)
        return Count(len({e.recording for e in entries}), len({e.patient for e in entries}), cycles)

    owned: dict[str, list[Entry]] = {}
    for entry in scan.recordings:
        owned.setdefault(entry.patient, []).append(entry)

    def at_hand(patient: str) -> dict[str, int]:
        sides = Counter(entry.split for entry in owned.get(patient, ()))
        return {split: sides[split] for split in splits if sides[split]}

    patients = sorted(scan.listed.keys() | {entry.patient for entry in scan.recordings})
    leaks = [Leak(patient, scan.listed.get(patient, {}), at_hand(patient)) for patient in patients]
    split = partition(dataset.scheme, ((cycle, cycle.split) for cycle in scan.cycles))
    if dataset.keeps_patients_apart and split.shared:
        seen = f"patient(s) {', '.join(split.shared)} on two sides of {split.name}"
        defects = [*defects, Defect(dataset.location.name, "split", seen, "each on one", "mend the list of the split")]
    return Report(
        dataset=dataset.name,
        location=str(dataset.location),
        total=count(),
        by_split={split or NO_SPLIT: count(split) for split in splits},
        by_class={
            name: {split or NO_SPLIT: cells.count((split, name)) for split in splits}
            for name in names
            if name != UNKNOWN_CLASS or any(cell[1] == name for cell in cells)
        },
        by_device={
            device or "unknown": {split or NO_SPLIT: count(split, device) for split in splits} for device in devices
        },
        leaks=tuple(leak for leak in leaks if max(len(leak.listed), len(leak.at_hand)) > 1),
        defects=tuple(defects),
        notices=tuple(notices),
        partition=split,
    )


def report_text(report: Report) -> str:
    """Returns the report for a terminal: tables, patients on both sides, defects by file, notices."""
    splits = list(report.by_split)
    overview = [
        (what, *(getattr(report.by_split[split], what) for split in splits), getattr(report.total, what))
        for what in ("recordings", "patients", "cycles")
    ]
    classes = [(name, *row.values(), sum(row.values())) for name, row in report.by_class.items()]
    devices = [
        (device, *(row[split].cycles for split in splits), sum(count.cycles for count in row.values()))
        for device, row in report.by_device.items()
    ]
    parts = [
        f"{report.dataset}: {report.location}",
        _grid(("", *splits, "total"), overview),
        _grid(("cycles by class", *splits, "total"), classes),
        _grid(("cycles by device", *splits, "total"), devices) if len(devices) > 1 else "",
        str(report.partition) if report.partition.cycles else "",
        _list("Patients on both sides of the split", report.leaks),
        _defects(report.defects),
        _list("Good to know", report.notices),
        "" if report.defects else "No defects.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _grid(header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """Returns a table of aligned columns: names to the left, numbers to the right."""
    cells = [header, *([cell if isinstance(cell, str) else f"{cell:,}" for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join((row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))))
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def _list(title: str, items: Sequence[object]) -> str:
    """Returns a titled list, or nothing where there are no items."""
    return "\n".join((title, *(f"  {item}" for item in items))) if items else ""


def _defects(defects: Sequence[Defect]) -> str:
    """Returns every defect under the name of its file."""
    if not defects:
        return ""
    by_file: dict[str, list[Defect]] = {}
    for defect in defects:
        by_file.setdefault(defect.file, []).append(defect)
    lines = [f"{len(defects)} {'defect' if len(defects) == 1 else 'defects'} in {len(by_file)} file(s)"]
    for file, found in sorted(by_file.items()):
        lines.append(f"  {file}")
        shown = found[:_PER_FILE]
        lines += [f"    [{defect.kind}] {str(defect).removeprefix(f'{defect.file}: ')}" for defect in shown]
        lines += [f"    and {len(found) - _PER_FILE} more"] if len(found) > _PER_FILE else []
    return "\n".join(lines)


def _sides(sides: Mapping[str, int]) -> str:
    """Returns ``"train 9, test 8"``."""
    return ", ".join(f"{split or NO_SPLIT} {number}" for split, number in sides.items())
