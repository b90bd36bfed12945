"""Which cycles to classify: from an annotation, a table, a folder of them, or pairs of seconds."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path

from lung_srad.datasets.annotations import parse_seconds, read_annotation
from lung_srad.errors import DataError, message

Spans = list[tuple[float, float]]
_TABLE = "a CSV in UTF-8 with the columns start and end, in seconds with a decimal point"


def read_spans(cycles: str | Path | Iterable[tuple[float, float]], recording: Path) -> Spans:
    """Returns start and end of each cycle in seconds, in the order given; an end may be infinite.

    Args:
        cycles: pairs; an ICBHI annotation (``.txt``); a table (``.csv``); or a folder of such files, of which the
            one with the recording's name is taken.

    Raises:
        DataError: there is no such file, no cycle in it, or a time that cannot be.
    """
    if not isinstance(cycles, str | Path):
        found = [_pair(number, each) for number, each in enumerate(cycles, start=1)]
        where: object = "cycles"
    else:
        where = path = _file(Path(cycles), recording)
        found = _table(path) if path.suffix.lower() == ".csv" else _annotation(path)
    if not found:
        raise DataError(message(where, "no cycle", "one or more", "leave cycles out to classify windows"))
    return found


def _file(given: Path, recording: Path) -> Path:
    if not given.is_dir():
        return given
    names = [f"{recording.stem}{suffix}" for suffix in (".txt", ".csv")]
    found = [given / name for name in names if (given / name).is_file()]
    if len(found) != 1:
        seen = f"{' and '.join(names)} are there" if found else f"no cycles of {recording.name}"
        raise DataError(message(given, seen, f"{names[0]} or {names[1]}", "add it, or name the file itself"))
    return found[0]


def _annotation(path: Path) -> Spans:
    rows, defects = read_annotation(path)
    if defects:
        raise DataError(str(defects[0]))
    return [(row.start, row.end) for row in rows]


def _table(path: Path) -> Spans:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip().casefold() for cell in next(reader, [])]
            if header.count("start") != 1 or header.count("end") != 1:
                seen = f"the first line is {','.join(header)[:80]!r}"
                raise DataError(message(path, seen, _TABLE, "write the names of the columns into the first line"))
            return [_row(path, reader.line_num, dict(zip(header, cells, strict=False))) for cells in reader if cells]
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
