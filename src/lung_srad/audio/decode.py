"""Decoding: any file that people record with, as one float32 channel, or one error that says why not."""

import io
import math
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import soundfile
import torch
from torch import Tensor

from lung_srad.audio.container import FORMATS, Promise, broken, inspect, require_stream
from lung_srad.errors import AudioError, message

MAX_SAMPLES = 2**27  # of all channels at once: 512 MiB as float32, 2.3 hours at 16 kHz
_UNKNOWN_LENGTH = 2**62  # what libsndfile says, about, of a FLAC stream whose header does not say
_MAX_LEVEL = 1e12  # full scale is 1; far above it the power spectrum leaves float32

_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe (FIFO)", stat.S_IFSOCK: "a socket"}


@dataclass(frozen=True, eq=False)
class Recording:
    """One decoded recording: ``samples`` (n,) float32 mono at ``rate`` Hz, mixed down from ``channels``.

    ``notices`` say what was repaired or is doubtful, each beginning with its code: ``mixed_down``,
    ``dead_channel``, ``anti_phase``, ``trimmed``, ``low_rate``.
    """

    samples: Tensor
    rate: int
    channels: int
    notices: tuple[str, ...] = ()


def read(path: str | Path, *, start: float = 0.0, stop: float | None = None) -> Recording:
    """Returns the recording, or its part from ``start`` to ``stop`` seconds.

    Raises:
        AudioError: the file is not readable, not audio, or does not hold what its header promises; a rate
            outside 1-384 kHz; more than 8 channels; no samples; a sample that is not finite; more than
            :data:`MAX_SAMPLES` at once; a part that lies outside the recording.
    """
    with decoder(path) as (sound, promise):
        samples = _decode(path, sound, start, stop)
        rate = sound.samplerate
    channels = samples.shape[1]
    notices = (*promise.notices, *_mix_notices(samples))
    return Recording(samples.mean(1) if channels > 1 else samples[:, 0], rate, channels, notices)


@contextmanager
def decoder(source: str | Path | BinaryIO) -> Iterator[tuple[soundfile.SoundFile, Promise]]:
    """Yields what decodes a recording, at its first sample, and what the header promises: the two agree.

    Raises:
        AudioError: as :func:`read`, now or while the samples are read.
    """
    where = name_of(source)
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


def _decode(path: str | Path, sound: soundfile.SoundFile, start: float, stop: float | None) -> Tensor:
    """Returns the samples of the part that is asked for.

    Shape:
        (n, channels)
    """
    first, last = span(path, start, math.inf if stop is None else stop, sound.samplerate, sound.frames)
    require_memory(path, (last - first) * sound.channels)
    if first:
        sound.seek(first)
    return read_next(path, sound, first, last - first)


def read_next(where: object, sound: soundfile.SoundFile, place: int, count: int) -> Tensor:
    """Returns the next samples of an open recording, which stands at sample ``place``.

    Shape:
        (count, channels)

    Raises:
        AudioError: fewer are there, or one is not finite.
    """
    data = sound.read(count, dtype="float32", always_2d=True)
    if len(data) < count:
        seen = f"truncated: declares {place + count} samples, {place + len(data)} can be decoded"
        raise broken(where, seen)
    samples = torch.from_numpy(data)
    require_finite(where, samples, place)
    return samples


def span(where: object, start: float, end: float, rate: int, frames: int) -> tuple[int, int]:
    """Returns the first sample of a part and the one after its last; a later ``end`` is the recording's.

    Raises:
        AudioError: no sample of the part lies in the recording.
    """
    if 0 <= start < end:  # false for NaN, too
        first, last = int(min(start * rate, frames)), int(min(end * rate, frames))
        if first < last:
            return first, last
    allowed = f"allowed: a part of 0 to {frames / rate:.3f} s, its end after its start"
    raise AudioError(message(where, f"the part from {start} to {end} s", allowed, "correct these times"))


def require_memory(path: str | Path, count: int) -> None:
    """Returns nothing; refuses more samples than are ever held at once."""
    if count > MAX_SAMPLES:
        seen = f"declares {count} samples ({count * 4 / 2**20:.0f} MiB as float32)"
        remedy = "read it in parts with start and stop, or split the file"
        raise AudioError(message(path, seen, f"allowed: {MAX_SAMPLES} at once", remedy))


def require_finite(where: object, samples: Tensor, place: int = 0) -> None:
    """Returns nothing; refuses a sample that is not finite, or absurd; the first of them is number ``place``.

    Shape:
        samples: (n, channels)
    """
    if samples.abs().max() <= _MAX_LEVEL:  # false for NaN, too
        return
    frame, channel = (~(samples.abs() <= _MAX_LEVEL)).nonzero()[0].tolist()
    seen = f"sample {place + frame} is {samples[frame, channel].item()}"
    allowed = f"allowed: finite samples (full scale 1, at most {_MAX_LEVEL:g})"
    raise AudioError(message(where, seen, allowed, "export it again from its source"))


def _mix_notices(samples: Tensor) -> tuple[str, ...]:
    """Returns what happened in the mix to one channel: that it took place, and whether it lost anything."""
    channels = samples.shape[1]
    if channels == 1:
        return ()
    notices = [f"mixed_down: the mean of {channels} channels"]
    level = samples.std(0, correction=0)  # (channels,)
    loudest = level.max()
    notices += [
        f"dead_channel: channel {index + 1} of {channels} carries no signal"
        for index in (level < 1e-3 * loudest).nonzero()[:, 0].tolist()
    ]
    if samples.mean(1).std(correction=0) < 0.1 * level.mean():
        notices.append("anti_phase: the channels cancel each other; export one of them")
    return tuple(notices)
