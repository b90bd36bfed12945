"""Which cycles to classify: an annotation, labels of Audacity, a table of Raven or another, or pairs of seconds."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path

from lung_srad.datasets.annotations import parse_seconds, read_annotation
from lung_srad.errors import DataError, message

Spans = list[tuple[float, float]]
_SUFFIXES = (".txt", ".csv", ".Table.1.selections.txt")  # the last is what Raven calls its tables
_RAVEN_TIMES = ("begin time (s)", "end time (s)")
_TABLE = "a CSV in UTF-8 with the columns start and end, in seconds with a decimal point"


def read_spans(cycles: str | Path | Iterable[tuple[float, float]], recording: Path) -> Spans:
    """Returns start and end of each cycle in seconds, in the order given; an end may be infinite.

    Args:
        cycles: pairs; an ICBHI annotation, labels of Audacity or a selection table of Raven (``.txt``, told apart by
            their content); a table (``.csv``); or a folder of such files, of which the one with the recording's name
            is taken.

    Raises:
        DataError: there is no such file, no cycle in it, or a time that cannot be.
    """
    if not isinstance(cycles, str | Path):
        found = [_pair(number, each) for number, each in enumerate(cycles, start=1)]
        where: object = "cycles"
    else:
        where = path = _file(Path(cycles), recording)
        found = _table(path) if path.suffix.lower() == ".csv" else _text(path)
    if not found:
        raise DataError(message(where, "no cycle", "one or more", "leave cycles out to classify windows"))
    return found


def _file(given: Path, recording: Path) -> Path:
    if not given.is_dir():
        return given
    names = [f"{recording.stem}{suffix}" for suffix in _SUFFIXES]
    found = [given / name for name in names if (given / name).is_file()]
    if len(found) != 1:
        seen = f"{' and '.join(each.name for each in found)} are there" if found else f"no cycles of {recording.name}"
        raise DataError(message(given, seen, f"one of {', '.join(names)}", "add it, or name the file itself"))
    return found[0]


def _text(path: Path) -> Spans:
    """Returns the cycles of a text, after a look at its first line: Raven's has headings, Audacity's no two flags."""
    try:
        with path.open("rb") as file:
            first = file.read(4096).decode("utf-8", "replace").lstrip("\ufeff\r\n").splitlines()[:1]
    except OSError:
        first = []  # what follows says what is wrong
    cells = first[0].split("\t") if first else []
    if {*_RAVEN_TIMES} <= {cell.strip().casefold() for cell in cells}:
        found = _table(path, delimiter="\t", names=_RAVEN_TIMES)
        return list(dict.fromkeys(found))  # a selection has a row in every view
    times = [parse_seconds(cell) for cell in cells[:2]]
    if len(cells) in (2, 3) and None not in times:
        return _audacity(path)
    return _annotation(path)


def _audacity(path: Path) -> Spans:
    """Returns the labels of a track; a line that begins with a backslash holds the frequencies of the one above."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = [(number, line.rstrip("\r\n").split("\t")) for number, line in enumerate(file, start=1)]
    except (OSError, UnicodeDecodeError) as error:
        seen = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        allowed = "labels of Audacity in UTF-8"
        raise DataError(message(path, seen, allowed, "check the path, or export it again")) from error
    kept = [(number, cells) for number, cells in lines if any(cells) and not cells[0].startswith("\\")]
    return [_row(path, number, dict(zip(("start", "end"), cells, strict=False))) for number, cells in kept]


def _annotation(path: Path) -> Spans:
    rows, defects = read_annotation(path)
    if defects:
        raise DataError(str(defects[0]))
    return [(row.start, row.end) for row in rows]


def _table(path: Path, *, delimiter: str = ",", names: tuple[str, str] = ("start", "end")) -> Spans:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = [cell.strip().casefold() for cell in next(reader, [])]
            if any(header.count(name) != 1 for name in names):
                seen = f"the first line is {','.join(header)[:80]!r}"
                raise DataError(message(path, seen, _TABLE, "write the names of the columns into the first line"))
            renamed = [dict(zip(names, ("start", "end"), strict=True)).get(name, name) for name in header]
            rows = [(reader.line_num, dict(zip(renamed, cells, strict=False))) for cells in reader if cells]
            return [_row(path, line, cells) for line, cells in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        seen = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise DataError(message(path, seen, _TABLE, "check the path, or save it again")) from error


def _row(path: Path, line: int, cells: dict[str, str]) -> tuple[float, float]:
    texts = cells.get("start", ""), cells.get("end", "")
    start, end = map(parse_seconds, texts)
    if start is None or end is None or not 0 <= start < end:
        seen = f"line {line}: from {texts[0][:40]!r} to {texts[1][:40]!r}"
        raise DataError(message(path, seen, "0 <= start < end, in seconds", "correct the line"))
    return start, end


def _pair(number: int, given: tuple[float, float]) -> tuple[float, float]:
    try:
        start, end = map(float, given)
        if 0 <= start < end and start < math.inf:
            return start, end
    except (TypeError, ValueError):
        pass
    allowed = "(start, end) in seconds, 0 <= start < end"
    raise DataError(message(f"cycles, number {number}", repr(given)[:80], allowed, "correct it"))
