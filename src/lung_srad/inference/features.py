"""What the network makes of a recording before it answers: a feature vector of each window."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lung_srad.audio import StreamResampler, is_silent
from lung_srad.errors import RunError, message
from lung_srad.files import replacing
from lung_srad.inference.clips import Clip, Windows
from lung_srad.inference.listening import mono
from lung_srad.inference.model import Model
from lung_srad.inference.sources import Recorded, open_sound, require_length

BATCH = 8


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Feature vectors of windows, a row each; a window that is silent or too short has none.

    Attributes:
        ids: "recording@start-end", in seconds.
        vectors: (n, width), float32.
        model: hash of the weights.
    """

    ids: tuple[str, ...]
    vectors: np.ndarray
    model: str

    def save(self, path: str | Path) -> None:
        """Writes ``ids``, ``embeddings`` and ``model`` as an .npz file, in one step; nothing in it is pickled.

        Raises:
            RunError: it cannot be written.
        """
        try:
            with replacing(Path(path)) as file:
                np.savez(file, ids=np.array(self.ids, np.str_), embeddings=self.vectors, model=np.array(self.model))
        except OSError as error:
            seen = f"cannot be written ({error.strerror or error})"
            raise RunError(message(path, seen, "a file in a folder with room", "choose another path")) from error


def embed(model: Model, recordings: Iterable[Recorded], *, rate: int | None = None, hop: float = 2.0) -> Embeddings:
    """Returns the feature vectors of the windows that :meth:`Model.classify` hears, before the head.

    Raises:
        AudioError: a recording cannot be used.
        ConfigError: a hop or a rate that cannot be.
    """
    ids: list[str] = []
    rows: list[np.ndarray] = [np.empty((0, model.net.backbone.width), np.float32)]
    for recording in recordings:
        for clips in _batches(windows(model, recording, rate=rate, hop=hop), BATCH):
            heard, vectors = vectors_of(model, [clip.wave for clip in clips])
            name = str(recording) if isinstance(recording, str | Path) else "array"
            ids += [f"{name}@{clips[index].start:.3f}-{clips[index].end:.3f}" for index in heard]
            rows.append(vectors)
    return Embeddings(tuple(ids), np.concatenate(rows), model.sha256)


def windows(model: Model, recording: Recorded, *, rate: int | None = None, hop: float = 2.0) -> Iterator[Clip]:
    """Yields the windows of a recording, as :meth:`Model.classify` hears them."""
    front = model.frontend
    with open_sound(recording, rate) as sound:
        require_length(sound)
        resampler, cutter = StreamResampler(sound.rate, front.sample_rate, method=front.resampler), Windows(front, hop)
        samples = 0
        for block in sound.blocks:
            samples += len(block)
            yield from cutter.push(resampler.push(mono(block)))
        yield from cutter.push(resampler.close())
        yield from cutter.close(samples / sound.rate)


def vectors_of(model: Model, waves: Sequence[Tensor | None]) -> tuple[list[int], np.ndarray]:
    """Returns which waves have something to hear in them, and the feature vectors of those: (n, width)."""
    front, heard, spectrograms = model.frontend, [], []
    with torch.inference_mode():
        for index, wave in enumerate(waves):
            spectrogram = None if wave is None else front.spectrogram(wave)
            if spectrogram is not None and not is_silent(spectrogram):
                heard.append(index)
                spectrograms.append(front.normalize(spectrogram))
        if not heard:
            return [], np.empty((0, model.net.backbone.width), np.float32)
        return heard, model.net.backbone(front.shape(torch.stack(spectrograms))).float().numpy()


def _batches(clips: Iterable[Clip], size: int) -> Iterator[list[Clip]]:
    source = iter(clips)
    while batch := list(islice(source, size)):
        yield batch
