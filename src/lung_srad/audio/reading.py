"""Opening and reading what libsndfile decodes, checked against its header; without torch, for a process of its own."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from lung_srad.audio.container import FORMATS, Promise, broken, inspect, require_stream
from lung_srad.errors import AudioError, message

_UNKNOWN_LENGTH = 2**62  # what libsndfile says, about, of a FLAC stream whose header does not say
_MAX_LEVEL = 1e12  # full scale is 1; far above it the power spectrum leaves float32

_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe (FIFO)", stat.S_IFSOCK: "a socket"}


@contextmanager
def decoder(source: str | Path | BinaryIO, where: str | None = None) -> Iterator[tuple[soundfile.SoundFile, Promise]]:
    """Yields what decodes a recording, at its first sample, and what the header promises: the two agree.

    Args:
        source: a path or an open file.
        where: what messages call it; by default :func:`name_of` the source.

    Raises:
        AudioError: as :func:`lung_srad.audio.read`, now or while the samples are read.
    """
    where = name_of(source) if where is None else where
    with _open(source) as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        promise = inspect(where, file, size)
        file.seek(0)
        try:
            with soundfile.SoundFile(file) as sound:
                _require_promise(where, sound, promise)
                yield sound, promise
        except soundfile.SoundFileError as error:
            reason = str(error).rpartition(": ")[2].strip().rstrip(".")
            raise broken(where, f"cannot be decoded ({reason})", f"allowed: {', '.join(FORMATS)}") from error


def name_of(source: str | Path | BinaryIO) -> str:
    """Returns what messages call a recording: its path, or the name of the open file."""
    return str(source if isinstance(source, str | os.PathLike) else getattr(source, "name", "the stream"))


def _open(source: str | Path | BinaryIO) -> AbstractContextManager[BinaryIO]:
    """Returns the opened regular file; never waits, as opening a FIFO otherwise would. An open file stays open."""
    if not isinstance(source, str | os.PathLike):
        return nullcontext(_require_file(source))
    try:
        handle = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        allowed = "allowed: a readable audio file"
        raise AudioError(message(source, reason, allowed, "check the path and its permissions")) from error
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind != stat.S_IFREG:
        os.close(handle)
        seen = f"is {_KINDS.get(kind, 'a device')}"
        raise AudioError(message(source, seen, "allowed: a regular file", "name one recording"))
    return os.fdopen(handle, "rb")


def _require_file(file: BinaryIO) -> BinaryIO:
    """Returns an open file; refuses one of text, and one that cannot be wound back to check its header."""
    if file.seekable() and isinstance(file.read(0), bytes):
        return file
    remedy = "open it with 'rb', read a pipe into io.BytesIO, or push chunks of samples"
    raise AudioError(message(name_of(file), "a text or a pipe", "allowed: a file of bytes that can be rewound", remedy))


def _require_promise(where: object, sound: soundfile.SoundFile, promise: Promise) -> None:
    """Returns nothing; refuses a stream that cannot be used, and one that is not what its header promises."""
    require_stream(where, sound.samplerate, sound.channels)
    form = "WAV" if sound.format == "WAVEX" else sound.format
    if form != promise.format:
        raise broken(where, f"a tag or stray bytes before the {form} header", "allowed: the header first")
    if sound.frames <= 0:
        raise broken(where, "zero samples", "allowed: one sample or more")
    if sound.frames >= _UNKNOWN_LENGTH:
        raise broken(where, f"a {form} stream that does not say how long it is", "allowed: one whose header says it")
    if promise.frames is not None and sound.frames != promise.frames:
        raise broken(where, f"promises {promise.frames} samples, {sound.frames} can be decoded")


def read_samples(where: object, sound: soundfile.SoundFile, place: int, count: int) -> NDArray[np.float32]:
    """Returns the next samples of an open recording, which stands at sample ``place``.

    Shape:
        (count, channels)

    Raises:
        AudioError: fewer are there, or one is not finite.
    """
    samples = sound.read(count, dtype="float32", always_2d=True)
    if len(samples) < count:
        seen = f"truncated: declares {place + count} samples, {place + len(samples)} can be decoded"
        raise broken(where, seen)
    require_finite(where, samples, place)
    return samples


def require_finite(where: object, samples: NDArray[np.float32], place: int = 0) -> None:
    """Returns nothing; refuses a sample that is not finite, or absurd; the first of them is number ``place``.

    Shape:
        samples: (n, channels)

    Raises:
        AudioError: there is such a sample.
    """
    if np.abs(samples).max() <= _MAX_LEVEL:  # false for NaN, too
        return
    frame, channel = np.argwhere(~(np.abs(samples) <= _MAX_LEVEL))[0]
    seen = f"sample {place + frame} is {samples[frame, channel].item()}"
    allowed = f"allowed: finite samples (full scale 1, at most {_MAX_LEVEL:g})"
    raise AudioError(message(where, seen, allowed, "export it again from its source"))
