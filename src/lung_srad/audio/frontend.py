"""What a backbone owns: from a wave to its (1, mel, frames) input. The seam, and the front end of DASS and AST."""

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn import functional as F

from lung_srad.audio.fbank import HOP_MS, LOW_HZ, PREEMPHASIS, WINDOW_MS, KaldiFbank
from lung_srad.audio.resampling import require_resampler
from lung_srad.errors import ConfigError, ShapeError, message, nearest

NORMALIZATIONS = ("cycle", "audioset", "mel_mean")
SILENCE_STD = 1e-4
MAX_SECONDS, MAX_FRAMES = 3600.0, 2**19  # of one input: an hour, which is 360,000 frames

_VERSION = 1  # of what spectrogram() returns; a cache of an older one is not read
_MELS = 128
AUDIOSET_MEAN, AUDIOSET_STD = -4.2677393, 4.5689974


def is_silent(spec: Tensor) -> Tensor:
    """Returns True where a log-mel spectrogram, not yet normalised, holds nothing to classify.

    Shape:
        (..., T, mel) -> (...)
    """
    return spec.std((-2, -1)) < SILENCE_STD


class AudioFrontend(nn.Module, ABC):
    """The path from a wave to a backbone's input, in three steps that can be taken one by one.

    All that others need to know of a front end stands here: what cuts recordings into waves asks for the rate and
    length, what keeps spectrograms for ``cache_key``, what makes batches for the steps.

    Attributes:
        sample_rate: of the waves that it takes, in hertz.
        seconds: length to which a cycle or window is cut or repeated.
        resampler: what brings recordings to that rate, one of :data:`lung_srad.audio.RESAMPLERS`.
    """

    sample_rate: int
    seconds: float
    resampler: str

    @property
    @abstractmethod
    def min_samples(self) -> int:
        """The shortest wave of which there is a spectrogram."""

    @abstractmethod
    def spectrogram(self, wave: Tensor) -> Tensor:
        """Returns the log-mel spectrogram, not normalised: what a cache holds.

        Shape:
            (..., samples) -> (..., T, mel)
        """

    @abstractmethod
    def normalize(self, spec: Tensor) -> Tensor:
        """Returns the spectrogram normalised clip by clip.

        A silent clip (:func:`is_silent`) comes out finite, but there is nothing in it to classify.

        Shape:
            (..., T, mel) -> (..., T, mel)
        """

    @abstractmethod
    def shape(self, spec: Tensor) -> Tensor:
        """Returns the spectrogram as an image of the size that the backbone takes.

        Shape:
            (B, T, mel) -> (B, 1, mel, frames)

        Raises:
            ShapeError: not a batch of spectrograms.
        """

    @abstractmethod
    def cache_key(self) -> dict[str, str | int | float]:
        """Returns every parameter that decides what :meth:`spectrogram` gives for a cycle of a file."""

    def forward(self, wave: Tensor) -> Tensor:
        """Returns the input of the backbone.

        Shape:
            (B, samples) -> (B, 1, mel, frames)
        """
        return self.shape(self.normalize(self.spectrogram(wave)))


def as_image(spec: Tensor) -> Tensor:
    """Returns a batch of spectrograms with frequency first.

    Shape:
        (B, T, mel) -> (B, 1, mel, T)

    Raises:
        ShapeError: not a batch of spectrograms.
    """
    if spec.ndim != 3:
        seen = f"shape {tuple(spec.shape)}"
        raise ShapeError(message("spectrogram", seen, "allowed: (B, T, mel)", "add the batch axis: spec[None]"))
    return spec.transpose(1, 2)[:, None]


def require_seconds(seconds: float, remedy: str) -> None:
    """Returns nothing; refuses a length that no model hears at once: a file may ask for more than any memory.

    Raises:
        ConfigError: not more than 0, or longer than :data:`MAX_SECONDS`.
    """
    if not 0 < seconds <= MAX_SECONDS:
        allowed = f"allowed: more than 0, up to {MAX_SECONDS:g}"
        raise ConfigError(message("seconds", f"{seconds}", allowed, remedy))


