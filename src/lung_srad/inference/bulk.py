"""Many recordings into a folder: resumable after any kill, one row for every file, whatever is wrong with some.

out/
  settings.json           the model and the options; a folder holds the answers of one of each
  log.jsonl               a row per file that is done, written after its files: what is continued from
  recordings/NAME.json    everything about one recording; NAME.labels.txt for Audacity, NAME.selections.txt for Raven,
                          NAME.html where asked for
  table.csv               a row per file, sorted by path, with its status; no times, so a second run writes the same
  windows.csv events.csv patients.csv index.html
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lung_srad.errors import AudioError, ConfigError, LungSradError, RunError, message, shown
from lung_srad.files import remove_leftovers
from lung_srad.inference.events import EventRule
from lung_srad.inference.label_files import as_audacity, as_raven
from lung_srad.inference.model import Model
from lung_srad.inference.patients import patient_of
from lung_srad.inference.results import VERSION, Classification, write_text
from lung_srad.inference.sources import Recorded
from lung_srad.memory import ran_out

FAILED = "failed"
LOG, SETTINGS, RECORDINGS = "log.jsonl", "settings.json", "recordings"
_LONGEST = 180  # bytes of a name of an output, its suffix aside
_KNOWN = ("path", "file", "output", "patient")  # what a row says also of a file that failed
Row = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What decides the answers for a recording, besides the model.

    Attributes:
        cycles: a file or a folder of cycles; without it, windows.
        hop: seconds from one window to the next.
        rule: of events.
        html: whether each recording has a page.
    """

    cycles: str | None = None
    hop: float = 2.0
    rule: EventRule = field(default_factory=EventRule)
    html: bool = False
    batch_size: int = 8


@dataclass(frozen=True)
class Task:
    """A recording, and the name of what is written about it."""

    path: str
    name: str


def plan(roots: Iterable[str | Path], find: Callable[[list[str | Path]], list[Path]]) -> list[Task]:
    """Returns every recording with a name of its own: its path below the folder that was given.

    Names that would be the same on some disk, and those that are too long, get the hash of the path.
    """
    names: dict[str, str] = {}
    for root in roots:
        for path in find([root]):
            inside = path.relative_to(root) if Path(root).is_dir() else Path(path.name)
            names.setdefault(str(path), inside.as_posix())
    taken = Counter(name.casefold() for name in names.values())
    return [Task(path, _unique(path, name, taken)) for path, name in sorted(names.items())]


def _unique(path: str, name: str, taken: Mapping[str, int]) -> str:
    if taken[name.casefold()] == 1 and len(os.fsencode(Path(name).name)) <= _LONGEST:
        return name
    stamp = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    folder, _, last = name.rpartition("/")
    short = os.fsdecode(os.fsencode(last)[: _LONGEST - 13])
    return f"{folder}/{short}-{stamp}" if folder else f"{short}-{stamp}"


