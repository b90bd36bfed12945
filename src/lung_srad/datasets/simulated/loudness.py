"""How loud an event is: its power against that of the breath around it, in the octave of its own pitch."""

from dataclasses import dataclass

import numpy as np

from lung_srad.datasets.simulated.sounds import RATE


@dataclass(frozen=True, slots=True)
class Background:
    """Expected power of everything that hides an event, at any time and in any octave.

    Breath noise is a known spectrum times a known envelope, so its power needs no measuring. All arrays are running
    sums: over frequency (hertz, the grid ``frequency``) or over time (samples at RATE).

    Attributes:
        inwards, outwards, steady: power of the noise breathing in and out at an envelope of 1, and of what does
            not breathe, up to each frequency.
        inwards_envelope, outwards_envelope: squared envelopes, up to each sample.
    """

    frequency: np.ndarray
    inwards: np.ndarray
    outwards: np.ndarray
    steady: np.ndarray
    inwards_envelope: np.ndarray
    outwards_envelope: np.ndarray

    def power(self, start: np.ndarray, end: np.ndarray, pitch: np.ndarray) -> np.ndarray:
        """Returns the mean power between two times (seconds) in the octave around a pitch (hertz); all (n,)."""
        noises = ((self.inwards, self.inwards_envelope), (self.outwards, self.outwards_envelope))
        first = np.floor(start * RATE).astype(int).clip(0, len(self.inwards_envelope) - 2)
        last = np.ceil(end * RATE).astype(int).clip(first + 1, len(self.inwards_envelope) - 1)
        loud = sum((sums[last] - sums[first]) / (last - first) * self._octave(power, pitch) for power, sums in noises)
        return loud + self._octave(self.steady, pitch)

    def _octave(self, power: np.ndarray, pitch: np.ndarray) -> np.ndarray:
        upper, lower = (np.interp(pitch * factor, self.frequency, power) for factor in (2**0.5, 2**-0.5))
        return upper - lower


def background(
    spectra: tuple[np.ndarray, np.ndarray, np.ndarray], envelopes: tuple[np.ndarray, np.ndarray], step: float
) -> Background:
    """Returns the background of power densities (in, out, steady; over frequency in steps of ``step`` hertz)."""
    grid = np.arange(len(spectra[0])) * step
    sums = [np.concatenate([[0.0], np.cumsum(np.square(envelope))]) for envelope in envelopes]
    return Background(grid, *(np.cumsum(density) * step for density in spectra), *sums)


def octave_power(waves: np.ndarray, length: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Returns the mean power of sounds over their lengths (seconds) in the octave around their pitch.

    Shape: waves (n, samples); length, pitch (n,); result (n,).
    """
    size = 1 << (max(waves.shape[1], 1024) - 1).bit_length()
    energy = np.square(np.abs(np.fft.rfft(waves, size))) * (2 / size)
    grid = np.fft.rfftfreq(size, 1 / RATE)
    octave = (grid >= pitch[:, None] * 2**-0.5) & (grid < pitch[:, None] * 2**0.5)
    return (energy * octave).sum(1) / (length * RATE)


def peak_pitch(waves: np.ndarray) -> np.ndarray:
    """Returns the frequency at which the spectrum of each sound is largest, shape (n,)."""
    size = 2048
    return np.fft.rfftfreq(size, 1 / RATE)[np.abs(np.fft.rfft(waves, size)).argmax(1)]