class Frontend(AudioFrontend):
    """Kaldi's log-mel at 16 kHz, normalised, and stretched to a fixed width: the front end of DASS and AST.

    ``frames=None`` keeps the frames of the spectrogram, one every 10 ms. ``normalize`` chooses ``cycle`` (mean and
    deviation of the clip, as published for DASS), ``audioset`` (the constants of the pretraining set), or
    ``mel_mean`` (each mel bin loses its mean over time, and with it the colour of the stethoscope; what remains is
    divided by twice its deviation).

    Raises:
        ConfigError: an unknown normalisation or resampler, or a length that is not positive or beyond the limits.
    """

    def __init__(
        self,
        *,
        sample_rate: int = 16_000,
        seconds: float = 8.0,
        frames: int | None = 1024,
        normalize: str = "cycle",
        resampler: str = "sinc",
    ) -> None:
        super().__init__()
        if normalize not in NORMALIZATIONS:
            hint = nearest(normalize, NORMALIZATIONS)
            raise ConfigError(message("normalize", repr(normalize), f"allowed: {', '.join(NORMALIZATIONS)}", hint))
        require_resampler(resampler)
        require_seconds(seconds, "the paper takes 8 s")
        if frames is not None and not 0 < frames <= MAX_FRAMES:
            allowed = f"allowed: more than 0, up to {MAX_FRAMES}"
            raise ConfigError(message("frames", f"{frames}", allowed, "the paper takes 1024"))
        self.sample_rate, self.seconds, self.resampler = sample_rate, seconds, resampler
        self.normalization = normalize
        self.fbank = KaldiFbank(sample_rate=sample_rate, mels=_MELS)
        self.frames = self.fbank.frames(round(seconds * sample_rate)) if frames is None else frames

    @property
    def min_samples(self) -> int:
        """The length of one window of the filter bank."""
        return self.fbank.length

    def spectrogram(self, wave: Tensor) -> Tensor:
        """Returns the log-mel spectrogram, not normalised: what a cache holds.

        Shape:
            (..., samples) -> (..., T, 128)
        """
        return self.fbank(wave)

    def normalize(self, spec: Tensor) -> Tensor:
        """Returns the spectrogram normalised clip by clip.

        A silent clip (:func:`is_silent`) comes out finite, but there is nothing in it to classify.

        Shape:
            (..., T, 128) -> (..., T, 128)
        """
        if self.normalization == "audioset":
            return (spec - AUDIOSET_MEAN) / (2 * AUDIOSET_STD)
        axes = (-2,) if self.normalization == "mel_mean" else (-2, -1)
        centred = spec - spec.mean(axes, keepdim=True)
        return centred / (2 * centred.std((-2, -1), keepdim=True).clamp_min(SILENCE_STD))

    def shape(self, spec: Tensor) -> Tensor:
        """Returns the spectrogram as an image of fixed width; low-pass filtered first where it shrinks.

        Shape:
            (B, T, 128) -> (B, 1, 128, frames)

        Raises:
            ShapeError: not a batch of spectrograms.
        """
        image = as_image(spec)  # (B, 1, mel, T)
        size = (image.shape[2], self.frames)
        shrinks = image.shape[3] > self.frames
        return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=shrinks)

    def cache_key(self) -> dict[str, str | int | float]:
        """Returns every parameter that decides what :meth:`spectrogram` gives for a cycle of a file."""
        return {
            "version": _VERSION,
            "sample_rate": self.sample_rate,
            "seconds": self.seconds,
            "resampler": self.resampler,
            "mels": _MELS,
            "window_ms": WINDOW_MS,
            "hop_ms": HOP_MS,
            "low_hz": LOW_HZ,
            "preemphasis": PREEMPHASIS,
        }
