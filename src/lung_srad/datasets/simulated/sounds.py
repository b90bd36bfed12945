"""The sounds of a chest, each as one formula over numpy arrays: breath, crackles, wheezes.

Spectra are amplitudes over frequency with the value 1 at their plateau; :func:`noise` turns one into a sound.
"""

from dataclasses import dataclass

import numpy as np

RATE = 16000  # hertz; everything inside a chest is made at this rate, devices bring it to theirs


@dataclass(frozen=True, slots=True)
class Breathing:
    """When air flows: one row per cycle, in seconds.

    Attributes:
        inspiration: start and end, shape (n, 2).
        expiration: start and end, shape (n, 2).
        depth: peak flow in and out of each cycle, shape (2, n): about 1, out somewhat less.
    """

    inspiration: np.ndarray
    expiration: np.ndarray
    depth: np.ndarray


def draw_breathing(generator: np.random.Generator, start: np.ndarray, end: np.ndarray) -> Breathing:
    """Returns where each cycle breathes in and out: 36-46 % in, 40-50 % out, the rest is a pause around both.

    Reference: shares of a cycle and how deep breaths differ: assumption.
    """
    count, length = len(start), end - start
    inwards, outwards = generator.uniform(0.36, 0.46, count), generator.uniform(0.40, 0.50, count)
    pause = (1 - inwards - outwards).clip(0.08, 0.20)
    shrink = (1 - pause) / (inwards + outwards)
    before, between = pause * generator.uniform(0.0, 0.3, count), pause * generator.uniform(0.1, 0.4, count)
    breathes_in = start + before * length
    turns = breathes_in + inwards * shrink * length
    breathes_out = turns + between * length
    over = breathes_out + outwards * shrink * length
    depth = np.exp(generator.normal(0, 0.15, (2, count)))
    depth[1] *= generator.uniform(0.6, 1.0)
    return Breathing(np.stack([breathes_in, turns], 1), np.stack([breathes_out, over], 1), depth)


