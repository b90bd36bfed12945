"""The same classifier over many machines: a list of files in parts, each part a file of answers (extra ``cluster``).

out/                        a folder on a disk that all machines share, or a place in an object store (``s3://...``)
  settings.json             as of a folder on one machine
  parts/part-00000.jsonl    a line about the part, then one for each of its recordings: its row and its answers
  manifest.json             every part: how many files, how many failed, the hash of its bytes; written last
  table.csv ...             the tables of a folder on one machine, to the byte

A part is written whole or not at all, so a run that was killed goes on with the parts that are missing.
"""

import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lung_srad.errors import DataError, MissingExtraError, RunError, message, optional_import
from lung_srad.files import replacing
from lung_srad.inference.bulk import FAILED, SETTINGS, Row, Task, plan
from lung_srad.inference.files import SUFFIXES, find_recordings
from lung_srad.inference.processes import Build
from lung_srad.inference.tables import write_tables

SCHEMA, VERSION = "lung_srad.parts", 1
MANIFEST, PARTS = "manifest.json", "parts"


class Store:
    """A folder, on a disk or in an object store, whose files are written whole.

    Args:
        place: a path, or an address such as ``s3://bucket/answers``.

    Raises:
        MissingExtraError: an address, and fsspec or what it needs for this kind is not installed.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._files, self._root = _opened(place) if _is_url(place) else (None, place)
        if self._files is not None and "file" in self._files.protocol:
            self._files = None  # a disk like any other: there a file can be written whole

    def read(self, name: str) -> bytes | None:
        """Returns the bytes of a file, or None where there is none.

        Raises:
            RunError: it cannot be read.
        """
        try:
            if self._files is None:
                return (Path(self._root) / name).read_bytes()
            return self._files.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(name, "read", error) from error

    def write(self, name: str, content: bytes) -> None:
        """Writes a file.

        Raises:
            RunError: it cannot be written.
        """
        try:
            if self._files is not None:
                self._files.pipe_file(f"{self._root}/{name}", content)
                return
            path = Path(self._root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(content)
        except OSError as error:
            raise self._error(name, "written", error) from error

    def _error(self, name: str, done: str, error: OSError) -> RunError:
        seen = f"cannot be {done} ({error.strerror or error})"
        return RunError(message(f"{self.place}/{name}", seen, "a place with room and rights", "check them"))


@dataclass(frozen=True)
class Part:
    """Some recordings that one process answers one after the other; ``mark`` says which, and by what."""

    number: int
    tasks: tuple[Task, ...]
    mark: str

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{PARTS}/part-{self.number:05d}.jsonl"


class PartWorker:
    """What runs in each process of a cluster: one model, a part in, its file written, a line of the manifest out.

    Args:
        build: makes the worker, once.
        place: where answers go.
    """

    def __init__(self, build: Build, place: str) -> None:
        self._worker, self._store = build(), Store(place)

    def __call__(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the line of the manifest about a part: ``{"part": its JSON} -> {"line": JSON}``."""
        content = json.loads(item["part"])
        part = Part(content["number"], tuple(Task(**each) for each in content["tasks"]), content["mark"])
        answers = [self._answer(task) for task in part.tasks]
        lines = [{"part": part.number, "mark": part.mark}, *answers]
        text = "".join(json.dumps(line) + "\n" for line in lines).encode("ascii")
        self._store.write(part.name, text)
        return {"line": json.dumps(_line(part, text, [each["row"] for each in answers]))}

    def _answer(self, task: Task) -> dict[str, Any]:
        try:
            recording = _fetched(task.path) if _is_url(task.path) else None
        except OSError as error:
            seen = f"cannot be read ({error.strerror or error})"
            reason = message(task.path, seen, "allowed: a readable audio file", "check the address and the rights")
            row = {"path": task.path, "file": None, "output": task.name, "patient": "", "status": FAILED}
            return {"row": row | {"error": reason}, "answer": None}
        row, found = self._worker.hear(task, recording)
        return {"row": row, "answer": None if found is None else found.to_dict()}


def plan_anywhere(roots: Sequence[str]) -> list[Task]:
    """Returns every recording in folders, files and addresses of an object store, sorted by path.

    Raises:
        DataError: there is no recording in a folder.
    """
    tasks = plan([root for root in roots if not _is_url(root)], find_recordings)
    for root in filter(_is_url, roots):
        files, inside = _opened(root)
        found = [path for path in files.find(inside) if path.lower().endswith(SUFFIXES)]
        if not found:
            raise DataError(message(root, "no recording there", f"files in {', '.join(SUFFIXES)}", "name another"))
        tasks += [Task(files.unstrip_protocol(path), path.lstrip("/")) for path in found]
    return sorted(tasks, key=lambda task: task.path)


