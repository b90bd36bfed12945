"""The predictions file: one row per cycle, from which every score, interval and figure is recomputed."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lung_srad.errors import DataError, message, nearest
from lung_srad.evaluation.metrics import NO_ANSWER, Scores, score_predictions
from lung_srad.files import replacing

if TYPE_CHECKING:  # scores of a file need neither audio nor torch
    from lung_srad.datasets import Cycle

_TEXTS = ("id", "recording", "patient", "device", "site", "split")
_COLUMNS = (*_TEXTS, "start", "end", "label")
_OPTIONAL = dict.fromkeys(_TEXTS[1:], "") | {"start": "0.0", "end": "inf"}
_TOLERANCE = 0.02  # four probabilities rounded to two decimals still sum to 1 within this


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The predictions of one model on one set of cycles, as read-only columns of equal length.

    Attributes:
        class_names: the classes, in the order of the columns of ``probabilities``.
        id: the name of each cycle, unique.
        recording: where it comes from, as ``patient``, ``device``, ``site`` and ``split``; "" if unknown.
        start: seconds.
        end: seconds; infinite where a cycle reaches to the end of its file.
        label: index of the true class; −1 where unknown.
        probabilities: (n, classes); a row of NaN is a cycle without an answer (silence).

    Raises:
        DataError: columns of different length, a repeated id, or a value outside its range.
    """

    class_names: tuple[str, ...]
    id: NDArray[np.str_]
    recording: NDArray[np.str_]
    patient: NDArray[np.str_]
    device: NDArray[np.str_]
    site: NDArray[np.str_]
    split: NDArray[np.str_]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    label: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Copies the columns, so that nobody else can change them, and checks every row."""
        kinds = {"start": np.float64, "end": np.float64, "label": np.int64, "probabilities": np.float64}
        for field in fields(self)[1:]:
            try:
                column = np.array(getattr(self, field.name), dtype=kinds.get(field.name, np.str_))
            except (TypeError, ValueError) as error:
                allowed = "one value per cycle; label -1 where it is unknown"
                raise DataError(
                    message(f"predictions, {field.name}", str(error), allowed, "mend the column")
                ) from error
            column.setflags(write=False)
            object.__setattr__(self, field.name, column)
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)[1:]}
        if len(set(lengths.values())) > 1 or self.probabilities.shape[1:] != (len(self.class_names),):
            seen = f"{lengths}, probabilities of shape {self.probabilities.shape}"
            allowed = f"columns of one length, and one probability for each of {len(self.class_names)} classes"
            raise DataError(message("predictions", seen, allowed, "build all columns from one list of cycles"))
        seen_ids: dict[str, str] = {}
        for number, row in enumerate(_rows(self)):
            _check_row(f"predictions, row {number}", row, len(self.class_names), seen_ids)

    @classmethod
    def of(cls, cycles: "Sequence[Cycle]", probabilities: ArrayLike, *, class_names: tuple[str, ...]) -> "Predictions":
        """Returns the predictions for the cycles of a dataset, in their order."""
        texts = ([getattr(cycle, name) for cycle in cycles] for name in _TEXTS)
        labels = [-1 if cycle.label is None else cycle.label for cycle in cycles]
        starts, ends = [cycle.start for cycle in cycles], [cycle.end for cycle in cycles]
        return cls(class_names, *texts, starts, ends, labels, probabilities)

    def __len__(self) -> int:
        """Returns the number of cycles."""
        return len(self.id)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Returns the likeliest class of each cycle (the first in a tie), −1 where there is no answer."""
        silent = np.isnan(self.probabilities[:, 0])
        return np.where(silent, NO_ANSWER, self.probabilities.argmax(axis=1))

    def scores(self, *, normal: int = 0) -> Scores:
        """Returns the scores over the cycles whose label is known.

        Raises:
            DataError: no label is known.
        """
        known = self.label >= 0
        labels, predicted = self.label[known], self.predicted[known]
        return score_predictions(labels, predicted, num_classes=len(self.class_names), normal=normal)