class OutFolder:
    """The folder of answers, and what is in it already.

    Args:
        path: of the folder; made if need be.
        settings: the model and the options; those of the folder where it was begun before.

    Raises:
        RunError: there is something else in the folder, or it was begun with other settings.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.settings = json.loads(json.dumps(dict(settings)))
        self._require_mine()
        inside = self.path / RECORDINGS
        for folder in (self.path, inside, *(path for path in inside.rglob("*") if path.is_dir())):
            remove_leftovers(folder)
        self._rows = self._read()

    def done(self, task: Task) -> Row | None:
        """Returns the row of a file that was answered before and has not changed since; what failed is tried again."""
        row = self._rows.get(task.path)
        if row is None or row["status"] == FAILED or row["output"] != task.name:
            return None
        return row if row["file"] == fingerprint(task.path) else None

    def add(self, row: Row) -> None:
        """Appends a row to the log, once everything about its file is written."""
        self._rows[row["path"]] = row
        line = json.dumps(row, ensure_ascii=True) + "\n"
        try:
            with (self.path / LOG).open("a", encoding="ascii") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _cannot_write(self.path / LOG, error) from error

    def rows(self, tasks: Iterable[Task]) -> list[Row]:
        """Returns the rows of these files, in their order."""
        return [self._rows[task.path] for task in tasks]

    def _require_mine(self) -> None:
        try:
            (self.path / RECORDINGS).mkdir(parents=True, exist_ok=True)
            target = self.path / SETTINGS
            found = json.loads(target.read_text(encoding="utf-8")) if target.exists() else None
        except (OSError, ValueError) as error:
            seen = f"cannot be used ({getattr(error, 'strerror', None) or error})"
            allowed = "a folder that classify wrote, or a new one"
            raise RunError(message(self.path, seen, allowed, "name another --out")) from error
        if found is None:
            require_usable(self.path)
            write_text(target, json.dumps(self.settings, indent=2) + "\n")
        elif found != self.settings:
            differ = sorted(key for key in {*found, *self.settings} if found.get(key) != self.settings.get(key))
            seen = f"begun with other settings ({', '.join(differ)})"
            raise RunError(message(self.path, seen, "the same model and options", "take them, or name another --out"))

    def _read(self) -> dict[str, Row]:
        """Returns the rows of the log by path; a line that a kill cut is removed."""
        log = self.path / LOG
        if not log.exists():
            return {}
        content = log.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with log.open("r+b") as file:
                file.truncate(whole)
        try:
            rows = [json.loads(line) for line in content[:whole].splitlines()]
            return {row["path"]: row for row in rows}
        except (ValueError, TypeError, KeyError) as error:
            remedy = "remove it to classify everything again"
            raise RunError(message(log, f"cannot be read ({error})", "a row per line", remedy)) from error


def require_usable(path: Path) -> None:
    """Returns nothing; refuses a folder that holds anything but what classify wrote, before it is touched.

    Raises:
        RunError: there is something else in it.
    """
    if not path.is_dir() or (path / SETTINGS).exists():
        return
    names = sorted(file.name for file in path.iterdir() if file.name not in (RECORDINGS, "lock"))
    others = [name for name in names if not name.startswith(f".{SETTINGS}.")]  # of a run that was killed at once
    if others:
        allowed = "a folder that classify wrote, or a new one"
        raise RunError(message(path, f"holds {shown(others[0])!r}", allowed, "name another --out"))


@dataclass(frozen=True)
class Worker:
    """One model at work for an output folder: a task in, its files written, its row out."""

    model: Model
    options: Options
    folder: Path
    patients: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, task: Task) -> Row:
        """Returns the row of a file; one that cannot be used has the reason in it.

        Raises:
            RunError: its files cannot be written.
        """
        row, found = self.hear(task)
        if found is None:
            return row
        texts = {"json": found.to_json_text(), "labels.txt": as_audacity(found), "selections.txt": as_raven(found)}
        if self.options.html:
            from lung_srad.inference.report import recording_page  # matplotlib: a second that others need not wait

            try:
                texts["html"] = recording_page(found, task.path)
            except AudioError as error:  # somebody changed it just now
                return {name: row[name] for name in _KNOWN} | {"status": FAILED, "error": shown(str(error))}
        place = self.folder / RECORDINGS / task.name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_write(place.parent, error) from error
        for suffix, text in texts.items():
            write_text(place.with_name(f"{place.name}.{suffix}"), text)
        return row

    def hear(self, task: Task, recording: Recorded | None = None) -> tuple[Row, Classification | None]:
        """Returns the row of a file, and its answers where it has some.

        Args:
            task: what is heard.
            recording: the file, where it is not at the path of the task.
        """
        path, options = Path(task.path), self.options
        row: Row = {"path": task.path, "file": fingerprint(task.path), "output": task.name}
        row["patient"] = self.patients.get(path.name) or self.patients.get(path.stem) or patient_of(path)
        given = path if recording is None else recording
        try:
            heard = self.model.classify(given, cycles=options.cycles, hop=options.hop, batch_size=options.batch_size)
        except (ConfigError, RunError):
            raise
        except (LungSradError, OSError, MemoryError, RuntimeError) as error:
            if not isinstance(error, LungSradError | OSError) and not ran_out(error):
                raise
            reason = str(error) if isinstance(error, LungSradError) else _sentence(path, error)
            return row | {"status": FAILED, "error": shown(reason)}, None
        found = replace(heard, rule=options.rule, path=task.path)
        return row | {
            "status": found.quality.verdict,
            "codes": list(found.codes),
            "seconds": found.seconds,
            "rate": found.rate,
            "segments": len(found.segments),
            "events": len(found.events),
            "summary": found.summary.to_dict(),
        }, found


def classify_all(
    work: Callable[[Sequence[Task]], Iterable[Row]],
    tasks: Sequence[Task],
    out: OutFolder,
    moved: Callable[[int, int], None] | None = None,
) -> Iterator[Row]:
    """Yields the rows of the files that were not done before, as they come; each is in the log when it is yielded.

    Args:
        work: answers tasks, in any order; a :class:`Worker` by ``partial(map, worker)``, or several processes.
        tasks: of :func:`plan`.
        out: where the answers go.
        moved: told how many are done, and of how many.
    """
    left = [task for task in tasks if out.done(task) is None]
    count = len(tasks) - len(left)
    for row in work(left):
        out.add(row)
        count += 1
        if moved is not None:
            moved(count, len(tasks))
        yield row


def settings_of(model: Model, options: Options) -> dict[str, Any]:
    """Returns what an output folder is bound to: the model, the options and the layout of the files."""
    chosen = asdict(options)
    del chosen["batch_size"]  # answers do not change with it
    return {"version": VERSION, "model": model.facts(), "class_names": list(model.class_names), **chosen}


def fingerprint(path: str | Path) -> list[int] | None:
    """Returns size and time of change of a file, by which a changed one is heard again."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return [status.st_size, status.st_mtime_ns]


def _sentence(path: Path, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or ("not enough memory" if ran_out(error) else str(error))
    return message(path, reason, "allowed: a readable audio file", "check the disk and the memory, or split the file")


def _cannot_write(path: Path, error: OSError) -> RunError:
    return RunError(message(path, f"cannot be written ({error.strerror or error})", "a disk with room", "make room"))
