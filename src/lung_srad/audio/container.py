"""What a file promises, read from its own bytes before a decoder sees it.

libsndfile shortens a cut WAV, W64 or AIFF without a word, decodes 7-bit samples as noise, and believes any
number of samples. So the header is parsed here, and what it promises is compared with what lies in the file.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lung_srad.errors import AudioError, message

RATES = (1_000, 384_000)  # hertz
MAX_CHANNELS = 8
FORMATS = ("WAV", "RF64", "W64", "AIFF", "FLAC", "OGG", "MP3")

_MAGIC = {
    b"RIFF": "WAV",
    b"RIFX": "WAV",
    b"RF64": "RF64",
    b"riff": "W64",
    b"FORM": "AIFF",
    b"fLaC": "FLAC",
    b"OggS": "OGG",
}
_BITS = {1: (8, 16, 24, 32), 3: (32, 64), 6: (8,), 7: (8,)}  # by code: PCM, float, A-law, µ-law
_EXTENSIBLE = 0xFFFE
_UNKNOWN_SIZE = 0xFFFFFFFF
_MAX_CHUNKS = 4096  # a sparse file of zeros is an endless row of empty chunks
_OGG_PAGE = 65_307  # bytes of the longest page
_REWRITE = "copy the file again from its source, or export it again as WAV"


@dataclass(frozen=True, slots=True)
class Promise:
    """What the header of a file promises; ``frames`` is None where the decoder is the one to know."""

    format: str
    frames: int | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a family of containers lays out its chunks."""

    first: int  # offset of the first chunk
    ident: int  # bytes of a chunk's name
    size: str  # struct of a chunk's size
    overhead: int  # what the size counts besides the content
    align: int


def inspect(path: str | Path, file: BinaryIO, file_size: int) -> Promise:
    """Returns what the header promises, once it is sure that as many bytes are there.

    Raises:
        AudioError: an unknown format, a header that cannot be, or samples that are missing.
    """
    head = file.read(64)
    form = _MAGIC.get(head[:4])
    if form is None and (head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2)):
        _require_mp3_length(path, file, head)
        return Promise("MP3")
    if form is None:
        seen = "the file is empty (0 bytes)" if not head else f"unknown format (begins with {head[:4]!r})"
        raise AudioError(message(path, seen, f"allowed: {', '.join(FORMATS)}", "convert it to WAV"))
    if form == "FLAC":
        return Promise(form)
    if form == "OGG":
        _require_ogg_end(path, file, file_size)
        return Promise(form)
    if form == "AIFF":
        return _inspect_aiff(path, file, file_size, head)
    return _inspect_wave(path, file, file_size, form, head)


def require_stream(path: str | Path, rate: int, channels: int) -> None:
    """Returns nothing; refuses a rate or a number of channels that no recording of ours has."""
    if not RATES[0] <= rate <= RATES[1]:
        allowed = f"allowed: {RATES[0]} to {RATES[1]} Hz"
        raise AudioError(message(path, f"sampling rate {rate} Hz", allowed, "export it again at its true rate"))
    if not 1 <= channels <= MAX_CHANNELS:
        allowed = f"allowed: 1 to {MAX_CHANNELS}"
        raise AudioError(message(path, f"{channels} channels", allowed, "export the channel that is wanted"))


def broken(path: str | Path, seen: str, allowed: str = "allowed: a whole file") -> AudioError:
    """Returns the error of a damaged file; its remedy is a fresh copy."""
    return AudioError(message(path, seen, allowed, _REWRITE))


def _inspect_wave(path: str | Path, file: BinaryIO, file_size: int, form: str, head: bytes) -> Promise:
    if form == "W64":
        layout, kind = _Layout(40, 16, "<Q", 24, 8), head[24:28].upper()
    else:
        layout, kind = _Layout(12, 4, ">I" if head[:4] == b"RIFX" else "<I", 0, 2), head[8:12]
    if kind != b"WAVE":
        raise broken(path, f"a {form} header of kind {kind!r}", "allowed: kind b'WAVE'")
    block, large_size = None, None
    for name, start, size in _chunks(path, file, layout):
        if name == b"data":
            if block is None:
                raise broken(path, "the 'data' chunk has no 'fmt ' chunk before it", "allowed: 'fmt ' first")
            size = large_size if large_size is not None and size == _UNKNOWN_SIZE else size
            return _promise_of_data(path, form, start, size, file_size, block)
        if start + size > file_size:
            raise broken(path, f"chunk {name!r} declares {size} bytes, {file_size - start} are there")
        if name == b"ds64" and form == "RF64" and size >= 16:
            large_size = struct.unpack("<8xQ", file.read(16))[0]
        if name == b"fmt ":
            if block is not None:
                raise broken(path, "two 'fmt ' chunks", "allowed: one")
            block = _block_of_format(path, file.read(min(size, 40)), layout.size[0])
    missing = "'fmt ' and 'data' chunks" if block is None else "'data' chunk"
    raise broken(path, f"the header is cut or has no {missing} ({file_size} bytes in the file)")


