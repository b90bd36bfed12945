"""Whether a WAV header agrees with itself and its file. Decoders do not look, so a wrong rate goes unnoticed."""

import os
import struct
from pathlib import Path
from typing import BinaryIO

_STREAMED = {0, 0xFFFFFFFF}  # what a recorder leaves where it does not go back to write the size
_PLAIN = {1, 3, 0xFFFE}  # PCM, float, extensible: bytes per second are rate times bytes per frame
_MAX_CHUNKS = 4096


def contradiction(path: Path) -> str:
    """Returns what in the header of a WAV file contradicts the rest of it; "" for other formats and sound files.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return ""
        declared = struct.unpack("<4xI4x", head)[0]
        if declared in _STREAMED:
            return ""
        if declared + 8 != size:
            return f"the header declares a file of {declared + 8} bytes, it has {size}"
        return _of_chunks(file, size)


def _of_chunks(file: BinaryIO, size: int) -> str:
    """Returns what is wrong with the chunks between the first twelve bytes and the end."""
    place = 12
    for _ in range(_MAX_CHUNKS):
        file.seek(place)
        header = file.read(8)
        if not header:
            break
        name, length = struct.unpack("<4sI", header) if len(header) == 8 else (b"\0", 0)
        if not all(32 <= letter < 127 for letter in name) or place + 8 + length > size:
            return f"the {size - place} bytes from byte {place} on belong to no chunk: a declared length is wrong"
        if name == b"fmt " and length >= 16:
            code, _, rate, per_second, block = struct.unpack("<HHIIH", file.read(14))
            if code in _PLAIN and per_second != rate * block:
                return f"the header says {rate} Hz, and {per_second / max(block, 1):g} samples per second"
        place += 8 + length + length % 2
    return ""
