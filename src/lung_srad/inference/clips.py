"""The stretches of a recording that a model hears: windows over all of it, or given cycles."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lung_srad.audio import AudioFrontend, cut_cycle, fade, resample
from lung_srad.audio.cycles import FADE_SHARE
from lung_srad.datasets.checks import outside
from lung_srad.errors import ConfigError, DataError, message

_SHORTEST_HOP = 0.01  # seconds


@dataclass(frozen=True, eq=False, slots=True)
class Clip:
    """One stretch, from ``start`` to ``end`` seconds; ``wave`` (samples,) is None where it is too short to hear."""

    start: float
    end: float
    wave: Tensor | None


class Windows:
    """Windows of the front end's length, every ``hop`` seconds, the last one flush with the end; nothing is faded.

    They are cut from a wave that arrives in pieces, at the front end's rate, and of which one window is held. A
    recording that is shorter is one window, repeated as in training.

    Raises:
        ConfigError: a hop that is no number of seconds, or one that leaves gaps between the windows.
    """

    kind = "windows"

    def __init__(self, frontend: AudioFrontend, hop: float) -> None:
        if not _SHORTEST_HOP <= hop <= frontend.seconds:
            allowed = f"{_SHORTEST_HOP:g} to {frontend.seconds:g} s, the length of a window"
            raise ConfigError(message("hop", f"{hop} s", allowed, "the default is 2 s"))
        self._frontend = frontend
        self._length, self._hop = (round(each * frontend.sample_rate) for each in (frontend.seconds, hop))
        # _kept[0] is sample _first of the wave; the next window begins at sample _begin
        self._kept, self._first, self._begin = torch.empty(0), 0, 0

    def push(self, wave: Tensor) -> list[Clip]:
        """Returns the windows that end in this piece of the wave."""
        self._kept = torch.cat((self._kept, wave))
        found = []
        while self._begin + self._length <= self._first + len(self._kept):
            found.append(self._window(self._begin, math.inf))
            self._begin += self._hop
        drop = max(0, min(self._begin - self._first, len(self._kept) - self._length))  # the last may need the last
        self._kept, self._first = self._kept[drop:].clone() if drop else self._kept, self._first + drop
        return found

    def close(self, seconds: float) -> list[Clip]:
        """Returns the window that ends with the recording, unless it was returned before."""
        last = self._first + len(self._kept) - self._length
        if last < 0:
            whole = len(self._kept) >= self._frontend.min_samples
            wave = fitted(self._frontend, self._kept, 0.0, math.inf) if whole else None
            return [Clip(0.0, seconds, wave)]
        return [self._window(last, seconds)] if self._begin - self._hop < last else []

    def notices(self, seconds: float) -> tuple[str, ...]:
        """Returns whether the recording had to be repeated."""
        heard = self._frontend.seconds
        if seconds >= heard:
            return ()
        return (f"repeated: the recording of {seconds:.3g} s fills the {heard:g} s of a window",)

    def _window(self, begin: int, seconds: float) -> Clip:
        start = begin / self._frontend.sample_rate
        wave = self._kept[begin - self._first :][: self._length]
        return Clip(start, min(start + self._frontend.seconds, seconds), wave)


class Cycles:
    """Given cycles, exactly as in training: the recording is faded at its two ends, each cycle cut or repeated."""

    kind = "cycles"

    def __init__(self, frontend: AudioFrontend, spans: Sequence[tuple[float, float]]) -> None:
        self._frontend, self.spans = frontend, spans

    def cut(self, wave: Tensor, rate: int, where: str) -> Iterator[Clip]:
        """Yields each cycle of a whole recording at its own rate; what is longer than the front end hears is cut.

        Shape:
            wave: (n,)

        Raises:
            DataError: a cycle lies outside the recording.
        """
        front, seconds = self._frontend, len(wave) / rate
        for number, (start, end) in enumerate(self.spans, start=1):
            if outside(start, end, seconds):
                allowed = f"the recording has {seconds:.3f} s"
                raise DataError(message(where, f"cycle {number}, {start:g}-{end:g} s", allowed, "correct its times"))
        heard = resample(wave, rate, front.sample_rate, method=front.resampler)
        heard = fade(heard, front.sample_rate // FADE_SHARE)
        for start, end in self.spans:
            yield Clip(start, min(end, seconds), fitted(front, heard, start, end, where=where))

    def notices(self, seconds: float) -> tuple[str, ...]:
        """Returns how many cycles are longer than what is heard of them."""
        heard, number = self._frontend.seconds, len(self.spans)
        long = sum(min(end, seconds) - start > heard for start, end in self.spans)
        cut = f"cut: {long} of {number} cycles are longer than {heard:g} s; the first {heard:g} s are heard"
        return (cut,) if long else ()


def fitted(front: AudioFrontend, wave: Tensor, start: float, end: float, *, where: object = "wave") -> Tensor:
    """Returns a part of a wave, cut or repeated to the front end's length as in training.

    Shape:
        (n,) -> (seconds * sample_rate,)
    """
    return cut_cycle(wave, start, end, seconds=front.seconds, sample_rate=front.sample_rate, where=where)
