"""Decoding: any file that people record with, as one float32 channel, or one error that says why not."""

import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import soundfile
import torch
from torch import Tensor

from lung_srad.audio.container import FORMATS, Promise, broken, inspect, require_stream
from lung_srad.errors import AudioError, message

MAX_SAMPLES = 2**27  # of all channels at once: 512 MiB as float32, 2.3 hours at 16 kHz
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
    with _open(path) as file:
        promise = inspect(path, file, os.fstat(file.fileno()).st_size)
        file.seek(0)
        try:
            with soundfile.SoundFile(file) as sound:
                samples = _decode(path, sound, promise, start, stop)
                rate = sound.samplerate
        except soundfile.SoundFileError as error:
            reason = str(error).rpartition(": ")[2].strip().rstrip(".")
            raise broken(path, f"cannot be decoded ({reason})", f"allowed: {', '.join(FORMATS)}") from error
    channels = samples.shape[1]
    notices = (*promise.notices, *_mix_notices(samples))
    return Recording(samples.mean(1) if channels > 1 else samples[:, 0], rate, channels, notices)


def _open(path: str | Path) -> BinaryIO:
    """Returns the opened regular file; never waits, as opening a FIFO otherwise would."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        allowed = "allowed: a readable audio file"
        raise AudioError(message(path, reason, allowed, "check the path and its permissions")) from error
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind != stat.S_IFREG:
        os.close(handle)
        seen = f"is {_KINDS.get(kind, 'a device')}"
        raise AudioError(message(path, seen, "allowed: a regular file", "name one recording"))
    return os.fdopen(handle, "rb")


def _decode(path: str | Path, sound: soundfile.SoundFile, promise: Promise, start: float, stop: float | None) -> Tensor:
    """Returns the samples of the part that is asked for.

    Shape:
        (n, channels)
    """
    require_stream(path, sound.samplerate, sound.channels)
    form = "WAV" if sound.format == "WAVEX" else sound.format
    if form != promise.format:
        raise broken(path, f"a tag or stray bytes before the {form} header", "allowed: the header first")
    if sound.frames <= 0:
        raise broken(path, "zero samples", "allowed: one sample or more")
    if promise.frames is not None and sound.frames != promise.frames:
        raise broken(path, f"promises {promise.frames} samples, {sound.frames} can be decoded")
    first, last = span(path, start, math.inf if stop is None else stop, sound.samplerate, sound.frames)
    require_memory(path, (last - first) * sound.channels)
    if first:
        sound.seek(first)
    data = sound.read(last - first, dtype="float32", always_2d=True)
    if len(data) < last - first:
        raise broken(path, f"truncated: declares {last - first} samples, {len(data)} can be decoded")
    samples = torch.from_numpy(data)
    _require_finite(path, samples)
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


def _require_finite(path: str | Path, samples: Tensor) -> None:
    if samples.abs().max() <= _MAX_LEVEL:  # false for NaN, too
        return
    frame, channel = (~(samples.abs() <= _MAX_LEVEL)).nonzero()[0].tolist()
    seen = f"sample {frame} is {samples[frame, channel].item()}"
    allowed = f"allowed: finite samples (full scale 1, at most {_MAX_LEVEL:g})"
    raise AudioError(message(path, seen, allowed, "export it again from its source"))


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
