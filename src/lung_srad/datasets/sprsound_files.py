"""The files of an SPRSound folder: names, annotations, and which part of the release each belongs to."""

import json
import re
import reprlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lung_srad.datasets.annotations import MAX_BYTES, parse_seconds
from lung_srad.datasets.report import Defect
from lung_srad.errors import nearest, shown

NAME_RULE = "patient_age_gender_location_recording, as in 65058931_3.4_1_p2_1086; gender 0 or 1, location p1 to p8"
SITES = {"p1": "Pl", "p2": "Ll", "p3": "Pr", "p4": "Lr"}  # left and right, posterior and lateral, in ICBHI's words
LABELS = {  # DECISIONS: sprsound-labels
    "Normal": 0,
    "Fine Crackle": 1,
    "Coarse Crackle": 1,
    "Wheeze": 2,
    "Rhonchi": 2,
    "Stridor": 2,
    "Wheeze+Crackle": 3,
}
POOR = "Poor Quality"
RECORD_LABELS = ("Normal", "DAS", "CAS", "CAS & DAS", POOR)  # the first four: by crackles (1) plus wheezes (2)
AGAIN = "copy it again from the database"
_EVENT = '{"start": "2499", "end": "4277", "type": "Normal"}, the times in milliseconds'
_NAME = re.compile(r"([0-9]+)_[0-9]+(?:\.[0-9]+)?_[01]_(p[1-8])_[0-9]+")
_NEVER = 1e12  # milliseconds: more than any recording has, and what JSON may write is turned down before it overflows
_AUDIO = (".wav", ".flac")


class Name(NamedTuple):
    """A recording's name, taken apart; the site is in ICBHI's words where it has one."""

    stem: str
    patient: str
    site: str

    @classmethod
    def parse(cls, stem: str) -> "Name | None":
        """Returns the parts of a name, or None where it breaks the rule."""
        match = _NAME.fullmatch(stem)
        return match and cls(stem, match[1], SITES.get(match[2], match[2]))


class Event(NamedTuple):
    """One event: its place in the file, seconds, type."""

    index: int
    start: float
    end: float
    type: str


@dataclass(slots=True)
class Files:
    """Annotations, audio and names by the recording's name, and what is wrong or worth knowing so far."""

    audio: dict[str, Path] = field(default_factory=dict)
    annotations: dict[str, Path] = field(default_factory=dict)
    names: dict[str, Name] = field(default_factory=dict)
    tests: set[str] = field(default_factory=set)  # recordings in folders of the test parts
    defects: list[Defect] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def blame(self, file: str | Path, kind: str, seen: str, *, allowed: str, remedy: str) -> None:
        """Adds a defect."""
        self.defects.append(Defect(shown(Path(file).name), kind, seen, allowed, remedy))


def find_files(root: Path) -> Files:
    """Returns the recordings anywhere under a folder: the releases differ in the names of their folders alone.

    What lies in a folder with "test" or "valid" in its name (``test2022_json/inter_test_json``) is test.
    """
    files = Files()
    strays = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        parents = path.relative_to(root).parts[:-1]
        suffix = path.suffix.lower()
        if path.name.startswith(".") or any(part.startswith(".") for part in parents):
            continue
        if suffix not in (*_AUDIO, ".json"):
            strays.append(shown(path.name))
            continue
        kind = files.audio if suffix in _AUDIO else files.annotations
        name = Name.parse(path.stem)
        if name is None:
            remedy = "give it the name that it has in the database, or move it out of the folder"
            files.blame(path, "name", f"the name is {shown(path.stem)!r}", allowed=NAME_RULE, remedy=remedy)
        elif name.stem in kind:
            seen = f"there twice, in {_folder(root, kind[name.stem])} and in {_folder(root, path)}"
            remedy = "remove one of the two, or give the folder of one release"
            files.blame(path, "twice", seen, allowed="one file per recording", remedy=remedy)
        else:
            kind[name.stem] = path
            files.names[name.stem] = name
            if any("test" in part.lower() or "valid" in part.lower() for part in parents):
                files.tests.add(name.stem)
    if strays:
        what = "file(s) that are neither a recording nor an annotation"
        files.notices.append(f"{len(strays)} {what}, first {strays[0]}")
    if not files.names:
        allowed = "NAME.wav or NAME.flac and NAME.json, in folders such as train_wav/ and train_json/"
        files.blame(root, "nothing here", "no recording of SPRSound", allowed=allowed, remedy="give the folder above")
    return files