def _block_of_format(path: str | Path, fmt: bytes, order: str) -> int:
    """Returns the bytes of one frame, 0 where it is compressed; refuses what no decoder gets right."""
    if len(fmt) < 16:
        raise broken(path, f"a 'fmt ' chunk of {len(fmt)} bytes", "allowed: 16 or more")
    code, channels, rate, _, block, bits = struct.unpack(order + "HHIIHH", fmt[:16])
    if code == _EXTENSIBLE and len(fmt) >= 26:
        code = struct.unpack(order + "H", fmt[24:26])[0]
    require_stream(path, rate, channels)
    if code not in _BITS:
        return 0
    if bits not in _BITS[code]:
        allowed = f"allowed: {', '.join(map(str, _BITS[code]))} bits for format code {code}"
        raise AudioError(message(path, f"{bits} bits per sample", allowed, "export it again as 16-bit WAV"))
    if block != channels * bits // 8:
        raise broken(path, f"{block} bytes per frame", f"allowed: {channels} channels of {bits // 8} bytes")
    return block


def _inspect_aiff(path: str | Path, file: BinaryIO, file_size: int, head: bytes) -> Promise:
    kind, frames = head[8:12], None
    if kind not in (b"AIFF", b"AIFC"):
        raise broken(path, f"a FORM header of kind {kind!r}", "allowed: AIFF or AIFC")
    for name, start, size in _chunks(path, file, _Layout(12, 4, ">I", 0, 2)):
        if start + size > file_size:
            raise broken(path, f"chunk {name!r} declares {size} bytes, {file_size - start} are there")
        if name == b"COMM" and size >= 18:
            channels, count = struct.unpack(">HI", file.read(6))
            require_stream(path, RATES[0], channels)  # the rate is an 80-bit float: the decoder's is checked
            frames = count if kind == b"AIFF" else None
        if name == b"SSND":
            return Promise("AIFF", frames)
    raise broken(path, f"the header is cut or has no 'SSND' chunk ({file_size} bytes in the file)")


def _chunks(path: str | Path, file: BinaryIO, layout: _Layout) -> Iterator[tuple[bytes, int, int]]:
    """Yields name, start and size of every chunk, the file standing at its start."""
    width = layout.ident + struct.calcsize(layout.size)
    place = layout.first
    for _ in range(_MAX_CHUNKS):
        file.seek(place)
        header = file.read(width)
        if len(header) < width:
            return
        start = place + width
        size = struct.unpack(layout.size, header[layout.ident :])[0] - layout.overhead
        if size < 0:
            raise broken(path, f"chunk {header[:4]!r} declares {size + layout.overhead} bytes")
        yield header[:4].lower() if layout.ident == 16 else header[:4], start, size
        place = start + size + -(start + size) % layout.align
    raise broken(path, f"more than {_MAX_CHUNKS} chunks before the samples", f"allowed: {_MAX_CHUNKS}")


def _promise_of_data(path: str | Path, form: str, start: int, size: int, file_size: int, block: int) -> Promise:
    there = file_size - start
    if size == 0:
        raise broken(path, f"zero samples: the 'data' chunk declares 0 bytes, {there} follow")
    if size > there:
        unit = f"{block} bytes each" if block else "compressed"
        declared, found = (size // block, there // block) if block else (size, there)
        what = "samples" if block else "bytes"
        raise broken(path, f"truncated: declares {declared} {what} ({unit}), {found} are there")
    if not block:
        return Promise(form)
    if size < block:
        raise broken(path, f"zero samples: {size} bytes, one frame takes {block}", "allowed: one sample or more")
    rest = size % block
    notices = (f"trimmed: {rest} bytes after the last whole frame",) if rest else ()
    return Promise(form, size // block, notices=notices)


def _require_ogg_end(path: str | Path, file: BinaryIO, file_size: int) -> None:
    """Returns nothing; refuses a stream whose last page is not whole or not marked as the last."""
    file.seek(max(0, file_size - _OGG_PAGE))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    segments = page[26] if len(page) > 26 else 0
    whole = len(page) >= 27 + segments + sum(page[27 : 27 + segments])
    if not (page.startswith(b"OggS") and len(page) > 26 and whole and page[5] & 4):
        raise broken(path, "truncated: the last page of the OGG stream is missing")


def _require_mp3_length(path: str | Path, file: BinaryIO, head: bytes) -> None:
    """Returns nothing; refuses a stream that does not count its frames: the decoder would stop at a guess."""
    place = 0
    if head[:3] == b"ID3" and len(head) >= 10:  # a size of four times seven bits
        place = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(place)
    first = file.read(256)
    if first[:4] in _MAGIC:
        raise broken(path, f"an ID3 tag before the {_MAGIC[first[:4]]} header", "allowed: the header first")
    tag = max(first.find(b"Xing"), first.find(b"Info"))
    if tag < 0 or not first[tag + 7 : tag + 8] or not first[tag + 7] & 1:
        raise broken(path, "an MP3 stream that does not say how long it is", "allowed: MP3 with a Xing or Info header")
