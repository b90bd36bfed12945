"""What the simple classifiers hear of a corpus, and what the figures compare: one row per cycle."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import torch

from lung_srad.audio import Frontend, Recording, cut_cycle, load_recording, read, resample
from lung_srad.datasets import ICBHI, Cycle
from timing import say

SECONDS = 5.0  # of each cycle that is heard; shorter ones are repeated; 97 % of ICBHI's are shorter
COMMON_RATE = 4_000  # every device records at least this
EDGES = np.geomspace(50, 1900, 17)  # of the bands of a long-term spectrum, in hertz: a third of an octave each
WIDE = np.array([31, 94, 156, 219, 281, 375, 500, 656, 844, 1094, 1406, 1900])  # bands of short windows
QUIET = 1e-12
SHORT, SHIFT = 128, 32  # samples at the common rate: windows of 32 ms, one every 8 ms


@dataclass(frozen=True)
class Heard:
    """A corpus, heard. Every array has a row per cycle.

    Attributes:
        spectra: log-mel (n, 64 mel, frames).
        statistics: mean and deviation over time of log-mel and of its steps in time and frequency (n, 382).
        colour: long-term spectrum in dB below the level, and the level (n, bands + 1).
        background: the same of the quietest fifth of each band, in which no event is (n, bands + 1).
        long_term: mean power over time of each of 65 frequencies up to 2 kHz, dB (n, 65).
        level: root mean square in dB below full scale; peak: the same of the greatest sample.
        click: how far short sounds stand out of the breath, dB; see :func:`click_contrast`.
        tone: how far lasting tones stand out of the spectrum, dB; see :func:`tone_contrast`.
        breath: standard deviation over time of the level between 150 and 800 Hz, dB.
    """

    cycles: Sequence[Cycle]
    label: np.ndarray
    patient: np.ndarray
    device: np.ndarray
    test: np.ndarray
    spectra: np.ndarray
    statistics: np.ndarray
    colour: np.ndarray
    background: np.ndarray
    long_term: np.ndarray
    level: np.ndarray
    peak: np.ndarray
    click: np.ndarray
    tone: np.ndarray
    breath: np.ndarray


def hear(data: ICBHI, name: str) -> Heard:
    """Returns everything about every cycle of a corpus, one recording at a time."""
    frontend, cycles = Frontend(seconds=SECONDS), data.cycles()
    groups = [(path, list(group)) for path, group in groupby(cycles, key=lambda cycle: cycle.path)]
    spectra, statistics, rows = [], [], []
    for done, (path, group) in enumerate(groups, start=1):
        wave = load_recording(path).samples
        with torch.inference_mode():
            cut = [cut_cycle(wave, c.start, c.end, seconds=SECONDS, where=path) for c in group]
            image = halved(frontend.spectrogram(torch.stack(cut)).numpy())
        spectra.append(image.astype(np.float16))
        statistics.append(log_mel_statistics(image))
        recording = read(path)
        rows += [measures(samples(recording, cycle)) for cycle in group]
        if done % 100 == 0 or done == len(groups):
            say(f"{name}: heard {done} of {len(groups)} recordings")
    columns = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    return Heard(
        cycles=cycles,
        label=np.array([cycle.label for cycle in cycles]),
        patient=np.array([cycle.patient for cycle in cycles]),
        device=np.array([cycle.device for cycle in cycles]),
        test=np.array([cycle.split == "test" for cycle in cycles]),
        spectra=np.concatenate(spectra),
        statistics=np.concatenate(statistics),
        **columns,
    )


def halved(spectrum: np.ndarray) -> np.ndarray:
    """Returns log-mel spectra with neighbouring mel bins averaged: (n, T, 128) -> (n, 64, T)."""
    return spectrum.reshape(*spectrum.shape[:2], -1, 2).mean(-1).transpose(0, 2, 1)


def log_mel_statistics(image: np.ndarray) -> np.ndarray:
    """Returns mean and deviation over time of each mel bin, of its steps in time and of the steps to the next bin.

    A crackle is a step in time and a wheeze one in frequency, wherever they are: (n, mel, T) -> (n, 6 * mel - 2).
    """
    parts = (image, np.abs(np.diff(image, axis=2)), np.diff(image, axis=1))
    return np.concatenate([moment for part in parts for moment in (part.mean(2), part.std(2))], axis=1)


def samples(recording: Recording, cycle: Cycle) -> np.ndarray:
    """Returns a cycle at the common rate, as it was recorded: no fade, nothing repeated."""
    first, last = (int(min(time * recording.rate, len(recording.samples))) for time in (cycle.start, cycle.end))
    return resample(recording.samples[first:last], recording.rate, COMMON_RATE).numpy().astype(np.float64)


def cycle_samples(cycle: Cycle) -> np.ndarray:
    """Returns a cycle of a file at the common rate."""
    return samples(read(cycle.path), cycle)


def measures(wave: np.ndarray) -> dict[str, np.ndarray]:
    """Returns what figures and the domain classifier compare of one cycle at the common rate."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    frequency = np.fft.rfftfreq(len(wave), 1 / COMMON_RATE)
    bands = np.array([power[(frequency >= low) & (frequency < high)].sum() for low, high in pairwise(EDGES)])
    level = decibels(np.mean(wave**2))
    short = spectrogram(wave)  # (bins, frames)
    levels = np.array([band_level(short, low, high) for low, high in pairwise(WIDE)])
    quiet = np.percentile(levels, 20, axis=1)
    return {
        "colour": np.append(np.maximum(decibels(bands / (power.sum() + QUIET)), -80), level),
        "background": np.append(quiet - quiet.mean(), quiet.mean()),
        "long_term": decibels(short.mean(1)),
        "level": level,
        "peak": decibels(np.max(wave**2)),
        "click": click_contrast(short),
        "tone": tone_contrast(short),
        "breath": band_level(short, 150, 800).std(),
    }


