"""Sound that arrives in pieces: a file decoded block by block, and resampling without a seam."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from lung_srad.audio.decode import read_next
from lung_srad.audio.reading import decoder, name_of
from lung_srad.audio.resampling import half_width, require_resampler, resample

_BLOCK_SAMPLES = 2**20  # of all channels, 4 MiB
_BLOCK_SECONDS = 30


@dataclass(frozen=True, eq=False)
class OpenRecording:
    """A recording of which a few seconds are held at a time.

    Attributes:
        name: what messages call it.
        rate: in hertz.
        frames: how many samples it has in each channel.
        notices: what was repaired.
        blocks: its samples in order, each block (n, channels); gone through once.
    """

    name: str
    rate: int
    channels: int
    frames: int
    notices: tuple[str, ...]
    blocks: Iterator[Tensor]


@contextmanager
def open_recording(source: str | Path | BinaryIO) -> Iterator[OpenRecording]:
    """Yields a recording, a path or an open file, to be decoded block by block.

    Raises:
        AudioError: as :func:`lung_srad.audio.read`, but for the length; also while the blocks are read.
    """
    with decoder(source) as (sound, promise):
        name, rate, channels = name_of(source), sound.samplerate, sound.channels
        parts = block_parts(sound.frames, rate, channels)
        blocks = (read_next(name, sound, start, count) for start, count in parts)
        yield OpenRecording(name, rate, channels, sound.frames, promise.notices, blocks)


def block_parts(frames: int, rate: int, channels: int) -> Iterator[tuple[int, int]]:
    """Yields the first sample and the number of samples of each block of a recording."""
    size = max(1, min(_BLOCK_SECONDS * rate, _BLOCK_SAMPLES // channels))
    return ((start, min(size, frames - start)) for start in range(0, frames, size))


class StreamResampler:
    """Resampling of a wave that arrives in pieces; together the results are what resampling the whole gives.

    It works on a grid of whole seconds, which have a whole number of samples at either rate, so the results do not
    depend on how the wave was cut into pieces, to the bit. What is returned lags by up to a second and the filter.

    >>> stream = StreamResampler(4000, 16000)
    >>> [len(stream.push(torch.zeros(3000))), len(stream.push(torch.zeros(3000))), len(stream.close())]
    [0, 16000, 8000]

    Raises:
        ConfigError: an unknown method.
        MissingExtraError: as :func:`lung_srad.audio.resample`, at the first second.
    """

    def __init__(self, rate: int, target: int, *, method: str = "sinc") -> None:
        require_resampler(method)
        self.rate, self.target, self.method = rate, target, method
        old = rate // math.gcd(rate, target)
        reach = rate if method == "soxr" else half_width(old, target * old // rate) + old  # samples a filter hears
        self._margin = -(-reach // old) * old  # a multiple of old, so that every piece begins at the same phase
        self._held, self._before = torch.empty(0), 0  # samples of _held that were resampled already

    def push(self, wave: Tensor) -> Tensor:
        """Returns what can be said of the wave so far and was not returned before.

        Shape:
            (n,) -> (a multiple of target,), or (n,) where the rates agree
        """
        if self.rate == self.target:
            return wave
        held, place, done = torch.cat((self._held, wave)), self._before, []
        while place + self.rate + self._margin <= len(held):
            first = max(0, place - self._margin)
            part = resample(held[first : place + self.rate + self._margin], self.rate, self.target, method=self.method)
            done.append(part[(place - first) * self.target // self.rate :][: self.target])
            place += self.rate
        first = max(0, place - self._margin)
        self._held, self._before = held[first:].clone(), place - first
        return torch.cat(done) if done else torch.empty(0)

    def close(self) -> Tensor:
        """Returns the rest, at the end of the wave."""
        if self.rate == self.target:
            return torch.empty(0)
        rest = resample(self._held, self.rate, self.target, method=self.method)
        return rest[self._before * self.target // self.rate :]
