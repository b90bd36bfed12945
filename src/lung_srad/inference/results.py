"""What a model says about a recording: every segment, a summary, and both as JSON, CSV and text."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lung_srad.errors import RunError, message, shown
from lung_srad.files import replacing
from lung_srad.inference.events import Cell, Event, EventRule, find_events, timeline
from lung_srad.inference.quality import ACCEPT, Quality
from lung_srad.inference.segments import Segment, Summary, summarize

SCHEMA, SCHEMA_OF_MANY, VERSION = "lung_srad.classification", "lung_srad.classifications", 1
ROWS = 12  # segments up to which a text shows each


@dataclass(frozen=True, repr=False)
class Classification:
    """The answers of one model for one recording.

    Attributes:
        seconds: length of the recording; ``rate`` is the file's, in hertz.
        kind: what the segments are, "windows" or "cycles".
        notices: what was repaired, changed or is doubtful in the recording, each beginning with its code.
        model: name, hash, what it was trained on, and its notice, ready for JSON.
        quality: what was found in the sound itself, and whether it is fit to be judged.
        rule: when an event begins and ends.
    """

    path: str
    seconds: float
    rate: int
    kind: str
    class_names: tuple[str, ...]
    segments: tuple[Segment, ...]
    notices: tuple[str, ...]
    model: Mapping[str, Any]
    quality: Quality = field(default_factory=Quality)
    rule: EventRule = field(default_factory=EventRule)

    @cached_property
    def summary(self) -> Summary:
        """Maximum, mean and counts over the segments."""
        return summarize(self.segments, self.class_names)

    @cached_property
    def timeline(self) -> tuple[Cell, ...]:
        """The mean over the segments that overlap, stretch by stretch."""
        return timeline(self.segments)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Where abnormal sounds begin and end, by onset; of each sound by itself."""
        return find_events(self.timeline, self.class_names, self.normal, self.rule)

    @property
    def normal(self) -> str:
        """The name of the normal class."""
        return self.model.get("normal", self.class_names[0])

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of everything that was repaired or is doubtful, each once."""
        said = (*self.notices, *map(str, self.quality.findings))
        return tuple(dict.fromkeys(each.partition(":")[0] for each in said))

    def with_rule(self, rule: EventRule) -> "Classification":
        """Returns the same answers with events by another rule."""
        return replace(self, rule=rule)

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
                    "ood_score": each.ood_score,
                }
                for each in self.segments
            ],
            "events": [asdict(event) for event in self.events],
            "event_rule": asdict(self.rule),
            "summary": summary.to_dict(),
            "quality": {
                "verdict": self.quality.verdict,
                "findings": [asdict(finding) for finding in self.quality.findings],
                "measures": dict(self.quality.measures),
            },
            "notices": list(self.notices),
            "model": dict(self.model),
        }

    def to_json(self, path: str | Path) -> None:
        """Writes :meth:`to_dict` as a file, in one step.

        Raises:
            RunError: it cannot be written.
        """
        write_text(path, self.to_json_text())

    def to_json_text(self) -> str:
        """Returns :meth:`to_dict` as the text of a JSON file."""
        return _json(self.to_dict())

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
        lines += [f"  event {each.start:.2f}-{each.end:.2f} s: {each.label} {each.mean:.2f}" for each in self._few()]
        if self.quality.verdict != ACCEPT:
            lines += [f"quality: {self.quality.verdict}; {finding}" for finding in self.quality.findings]
        return "\n".join([*lines, *(f"note: {notice}" for notice in self.notices)])

    def _few(self) -> tuple[Event, ...]:
        return self.events if len(self.events) <= ROWS else ()

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
        raise RunError(message(path, seen, "a file in a folder with room", "make room, or choose another")) from error


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _two(values: Iterable[float]) -> list[str]:
    return [f"{value:.2f}" for value in values]


def _line(name: str, cells: Iterable[str], last: str, first: int, widths: list[int]) -> str:
    filled = [*cells] or [""] * len(widths)
    return "  ".join([f"  {name:<{first}}", *(f"{c:>{w}}" for c, w in zip(filled, widths, strict=True)), last]).rstrip()
