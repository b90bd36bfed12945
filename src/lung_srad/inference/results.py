"""What a model says about a recording: every segment, a summary, and both as JSON, CSV and text."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lung_srad.datasets.checks import shown
from lung_srad.errors import RunError, message
from lung_srad.files import replacing

SCHEMA, SCHEMA_OF_MANY, VERSION = "lung_srad.classification", "lung_srad.classifications", 1
ROWS = 12  # segments up to which a text shows each


@dataclass(frozen=True, slots=True)
class Segment:
    """One window or cycle.

    Attributes:
        start: seconds from the start of the recording.
        end: seconds.
        probabilities: of each class; empty where there is no answer.
        label: the name of the likeliest class; None where there is no answer.
        code: why there is no answer: "silence", or "short" for less than a frame of the spectrogram; else "".
    """

    start: float
    end: float
    probabilities: tuple[float, ...] = ()
    label: str | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """A recording's segments in a few numbers.

    Attributes:
        n: segments with an answer; those without are counted in ``codes``.
        max: the highest probability of each class over them; empty where n is 0.
        mean: the mean probability of each class; empty where n is 0.
        labels: how many segments are called by the name of each class.
    """

    n: int
    max: dict[str, float]
    mean: dict[str, float]
    labels: dict[str, int]
    codes: dict[str, int]


@dataclass(frozen=True, repr=False)
class Classification:
    """The answers of one model for one recording.

    Attributes:
        seconds: length of the recording; ``rate`` is the file's, in hertz.
        kind: what the segments are, "windows" or "cycles".
        notices: what was repaired, changed or is doubtful in the recording, each beginning with its code.
        model: name, hash, what it was trained on, and its notice, ready for JSON.
    """

    path: str
    seconds: float
    rate: int
    kind: str
    class_names: tuple[str, ...]
    segments: tuple[Segment, ...]
    notices: tuple[str, ...]
    model: Mapping[str, Any]

    @cached_property
    def summary(self) -> Summary:
        """Maximum, mean and counts over the segments."""
        answered = [segment for segment in self.segments if segment.probabilities]
        columns = dict(zip(self.class_names, zip(*(s.probabilities for s in answered), strict=True), strict=False))
        called = Counter(segment.label for segment in answered)
        return Summary(
            n=len(answered),
            max={name: max(column) for name, column in columns.items()},
            mean={name: sum(column) / len(column) for name, column in columns.items()},
            labels={name: called[name] for name in self.class_names},
            codes=dict(Counter(segment.code for segment in self.segments if segment.code)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values; ``schema`` and ``version`` say how they are laid out."""
        summary = self.summary
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "path": self.path,
            "seconds": self.seconds,
            "rate": self.rate,
            "kind": self.kind,
            "class_names": list(self.class_names),
            "segments": [
                {
                    "start": each.start,
                    "end": each.end,
                    "probabilities": dict(zip(self.class_names, each.probabilities, strict=False)) or None,
                    "label": each.label,
                    "code": each.code,
                }
                for each in self.segments
            ],
            "summary": {
                "n": summary.n,
                "max": summary.max or None,
                "mean": summary.mean or None,
                "labels": summary.labels,
                "codes": summary.codes,
            },
            "notices": list(self.notices),
            "model": dict(self.model),
        }

    def to_json(self, path: str | Path) -> None:
        """Writes :meth:`to_dict` as a file, in one step.

        Raises:
            RunError: it cannot be written.
        """
        write_text(path, _json(self.to_dict()))

    def to_csv(self, path: str | Path) -> None:
        """Writes one row per segment, in one step.

        Raises:
            RunError: it cannot be written.
        """
        write_text(path, as_csv([self]))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._heading()}; {self._called()}>"

    def __str__(self) -> str:
        """Returns a table: every segment where they are few, then mean, maximum and counts."""
        few = self.segments if len(self.segments) <= ROWS else ()
        rows = [
            (f"{each.start:.2f}-{each.end:.2f} s", _two(each.probabilities), each.label or each.code) for each in few
        ]
        summary = self.summary
        if summary.n and len(self.segments) > 1:
            rows += [("mean", _two(summary.mean.values()), ""), ("max", _two(summary.max.values()), "")]
        rows.append((self.kind, [str(summary.labels[name]) for name in self.class_names], self._unanswered()))
        first = max(len(row[0]) for row in rows)
        widths = [max(len(name), 4) for name in self.class_names]
        lines = [self._heading(), _line("", self.class_names, "", first, widths)]
        lines += [_line(*row, first, widths) for row in rows]
        return "\n".join([*lines, *(f"note: {notice}" for notice in self.notices)])

    def _heading(self) -> str:
        number = len(self.segments)
        return f"{shown(self.path)}: {self.seconds:.2f} s, {number} {self.kind if number != 1 else self.kind[:-1]}"

    def _called(self) -> str:
        called = [f"{name} {count}" for name, count in self.summary.labels.items() if count]
        return ", ".join([*called, *filter(None, [self._unanswered()])])

    def _unanswered(self) -> str:
        return ", ".join(f"{code} {count}" for code, count in self.summary.codes.items())


def as_csv(found: Iterable[Classification]) -> str:
    """Returns the segments of recordings that one model heard, a row each, under one heading."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for index, each in enumerate(found):
        if index == 0:
            writer.writerow(["path", "start", "end", "label", "code", *(f"p_{name}" for name in each.class_names)])
        empty = [""] * len(each.class_names)
        writer.writerows(
            [each.path, s.start, s.end, s.label or "", s.code, *(s.probabilities or empty)] for s in each.segments
        )
    return out.getvalue()


def as_json(found: Iterable[Classification], failed: Mapping[str, str]) -> str:
    """Returns several recordings as one document; ``failed`` says of every other path why it has no answer."""
    missing = [{"path": path, "error": error} for path, error in failed.items()]
    recordings = [each.to_dict() for each in found]
    return _json({"schema": SCHEMA_OF_MANY, "version": VERSION, "recordings": recordings, "failed": missing})


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file in one step; bytes of a file name that are no text are written out.

    Raises:
        RunError: it cannot be written.
    """
    try:
        with replacing(Path(path)) as file:
            file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        seen = f"cannot be written ({error.strerror or error})"
        raise RunError(message(path, seen, "a file in a folder with room", "choose another path")) from error


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _two(values: Iterable[float]) -> list[str]:
    return [f"{value:.2f}" for value in values]


def _line(name: str, cells: Iterable[str], last: str, first: int, widths: list[int]) -> str:
    filled = [*cells] or [""] * len(widths)
    return "  ".join([f"  {name:<{first}}", *(f"{c:>{w}}" for c, w in zip(filled, widths, strict=True)), last]).rstrip()
