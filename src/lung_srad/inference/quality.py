"""Is this recording fit to be judged: what is measured of the sound itself, in constant memory, and what it means.

What a network answers for a clipped, silent or humming recording looks like any other answer, so the recording is
looked at beside it. Levels, clipping and flat stretches are measured at the file's own rate and channels; spectra
and breaths at the rate that the network hears. Nothing depends on how the sound was cut into chunks.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lung_srad.inference.long_term import Spectra

ACCEPT, WARN, REJECT = "accept", "warn", "reject"

# DECISIONS: quality-codes; measured on ICBHI 2017 and SPRSound
FULL_SCALE, LONE = 0.985, 3  # several samples that are the highest or the lowest, from here on, are clipped
CLIPPED, CLIPPED_AWAY = 0.0005, 0.25  # shares of the samples
OFFSET = 0.02  # of full scale
LOUD = 1.5  # times full scale
STILL = 1e-8  # what differs by less from its neighbour does not move; a step of 24 bits is twelve times that
DROPOUT, PAUSE = 0.05, 1.0  # seconds without a movement
SILENT = 0.5  # share of the duration
STANDSTILL = 0.99  # from which on there is nothing to measure
DEAD, CANCELLED = 1e-3, 0.1  # of the loudest channel, of their mean level
PART = 0.1  # share of the seconds from which on a fault of channels is told
LOW_BAND = 25.0  # decibels by which 20-80 Hz exceed 100-1000 Hz
NARROW = 250.0  # hertz
BREATHS = 2
_DIGITS = 6  # of a measure: sums over other chunks differ far behind


@dataclass(frozen=True, slots=True)
class Finding:
    """One doubt about a recording: its code, whether it warns or rejects, and a sentence."""

    code: str
    level: str
    text: str

    def __str__(self) -> str:
        """Returns the code and the sentence."""
        return f"{self.code}: {self.text}"


@dataclass(frozen=True)
class Quality:
    """What was found in a recording, and what was measured.

    Attributes:
        measures: by name; None where a recording is too short or too quiet to say.
    """

    findings: tuple[Finding, ...] = ()
    measures: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Returns "reject", "warn" or "accept": the worst of the findings."""
        levels = {finding.level for finding in self.findings}
        return REJECT if REJECT in levels else WARN if levels else ACCEPT


class Meter:
    """Listens to a recording, chunk by chunk, and says at the end what is wrong with it.

    Args:
        rate: of the recording.
        heard_rate: of what the network hears.
    """

    def __init__(self, rate: int, heard_rate: int) -> None:
        self.rate = rate
        self._spectra, self._still = Spectra(heard_rate), _Still(rate)
        self._samples, self._sum, self._peak = 0, 0.0, 0.0
        self._limits = {1: (0.0, 0), -1: (0.0, 0)}  # by sign: how far it goes, and how many samples go there
        self._held = torch.empty(0)  # less than a second
        self._power = np.zeros(0)  # of each channel, then of their mean, without their offsets
        self._seconds, self._dead, self._cancelled = 0, np.zeros(0), 0

    def hear_raw(self, block: Tensor) -> None:
        """Takes in samples as they were recorded: (n, channels)."""
        channels = block.shape[1]
        if not self._samples:
            self._held, self._power, self._dead = block[:0], np.zeros(channels + 1), np.zeros(channels)
        self._samples += len(block)
        self._peak = max(self._peak, float(block.abs().max()))
        self._count_limits(block)
        wave = (block.mean(1) if channels > 1 else block[:, 0]).numpy()
        self._sum += float(wave.sum(dtype=np.float64))
        self._still.hear(wave)
        if channels == 1:
            return
        held = torch.cat((self._held, block))
        whole = len(held) // self.rate * self.rate
        if whole:
            self._channels(held[:whole].numpy().reshape(-1, self.rate, channels))
        self._held = held[whole:].clone()

    def hear(self, wave: Tensor) -> None:
        """Takes in what the network hears: (n,)."""
        self._spectra.hear(wave)

    def close(self) -> Quality:
        """Returns what was found."""
        if not self._seconds and len(self._held):
            self._channels(self._held.numpy()[None])
        seconds = self._samples / self.rate
        still = self._still.close(self._samples)
        spectra = self._spectra.close()
        if seconds and still.seconds >= STANDSTILL * seconds:
            spectra = dict.fromkeys(spectra)  # all that could be heard are its two ends, ringing in the resampler
        size = max(1, self._samples * max(1, len(self._dead)))
        measures: dict[str, float | None] = {
            "peak": self._peak,
            "offset": self._sum / max(1, self._samples),
            "clipped": sum(count for _, count in self._limits.values() if count > LONE) / size,
            "silent": min(1.0, still.seconds / seconds) if seconds else 0.0,
            "pauses": float(still.pauses),
            "dropouts": float(still.dropouts),
            **spectra,
        }
        measures = {name: None if value is None else round(value, _DIGITS) for name, value in measures.items()}
        return Quality((*_level_findings(measures), *self._channel_findings(), *_sound_findings(measures)), measures)

    def _count_limits(self, block: Tensor) -> None:
        """Counts the samples that are the highest or the lowest so far."""
        for sign, (limit, count) in self._limits.items():
            highest = float((sign * block).max())
            if highest >= FULL_SCALE and highest >= limit:
                there = int((sign * block == highest).sum())
                self._limits[sign] = highest, there + (count if highest == limit else 0)

    def _channels(self, frames: NDArray[np.float32]) -> None:
        """Takes in whole seconds: (seconds, rate, channels)."""
        mixed = np.concatenate((frames, frames.mean(2, keepdims=True)), 2)
        level = mixed.std(1, dtype=np.float64)  # (seconds, channels + 1)
        self._power += (level**2).sum(0)
        self._seconds += len(frames)
        self._dead += (level[:, :-1] < DEAD * level[:, :-1].max(1, keepdims=True)).sum(0)
        self._cancelled += int((level[:, -1] < CANCELLED * level[:, :-1].mean(1)).sum())

    def _channel_findings(self) -> list[Finding]:
        """Returns what the mix to one channel lost."""
        channels = len(self._dead)
        if channels < 2:
            return []
        level = np.sqrt(self._power)
        found = []
        for index in range(channels):
            text = f"channel {index + 1} of {channels} carries no signal"
            found += self._of_all("dead_channel", text, level[index] < DEAD * level[:-1].max(), self._dead[index])
        text = "the channels cancel each other; export one of them"
        return found + self._of_all("anti_phase", text, level[-1] < CANCELLED * level[:-1].mean(), self._cancelled)

    def _of_all(self, code: str, text: str, always: bool, seconds: float) -> list[Finding]:
        if always:
            return [Finding(code, WARN, text)]
        if seconds < PART * self._seconds or not seconds:
            return []
        return [Finding(code, WARN, f"{text} (in {seconds:.0f} of {self._seconds} s)")]