def airflow(breathing: Breathing, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the flow in and the flow out, both non-negative, shape (samples,).

    In: ``sin(pi u)`` over the inspiration. Out: ``sin(pi u^0.7)``, which peaks early, over the expiration.

    Reference: assumption; the lengths of cycles are those of the ICBHI annotations.
    """
    flows = []
    phases = (breathing.inspiration, breathing.expiration)
    for phase, depths, skew in zip(phases, breathing.depth, (1.0, 0.7), strict=True):
        flow = np.zeros(samples)
        for (start, end), depth in zip(phase, depths, strict=True):
            first, last = np.ceil(np.array([start, end]) * RATE).astype(int).clip(0, samples)
            u = (np.arange(first, last) / RATE - start) / (end - start)
            flow[first:last] = depth * np.sin(np.pi * u**skew)
        flows.append(flow)
    return flows[0], flows[1]


def breath_amplitude(flow: np.ndarray, exponent: float) -> np.ndarray:
    """Returns the amplitude of breath noise at a flow, ``flow^exponent``.

    Reference: Gavriely and Cugell 1996 (J Appl Physiol 80:5): exponent 1.66 ± 0.35.
    """
    return np.power(flow, exponent)


def chest_spectrum(frequency: np.ndarray, knee: float, slope: float) -> np.ndarray:
    """Returns the amplitude of chest breath noise: ``(1 + (f/knee)²)^(-slope/12.04)``, nothing under 40 Hz.

    Args:
        frequency: hertz.
        knee: hertz, 90-160.
        slope: decibels per octave far above the knee: 12.7-15.2 breathing in, 13.4-20.3 out.

    Reference: Gavriely et al. 1995 (Thorax 50:1292).
    """
    ratio = np.square(frequency / 40.0)
    return np.power(1 + np.square(frequency / knee), -slope / 12.04) * ratio / (1 + ratio)


def trachea_spectrum(frequency: np.ndarray, cutoff: float) -> np.ndarray:
    """Returns the amplitude of tracheal noise: flat from 75 Hz to the cutoff, then 24 dB/octave; peaks at 620, 1400 Hz.

    Reference: Gavriely et al. 1981 (J Appl Physiol 50:307), cutoff 850-1600 Hz; the two peaks: assumption.
    """
    ratio = np.square(frequency / 75.0)
    flat = ratio / (1 + ratio) / np.sqrt(1 + np.power(frequency / cutoff, 8))
    return flat * (1 + bump(frequency, 620.0, 120.0) + 0.8 * bump(frequency, 1400.0, 180.0))


def mouth_spectrum(frequency: np.ndarray, formants: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Returns the amplitude of breath that comes through the air: resonances over weak broad noise.

    Args:
        formants, heights, widths: of the resonances; widths relative to their formants.

    Reference: seen in many ICBHI recordings: bands near 0.7, 1.3 and 1.6 kHz that follow the breath; form: assumption.
    """
    total = 0.5 / np.sqrt(1 + np.power(frequency / 1800.0, 6)) * np.minimum(frequency / 500.0, 1)
    for formant, height, width in zip(formants, heights, widths, strict=True):
        total += height * bump(frequency, formant, width * formant)
    return total


def bump(frequency: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Returns a bell of height 1 over frequency."""
    return np.exp(-0.5 * np.square((frequency - centre) / width))


def noise(generator: np.random.Generator, amplitude: np.ndarray, samples: int, rate: int = RATE) -> np.ndarray:
    """Returns Gaussian noise whose one-sided power density is ``amplitude²`` per hertz, shape (samples,).

    Shape: amplitude (samples // 2 + 1,), over ``rfftfreq(samples, 1 / rate)``.
    """
    return np.fft.irfft(noise_bins(generator, amplitude) * np.sqrt(samples * rate), samples)


def noise_bins(generator: np.random.Generator, amplitude: np.ndarray) -> np.ndarray:
    """Returns the Fourier bins of noise before the factor ``sqrt(samples * rate)``: complex Gaussian."""
    parts = generator.standard_normal((2, len(amplitude)))
    return (parts[0] + 1j * parts[1]) * (0.5 * amplitude)


def crackle(time: np.ndarray, first_deflection: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Returns one crackle: a sine that slows down, under a window that rises fast and dies slowly.

    With ``t = time / width`` in (0, 1]: ``sin(4π t^a) · ½(1 + cos 2π(√t − ½))``, ``a = ln ¼ / ln(IDW / 2CD)``.

    Args:
        time: seconds since the onset.
        first_deflection: the initial deflection width (IDW) in seconds: the first zero crossing.
        width: two cycle durations (2CD) in seconds: the whole length.

    Reference: the simulated crackles of Cohen and of Kiyokawa et al. 2001 (Chest 119:1886), written from memory;
        the peaks of 0.5/3.3 ms and 1.0/5.1 ms agree with published spectra (PMC8387488).
    """
    t = time / width
    inside = (t > 0) & (t <= 1)
    t = np.where(inside, t, 1.0)
    warp = np.log(0.25) / np.log(first_deflection / width)
    wave = np.sin(4 * np.pi * t**warp) * 0.5 * (1 + np.cos(2 * np.pi * (np.sqrt(t) - 0.5)))
    return np.where(inside, wave, 0.0)


def tone(frequency: np.ndarray, harmonics_db: np.ndarray) -> np.ndarray:
    """Returns ``Σ_h a_h sin(hφ)`` with ``φ = 2π ∫ f``: a pitch that moves, and its harmonics.

    Args:
        frequency: the momentary pitch in hertz, shape (samples,).
        harmonics_db: the level of each harmonic, the fundamental first, in decibels.

    Reference: assumption; that wheezes are tones with harmonics: PMC8387488.
    """
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    return sum(10 ** (level / 20) * np.sin(h * phase) for h, level in enumerate(harmonics_db, 1))


def wheeze_pitch(
    samples: int, pitch: float, *, glide: float, vibrato: float, depth: float = 0.03, phase: float = 0.0
) -> np.ndarray:
    """Returns a wheeze's momentary frequency: a glide over its length, and a slow vibrato.

    Args:
        pitch: hertz, at the middle.
        glide: relative change from start to end, within ±0.15 around the middle.
        vibrato: its rate, 2-6 Hz.
        depth: of the vibrato, relative.
        phase: of the vibrato, radians.

    Reference: assumption; that wheezes last over 80 ms and lie over 100 Hz: PMC8387488, PMC10521503.
    """
    u = np.linspace(-1, 1, samples)
    seconds = np.arange(samples) / RATE
    return pitch * (1 + glide * u) * (1 + depth * np.sin(2 * np.pi * vibrato * seconds + phase))


def edges(samples: int, attack: float, release: float) -> np.ndarray:
    """Returns an envelope: a raised cosine up, 1, a raised cosine down; attack and release in seconds."""
    envelope = np.ones(samples)
    up, down = (max(1, min(int(part * RATE), samples // 2)) for part in (attack, release))
    envelope[:up] = 0.5 - 0.5 * np.cos(np.pi * np.arange(up) / up)
    envelope[samples - down :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, down + 1) / down)
    return envelope


def add_at(wave: np.ndarray, onset: np.ndarray, parts: np.ndarray) -> None:
    """Adds rows of ``parts`` (n, m) to ``wave`` at the samples ``onset`` (n,), in place; what lies outside is lost."""
    index = onset[:, None] + np.arange(parts.shape[1])
    inside = (index >= 0) & (index < len(wave))
    np.add.at(wave, index[inside], parts[inside])