def aligned(predictions: Sequence[Predictions]) -> list[Predictions]:
    """Returns predictions on the same cycles, as they are.

    Raises:
        DataError: there are none, or they differ in cycles, labels, patients or classes.
    """
    for each in predictions:
        for column in ("class_names", "id", "label", "patient"):
            if not np.array_equal(getattr(each, column), getattr(predictions[0], column)):
                allowed = "the same cycles in the same order, with the same labels, patients and classes"
                remedy = "evaluate all systems and seeds on the same data"
                raise DataError(message("predictions", f"they differ in {column!r}", allowed, remedy))
    if not predictions:
        raise DataError(message("predictions", "none", "one file for each seed", "evaluate a run first"))
    return list(predictions)


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Writes the file in one step: a reader sees the old file or the whole new one, never a part.

    Numbers are written so that reading them gives the same bits.

    Raises:
        DataError: the file cannot be written.
    """
    path = Path(path)
    names = predictions.class_names
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*_COLUMNS, *(f"p_{name}" for name in names)])
    for *cells, label, probabilities in _rows(predictions):
        silent = math.isnan(probabilities[0])
        known = names[label] if label >= 0 else ""
        writer.writerow([*cells, known, *([""] * len(names) if silent else probabilities)])
    try:
        with replacing(path) as file:
            file.write(text.getvalue().encode("utf-8", "surrogateescape"))
    except OSError as error:
        allowed, remedy = "a file that can be written", "choose an existing folder with room in it"
        raise DataError(message(path, error.strerror or str(error), allowed, remedy)) from error


def read_predictions(path: str | Path) -> Predictions:
    """Returns the predictions in a CSV file, ours or somebody else's.

    ``id``, ``label`` and two or more ``p_<class>`` are needed, in any order; the other columns may be absent.

    Raises:
        DataError: names the file, the line and the column of the first value that does not fit.
    """
    path = Path(path)
    reader = None
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            names = _class_names(path, header)
            rows, seen_ids = [], {}
            for cells in reader:
                if not cells:
                    continue
                where = f"{path}, line {reader.line_num}"
                row = _parse(where, header, cells, names)
                _check_row(where, row, len(names), seen_ids)
                rows.append(row)
    except OSError as error:
        seen, allowed = error.strerror or str(error), "a predictions file (CSV)"
        raise DataError(message(path, seen, allowed, "give the path of a file that `evaluate` wrote")) from error
    except csv.Error as error:
        where = f"{path}, line {reader.line_num if reader else 1}"
        raise DataError(message(where, str(error), "comma-separated values", "save it as CSV, UTF-8")) from error
    if not rows:
        raise DataError(message(path, "no row", "one row per cycle", "evaluate a split that holds cycles"))
    return Predictions(names, *zip(*rows, strict=True))


def _rows(predictions: Predictions) -> Iterator[tuple]:
    """Yields the rows as Python values: the texts, start, end, label, probabilities."""
    columns = [getattr(predictions, field.name).tolist() for field in fields(predictions)[1:]]
    return zip(*columns, strict=True)


def _class_names(path: Path, header: Sequence[str]) -> tuple[str, ...]:
    """Returns the classes of a header, or says what is wrong with it."""
    names = tuple(column.removeprefix("p_") for column in header if column.startswith("p_"))
    known = {*_COLUMNS, *(f"p_{name}" for name in names)}
    faults = [f"column {column!r} twice" for column in header if header.count(column) > 1]
    faults += [f"unknown column {column!r} ({nearest(column, known)})" for column in header if column not in known]
    faults += [f"no column {column!r}" for column in _COLUMNS if column not in (*header, *_OPTIONAL)]
    faults += ["fewer than two columns p_<class>"] if len(names) < 2 else []
    if faults:
        allowed = f"columns {', '.join(_COLUMNS)}, p_<class> ..."
        raise DataError(message(f"{path}, line 1", faults[0], allowed, "mend the first line of the file"))
    return names


def _parse(where: str, header: Sequence[str], cells: Sequence[str], names: tuple[str, ...]) -> tuple:
    """Returns one line as a row."""
    if len(cells) != len(header):
        seen, allowed = f"{len(cells)} values", f"{len(header)}, as in the first line"
        raise DataError(message(where, seen, allowed, "look for a missing or an unquoted comma"))
    line = _OPTIONAL | dict(zip(header, cells, strict=True))
    if line["label"] and line["label"] not in names:
        seen = f"{line['label']!r} ({nearest(line['label'], names)})"
        allowed = "the name of a class, or nothing where it is unknown"
        raise DataError(message(f"{where}, column label", seen, allowed, "mend the name"))
    label = names.index(line["label"]) if line["label"] else -1
    answers = [line[f"p_{name}"] for name in names]
    silent = not any(answers)
    probabilities = [
        math.nan if silent else _number(f"{where}, column p_{name}", text)
        for name, text in zip(names, answers, strict=True)
    ]
    times = (_number(f"{where}, column {column}", line[column]) for column in ("start", "end"))
    return (*(line[column] for column in _TEXTS), *times, label, probabilities)


def _number(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        remedy = "write a decimal point; a silent cycle leaves all its probabilities empty"
        raise DataError(message(where, repr(text), "a number", remedy))
    return value


def _check_row(where: str, row: tuple, num_classes: int, seen_ids: dict[str, str]) -> None:
    """Checks the values of one row, and that its id has not been seen before."""
    cycle, *_, start, end, label, probabilities = row
    first = seen_ids.setdefault(cycle, where)
    silent = all(math.isnan(p) for p in probabilities)
    in_range = silent or all(0 <= p <= 1 for p in probabilities)
    total = sum(probabilities)
    checks = (
        ("id", bool(cycle), "nothing", "the name of the cycle"),
        ("id", first == where, f"{cycle!r}, also at {first}", "one row per cycle"),
        ("start", 0 <= start < math.inf, start, "0 or more seconds"),
        ("end", end > start, end, f"later than the start, {start}"),
        ("label", -1 <= label < num_classes, label, f"-1 (unknown) to {num_classes - 1}"),
        ("p_", in_range, probabilities, "0 to 1, or all empty"),
        ("p_", silent or abs(total - 1) <= _TOLERANCE, f"a sum of {total:g}", "a sum of 1"),
    )
    for column, fits, seen, allowed in checks:
        if not fits:
            raise DataError(message(f"{where}, column {column}", str(seen), allowed, "mend this row"))
