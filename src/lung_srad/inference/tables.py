"""The tables of an output folder: a row per recording, per segment, per event and per patient. No times in them."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lung_srad.errors import RunError, message
from lung_srad.files import replacing
from lung_srad.inference.bulk import FAILED, RECORDINGS, OutFolder, Row, Task
from lung_srad.inference.report import folder_page
from lung_srad.inference.results import write_text
from lung_srad.inference.segments import Summary, together

Cells = Mapping[str, Any]


def write_tables(
    folder: Path,
    rows: Sequence[Row],
    answers: Callable[[], Iterable[tuple[str, Cells]]],
    model: Mapping[str, Any],
    class_names: Sequence[str],
    pages: Mapping[str, str],
) -> list[Path]:
    """Writes the tables and the page of recordings that are all done, and returns their paths.

    Args:
        folder: where they go.
        rows: of the recordings, sorted by path.
        answers: gives path and JSON of every recording with an answer, in the same order; one is held at a time.
        model: its facts.
        class_names: of the model.
        pages: of recordings, by path, below the folder.

    Raises:
        RunError: a table cannot be written.
    """
    table = [recording_row(row, class_names) for row in rows]
    patients = patient_rows(rows, class_names)
    segment_head = ["path", "start", "end", "label", "code", *(f"p_{name}" for name in class_names)]
    written = {
        "table.csv": (list(table[0]) if table else ["path"], table),
        "patients.csv": (list(patients[0]) if patients else ["patient"], patients),
        "windows.csv": (segment_head, _rows_of(answers(), _segments)),
        "events.csv": (["path", "start", "end", "label", "peak", "mean"], _rows_of(answers(), _events)),
    }
    for name, (head, cells) in written.items():
        _write_csv(folder / name, head, cells)
    page = folder / "index.html"
    write_text(page, folder_page(table, patients, model, pages))
    return [*(folder / name for name in written), page]


def tables_of_folder(out: OutFolder, tasks: Sequence[Task], class_names: Sequence[str]) -> list[Path]:
    """Writes the tables of an output folder in which every task is done, and returns their paths.

    Raises:
        RunError: a table cannot be written, or the answers of a recording cannot be read.
    """
    rows = out.rows(tasks)
    answered = [row for row in rows if row["status"] != FAILED]
    pages = {row["path"]: f"{RECORDINGS}/{row['output']}.html" for row in answered}
    there = {path: page for path, page in pages.items() if (out.path / page).exists()}
    contents = partial(_answers_in, out.path, answered)
    return write_tables(out.path, rows, contents, out.settings["model"], class_names, there)


def _answers_in(folder: Path, rows: Iterable[Row]) -> Iterator[tuple[str, Cells]]:
    for row in rows:
        path = folder / RECORDINGS / f"{row['output']}.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            seen = f"cannot be read ({getattr(error, 'strerror', None) or error})"
            remedy = "remove the line of its recording from log.jsonl to hear it again"
            raise RunError(message(path, seen, "what classify wrote", remedy)) from error
        yield row["path"], content


def recording_row(row: Row, class_names: Sequence[str]) -> dict[str, Any]:
    """Returns a file's row of the table: its status, and the summary of its answers."""
    failed = row["status"] == FAILED
    cells = {
        "path": row["path"],
        "status": row["status"],
        "codes": " ".join(row.get("codes", ())),
        "patient": row["patient"],
        "seconds": row.get("seconds", ""),
        "rate": row.get("rate", ""),
        "segments": row.get("segments", ""),
        "events": row.get("events", ""),
    }
    summary = None if failed else Summary.from_dict(row["summary"])
    return cells | _summary_cells(summary, class_names) | {"error": row.get("error", "")}


def patient_rows(rows: Iterable[Row], class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Returns a row per patient, over every answered segment of every recording that is known to be theirs."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row["patient"]:
            groups.setdefault(row["patient"], []).append(row)
    return [
        {
            "patient": patient,
            "recordings": len(group),
            "failed": sum(row["status"] == FAILED for row in group),
            **_summary_cells(_of_all(group), class_names),
        }
        for patient, group in sorted(groups.items())
    ]


def _of_all(rows: Iterable[Row]) -> Summary | None:
    given = [Summary.from_dict(row["summary"]) for row in rows if row["status"] != FAILED]
    return together(given) if given else None


def _summary_cells(summary: Summary | None, class_names: Sequence[str]) -> dict[str, Any]:
    """Returns n, and of every class the mean, the maximum and how many of the n are called so."""
    cells: dict[str, Any] = {"n": summary.n if summary else ""}
    for what in ("mean", "max", "labels"):
        values = getattr(summary, what) if summary else {}
        cells |= {f"{'n' if what == 'labels' else what}_{name}": values.get(name, "") for name in class_names}
    return cells


def _rows_of(
    answers: Iterable[tuple[str, Cells]], parts: Callable[[Cells], Iterator[dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    for path, content in answers:
        yield from ({"path": path, **cells} for cells in parts(content))


def _segments(content: Cells) -> Iterator[dict[str, Any]]:
    for each in content["segments"]:
        values = each["probabilities"] or dict.fromkeys(content["class_names"], "")
        label = each["label"] or ""
        shares = {f"p_{name}": value for name, value in values.items()}
        yield {"start": each["start"], "end": each["end"], "label": label, "code": each["code"], **shares}


def _events(content: Cells) -> Iterator[dict[str, Any]]:
    yield from content["events"]


def _write_csv(path: Path, head: Sequence[str], rows: Iterable[Cells]) -> None:
    try:
        with replacing(path) as file:
            text = io.TextIOWrapper(file, "utf-8", "backslashreplace", newline="")
            writer = csv.DictWriter(text, head, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            text.detach()  # writes what is left, and leaves the file open
    except OSError as error:
        seen = f"cannot be written ({error.strerror or error})"
        raise RunError(message(path, seen, "a file in a folder with room", "make room")) from error
