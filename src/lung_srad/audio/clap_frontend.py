"""What a CLAP backbone owns: 48 kHz, repeated and filled up to ten seconds, 64 mel bins in decibels."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lung_srad.audio.frontend import AudioFrontend, as_image
from lung_srad.audio.resampling import require_resampler
from lung_srad.errors import ConfigError, ShapeError, message

_VERSION = 1  # of what spectrogram() returns; a cache of an older one is not read
_RATE, _MELS, _SECONDS = 48_000, 64, 10  # what the network was pretrained on
_FFT, _HOP = 1024, 480
_LOW_HZ, _HIGH_HZ = 50.0, 14_000.0
_FLOOR = 1e-10  # -100 dB
_KNEE_HZ, _KNEE_MEL, _LOG_STEP = 1000.0, 15.0, 6.4 ** (1 / 27)  # Slaney's scale: straight, then logarithmic


class ClapMel(nn.Module):
    """Mel power in decibels as the processor of CLAP computes it: periodic Hann window, Slaney's filters.

    Computes in float64 whatever the module around it is in: recordings at 4 kHz leave the upper bins near the
    floor of -100 dB, where the rounding of a float32 transform would be heard. Nothing of it is in the state dict.

    Shape:
        (..., samples) -> (..., 1 + samples // 480, 64), in the wave's precision

    Reference:
        transformers, ClapFeatureExtractor (truncation="rand_trunc") and audio_utils.spectrogram.
    """

    window: Tensor  # (fft,)
    filters: Tensor  # (fft / 2 + 1, mels)

    def __init__(self) -> None:
        super().__init__()
        self.length = _FFT
        self.register_buffer("window", torch.empty(0), persistent=False)
        self.register_buffer("filters", torch.empty(0), persistent=False)
        self._build()

    def forward(self, wave: Tensor) -> Tensor:
        """Returns the decibels of every frame, centred, the wave mirrored at its two ends."""
        flat = wave.reshape(-1, wave.shape[-1]).double()
        frames = F.pad(flat, (_FFT // 2, _FFT // 2), mode="reflect").unfold(-1, _FFT, _HOP)  # (waves, frames, fft)
        spectrum = torch.fft.rfft(frames * self.window)
        power = spectrum.real.square() + spectrum.imag.square()  # (waves, frames, fft / 2 + 1)
        decibels = 10 * (power @ self.filters).clamp_min(_FLOOR).log10()
        return decibels.to(wave.dtype).reshape(*wave.shape[:-1], *decibels.shape[1:])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "ClapMel":
        """Returns the module, moved as asked; its filters are built anew instead of being rounded."""
        super()._apply(fn, recurse)
        self._build()
        return self

    def _build(self) -> None:
        device = self.window.device
        self.window = torch.hann_window(_FFT, dtype=torch.float64, device="cpu").to(device)
        self.filters = _slaney_filters().to(device)


class ClapFrontend(AudioFrontend):
    """The front end of CLAP: its processor, for cycles of up to ten seconds.

    A cycle is repeated as often as it fits into ten seconds as a whole and then followed by zeros, as the processor
    does: 8 s are followed by 2 s of nothing (DECISIONS: clap-last-two-seconds). Nothing is normalised here: the
    network begins with a batch norm over mel bins.

    Raises:
        ConfigError: an unknown resampler, or a length that is not more than 0 and at most 10 s.
    """

    def __init__(self, *, seconds: float = 8.0, resampler: str = "sinc") -> None:
        super().__init__()
        require_resampler(resampler)
        if not 0 < seconds <= _SECONDS:
            allowed = f"allowed: more than 0, up to {_SECONDS}, what the network was pretrained on"
            raise ConfigError(message("seconds", f"{seconds}", allowed, "the paper takes 8 s"))
        self.sample_rate, self.seconds, self.resampler = _RATE, seconds, resampler
        self.fbank = ClapMel()

    @property
    def min_samples(self) -> int:
        """The length of one frame."""
        return self.fbank.length

    def spectrogram(self, wave: Tensor) -> Tensor:
        """Returns the mel spectrogram of ten seconds in decibels: what a cache holds.

        Shape:
            (..., samples) -> (..., 1001, 64)

        Raises:
            ShapeError: the wave is shorter than one frame, or longer than ten seconds.
        """
        samples, full = wave.shape[-1], _RATE * _SECONDS
        if not self.min_samples <= samples <= full:
            allowed = f"allowed: {self.min_samples} to {full}"
            raise ShapeError(message("wave", f"{samples} samples", allowed, "cut or repeat it, as cut_cycle does"))
        repeated = torch.tile(wave, (full // samples,))
        return self.fbank(F.pad(repeated, (0, full - repeated.shape[-1])))

    def normalize(self, spec: Tensor) -> Tensor:
        """Returns the spectrogram as it is.

        Shape:
            (..., T, 64) -> (..., T, 64)
        """
        return spec

    def shape(self, spec: Tensor) -> Tensor:
        """Returns the spectrogram as an image, frequency first.

        Shape:
            (B, T, 64) -> (B, 1, 64, T)

        Raises:
            ShapeError: not a batch of spectrograms.
        """
        return as_image(spec)

    def cache_key(self) -> dict[str, str | int | float]:
        """Returns every parameter that decides what :meth:`spectrogram` gives for a cycle of a file."""
        return {
            "kind": "clap",
            "version": _VERSION,
            "sample_rate": self.sample_rate,
            "seconds": self.seconds,
            "resampler": self.resampler,
            "filled_to": _SECONDS,
            "mels": _MELS,
            "fft": _FFT,
            "hop": _HOP,
            "low_hz": _LOW_HZ,
            "high_hz": _HIGH_HZ,
        }


def _mel(hertz: float) -> float:
    """Returns Slaney's mel: 3 for every 200 Hz, and from 1 kHz on 27 for every factor of 6.4."""
    if hertz < _KNEE_HZ:
        return 3 * hertz / 200
    return _KNEE_MEL + math.log(hertz / _KNEE_HZ, _LOG_STEP)


def _slaney_filters() -> Tensor:
    """Returns triangles that are straight lines in hertz, each of the same area.

    Shape:
        (fft / 2 + 1, mels)
    """
    mels = torch.linspace(_mel(_LOW_HZ), _mel(_HIGH_HZ), _MELS + 2, dtype=torch.float64, device="cpu")
    edges = torch.where(mels < _KNEE_MEL, 200 * mels / 3, _KNEE_HZ * _LOG_STEP ** (mels - _KNEE_MEL))  # hertz
    place = torch.linspace(0, _RATE / 2, _FFT // 2 + 1, dtype=torch.float64, device="cpu")[:, None]
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (place - left) / (middle - left), (right - place) / (right - middle)
    return torch.minimum(rise, fall).clamp_min(0) * (2 / (right - left))
