"""From a recording to one cycle of fixed length, as the published pipeline cuts it."""

import math
from pathlib import Path

import torch
from torch import Tensor

from lung_srad.audio.decode import Recording, read, require_memory, span
from lung_srad.audio.resampling import require_resampler, resample

FADE_SHARE = 16  # fades last 1/16 s
_LOW_RATE = 4_000  # the lowest rate of the recordings that the systems are trained on


def fade(wave: Tensor, samples: int, *, start: bool = True, end: bool = True) -> Tensor:
    """Returns a new wave that rises from 0 over its first samples and falls to 0 over its last ones.

    The ramp is linear; a wave that is shorter gets a ramp of its own length.

    >>> fade(torch.ones(5), 3).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]

    Shape:
        (..., n) -> (..., n)

    Reference:
        torchaudio.transforms.Fade(fade_shape="linear").
    """
    faded = wave.clone()
    samples = min(samples, wave.shape[-1])
    if samples == 0:
        return faded
    ramp = torch.linspace(0, 1, samples, dtype=wave.dtype, device=wave.device)
    if start:
        faded[..., :samples] *= ramp
    if end:
        faded[..., -samples:] *= 1 - ramp
    return faded


def load_recording(
    path: str | Path,
    *,
    sample_rate: int = 16_000,
    resampler: str = "sinc",
    start: float = 0.0,
    stop: float | None = None,
    fades: bool = True,
) -> Recording:
    """Returns the whole recording, or its part from ``start`` to ``stop`` seconds, resampled and faded at its two ends.

    Raises:
        AudioError: as :func:`lung_srad.audio.read`.
        ConfigError: an unknown resampler.

    Reference:
        raymin0223/patch-mix, util/icbhi_util.py: decode, resample, then fade the whole recording.
    """
    require_resampler(resampler)
    recording = read(path, start=start, stop=stop)
    require_memory(path, math.ceil(len(recording.samples) * sample_rate / recording.rate))
    notices = recording.notices
    if recording.rate < _LOW_RATE:
        notices += (f"low_rate: recorded at {recording.rate} Hz, under {_LOW_RATE} Hz",)
    wave = resample(recording.samples, recording.rate, sample_rate, method=resampler)
    wave = fade(wave, sample_rate // FADE_SHARE) if fades else wave
    return Recording(wave, sample_rate, recording.channels, notices)


def cut_cycle(
    wave: Tensor,
    start: float,
    end: float,
    *,
    seconds: float = 8.0,
    sample_rate: int = 16_000,
    where: object = "wave",
) -> Tensor:
    """Returns the cycle from ``start`` to ``end`` seconds, cut or repeated to a fixed length.

    What is longer keeps its first ``seconds`` as they are; what is not is repeated, cut, and faded out over
    its last 1/16 s. An ``end`` past the recording means its end. ``where`` names the file in an error.

    >>> cut_cycle(torch.ones(16000), 0.25, 0.75).shape
    torch.Size([128000])

    Shape:
        (..., n) -> (..., seconds * sample_rate)

    Raises:
        AudioError: no sample of the cycle lies in the recording.

    Reference:
        raymin0223/patch-mix, util/icbhi_util.py.
    """
    first, last = span(where, start, end, sample_rate, wave.shape[-1])
    length = round(seconds * sample_rate)
    cycle = wave[..., first:last]
    fitted = cycle[..., torch.arange(length, device=wave.device) % (last - first)]
    return fitted if last - first > length else fade(fitted, sample_rate // FADE_SHARE, start=False)


def load_cycle(
    path: str | Path,
    start: float,
    end: float,
    seconds: float = 8.0,
    *,
    sample_rate: int = 16_000,
    resampler: str = "sinc",
) -> Tensor:
    """Returns one cycle of a file through the published pipeline.

    Shape:
        (seconds * sample_rate,), float32

    Raises:
        AudioError: the recording cannot be used, or the cycle lies outside it.
    """
    wave = load_recording(path, sample_rate=sample_rate, resampler=resampler).samples
    return cut_cycle(wave, start, end, seconds=seconds, sample_rate=sample_rate, where=path)