def classify_on_cluster(
    build: Build,
    tasks: Sequence[Task],
    place: str,
    settings: Mapping[str, Any],
    *,
    address: str = "local",
    workers: int = 2,
    size: int = 100,
) -> list[Row]:
    """Returns the rows of all recordings, answered by a Ray cluster in parts; parts that are there are kept.

    Args:
        build: makes the worker in each process; can be pickled.
        tasks: of :func:`plan_anywhere`; every machine must be able to reach every path.
        place: where answers go.
        settings: the model and the options; those of the place where it was begun before.
        address: of the cluster; ``"local"`` starts one on this machine.
        workers: how many processes, each with a model.
        size: recordings in a part: what is heard again after a kill, at most, by each worker.

    Raises:
        MissingExtraError: Ray is not installed.
        RunError: the place was begun with other settings, or cannot be written.
    """
    store = Store(place)
    settings = _require_same(store, settings)
    parts = parts_of(tasks, size, settings)
    known = {part.number: line for part in parts if (line := _known(store, part)) is not None}
    left = [part for part in parts if part.number not in known]
    for line in _on_ray(partial(PartWorker, build, place), left, address, workers):
        known[line["part"]] = line
    lines = [known[part.number] for part in parts]
    content = {"schema": SCHEMA, "version": VERSION, "settings": settings, "parts": lines}
    store.write(MANIFEST, (json.dumps(content, indent=2) + "\n").encode())
    rows = [each["row"] for part in parts for each in _read(store, part)]
    _write_tables(store, parts, rows, settings)
    return rows


def parts_of(tasks: Sequence[Task], size: int, settings: Mapping[str, Any]) -> list[Part]:
    """Returns tasks in parts of ``size``; a part's mark is the hash of what it holds and of the settings."""
    found = []
    for number, start in enumerate(range(0, len(tasks), size)):
        some = tuple(tasks[start : start + size])
        text = json.dumps([settings, [asdict(task) for task in some]], sort_keys=True)
        found.append(Part(number, some, hashlib.sha256(text.encode()).hexdigest()))
    return found


def _on_ray(
    work: Callable[[], PartWorker], parts: Sequence[Part], address: str, workers: int
) -> Iterator[dict[str, Any]]:
    """Yields the lines of the manifest as parts are done."""
    if not parts:
        return
    ray = optional_import("ray", "cluster")
    data = optional_import("ray.data", "cluster")
    ours = not ray.is_initialized()
    if ours:
        ray.init(address=None if address == "local" else address, log_to_driver=False, include_dashboard=False)
    try:
        data.DataContext.get_current().enable_progress_bars = False
        items = data.from_items([{"part": json.dumps(asdict(part))} for part in parts], override_num_blocks=len(parts))
        done = items.map(_Actor, fn_constructor_args=(work,), concurrency=min(workers, len(parts)), num_cpus=1)
        for row in done.iter_rows():
            yield json.loads(row["line"])
    finally:
        if ours:
            ray.shutdown()


class _Actor:
    """A class, as Ray asks for one, that makes the worker where it runs."""

    def __init__(self, work: Callable[[], PartWorker]) -> None:
        self._work = work()

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        return self._work(item)


def _require_same(store: Store, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings as JSON gives them back; refuses a place that was begun with others."""
    mine = json.loads(json.dumps(dict(settings)))
    found = store.read(SETTINGS)
    if found is None:
        store.write(SETTINGS, (json.dumps(mine, indent=2) + "\n").encode())
    elif json.loads(found) != mine:
        seen = "begun with another model or other options"
        raise RunError(message(store.place, seen, "the same ones", "take them, or name another place"))
    return mine


def _known(store: Store, part: Part) -> dict[str, Any] | None:
    """Returns the line of the manifest about a part that was written before, for these recordings and settings."""
    content = store.read(part.name)
    if content is None:
        return None
    first, *rest = content.splitlines()
    if json.loads(first) != {"part": part.number, "mark": part.mark}:
        return None
    return _line(part, content, [json.loads(line)["row"] for line in rest])


def _line(part: Part, content: bytes, rows: Sequence[Row]) -> dict[str, Any]:
    failed = sum(row["status"] == FAILED for row in rows)
    digest = hashlib.sha256(content).hexdigest()
    return {"part": part.number, "name": part.name, "files": len(rows), "failed": failed, "sha256": digest}


def _read(store: Store, part: Part) -> list[dict[str, Any]]:
    content = store.read(part.name)
    if content is None:
        raise RunError(message(f"{store.place}/{part.name}", "is gone", "what a worker wrote", "run it again"))
    return [json.loads(line) for line in content.splitlines()[1:]]


def _write_tables(store: Store, parts: Sequence[Part], rows: Sequence[Row], settings: Mapping[str, Any]) -> None:
    def answers() -> Iterator[tuple[str, Any]]:
        for part in parts:
            yield from ((each["row"]["path"], each["answer"]) for each in _read(store, part) if each["answer"])

    names = settings["class_names"]
    with tempfile.TemporaryDirectory() as folder:
        for path in write_tables(Path(folder), rows, answers, settings["model"], names, {}):
            store.write(path.name, path.read_bytes())


def _is_url(path: str) -> bool:
    return "://" in path


def _opened(address: str) -> tuple[Any, str]:
    """Returns the file system of an address, and the place in it."""
    try:
        return optional_import("fsspec", "cluster").core.url_to_fs(address)
    except ImportError as error:  # a package for this kind of store, which fsspec names
        raise MissingExtraError(str(error)) from error
    except ValueError as error:
        raise DataError(message(address, str(error), "an address that fsspec knows", "correct it")) from error


class _Fetched(io.BytesIO):
    """The bytes of a recording in an object store, under its address."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def _fetched(address: str) -> _Fetched:
    files, path = _opened(address)
    return _Fetched(files.cat_file(path), address)
