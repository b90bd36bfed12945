"""Somebody else's tables: plain CSVs of ids and answers, joined to the cycles of a corpus; facts about patients."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lung_srad.errors import DataError, message, nearest
from lung_srad.evaluation.predictions import Predictions
from lung_srad.files import replacing

if TYPE_CHECKING:
    from lung_srad.datasets import Cycle

IDS = ("id", "cycle", "file", "filename")  # what the column of ids may be called
ANSWERS = ("predicted", "prediction", "label")  # that of labels, where there are no probabilities
_TOLERANCE = 0.02  # of a sum of probabilities that were rounded
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Imported:
    """Predictions for the cycles of a corpus, and what did not fit together.

    Attributes:
        predictions: in the order of the corpus; a cycle that the file does not name has no answer.
        labels_only: the file has no probabilities: an answer is written as probability 1.
        unanswered: cycles of the corpus that the file does not name.
        unknown: ids of the file that are no cycle of the corpus.
    """

    predictions: Predictions
    labels_only: bool
    unanswered: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def remarks(self) -> tuple[str, ...]:
        """Returns in words what did not fit together."""
        found = []
        if self.unanswered:
            text = f"{_several(self.unanswered)} of {len(self.predictions):,} cycles of the corpus are not in the file"
            found.append(f"{text}: they count as not answered, which is a miss in every figure.")
        if self.unknown:
            found.append(f"{_several(self.unknown)} ids of the file are no cycle of the corpus and are passed over.")
        if self.labels_only:
            found.append("The file holds labels: what needs probabilities (calibration, ROC, PR) is left out.")
        return tuple(found)


def labels_only(predictions: Predictions) -> bool:
    """Returns whether every answer is 0 or 1: labels, from which nothing that needs probabilities can be said."""
    given = predictions.probabilities[~np.isnan(predictions.probabilities)]
    return bool(np.isin(given, (0, 1)).all())


def import_predictions(path: str | Path, cycles: "Sequence[Cycle]", class_names: tuple[str, ...]) -> Imported:
    """Returns what a file of another model says of the cycles of a corpus.

    Its first line names the columns: an id (``id``, ``cycle``, ``file`` or ``filename``) and either one column per
    class (``p_normal`` or ``normal`` ...) that holds probabilities, or one of labels (``predicted``, ``prediction``
    or ``label``), by name or by number from 0. Other columns are not read; what is true is taken from the corpus. An
    id may also end in ``_0`` instead of ``#0``, carry a folder before it or ``.wav`` behind it; where a recording has
    one cycle, its name will do.

    Raises:
        DataError: names the file, the line and what does not fit; or no id of the file is a cycle of the corpus.
    """
    path = Path(path)
    header, rows = _read(path)
    key = next((name for name in IDS if name in header), None)
    if key is None:
        seen, allowed = f"columns {', '.join(header)[:200] or 'none'}", f"one of {', '.join(IDS)}"
        raise DataError(message(f"{path}, line 1", seen, allowed, "name the column that holds the cycles' ids"))
    columns = _probability_columns(header, class_names)
    answer = next((name for name in ANSWERS if name in header), None)
    if not columns and answer is None:
        seen = f"columns {', '.join(header)[:200]}"
        allowed = f"one for each of {', '.join(class_names)}, or one of {', '.join(ANSWERS)}"
        raise DataError(message(f"{path}, line 1", seen, allowed, "add the answers; docs/evaluation.md shows a file"))
    known = _known_ids(cycles)
    answers: dict[str, tuple[int, NDArray[np.float64]]] = {}
    unknown = []
    for line, row in rows:
        where = f"{path}, line {line}"
        own = known.get(row[key]) or known.get(_plain(row[key]))
        given = _probabilities(where, row, columns) if columns else _label(where, row[str(answer)], class_names)
        if own is None:
            unknown.append(row[key])
        elif own in answers:
            seen = f"{row[key]!r}, also in line {answers[own][0]}"
            raise DataError(message(where, seen, "one line per cycle", "remove one of the two"))
        else:
            answers[own] = (line, given)
    if not answers:
        seen = f"none of its {len(rows):,} ids is a cycle, such as {rows[0][1][key]!r}"
        allowed = f"ids like {cycles[0].id!r}" if cycles else "a part that holds cycles"
        raise DataError(message(path, seen, allowed, "write the corpus's ids, or name the part or split they are of"))
    silent = np.full(len(class_names), math.nan)
    table = [answers[cycle.id][1] if cycle.id in answers else silent for cycle in cycles]
    return Imported(
        Predictions.of(cycles, table, class_names=class_names),
        not columns,
        tuple(cycle.id for cycle in cycles if cycle.id not in answers),
        tuple(unknown),
    )


def write_facts(path: str | Path, facts: Mapping[str, Mapping[str, str]]) -> None:
    """Writes what is known of patients, a line each: patient, and a column for each fact."""
    columns = list(dict.fromkeys(fact for own in facts.values() for fact in own))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["patient", *columns])
    writer.writerows([patient, *(own.get(fact, "") for fact in columns)] for patient, own in facts.items())
    with replacing(Path(path)) as file:
        file.write(text.getvalue().encode())


def read_facts(path: str | Path) -> dict[str, dict[str, str]]:
    """Returns patient -> fact -> group of a CSV with the column ``patient`` and one for each fact; empty is not known.

    Raises:
        DataError: no table, or no column ``patient``.
    """
    path = Path(path)
    header, rows = _read(path)
    if "patient" not in header:
        seen, allowed = f"columns {', '.join(header)[:200]}", "'patient', and a column for each fact"
        raise DataError(message(f"{path}, line 1", seen, allowed, "name the column that holds the patients"))
    return {
        row["patient"]: {fact: group for fact, group in row.items() if fact != "patient" and group} for _, row in rows
    }


def _read(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Returns the columns, in small letters but for those of classes, and the rows by line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            header = [name.casefold() if name.casefold() in (*IDS, *ANSWERS) else name for name in header]
            if len(set(header)) < len(header):
                seen = f"columns {', '.join(header)[:200]}"
                raise DataError(message(f"{path}, line 1", seen, "each column once", "remove one of the two"))
            rows = []
            for cells in reader:
                if cells and len(cells) != len(header):
                    seen, allowed = f"{len(cells)} values", f"{len(header)}, as in the first line"
                    where = f"{path}, line {reader.line_num}"
                    raise DataError(message(where, seen, allowed, "look for a missing or an unquoted comma"))
                if cells:
                    stripped = (cell.strip() for cell in cells)
                    rows.append((reader.line_num, dict(zip(header, stripped, strict=True))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        seen = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        allowed = "a comma-separated UTF-8 file whose first line names its columns"
        raise DataError(message(path, seen, allowed, "save it again as CSV, in UTF-8")) from error
    if not rows:
        raise DataError(message(path, "no row", "one or more", "write them below the first line"))
    return header, rows


def _probability_columns(header: Sequence[str], class_names: Sequence[str]) -> list[str]:
    """Returns the column of each class; nothing where there is none for all of them."""
    folded = {name.casefold(): name for name in header}
    found = [folded.get(f"p_{name}".casefold()) or folded.get(name.casefold()) for name in class_names]
    return [name for name in found if name is not None] if None not in found else []


def _known_ids(cycles: "Sequence[Cycle]") -> Mapping[str, str]:
    """Returns every way to write an id -> the id; a way that two cycles share is left out."""
    known: dict[str, str | None] = {}
    alone: dict[str, list[str]] = {}
    for cycle in cycles:
        alone.setdefault(cycle.recording, []).append(cycle.id)
        for written in {cycle.id, cycle.id.replace("#", "_")}:
            known[written] = cycle.id if known.get(written, cycle.id) == cycle.id else None
    known |= {recording: ids[0] for recording, ids in alone.items() if len(ids) == 1 and recording not in known}
    exact = {cycle.id: cycle.id for cycle in cycles}
    return {written: own for written, own in known.items() if own} | exact


def _plain(written: str) -> str:
    """Returns an id without the folder before it and the ending behind it."""
    name = written.replace("\\", "/").rsplit("/", 1)[-1]
    for ending in (".wav", ".flac"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name


def _probabilities(where: str, row: Mapping[str, str], columns: Sequence[str]) -> NDArray[np.float64]:
    """Returns the probabilities of a row; nothing at all is a cycle without an answer."""
    cells = [row[name] for name in columns]
    if not any(cells):
        return np.full(len(cells), math.nan)
    try:
        given = np.array([float(cell) for cell in cells])
    except ValueError:
        given = np.full(len(cells), math.nan)
    total = given.sum()
    if not ((given >= 0).all() and (given <= 1).all() and abs(total - 1) <= _TOLERANCE):
        seen, allowed = f"{', '.join(cells)}", "numbers from 0 to 1 whose sum is 1, or nothing"
        raise DataError(message(where, seen, allowed, "write the softmax of the logits, with a decimal point"))
    return given / total


def _label(where: str, cell: str, class_names: Sequence[str]) -> NDArray[np.float64]:
    """Returns a label as probabilities: 1 for its class; nothing is a cycle without an answer."""
    if not cell:
        return np.full(len(class_names), math.nan)
    names = [name.casefold() for name in class_names]
    if cell.isdigit() and int(cell) < len(names):
        index = int(cell)
    elif cell.casefold() in names:
        index = names.index(cell.casefold())
    else:
        allowed = f"{', '.join(class_names)}, or 0 to {len(names) - 1}"
        raise DataError(message(where, f"{cell!r} ({nearest(cell, class_names)})", allowed, "mend the label"))
    return np.eye(len(names))[index]


def _several(ids: Sequence[str]) -> str:
    """Returns how many there are, and the first of them: ``"12 (a#0, a#1, b#0 ...)"``."""
    more = " ..." if len(ids) > _EXAMPLES else ""
    return f"{len(ids):,} ({', '.join(ids[:_EXAMPLES])}{more})"
