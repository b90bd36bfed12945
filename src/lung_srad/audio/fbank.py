"""Kaldi's log-mel filter bank as one batched module."""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn

from lung_srad.errors import ConfigError, ShapeError, message, nearest

WINDOW_MS, HOP_MS = 25, 10
PREEMPHASIS = 0.97
LOW_HZ = 20.0
WINDOWS = {"hanning": 1.0, "povey": 0.85}  # the power of the Hann window that each one is
FLOOR = torch.finfo(torch.float32).eps  # Kaldi's, whatever the precision


class KaldiFbank(nn.Module):
    """Log-mel energies as Kaldi computes them: window, pre-emphasis, power spectrum, HTK mel.

    ``window`` is "hanning", as published for DASS and AST, or "povey", Kaldi's default. Computes in float32, or in
    float64 after ``.double()``. Nothing of it is in the state dict, and its filters keep their precision when the
    model around it goes to half precision.

    Shape:
        (..., samples) -> (..., 1 + (samples - window) // hop, mels)

    Raises:
        ConfigError: no such window.

    Reference:
        torchaudio.compliance.kaldi.fbank(htk_compat=True, use_energy=False, window_type="hanning", dither=0).
    """

    window: Tensor  # (window,)
    filters: Tensor  # (fft / 2 + 1, mels)

    def __init__(self, *, sample_rate: int = 16_000, mels: int = 128, window: str = "hanning") -> None:
        super().__init__()
        if window not in WINDOWS:
            allowed = f"allowed: {', '.join(WINDOWS)}"
            raise ConfigError(message("window", repr(window), allowed, nearest(window, WINDOWS)))
        self.power = WINDOWS[window]
        self.sample_rate, self.mels = sample_rate, mels
        self.length = sample_rate * WINDOW_MS // 1000
        self.hop = sample_rate * HOP_MS // 1000
        self.fft = 1 << (self.length - 1).bit_length()
        self.register_buffer("window", torch.empty(0), persistent=False)
        self.register_buffer("filters", torch.empty(0), persistent=False)
        self._build()

    def frames(self, samples: int) -> int:
        """Returns how many whole windows there are in so many samples."""
        return max(0, 1 + (samples - self.length) // self.hop)

    def forward(self, wave: Tensor) -> Tensor:
        """Returns the log-mel energies of every whole window.

        Raises:
            ShapeError: the wave is shorter than one window.
        """
        if wave.shape[-1] < self.length:
            seen = f"{wave.shape[-1]} samples"
            text = message("wave", seen, f"allowed: {self.length} or more", "repeat it, as cut_cycle does")
            raise ShapeError(text)
        with torch.autocast(wave.device.type, enabled=False):  # the sums over mel would be rounded to bfloat16
            frames = wave.to(self.window.dtype).unfold(-1, self.length, self.hop)  # (..., frames, window)
            frames = frames - frames.mean(-1, keepdim=True)
            before = torch.cat((frames[..., :1], frames[..., :-1]), -1)
            spectrum = torch.fft.rfft((frames - PREEMPHASIS * before) * self.window, n=self.fft)
            power = spectrum.real.square() + spectrum.imag.square()  # (..., frames, fft / 2 + 1)
            return (power @ self.filters).clamp_min(FLOOR).log()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "KaldiFbank":
        """Returns the module, moved as asked; its filters are built anew instead of being rounded."""
        super()._apply(fn, recurse)
        self._build()
        return self

    def _build(self) -> None:
        device = self.window.device
        dtype = torch.float64 if self.window.dtype == torch.float64 else torch.float32
        hann = torch.hann_window(self.length, periodic=False, dtype=torch.float64, device="cpu")
        self.window = hann.pow(self.power).to(device, dtype)
        self.filters = _mel_filters(self.sample_rate, self.mels, self.fft).to(device, dtype)


def _mel(hertz: Tensor | float) -> Tensor:
    return 1127.0 * torch.log1p(torch.as_tensor(hertz, dtype=torch.float64, device="cpu") / 700.0)


def _mel_filters(sample_rate: int, mels: int, fft: int) -> Tensor:
    """Returns triangles that are straight lines in mel, from 20 Hz to the Nyquist frequency.

    Shape:
        (fft / 2 + 1, mels)
    """
    low, high = _mel(LOW_HZ), _mel(sample_rate / 2)
    step = (high - low) / (mels + 1)
    left = low + torch.arange(mels, device="cpu") * step  # (mels,)
    place = _mel(torch.arange(fft // 2 + 1, device="cpu") * (sample_rate / fft))[:, None]
    rise = (place - left) / step
    return torch.minimum(rise, 2 - rise).clamp_min(0)


def kaldi_fbank(wave: Tensor) -> Tensor:
    """Returns 128 log-mel energies per 10 ms of a 16 kHz wave, in the wave's precision.

    >>> kaldi_fbank(torch.zeros(128000)).shape
    torch.Size([798, 128])

    Shape:
        (..., samples) -> (..., frames, 128)

    Raises:
        ShapeError: the wave is shorter than 25 ms.
    """
    return _cached(wave.dtype == torch.float64, wave.device)(wave)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _cached(double: bool, device: torch.device) -> KaldiFbank:
    return KaldiFbank().to(device, torch.float64 if double else torch.float32)
