"""Files of one answer, written together."""

from collections.abc import Mapping
from pathlib import Path

from lung_srad.errors import RunError, message
from lung_srad.files import replacing


def write_files(folder: Path, files: Mapping[str, str | bytes], *, remedy: str = "choose another --out") -> list[Path]:
    """Writes files below a folder, which is made where it is not there, each whole or not at all; returns their paths.

    Raises:
        RunError: the folder cannot be written; it says ``remedy``.
    """
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        seen = f"cannot be written ({error.strerror or error})"
        raise RunError(message(folder, seen, "a folder that can be written", remedy)) from error
    return [folder / name for name in files]