@dataclass(slots=True)
class _Still:
    """Stretches in which a wave does not move at all: counted by length, whatever their value."""

    rate: int
    seconds: float = 0.0
    pauses: int = 0
    dropouts: int = 0
    run: int = 0  # neighbours without a movement, up to now
    last: float = math.nan

    def hear(self, wave: NDArray[np.float32]) -> None:
        """Takes in a piece of the wave: (n,)."""
        still = np.abs(np.diff(wave, prepend=np.float32(self.last))) <= STILL
        edges = np.flatnonzero(np.diff(still.astype(np.int8), prepend=0, append=0))
        starts, ends = edges[::2], edges[1::2]
        lengths = ends - starts
        if len(starts) and starts[0] == 0:
            lengths[0] += self.run
        else:
            self._end(self.run)
        self.run = 0
        if len(ends) and ends[-1] == len(wave):
            self.run, lengths = int(lengths[-1]), lengths[:-1]
        for length in lengths[lengths >= DROPOUT * self.rate - 1]:
            self._end(int(length))
        self.last = float(wave[-1])

    def close(self, samples: int) -> "_Still":
        """Returns itself, at the end; a wave that never moves is one pause, however short."""
        if 0 < samples <= self.run + 1:
            self.seconds, self.pauses = samples / self.rate, 1
        else:
            self._end(self.run)
        return self

    def _end(self, run: int) -> None:
        seconds = (run + 1) / self.rate if run else 0.0
        if seconds >= DROPOUT:
            self.seconds += seconds
            self.pauses += seconds >= PAUSE
            self.dropouts += seconds < PAUSE


def _level_findings(measures: Mapping[str, float | None]) -> list[Finding]:
    """Returns what is wrong with the samples themselves."""
    clipped, silent, offset, peak = (measures[name] or 0.0 for name in ("clipped", "silent", "offset", "peak"))
    found = []
    if clipped >= CLIPPED:
        level = REJECT if clipped >= CLIPPED_AWAY else WARN
        found.append(Finding("clipping", level, f"{100 * clipped:.2g} % of the samples are at full scale"))
    if peak > LOUD:
        found.append(Finding("over_range", WARN, f"the peak is {peak:.3g} times full scale"))
    if silent >= SILENT or measures["pauses"]:
        level = REJECT if silent >= SILENT else WARN
        found.append(Finding("silence", level, f"{100 * silent:.0f} % of the recording carries no signal at all"))
    if measures["dropouts"]:
        text = f"{measures['dropouts']:.0f} stretch(es) of 50 ms to 1 s carry no signal at all"
        found.append(Finding("dropout", WARN, text))
    if abs(offset) >= OFFSET:
        found.append(Finding("dc", WARN, f"the mean is {offset:.3f} of full scale"))
    return found


def _sound_findings(measures: Mapping[str, float | None]) -> list[Finding]:
    """Returns what is doubtful in what is heard; nothing of a recording without a signal."""
    found = []
    hum, share, low = measures["hum_hz"], measures["hum"], measures["low_frequency_db"]
    if hum and share is not None:
        found.append(Finding("hum", WARN, f"{100 * share:.0f} % of the power is hum of {hum:.0f} Hz"))
    if measures["bandwidth_hz"] is not None and measures["bandwidth_hz"] < NARROW:
        found.append(Finding("narrow_band", WARN, f"nothing is heard above {measures['bandwidth_hz']:.0f} Hz"))
    if low is not None and low >= LOW_BAND:
        text = f"20-80 Hz (heart, rubbing) are {low:.0f} dB above 100-1000 Hz"
        found.append(Finding("low_frequency", WARN, text))
    if measures["breaths"] is not None and measures["breaths"] < BREATHS:
        found.append(Finding("few_breaths", WARN, f"{measures['breaths']:.0f} breath(s) can be told apart"))
    return found
