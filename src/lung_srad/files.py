"""Files written in one step, so that a reader, or a run after a kill, finds the old or the whole new one; hashes."""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yields a temporary file that takes the place of ``path`` when the block ends without an error.

    The temporary name starts with a dot and ends in ``.tmp``; it is gone afterwards, whatever happens but a kill.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what a killed writer left behind in a folder that has no other writer."""
    for temporary in folder.glob(".*.tmp"):
        temporary.unlink(missing_ok=True)


def is_full(error: OSError) -> bool:
    """Returns whether a disk, or what one may take of it, is full: then making room is enough."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def sha256(path: Path) -> str:
    """Returns the hash of a file's bytes in hexadecimal digits; read again only where the system says that it changed.

    The time that a copying program sets back is not what counts, but the system's own, which nothing sets back.

    Raises:
        OSError: the file cannot be read.
    """
    status = path.stat()
    return _sha256(path, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


@cache
def _sha256(path: Path, stamp: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
