"""Resampling: the windowed sinc of the published pipeline, and soxr as the better one."""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from lung_srad.errors import ConfigError, message, nearest, optional_import

RESAMPLERS = ("sinc", "soxr")

_ZEROS = 6  # zero crossings of the sinc on each side
_ROLLOFF = 0.99  # cut-off, as a share of the lower Nyquist frequency
_MAX_DENSE = 2**22  # weights of the convolution; coprime rates would need thousands of millions


def resample(wave: Tensor, rate: int, target: int, *, method: str = "sinc") -> Tensor:
    """Returns the wave at another rate; the same tensor where the rates agree.

    ``sinc`` is torchaudio's default, with which the published scores were reached; it weakens what lies just
    under the Nyquist frequency and lets aliases through (-11 dB at 8.5 kHz, -45 dB at 10 kHz, from 44.1 to
    16 kHz). ``soxr`` (extra ``audio``) does neither, but has no gradient.

    >>> resample(torch.zeros(2, 441), 44100, 16000).shape
    torch.Size([2, 160])

    Shape:
        (..., n) -> (..., ceil(n * target / rate))

    Raises:
        ConfigError: an unknown method, or a rate that is not a positive whole number.
        MissingExtraError: ``soxr`` is asked for and not installed.

    Reference:
        torchaudio.transforms.Resample (sinc_interp_hann, lowpass_filter_width 6, rolloff 0.99).
    """
    require_resampler(method)
    if not (rate == int(rate) > 0 and target == int(target) > 0):
        text = message("resample", f"{rate} Hz to {target} Hz", "allowed: positive whole rates", "round them")
        raise ConfigError(text)
    if rate == target or wave.shape[-1] == 0:
        return wave
    common = math.gcd(int(rate), int(target))
    old, new = int(rate) // common, int(target) // common
    length = -(-wave.shape[-1] * new // old)
    flat = wave.reshape(-1, wave.shape[-1])  # (waves, n)
    if method == "soxr":
        out = _soxr(flat, rate, target, length)
    elif new * (2 * half_width(old, new) + old) <= _MAX_DENSE:
        out = _polyphase(flat, old, new, length)
    else:
        out = _tap_by_tap(flat, old, new, length)
    return out.reshape(*wave.shape[:-1], length)


def require_resampler(method: str) -> None:
    """Returns nothing; refuses a resampler that does not exist."""
    if method not in RESAMPLERS:
        text = message("resampler", repr(method), f"allowed: {', '.join(RESAMPLERS)}", nearest(method, RESAMPLERS))
        raise ConfigError(text)


def half_width(old: int, new: int) -> int:
    """Returns how many input samples the sinc hears on either side, for rates without a common divisor."""
    return math.ceil(_ZEROS * old / (min(old, new) * _ROLLOFF))


def _weights(place: Tensor, old: int, new: int) -> Tensor:
    """Returns the low-pass filter; ``place`` counts blocks of ``old`` input samples."""
    cutoff = min(old, new) * _ROLLOFF
    t = (place * cutoff).clamp(-_ZEROS, _ZEROS)
    return torch.sinc(t) * torch.cos(t * math.pi / _ZEROS / 2) ** 2 * (cutoff / old)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # a cached inference tensor could never again take part in a backward pass
def _dense_kernel(old: int, new: int, dtype: torch.dtype) -> Tensor:
    """Returns one filter per output phase.

    Shape:
        (new, 1, 2 * half_width + old)
    """
    half = half_width(old, new)
    taps = torch.arange(-half, half + old, dtype=torch.float64) / old
    # Upstream rounds the phase, and nothing else, to the wave's precision; so do we, to agree to the bit.
    phase = torch.arange(0, -new, -1, dtype=dtype) / new
    return _weights(phase[:, None] + taps, old, new).to(dtype)[:, None]


def _polyphase(flat: Tensor, old: int, new: int, length: int) -> Tensor:
    half = half_width(old, new)
    kernel = _dense_kernel(old, new, flat.dtype).to(flat.device)
    phases = F.conv1d(F.pad(flat[:, None], (half, half + old)), kernel, stride=old)  # (waves, new, blocks)
    return phases.transpose(1, 2).reshape(len(flat), -1)[:, :length]


def _tap_by_tap(flat: Tensor, old: int, new: int, length: int) -> Tensor:
    """Returns the same sum for rates with a small common divisor, of the non-zero taps only."""
    half = half_width(old, new)
    phase = torch.arange(new) * old  # (new,), in units of 1 / new input samples
    offset = torch.arange(-half, half + 2)[:, None] + phase // new  # (taps, new)
    kernel = _weights((offset.double() - phase.double() / new) / old, old, new).to(flat)
    output = torch.arange(length, device=flat.device)
    start, turn = output * old // new, output % new
    padded = F.pad(flat, (half, half + 2))
    out = flat.new_zeros(len(flat), length)
    for tap, weights in enumerate(kernel):
        out = out.addcmul_(padded[:, start + tap], weights[turn])
    return out


def _soxr(flat: Tensor, rate: int, target: int, length: int) -> Tensor:
    soxr = optional_import("soxr", "audio")
    out = soxr.resample(flat.detach().T.cpu().numpy(), rate, target, quality="HQ")  # (n', waves)
    return F.pad(torch.from_numpy(out).T, (0, max(0, length - len(out))))[:, :length].to(flat)
