"""Decoding: any file that people record with, as one float32 channel, or one error that says why not."""

import math
from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from lung_srad.audio.reading import decoder, read_samples
from lung_srad.errors import AudioError, message

MAX_SAMPLES = 2**27  # of all channels at once: 512 MiB as float32, 2.3 hours at 16 kHz


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
    """Returns the next samples of an open recording, as :func:`lung_srad.audio.reading.read_samples`.

    Shape:
        (count, channels)
    """
    return torch.from_numpy(read_samples(where, sound, place, count))


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