def _folder(root: Path, path: Path) -> str:
    return shown(str(path.parent.relative_to(root)))


def read_record(path: Path) -> tuple[str, list[Event], list[Defect]]:
    """Returns the record label ("" where there is none), the good events in the file's order, and the defects."""
    file = shown(path.name)
    try:
        with path.open("rb") as handle:
            raw = handle.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            return "", [], [Defect(file, "size", f"over {MAX_BYTES:,} bytes", "some events", AGAIN)]
        content = json.loads(raw)
    except OSError as error:
        remedy = "restore the file, or its permissions"
        return "", [], [Defect(file, "unreadable", f"cannot be read ({error.strerror})", "a JSON file", remedy)]
    except (ValueError, RecursionError) as error:
        seen = f"no JSON ({shown(str(error))[:80]})"
        return "", [], [Defect(file, "json", seen, "one object, in UTF-8", AGAIN)]
    rows = content.get("event_annotation") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        return "", [], [Defect(file, "json", "no list 'event_annotation'", f"a list of {_EVENT}", AGAIN)]
    label = content.get("record_annotation", "")  # absent from 2024 on
    events: list[Event] = []
    defects: list[Defect] = []
    if label not in ("", *RECORD_LABELS):
        seen, allowed = f"record_annotation {_short(label)}", ", ".join(RECORD_LABELS)
        defects.append(Defect(file, "record label", seen, allowed, nearest(_short(label), RECORD_LABELS)))
        label = ""
    elif not rows and label not in ("", POOR):
        seen = f"no event in a recording called {label!r}"
        defects.append(Defect(file, "empty", seen, f"at least one event, or the record label {POOR}", AGAIN))
    times: set[tuple[float, float]] = set()
    for index, row in enumerate(rows):
        found = _event(file, index, row)
        if isinstance(found, Event) and (found.start, found.end) in times:
            seen = f"event #{index}: {found.start:g}-{found.end:g} s is there twice"
            found = Defect(file, "duplicate", seen, "each event once", "remove one of the two")
        if isinstance(found, Defect):
            defects.append(found)
        else:
            events.append(found)
            times.add((found.start, found.end))
    return label, events, defects


def _event(file: str, index: int, row: Any) -> Event | Defect:
    """Returns the event in an entry of the list, or what is wrong with it."""
    where = f"event #{index}"
    if not isinstance(row, dict) or not {"start", "end", "type"} <= row.keys():
        return Defect(file, "event", f"{where}: {_short(row)}", _EVENT, AGAIN)
    start, end, kind = _seconds(row["start"]), _seconds(row["end"]), row["type"]
    if start is None or end is None:
        seen = f"{where}: from {_short(row['start'])} to {_short(row['end'])}"
        return Defect(file, "number", seen, _EVENT, "write both times as milliseconds")
    if not 0 <= start < end:
        return Defect(file, "times", f"{where}: from {start:g} s to {end:g} s", "0 <= start < end", AGAIN)
    if not isinstance(kind, str) or kind not in LABELS:
        return Defect(file, "type", f"{where}: type {_short(kind)}", ", ".join(LABELS), nearest(_short(kind), LABELS))
    return Event(index, start, end, kind)


def _seconds(value: object) -> float | None:
    """Returns milliseconds as seconds: strings, as in every file, or numbers, as the database's page prints them."""
    if isinstance(value, str):
        value = parse_seconds(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _NEVER:
        return None
    return value / 1000


def _short(value: object) -> str:
    """Returns a value from a file, fit to print, also where it is long or nested deeply."""
    return shown(reprlib.repr(value))
