"""Reading an ICBHI annotation: one line per breathing cycle, tab separated ``start end crackle wheeze``."""

import math
import re
from pathlib import Path
from typing import NamedTuple

from lung_srad.datasets.report import Defect
from lung_srad.errors import shown

MAX_BYTES = 1 << 20  # the longest of the 920 files holds 580; a hostile one must not cost memory or time
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_ALLOWED = "a line holds start, end (seconds), crackle, wheeze (0 or 1), separated by tabs"
_REMEDY = "copy the annotation again from the database, or correct the line"


class Row(NamedTuple):
    """One line of an annotation; the label is 0 none, 1 crackle, 2 wheeze, 3 both."""

    start: float
    end: float
    label: int


def parse_seconds(text: str) -> float | None:
    """Returns a finite number, or None; Python's own float() also takes ``nan``, ``1_0`` and other digits."""
    if not _NUMBER.fullmatch(text.strip()):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def read_annotation(path: Path) -> tuple[list[Row], list[Defect]]:
    """Returns the good lines of an annotation in the order of the file, and a defect for each bad one."""
    file = shown(path.name)
    try:
        with path.open("rb") as handle:
            raw = handle.read(MAX_BYTES + 1)
    except OSError as error:
        seen = f"cannot be read ({error.strerror})"
        return [], [Defect(file, "unreadable", seen, "a text file", "restore the file, or its permissions")]
    if len(raw) > MAX_BYTES:
        return [], [Defect(file, "size", f"over {MAX_BYTES:,} bytes", "a line per breathing cycle", _REMEDY)]
    text = _decode(raw)
    if text is None:
        remedy = "save the file again as plain UTF-8 text without a byte-order mark"
        return [], [Defect(file, "encoding", f"starts with bytes {raw[:4]!r}", "plain text without NUL bytes", remedy)]
    rows: list[Row] = []
    defects: list[Defect] = []
    times: set[tuple[float, ...]] = set()
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if not line.strip():
            continue
        found = _parse_line(file, f"line {number}", line)
        if isinstance(found, Row):
            found = _order_defect(file, f"line {number}", found, rows, times) or found
        if isinstance(found, Defect):
            defects.append(found)
        else:
            rows.append(found)
            times.add(found[:2])
    if not rows and not defects:
        defects.append(Defect(file, "empty", "no line", "at least one breathing cycle", _REMEDY))
    return rows, defects


def _decode(raw: bytes) -> str | None:
    """Returns the text, or None where it is not plain text (UTF-16, a byte-order mark, NUL bytes, binary)."""
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _parse_line(file: str, where: str, line: str) -> Row | Defect:
    """Returns the row on a line, or what is wrong with it."""
    fields = line.split("\t")
    seen = f"{where}: {shown(line[:60])!r}"
    if len(fields) != 4:
        return Defect(file, "columns", f"{seen} has {len(fields)} tab-separated fields", _ALLOWED, _REMEDY)
    start, end = parse_seconds(fields[0]), parse_seconds(fields[1])
    if start is None or end is None:
        return Defect(file, "number", f"{seen} has a time that is no finite number", _ALLOWED, _REMEDY)
    flags = [field.strip() for field in fields[2:]]
    if not set(flags) <= {"0", "1"}:
        two = " and ".join(shown(flag[:20]) for flag in flags)
        return Defect(file, "flag", f"{seen} has flags {two}", _ALLOWED, _REMEDY)
    if not 0 <= start < end:
        return Defect(file, "times", f"{where}: from {start:g} s to {end:g} s", "0 <= start < end", _REMEDY)
    return Row(start, end, int(flags[0]) + 2 * int(flags[1]))


def _order_defect(file: str, where: str, row: Row, rows: list[Row], times: set[tuple[float, ...]]) -> Defect | None:
    """Returns what is wrong with a row against the rows before it."""
    if row[:2] in times:
        seen = f"{where}: {row.start:g}-{row.end:g} s is there twice"
        return Defect(file, "duplicate", seen, "each cycle once", _REMEDY)
    if rows and row.start < rows[-1].end - 1e-6:
        seen = f"{where}: starts at {row.start:g} s, before the cycle above ends ({rows[-1].end:g} s)"
        return Defect(file, "overlap", seen, "cycles in order, each from the end of the one before, or later", _REMEDY)
    return None