def decibels(power: np.ndarray | float) -> np.ndarray:
    """Returns ten times the logarithm, silence at -120."""
    return 10 * np.log10(np.maximum(power, QUIET))


def spectrogram(wave: np.ndarray) -> np.ndarray:
    """Returns the power of short windows of a wave at the common rate (bins, frames)."""
    wave = np.pad(wave, (0, max(0, SHORT - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(wave, SHORT)[::SHIFT]
    return np.abs(np.fft.rfft(frames * np.hanning(SHORT), axis=1).T) ** 2 / SHORT


def band_level(short: np.ndarray, low: float, high: float) -> np.ndarray:
    """Returns the level of each frame between two frequencies in dB."""
    frequency = np.fft.rfftfreq(SHORT, 1 / COMMON_RATE)
    return decibels(short[(frequency >= low) & (frequency < high)].sum(0))


def click_contrast(short: np.ndarray) -> float:
    """Returns how far the 98th percentile of frames between 200 and 1,200 Hz exceeds its surroundings of 0.3 s, dB."""
    level, reach = band_level(short, 200, 1200), 18
    padded = np.pad(level, reach, mode="reflect" if len(level) > reach else "edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)
    return float(np.percentile(level - around, 98))


def tone_contrast(short: np.ndarray) -> float:
    """Returns how far the most tonal tenth of frames has a peak above the 170 Hz on either side, 200 to 1,100 Hz, dB.

    Nine frames are averaged first, 0.1 s: a crackle is over before, a wheeze is not.
    """
    if short.shape[1] < 9:
        return 0.0
    steady = decibels(np.lib.stride_tricks.sliding_window_view(short[1:42], 9, axis=1).mean(-1))
    around = np.median(np.lib.stride_tricks.sliding_window_view(steady, 11, axis=0), axis=-1)
    return float(np.percentile((steady[5:-5] - around).max(0), 90))
