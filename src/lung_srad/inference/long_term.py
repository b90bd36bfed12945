"""Long-term spectrum and breathing envelope of a recording, second by second."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_FRAMES = 20  # of the envelope in a second
_BREATH = (150, 1000)  # hertz in which breath is looked for
_LOW, _LUNG = (20, 80), (100, 1000)
_HUM = (50, 60)
_HARMONICS = 6
_CLEAR = 30.0  # times what lies around it: a line
_LONE, _SEVERAL = 0.05, 0.01  # shares of the power from which one line, or three, are hum
_LEAST_HUM = 3  # seconds
_ROLL_OFF = 0.99  # of the power of the differentiated wave lies below the effective bandwidth
_FLOOR = 1e-20  # power of nothing
_QUIET = 1e-6  # of full scale: what is less is the rounding of something that stands still
_SMOOTH = 13  # frames of the envelope: 0.65 s
_SWING = 3.0  # decibels between breathing and not breathing
_RISE, _FALL = 0.65, 0.35  # of the swing

Values = NDArray[np.float64]


class Spectra:
    """Mean power per hertz, and the level of breath every 50 ms.

    Args:
        rate: of the wave, in hertz.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._window = torch.hann_window(rate)
        self._frame = rate // _FRAMES
        self._frame_window = torch.hann_window(self._frame)
        self._held, self._seconds = torch.empty(0), 0
        self._power = np.zeros(rate // 2 + 1)
        self._levels: list[Values] = []

    def hear(self, wave: Tensor) -> None:
        """Takes in a piece of the wave: (n,)."""
        held = torch.cat((self._held, wave))
        whole = len(held) // self.rate
        if whole:
            self._take(held[: whole * self.rate].reshape(whole, self.rate))
        self._held = held[whole * self.rate :].clone()

    def close(self) -> dict[str, float | None]:
        """Returns hum, bandwidth, the share of low frequencies and the number of breaths; None where none can tell."""
        rest = self._held[: len(self._held) // self._frame * self._frame]
        if len(rest):
            self._envelope(rest)
        nothing = dict.fromkeys(("hum_hz", "hum", "bandwidth_hz", "low_frequency_db", "breaths"))
        if not self._seconds and not len(rest):
            return nothing | {"breaths": 0.0}
        if not self._seconds:
            self._take(torch.nn.functional.pad(self._held, (0, self.rate - len(self._held)))[None], envelope=False)
        variance = 2 * self._power.sum() / (0.375 * self.rate**2 * self._seconds)
        if variance < _QUIET**2:
            return nothing
        base, share = _hum(self._power) if self._seconds >= _LEAST_HUM else (0, 0.0)
        low, lung = (float(self._power[slice(*band)].sum()) for band in (_LOW, _LUNG))
        return {
            "hum_hz": float(base) or None,
            "hum": share,
            "bandwidth_hz": _bandwidth(self._power),
            "low_frequency_db": 10 * math.log10((low + _FLOOR) / (lung + _FLOOR)),
            "breaths": float(_breaths(np.concatenate(self._levels))) if self._levels else 0.0,
        }

    def _take(self, frames: Tensor, *, envelope: bool = True) -> None:
        """Takes in whole seconds: (seconds, rate)."""
        power = torch.fft.rfft((frames - frames.mean(1, keepdim=True)) * self._window).abs().square()
        self._power += power.double().sum(0).numpy()
        self._seconds += len(frames)
        if envelope:
            self._envelope(frames[:, : self._frame * _FRAMES].reshape(-1))

    def _envelope(self, wave: Tensor) -> None:
        """Takes in whole frames of the envelope: (n * frame,)."""
        spectrum = torch.fft.rfft(wave.reshape(-1, self._frame) * self._frame_window)
        first, last = (math.ceil(hertz / _FRAMES) for hertz in _BREATH)
        power = spectrum[:, first : last + 1].abs().square().double().sum(1)
        self._levels.append(10 * (power + _FLOOR).log10().numpy())


def _hum(power: Values) -> tuple[int, float]:
    """Returns 50 or 60 and its share of the power, harmonics included, or 0 where there is no hum."""
    best, total = (0, 0.0), float(power[20:].sum())
    for base in _HUM:
        lines, clear = [], []
        for place in range(base, base * _HARMONICS + 1, base):
            around = np.concatenate((power[place - 9 : place - 3], power[place + 4 : place + 10]))
            line = float(power[place - 1 : place + 2].sum())
            ground = 3 * float(np.median(around)) if len(around) else math.inf
            clear.append(line > _CLEAR * ground)
            lines.append(max(0.0, line - ground) if clear[-1] else 0.0)
        share = sum(lines) / total
        if ((clear[0] and share >= _LONE) or (sum(clear) >= 3 and share >= _SEVERAL)) and share > best[1]:
            best = base, share
    return best


def _bandwidth(power: Values) -> float:
    """Returns the frequency below which nearly all power of the differentiated wave lies, in hertz."""
    rising = np.cumsum(power * np.arange(len(power)) ** 2.0)
    return float(np.searchsorted(rising, _ROLL_OFF * rising[-1]))


def _breaths(levels: Values) -> int:
    """Returns how often the envelope rises from quiet to loud: in and out may count apart."""
    width = min(_SMOOTH, len(levels))
    smooth = np.convolve(levels, np.full(width, 1 / width), mode="valid")
    quiet, loud = np.percentile(smooth, (10, 90))
    if loud - quiet < _SWING:
        return 0
    high, low = (quiet + share * (loud - quiet) for share in (_RISE, _FALL))
    states = np.where(smooth >= high, 1, np.where(smooth <= low, 0, -1))
    known = states[states >= 0]
    return int((np.diff(known) == 1).sum() + (known[0] == 1))
