"""Anybody's own recordings: a CSV with a line per cycle, or per file, and any class names."""

import csv
import difflib
import math
import os
from collections.abc import Sequence
from pathlib import Path

from lung_srad.datasets.annotations import parse_seconds
from lung_srad.datasets.checks import audio_seconds, outside
from lung_srad.datasets.contract import Cycle, Dataset, Scan
from lung_srad.datasets.report import Defect, Entry
from lung_srad.errors import DataError, message, nearest, shown

REQUIRED = ("path", "patient")
COLUMNS = (*REQUIRED, "start", "end", "label", "split", "device", "site", "recording", "id")
WHOLE = "all"  # the one split of a table without a split column
HEARD = 8.0  # seconds of a cycle that the published pipeline keeps


class _BadRowError(Exception):
    """What is wrong with one row; never leaves this module."""

    def __init__(self, kind: str, seen: str, allowed: str) -> None:
        super().__init__(kind, seen, allowed)
        self.kind, self.seen, self.allowed = kind, seen, allowed


class Table(Dataset):
    """A CSV file (comma separated, UTF-8, first line the column names) that names recordings.

    ========= ======== =====================================================================================
    column    needed   meaning
    ========= ======== =====================================================================================
    path      yes      audio file, absolute or relative to the folder of the CSV
    patient   yes      whose it is; patients are what training and validation are kept apart by
    start     no       seconds; empty: from the start of the file
    end       no       seconds; empty: to the end of the file
    label     no       class name; empty: not known (to be classified, not to be trained on)
    split     no       any word, such as train or test; without the column every row is in the split ``all``
    device    no       what it was recorded with
    site      no       where on the body
    recording no       the recording's name; by default the path without its extension
    id        no       the cycle's name; by default recording, ``#`` and the row's place within the recording
    ========= ======== =====================================================================================

    The normal class comes first, the others in alphabetical order. It is the one that ``normal`` names, else
    the one called "normal" in any case, else the first in order, and then the report says so.

    Args:
        path: the CSV.
        normal: which class is the normal one.
        class_names: the classes in order, such as those of a model that is to be evaluated on this table; by
            default those that occur.

    Raises:
        DataError: the file is no table, lacks a column, or ``normal`` is no class. What is wrong with a row's
            content is raised by :meth:`cycles` and listed by :meth:`validate`.
    """

    name = "table"

    def __init__(
        self, path: str | Path, *, normal: str | None = None, class_names: Sequence[str] | None = None
    ) -> None:
        self.location = Path(path)
        self._rows = _read(self.location)
        self._notices = _unused_columns(self._rows)
        labels = {cells["label"] for _, cells in self._rows} - {""}
        words = list(class_names or sorted(labels, key=lambda word: (word.casefold(), word)))
        if normal is not None and normal not in words:
            allowed = "allowed: one of the classes"
            raise DataError(message("normal", f"no class {normal!r}", allowed, nearest(normal, words)))
        first = normal or next((word for word in words if word.casefold() == "normal"), None)
        if first is None and words:
            first = words[0]
            self._notices.append(f"no class is called normal: {first!r} counts as the normal one")
        if class_names is None:
            words.sort(key=lambda word: word != first)  # a stable sort: the others stay in order
        self.class_names = tuple(words)
        self.normal = words.index(first) if first else 0
        self.splits = tuple(dict.fromkeys(cells["split"] for _, cells in self._rows if cells["split"]))

    def scan(self) -> Scan:
        """Returns recordings, cycles, and everything that is wrong short of decoding audio."""
        lengths: dict[Path, float | Defect] = {}
        cycles: dict[tuple[object, ...], Cycle] = {}  # by id, and by what they hold
        owners: dict[str, str] = {}
        counts: dict[str, int] = {}
        defects = []
        file = shown(self.location.name)
        for line, cells in self._rows:
            try:
                cycle = self._cycle(cells, counts, lengths)
                if owners.setdefault(cycle.recording, cycle.patient) != cycle.patient:
                    patients = f"{owners[cycle.recording]!r} and {cycle.patient!r}"
                    seen = f"recording {cycle.recording!r} is of patients {patients}"
                    raise _BadRowError("patient", seen, "one patient per recording")
                span = (cycle.path, cycle.start, cycle.end)
                if (cycle.id,) in cycles or span in cycles:
                    seen = f"id {cycle.id!r} or its span of the file is there twice"
                    raise _BadRowError("twice", seen, "each once")
                cycles[(cycle.id,)] = cycles[span] = cycle
            except _BadRowError as bad:
                seen = f"line {line}: {shown(bad.seen[:200])}"
                defects.append(Defect(file, bad.kind, seen, bad.allowed, "correct the row"))
        defects += [length for length in lengths.values() if isinstance(length, Defect)]
        found = [cycle for key, cycle in cycles.items() if len(key) == 1]
        entries = {Entry(cycle.recording, cycle.patient, cycle.device, cycle.split): None for cycle in found}
        notices = list(self._notices)
        if long := [cycle for cycle in found if cycle.end - cycle.start > HEARD]:
            notices.append(f"{len(long)} row(s) of more than {HEARD:g} s: a model hears the first {HEARD:g} s of each")
        return Scan(found, list(entries), defects, notices)

    def _cycle(self, cells: dict[str, str], counts: dict[str, int], lengths: dict[Path, float | Defect]) -> Cycle:
        """Returns the cycle of a row; the counts and lengths of its recording are noted on the way."""
        for column in (*REQUIRED, "split"):
            if not cells[column]:
                raise _BadRowError("empty", f"{column} is empty", "a word")
        if cells["label"] and cells["label"] not in self.class_names:
            raise _BadRowError("label", f"label {cells['label']!r}", f"classes {', '.join(self.class_names)}")
        start, end = parse_seconds(cells["start"] or "0"), parse_seconds(cells["end"] or "0")
        if start is None or end is None:
            seen = f"times {cells['start']!r} and {cells['end']!r}"
            raise _BadRowError("number", seen, "seconds, with a decimal point, or empty")
        end = end if cells["end"] else math.inf
        path = self.location.parent / cells["path"]
        if path not in lengths:
            lengths[path] = audio_seconds(path)
        seconds = lengths[path]
        if not 0 <= start < end:
            raise _BadRowError("times", f"from {start:g} s to {end:g} s", "0 <= start < end")
        if isinstance(seconds, float) and outside(start, end, seconds):
            raise _BadRowError("outside", f"{start:g}-{end:g} s of {path.name}", f"0-{seconds:.3f} s")
        recording = cells["recording"] or os.path.splitext(cells["path"])[0]
        counts[recording] = index = counts.get(recording, -1) + 1
        return Cycle(
            id=cells["id"] or f"{recording}#{index}",
            path=path,
            start=start,
            end=min(end, seconds) if isinstance(seconds, float) else end,
            label=self.class_names.index(cells["label"]) if cells["label"] else None,
            patient=cells["patient"],
            recording=recording,
            device=cells["device"],
            site=cells["site"],
            split=cells["split"],
        )


