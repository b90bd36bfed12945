"""What can be heard: a path, an open file, what opens one, an array, or chunks of one; all as blocks of samples."""

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lung_srad.audio import OpenRecording, open_recording
from lung_srad.audio.container import require_stream
from lung_srad.audio.reading import require_finite
from lung_srad.errors import AudioError, ConfigError, message

Samples = Tensor | NDArray[Any] | list[float]
Opener = Callable[[], AbstractContextManager[OpenRecording]]
Recorded = str | Path | BinaryIO | Opener | Samples | Iterable[Samples]

MAX_HOURS = 25  # of a file: a day on which the clocks are set back (DECISIONS: longest-recording)
_LOW_RATE = 4000  # the lowest rate of the recordings that the systems are trained on
_BLOCK = 2**20  # samples of an array that are looked at at once
_SHAPES = "(samples,), or (samples, channels) with up to 8 channels; numbers from -1 to 1, or whole ones of PCM"


@dataclass(frozen=True, eq=False)
class Sound:
    """Blocks of samples, each (n, channels), and what they are called.

    Attributes:
        seconds: the length, where it is known beforehand; else infinite.
        notices: what was repaired or is doubtful, each beginning with its code.
    """

    name: str
    rate: int
    seconds: float
    notices: tuple[str, ...]
    blocks: Iterator[Tensor]


@contextmanager
def open_sound(recording: Recorded, rate: int | None) -> Iterator[Sound]:
    """Yields a recording as blocks; ``rate`` is that of an array or of chunks, a file knows its own.

    An opener is called without arguments; the service decodes in another process by one.

    Raises:
        AudioError: the recording cannot be used, found out now or while it is gone through.
        ConfigError: a rate for a file, or none for an array.
    """
    is_file = isinstance(recording, str | os.PathLike) or hasattr(recording, "read") or callable(recording)
    if is_file and rate is not None:
        raise ConfigError(message("rate", f"{rate}", "none for a file, which says its own", "leave it out"))
    if is_file:
        with recording() if callable(recording) else open_recording(recording) as found:
            seconds = found.frames / found.rate
            notices = (*found.notices, *rate_notices(found.rate))
            yield Sound(found.name, found.rate, seconds, notices, found.blocks)
        return
    if rate is None:
        raise ConfigError(message("rate", "none", "that of the samples, in hertz", "give rate=16000, or what it is"))
    require_rate("the array", rate)
    if isinstance(recording, Tensor | np.ndarray) or _is_numbers(recording):
        whole = as_block(recording, where="the array")
        if not len(whole):
            raise AudioError(message("the array", "zero samples", "one sample or more", "give the recording"))
        yield Sound("the array", rate, len(whole) / rate, rate_notices(rate), iter(whole.split(_BLOCK)))
    else:
        yield Sound("the stream", rate, math.inf, rate_notices(rate), map(as_block, recording))


def _is_numbers(recording: object) -> bool:
    """Returns whether a list holds samples, and not chunks of them."""
    return isinstance(recording, list | tuple) and (not recording or np.ndim(recording[0]) == 0)


def require_length(sound: Sound) -> None:
    """Returns nothing; refuses a file that would take more than the time that is meant for one.

    Raises:
        AudioError: it lasts longer than :data:`MAX_HOURS`.
    """
    if MAX_HOURS * 3600 < sound.seconds < math.inf:
        seen, remedy = f"{sound.seconds / 3600:.1f} hours", "split it, or push its samples to model.listen()"
        raise AudioError(message(sound.name, seen, f"allowed: up to {MAX_HOURS} hours", remedy))


def require_rate(where: str, rate: int) -> None:
    """Returns nothing; refuses a rate that is no whole number of hertz, or none of ours."""
    if rate != int(rate):
        raise AudioError(message(where, f"a rate of {rate} Hz", "a whole number of hertz", "resample it, or round it"))
    require_stream(where, int(rate), 1)


def rate_notices(rate: int) -> tuple[str, ...]:
    """Returns the notice of a rate under that of every recording that the systems are trained on."""
    return (f"low_rate: recorded at {rate} Hz, under {_LOW_RATE} Hz",) if rate < _LOW_RATE else ()


def as_block(chunk: Samples, *, where: str = "the stream", place: int = 0) -> Tensor:
    """Returns samples as float32 in full scale; whole numbers are taken as PCM of their width.

    Shape:
        (n,) or (n, channels) -> (n, channels)

    Raises:
        AudioError: another shape or type, or a sample that is not finite.
    """
    try:
        given = chunk if isinstance(chunk, Tensor) else torch.from_numpy(np.ascontiguousarray(chunk))
    except (TypeError, ValueError) as error:
        raise AudioError(message(where, f"samples of {type(chunk).__name__}", _SHAPES, "give numbers")) from error
    block = given[:, None] if given.ndim == 1 else given
    if block.ndim != 2 or not 1 <= block.shape[1] <= 8 or block.is_complex() or block.dtype == torch.bool:
        seen = f"shape {tuple(given.shape)} of {str(given.dtype).removeprefix('torch.')}"
        raise AudioError(message(where, seen, _SHAPES, "transpose it, or give one channel"))
    wave = _scaled(block.detach().cpu())
    if len(wave):
        require_finite(where, wave.numpy(), place)
    return wave


def _scaled(block: Tensor) -> Tensor:
    """Returns whole numbers in full scale, as a decoder does; numbers with a point as they are."""
    if block.dtype.is_floating_point:
        return block.float()
    if block.dtype == torch.uint8:
        return (block.float() - 128) / 128
    return (block.double() / -torch.iinfo(block.dtype).min).float()
