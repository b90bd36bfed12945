"""Recordings without torch: decoded, resampled and cut in numpy as :mod:`lung_srad.audio` does it in torch."""

import math
from pathlib import Path

import numpy as np
import soundfile

from lung_srad.audio.container import broken, inspect, require_stream
from lung_srad.errors import AudioError, message, optional_import

MAX_SAMPLES = 2**27  # of all channels, held at once: 512 MiB
_MAX_LEVEL = 1e12  # full scale is 1
_ZEROS, _ROLLOFF = 6, 0.99  # of the windowed sinc, as in lung_srad.audio.resampling
_MAX_DENSE = 2**22
_FADE_SHARE = 16  # fades last 1/16 s


def read_sound(path: str | Path) -> tuple[np.ndarray, int]:
    """Returns a recording as one channel, (samples,) in float32, and its rate in hertz.

    Raises:
        AudioError: the file cannot be read, does not hold what its header promises, or is too long to be held whole.
    """
    try:
        if not Path(path).is_file():  # opening a pipe would wait for ever
            raise AudioError(message(path, "is no file", "allowed: a regular file", "check the path"))
        with Path(path).open("rb") as file:
            promise = inspect(path, file, Path(path).stat().st_size)
            file.seek(0)
            with soundfile.SoundFile(file) as sound:
                return _samples(path, sound, promise.frames), sound.samplerate
    except (OSError, ValueError, soundfile.SoundFileError) as error:
        if isinstance(error, AudioError):
            raise
        raise broken(path, f"cannot be decoded ({' '.join(str(error).split())})", "allowed: a recording") from error


def _samples(path: str | Path, sound: soundfile.SoundFile, promised: int | None) -> np.ndarray:
    require_stream(path, sound.samplerate, sound.channels)
    if not 0 < sound.frames * sound.channels <= MAX_SAMPLES:
        seen = f"{sound.frames} samples in {sound.channels} channels"
        raise broken(path, seen, f"allowed: 1 to {MAX_SAMPLES} in all; split a longer file")
    samples = sound.read(sound.frames, dtype="float32", always_2d=True)  # unasked, GSM and G.721 do not say how many
    if len(samples) != sound.frames or promised not in (None, sound.frames):
        raise broken(path, f"promises {promised or sound.frames} samples, {len(samples)} can be decoded")
    return finite(path, samples.mean(1))


def finite(where: object, wave: np.ndarray) -> np.ndarray:
    """Returns a wave (samples,) in float32.

    Raises:
        AudioError: it is empty, has another shape, or a sample that is not finite.
    """
    wave = np.asarray(wave, np.float32)
    if wave.ndim != 1 or not len(wave) or not np.abs(wave).max() <= _MAX_LEVEL:
        seen = f"shape {wave.shape}" if wave.ndim != 1 or not len(wave) else "a sample that is not finite"
        raise AudioError(message(where, seen, "allowed: (samples,), finite, full scale 1", "export it again"))
    return wave


def resample(wave: np.ndarray, rate: int, target: int, method: str = "sinc") -> np.ndarray:
    """Returns the wave at another rate: (n,) -> (ceil(n * target / rate),).

    Raises:
        MissingExtraError: ``soxr`` is asked for and not installed.
    """
    if rate == target:
        return wave
    length = -(-len(wave) * target // rate)
    if method == "soxr":
        out = optional_import("soxr", "audio").resample(wave, rate, target, quality="HQ")
        return np.pad(out, (0, max(0, length - len(out))))[:length]
    common = math.gcd(rate, target)
    old, new = rate // common, target // common
    cutoff = min(old, new) * _ROLLOFF
    half = math.ceil(_ZEROS * old / cutoff)
    whole, shift = np.arange(new) * old // new, np.arange(new) / new  # input samples, and blocks of `old` of them
    if new * (2 * half + old) <= _MAX_DENSE:  # there the published resampler rounds, and so do the models' waves
        shift = shift.astype(np.float32).astype(np.float64)
    output = np.arange(length)
    start, turn = output * old // new, output % new
    padded, out = np.pad(wave, (half, half + 2)), np.zeros(length, np.float32)
    for tap in range(2 * half + 2):
        place = (tap - half + whole) / old - shift
        t = np.clip(place * cutoff, -_ZEROS, _ZEROS)
        weights = np.sinc(t) * np.cos(t * np.pi / _ZEROS / 2) ** 2 * (cutoff / old)
        out += padded[start + tap] * weights.astype(np.float32)[turn]
    return out


def fade(wave: np.ndarray, rate: int, *, start: bool = True) -> np.ndarray:
    """Returns a new wave that rises over its first 1/16 s, if asked to, and falls over its last."""
    wave, samples = wave.copy(), min(rate // _FADE_SHARE, len(wave))
    ramp = np.linspace(0, 1, samples, dtype=np.float32)
    if start:
        wave[:samples] *= ramp
    wave[len(wave) - samples :] *= 1 - ramp
    return wave


def fitted(wave: np.ndarray, length: int, rate: int) -> np.ndarray:
    """Returns the first ``length`` samples, or the wave repeated to that length and faded out."""
    if len(wave) > length:
        return wave[:length]
    return fade(np.resize(wave, length), rate, start=False)