def _read(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Returns the line and the cells of every row; each has every column of :data:`COLUMNS`.

    Raises:
        DataError: the file is no table, lacks a column, or a row has too many or too few cells.
    """
    allowed = f"allowed: a comma-separated UTF-8 file with columns {', '.join(COLUMNS)}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip().casefold() for cell in next(reader, [])]
            _check_header(path, header, allowed)
            rows = []
            for cells in reader:
                if len(cells) != len(header) and cells:
                    seen = f"line {reader.line_num} has {len(cells)} cells"
                    rule = f"allowed: {len(header)}, as the first line has"
                    raise DataError(message(path, seen, rule, "correct the row"))
                if cells:
                    row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
                    rows.append((reader.line_num, dict.fromkeys(COLUMNS, "") | {"split": WHOLE} | row))
    except csv.Error as error:
        seen = f"line {reader.line_num} cannot be read ({error})"
        raise DataError(message(path, seen, allowed, "correct the line")) from error
    except (OSError, UnicodeDecodeError) as error:
        seen = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise DataError(message(path, seen, allowed, "save it again as CSV, in UTF-8")) from error
    if not rows:
        allowed = "allowed: a line per cycle or file"
        raise DataError(message(path, "has no rows", allowed, "add the recordings"))
    return rows


def _check_header(path: Path, header: list[str], allowed: str) -> None:
    """Returns nothing; refuses a header that lacks a column, has one twice, or probably misspells one."""
    for column in header:
        close = difflib.get_close_matches(column, set(COLUMNS) - set(header), n=1, cutoff=0.75)
        if column not in COLUMNS and close:
            hint = f"did you mean {close[0]!r}?"
            raise DataError(message(path, f"unknown column {column!r}", allowed, hint))
        if header.count(column) > 1:
            raise DataError(message(path, f"column {column!r} is there twice", allowed, "remove one of them"))
    for column in REQUIRED:
        if column not in header:
            seen = f"no column {column!r} among {', '.join(map(shown, header))[:200] or 'none'}"
            tabular = len(header) == 1 and any(mark in header[0] for mark in ";\t")
            remedy = (
                "save it with commas between the cells" if tabular else "add the column; docs/data.md shows a table"
            )
            raise DataError(message(path, seen, allowed, remedy))


def _unused_columns(rows: list[tuple[int, dict[str, str]]]) -> list[str]:
    """Returns a notice about columns that nothing here reads."""
    unused = [shown(column) for column in rows[0][1] if column not in COLUMNS]
    return [f"columns that are not used: {', '.join(unused)}"] if unused else []
