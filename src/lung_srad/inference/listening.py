"""One path from sound to answers: a file, an array and a microphone are heard alike, whatever the size of chunks."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lung_srad.audio import StreamResampler
from lung_srad.audio.decode import require_memory
from lung_srad.errors import AudioError, ConfigError, message
from lung_srad.inference.clips import Clip, Cycles, Windows
from lung_srad.inference.quality import Meter, Quality
from lung_srad.inference.results import Classification, Segment
from lung_srad.inference.sources import Samples, Sound, as_block, rate_notices, require_rate

if TYPE_CHECKING:
    from lung_srad.inference.model import Model

_WATCHED = 16  # seconds of sound between two looks at whether the answer is still wanted


class Listener:
    """Sound in chunks of any size in, answers out as soon as there are some; made by :meth:`Model.listen`.

    ::

        listener = model.listen(rate=4000)
        for chunk in microphone:
            for segment in listener.push(chunk):
                print(segment)
        found = listener.close()

    Args:
        model: what answers.
        rate: of the chunks, in hertz.
        hop: seconds from one window to the next.
        batch_size: how many windows go through the network at once; with more than one, answers wait for each other.
        where: what messages call the sound.
        notices: what is known of the recording beforehand; without it, what its rate says.

    Raises:
        AudioError: a rate outside 1-384 kHz.
        ConfigError: a hop or a batch size that cannot be.
    """

    def __init__(
        self,
        model: "Model",
        rate: int,
        *,
        hop: float = 2.0,
        batch_size: int = 1,
        where: str = "the stream",
        notices: tuple[str, ...] | None = None,
    ) -> None:
        require_rate(where, rate)
        require_batch_size(batch_size)
        front = model.frontend
        self._model, self._rate, self._where, self._batch_size = model, int(rate), where, batch_size
        self._meter = Meter(self._rate, front.sample_rate)
        self._resampler = StreamResampler(self._rate, front.sample_rate, method=front.resampler)
        self._windows = Windows(front, hop)
        self._facts = {"hop": hop}
        self._notices = rate_notices(self._rate) if notices is None else notices
        self._channels, self._samples, self._closed = 0, 0, False
        self._waiting: list[Clip] = []
        self._segments: list[Segment] = []

    def push(self, chunk: Samples) -> tuple[Segment, ...]:
        """Returns the answers for the windows that this chunk completes; resampling may hold them back for a second.

        Args:
            chunk: (samples,) or (samples, channels), from -1 to 1, or whole numbers of PCM; as many as there are.

        Raises:
            AudioError: a chunk of another shape, or a sample that is not finite.
            ConfigError: the listener is closed.
        """
        self._require_open()
        block = as_block(chunk, where=self._where, place=self._samples)
        if not len(block):
            return ()
        if self._channels not in (0, block.shape[1]):
            seen, allowed = f"{block.shape[1]} channels", f"{self._channels}, as before"
            raise AudioError(message(self._where, seen, allowed, "start another listener"))
        self._channels = block.shape[1]
        self._samples += len(block)
        self._meter.hear_raw(block)
        return self._hear(self._resampler.push(mono(block)))

    def close(self) -> Classification:
        """Returns everything, the window that ends with the sound included.

        Raises:
            AudioError: nothing was heard.
            ConfigError: the listener is closed.
        """
        self._require_open()
        if not self._samples:
            raise AudioError(message(self._where, "zero samples", "one sample or more", "push some"))
        self._closed = True
        seconds = self._samples / self._rate
        self._hear(self._resampler.close())
        self._waiting += self._windows.close(seconds)
        self._answer(1)
        said = (*self._notices, *mixed_down(self._channels), *self._windows.notices(seconds))
        sound = Sound(self._where, self._rate, seconds, said, iter(()))
        return _classification(self._model, sound, Windows.kind, self._segments, self._meter.close(), self._facts)

    def _hear(self, wave: Tensor) -> tuple[Segment, ...]:
        self._meter.hear(wave)
        self._waiting += self._windows.push(wave)
        return self._answer(self._batch_size)

    def _answer(self, least: int) -> tuple[Segment, ...]:
        """Returns the answers for what is waiting, in batches, while there are ``least`` or more."""
        new: list[Segment] = []
        while len(self._waiting) >= max(1, least):
            batch, self._waiting = self._waiting[: self._batch_size], self._waiting[self._batch_size :]
            with torch.inference_mode():
                new += self._model.answers(batch)
        self._segments += new
        return tuple(new)

    def _require_open(self) -> None:
        if self._closed:
            raise ConfigError(message(self._where, "is closed", "an open listener", "make another: model.listen()"))


def hear_windows(
    model: "Model",
    sound: Sound,
    *,
    hop: float,
    batch_size: int,
    watch: Callable[[float, float], None] | None = None,
) -> Classification:
    """Returns the answers for the windows of a recording.

    Args:
        watch: told after every few seconds of sound how many seconds were heard, and of how many; what it raises
            ends the hearing.

    Raises:
        AudioError: the recording cannot be used.
        ConfigError: a hop or a batch size that cannot be.
    """
    listener = Listener(model, sound.rate, hop=hop, batch_size=batch_size, where=sound.name, notices=sound.notices)
    heard = 0
    for block in sound.blocks:
        for piece in (block,) if watch is None else block.split(_WATCHED * sound.rate):
            listener.push(piece)
            heard += len(piece)
            if watch is not None:
                watch(heard / sound.rate, sound.seconds)
    return listener.close()


def hear_cycles(model: "Model", sound: Sound, cycles: Cycles, batch_size: int) -> Classification:
    """Returns the answers for given cycles; the recording is held whole, as the published pipeline fades its ends.

    Raises:
        AudioError: the recording cannot be used, or is too long to be held.
        DataError: a cycle lies outside the recording.
    """
    require_batch_size(batch_size)
    front, meter, parts, samples, channels = model.frontend, Meter(sound.rate, model.frontend.sample_rate), [], 0, 1
    most = max(1.0, front.sample_rate / sound.rate)
    if sound.seconds < float("inf"):
        require_memory(sound.name, int(sound.seconds * sound.rate * most))
    resampler = StreamResampler(sound.rate, front.sample_rate, method=front.resampler)
    for block in sound.blocks:
        samples, channels = samples + len(block), block.shape[1]
        require_memory(sound.name, int(samples * most))
        meter.hear_raw(block)
        parts.append(mono(block))
        meter.hear(resampler.push(parts[-1]))
    meter.hear(resampler.close())
    wave = torch.cat(parts) if parts else torch.empty(0)
    seconds = len(wave) / sound.rate
    clips = iter(cycles.cut(wave, sound.rate, sound.name))
    segments: list[Segment] = []
    with torch.inference_mode():
        while batch := list(islice(clips, batch_size)):
            segments += model.answers(batch)
    said = (*sound.notices, *mixed_down(channels), *cycles.notices(seconds))
    whole = Sound(sound.name, sound.rate, seconds, said, iter(()))
    return _classification(model, whole, Cycles.kind, segments, meter.close(), {})


def _classification(
    model: "Model",
    sound: Sound,
    kind: str,
    segments: Sequence[Segment],
    quality: Quality,
    facts: Mapping[str, Any],
) -> Classification:
    return Classification(
        path=sound.name,
        seconds=sound.seconds,
        rate=sound.rate,
        kind=kind,
        class_names=model.class_names,
        segments=tuple(segments),
        notices=sound.notices,
        model=model.facts() | facts,
        quality=quality,
    )


def require_batch_size(size: int) -> None:
    """Returns nothing; refuses a batch of nothing."""
    if size < 1:
        raise ConfigError(message("batch_size", str(size), "1 or more", "the default is 8"))


def mono(block: Tensor) -> Tensor:
    """Returns the mean over channels: (n, channels) -> (n,)."""
    return block.mean(1) if block.shape[1] > 1 else block[:, 0]


def mixed_down(channels: int) -> tuple[str, ...]:
    """Returns the notice of a mix, if there was one."""
    return (f"mixed_down: the mean of {channels} channels",) if channels > 1 else ()
