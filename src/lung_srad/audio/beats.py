"""What BEATs owns: Kaldi's log-mel with the window of its pretraining, normalised by the constants of that."""

from torch import Tensor

from lung_srad.audio.fbank import HOP_MS, LOW_HZ, PREEMPHASIS, WINDOW_MS, KaldiFbank
from lung_srad.audio.frontend import AudioFrontend, as_image, require_seconds
from lung_srad.audio.resampling import require_resampler
from lung_srad.errors import ConfigError, message, nearest

SCALINGS = {"corrected": 2**15, "published": 1}
"""What a wave is multiplied with: the constants were measured on 16-bit integers, which the public code of PAFA no
longer makes of its waves (DECISIONS: beats-scaling)."""

_VERSION = 1  # of what spectrogram() returns; a cache of an older one is not read
_MELS, _RATE, _WINDOW = 128, 16_000, "povey"
_MEAN, _STD = 15.41663, 6.55582


class BeatsFrontend(AudioFrontend):
    """5 s at 16 kHz to 128 mel bins × 498 frames, nothing resized.

    Raises:
        ConfigError: an unknown scaling or resampler, or a length that is not positive or beyond the limit.
    """

    def __init__(self, *, seconds: float = 5.0, scaling: str = "corrected", resampler: str = "sinc") -> None:
        super().__init__()
        if scaling not in SCALINGS:
            allowed = f"allowed: {', '.join(SCALINGS)}"
            raise ConfigError(message("scaling", repr(scaling), allowed, nearest(scaling, SCALINGS)))
        require_resampler(resampler)
        require_seconds(seconds, "PAFA takes 5 s")
        self.sample_rate, self.seconds, self.resampler = _RATE, seconds, resampler
        self.scaling = scaling
        self.fbank = KaldiFbank(sample_rate=_RATE, mels=_MELS, window=_WINDOW)

    @property
    def min_samples(self) -> int:
        """The length of one window of the filter bank."""
        return self.fbank.length

    def spectrogram(self, wave: Tensor) -> Tensor:
        """Returns the log-mel spectrogram, not normalised: (..., samples) -> (..., T, 128)."""
        return self.fbank(wave * SCALINGS[self.scaling])

    def normalize(self, spec: Tensor) -> Tensor:
        """Returns the spectrogram by the constants of the pretraining set: (..., T, 128) -> (..., T, 128)."""
        return (spec - _MEAN) / (2 * _STD)

    def shape(self, spec: Tensor) -> Tensor:
        """Returns the spectrogram as it is, with frequency first: (B, T, 128) -> (B, 1, 128, T)."""
        return as_image(spec)

    def cache_key(self) -> dict[str, str | int | float]:
        """Returns every parameter that decides what :meth:`spectrogram` gives for a cycle of a file."""
        return {
            "kind": "beats",
            "version": _VERSION,
            "sample_rate": self.sample_rate,
            "seconds": self.seconds,
            "resampler": self.resampler,
            "scale": SCALINGS[self.scaling],
            "mels": _MELS,
            "window": _WINDOW,
            "window_ms": WINDOW_MS,
            "hop_ms": HOP_MS,
            "low_hz": LOW_HZ,
            "preemphasis": PREEMPHASIS,
        }
