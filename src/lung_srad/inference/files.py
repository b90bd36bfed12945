"""Many recordings: which files there are, and one model over all of them, whatever is wrong with some."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lung_srad.errors import AudioError, DataError, message, shown
from lung_srad.inference.model import Model
from lung_srad.inference.results import Classification

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".w64", ".rf64")


@dataclass(frozen=True)
class Outcome:
    """What became of one file: an answer, or one sentence that says why there is none."""

    path: Path
    found: Classification | None = None
    error: str = ""


def find_recordings(paths: Iterable[str | Path]) -> list[Path]:
    """Returns files as they are given and, of each folder, every recording in it and below, sorted; each once.

    Raises:
        DataError: there is no recording in a folder.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            found[path] = None
            continue
        inside = sorted(file for file in path.rglob("*") if _is_recording(file))
        if not inside:
            raise DataError(message(path, "no recording in this folder", f"files in {', '.join(SUFFIXES)}", "name one"))
        found |= dict.fromkeys(inside)
    return list(found)


def classify_files(
    model: Model, paths: Iterable[Path], *, cycles: str | Path | None = None, hop: float = 2.0
) -> Iterator[Outcome]:
    """Yields what became of each file; one that cannot be used stops nobody else.

    Raises:
        ConfigError: a hop that cannot be.
    """
    for path in paths:
        try:
            yield Outcome(path, model.classify(path, cycles=cycles, hop=hop))
        except (AudioError, DataError) as error:
            yield Outcome(path, error=shown(str(error)))


def _is_recording(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
