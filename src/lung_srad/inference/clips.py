"""The stretches of a recording that a model hears: windows over all of it, or given cycles."""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from lung_srad.audio import AudioFrontend, cut_cycle, load_recording, read
from lung_srad.datasets.checks import outside
from lung_srad.errors import ConfigError, DataError, message

BLOCK, MARGIN = 30, 1  # whole seconds that are held at once, and what the resampler hears on either side of them
_FIRST = 0.01  # seconds that are decoded to look at a file
_SHORTEST_HOP = 0.01  # seconds


@dataclass(frozen=True, eq=False, slots=True)
class Clip:
    """One stretch, from ``start`` to ``end`` seconds; ``wave`` (samples,) is None where it is too short to hear."""

    start: float
    end: float
    wave: Tensor | None


class Clips(ABC):
    """The clips of one recording, in order, at the rate and of the length that a front end wants.

    Attributes:
        kind: what the clips are, in the plural.
        rate: that of the file, in hertz.
        seconds: length of the recording.

    Raises:
        AudioError: the recording cannot be used, found out now or on the way.
    """

    kind: str

    def __init__(self, path: Path, frontend: AudioFrontend) -> None:
        self.path, self.frontend = path, frontend
        self.rate = read(path, stop=_FIRST).rate
        with path.open("rb") as file:  # soundfile takes no name whose bytes are not text
            self.seconds = soundfile.info(file).frames / self.rate

    @abstractmethod
    def __iter__(self) -> Iterator[Clip]:
        """Yields the clips."""

    @property
    @abstractmethod
    def notices(self) -> tuple[str, ...]:
        """What was repaired or is doubtful in what has been heard so far."""

    def fitted(self, wave: Tensor, start: float, end: float) -> Tensor:
        """Returns a part of a wave, cut or repeated to the front end's length as in training."""
        front = self.frontend
        return cut_cycle(wave, start, end, seconds=front.seconds, sample_rate=front.sample_rate, where=self.path)


class Cycles(Clips):
    """Given cycles, exactly as in training: the recording is faded at its two ends, each cycle cut or repeated.

    Raises:
        DataError: a cycle lies outside the recording.
    """

    kind = "cycles"

    def __init__(self, path: Path, frontend: AudioFrontend, spans: Sequence[tuple[float, float]]) -> None:
        super().__init__(path, frontend)
        self.spans, self._notices = spans, ()
        for number, (start, end) in enumerate(spans, start=1):
            if outside(start, end, self.seconds):
                allowed = f"the recording has {self.seconds:.3f} s"
                raise DataError(message(path, f"cycle {number}, {start:g}-{end:g} s", allowed, "correct its times"))

    def __iter__(self) -> Iterator[Clip]:
        """Yields each cycle; one that is longer than the front end hears is cut, and a notice says so."""
        front = self.frontend
        recording = load_recording(self.path, sample_rate=front.sample_rate, resampler=front.resampler)
        self._notices = recording.notices
        for start, end in self.spans:
            yield Clip(start, min(end, self.seconds), self.fitted(recording.samples, start, end))

    @property
    def notices(self) -> tuple[str, ...]:
        """Those of the recording, and how many cycles are longer than what is heard of them."""
        heard = self.frontend.seconds
        long = sum(min(end, self.seconds) - start > heard for start, end in self.spans)
        cut = f"cut: {long} of {len(self.spans)} cycles are longer than {heard:g} s; the first {heard:g} s are heard"
        return (*self._notices, cut) if long else self._notices


class Windows(Clips):
    """Windows of the front end's length, every ``hop`` seconds, the last one flush with the end; nothing is faded.

    A shorter recording is one window, repeated as in training. However long it is, half a minute is held at once.

    Raises:
        ConfigError: a hop that is no number of seconds, or one that leaves gaps between the windows.
    """

    kind = "windows"

    def __init__(self, path: Path, frontend: AudioFrontend, hop: float) -> None:
        if not _SHORTEST_HOP <= hop <= frontend.seconds:
            allowed = f"{_SHORTEST_HOP:g} to {frontend.seconds:g} s, the length of a window"
            raise ConfigError(message("hop", f"{hop} s", allowed, "the default is 2 s"))
        super().__init__(path, frontend)
        self.hop = hop
        self._parts, self._heard = 0, Counter[str]()

    def __iter__(self) -> Iterator[Clip]:
        """Yields each window."""
        rate = self.frontend.sample_rate
        length, hop = round(self.frontend.seconds * rate), round(self.hop * rate)
        kept, first, begin = torch.empty(0), 0, 0  # kept[0] is sample `first`; the next window begins at `begin`
        for part in self._resampled():
            kept = torch.cat((kept, part))
            while begin + length <= first + len(kept):
                yield self._window(begin, kept[begin - first :][:length])
                begin += hop
            drop = max(0, min(begin - first, len(kept) - length))  # the last window may need the last `length`
            kept, first = kept[drop:], first + drop
        if first + len(kept) < length:
            whole = len(kept) >= self.frontend.min_samples
            yield Clip(0.0, self.seconds, self.fitted(kept, 0.0, math.inf) if whole else None)
        elif begin - hop + length < first + len(kept):
            yield self._window(first + len(kept) - length, kept[-length:])

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said of every part, or of how many, and whether the recording had to be repeated."""
        said = []
        for notice, count in self._heard.items():
            said.append(notice if count == self._parts else f"{notice} (in {count} of {self._parts} parts)")
        heard = self.frontend.seconds
        if self.seconds < heard:
            said.append(f"repeated: the recording of {self.seconds:.3g} s fills the {heard:g} s of a window")
        return tuple(said)

    def _window(self, begin: int, wave: Tensor) -> Clip:
        start = begin / self.frontend.sample_rate
        return Clip(start, min(start + self.frontend.seconds, self.seconds), wave)

    def _resampled(self) -> Iterator[Tensor]:
        """Yields the recording in parts which together are what resampling the whole gives.

        A whole second has a whole number of samples at either rate, so parts fit together without a seam.
        """
        target = self.frontend.sample_rate
        for second in range(0, math.ceil(self.seconds), BLOCK):
            start = max(0, second - MARGIN)
            part = load_recording(
                self.path,
                sample_rate=target,
                resampler=self.frontend.resampler,
                start=start,
                stop=second + BLOCK + MARGIN,
                fades=False,
            )
            self._parts += 1
            self._heard.update(part.notices)
            yield part.samples[(second - start) * target :][: BLOCK * target]
