"""A model in a file that onnxruntime runs."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lung_srad.errors import AudioError, ConfigError, ShapeError, WeightsError, message, optional_import
from lung_srad.portable.sound import fade, finite, fitted, read_sound, resample

_TEXTS = ("name", "system", "sha256", "notice", "input", "resampler")
_NUMBERS = ("class_names", "normal_index", "seconds", "sample_rate", "synthetic", "min_samples", "format_version")
FORMAT_VERSION = 1
_TOLERANCE = 1e-3  # seconds that a cycle may end after its recording

Part = tuple[float, float, np.ndarray | None]
"""From and to which second, and the wave that is heard of it; None where it is too short."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One window or cycle: its probabilities and likeliest class; empty and None where ``code`` says why not."""

    start: float
    end: float
    probabilities: tuple[float, ...] = ()
    label: str | None = None
    code: str = ""


def load_onnx(path: str | Path, *, threads: int | None = None) -> "OnnxModel":
    """Returns the model in a graph that ``lung-srad export`` wrote; torch is neither needed nor imported.

    The file is read as it is: a graph that points to other files is refused.

    Args:
        threads: of the CPU; by default onnxruntime's choice.

    Raises:
        WeightsError: the file cannot be read, or is not a graph of ours.
        MissingExtraError: onnxruntime is not installed.
    """
    runtime = optional_import("onnxruntime", "onnx")
    settings = runtime.SessionOptions()
    if threads is not None:
        settings.intra_op_num_threads = threads
    try:
        content = Path(path).read_bytes()
        session = runtime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
        given = session.get_modelmeta().custom_metadata_map
        facts = {key: given[key] for key in _TEXTS} | {key: json.loads(given[key]) for key in _NUMBERS}
    except Exception as error:  # each version of the runtime has errors of its own
        seen = f"not a graph of ours ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        raise WeightsError(message(path, seen, "a file that lung-srad export wrote", "export it again")) from error
    if facts["format_version"] != FORMAT_VERSION or facts["input"] != "wave":
        seen = f"format {facts['format_version']}, from {facts['input']}"
        allowed = f"format {FORMAT_VERSION}, from wave"
        raise WeightsError(message(path, seen, allowed, "export it again with this version, with --input wave"))
    return OnnxModel(session, facts)


@dataclass(frozen=True, eq=False, repr=False)
class OnnxModel:
    """A graph from waves to probabilities; :func:`load_onnx` makes one.

    Attributes:
        session: of onnxruntime.
        facts: what the file says of itself: classes, rate, seconds, the hash of its weights, its notice.
    """

    session: Any
    facts: dict[str, Any]

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the probabilities are of, in order."""
        return tuple(self.facts["class_names"])

    @property
    def samples(self) -> int:
        """The length of the waves that the graph takes."""
        return round(self.facts["seconds"] * self.facts["sample_rate"])

    def probabilities(self, waves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the probabilities of waves at the model's rate, and which waves are silent and have no answer.

        Shape:
            (B, samples) -> (B, classes), (B,)

        Raises:
            ShapeError: waves of another length.
            WeightsError: an answer that is not finite.
        """
        waves = np.asarray(waves, np.float32)
        if waves.ndim != 2 or waves.shape[1] != self.samples:
            allowed = f"needs (B, {self.samples}): {self.facts['seconds']:g} s at {self.facts['sample_rate']} Hz"
            raise ShapeError(message("waves", f"shape {waves.shape}", allowed, "classify cuts a recording itself"))
        found, silent = self.session.run(["probabilities", "silent"], {"wave": waves})
        if not np.isfinite(found).all():
            raise WeightsError(message("graph", "an answer that is not finite", "finite numbers", "export it again"))
        return found, silent

    def classify(
        self,
        recording: str | Path | np.ndarray,
        *,
        rate: int | None = None,
        cycles: Iterable[tuple[float, float]] | None = None,
        hop: float = 2.0,
        batch_size: int = 8,
    ) -> tuple[Answer, ...]:
        """Returns the answer for every window of a recording, or for given cycles, as ``lung_srad.load`` gives them.

        The recording is held whole.

        Args:
            recording: a file, or with ``rate`` an array (samples,).
            cycles: pairs of seconds.

        Raises:
            AudioError: the recording cannot be used, or a cycle lies outside it.
            ConfigError: a hop, rate or batch size that cannot be.
        """
        if not 0.01 <= hop <= self.facts["seconds"] or batch_size < 1:
            seen, allowed = f"{hop} s, batches of {batch_size}", f"0.01 to {self.facts['seconds']:g} s, 1 or more"
            raise ConfigError(message("hop and batch_size", seen, allowed, "the defaults are 2 s and 8"))
        wave, own, seconds = self._wave(recording, rate)
        spans = self._windows(wave, hop, seconds) if cycles is None else self._cycles(wave, own, cycles, seconds)
        return tuple(answer for batch in _batches(spans, batch_size) for answer in self._answers(batch))

    def _wave(self, recording: str | Path | np.ndarray, rate: int | None) -> tuple[np.ndarray, str, float]:
        """Returns a recording at the model's rate, what messages call it, and its length in seconds."""
        if isinstance(recording, np.ndarray) != (rate is not None) or (
            rate is not None and not 1000 <= rate <= 384_000
        ):
            allowed = "1,000 to 384,000 Hz with an array, none with a file, which says its own"
            raise ConfigError(message("rate", str(rate), allowed, "give an array and its rate, or a path"))
        if isinstance(recording, np.ndarray):
            wave, where = finite("array", recording), "array"
        else:
            (wave, rate), where = read_sound(recording), str(recording)
        own = resample(wave, int(rate), self.facts["sample_rate"], self.facts["resampler"])
        return own, where, len(wave) / int(rate)

    def _windows(self, wave: np.ndarray, hop: float, seconds: float) -> Iterator[Part]:
        rate, length = self.facts["sample_rate"], self.samples
        step = round(hop * rate)
        if len(wave) < length:
            yield 0.0, seconds, self._fitted(wave)
            return
        starts = list(range(0, len(wave) - length + 1, step))
        if starts[-1] + length < len(wave):
            starts.append(len(wave) - length)  # the last one is flush with the end
        for start in starts:
            end = min(start / rate + self.facts["seconds"], seconds)
            yield start / rate, end, wave[start : start + length]

    def _cycles(
        self, wave: np.ndarray, where: str, cycles: Iterable[tuple[float, float]], seconds: float
    ) -> Iterator[Part]:
        rate = self.facts["sample_rate"]
        faded = fade(wave, rate)
        for start, end in cycles:
            first, last = int(max(start, 0) * rate), int(min(end, seconds) * rate)
            inside = 0 <= start < end and (end <= seconds + _TOLERANCE or end == math.inf)
            if not inside or first >= min(last, len(faded)):
                seen, allowed = f"the cycle from {start} to {end} s", f"allowed: a part of 0 to {seconds:.3f} s"
                raise AudioError(message(where, seen, allowed, "correct its times"))
            yield start, min(end, seconds), self._fitted(faded[first:last])

    def _fitted(self, wave: np.ndarray) -> np.ndarray | None:
        return fitted(wave, self.samples, self.facts["sample_rate"]) if len(wave) >= self.facts["min_samples"] else None

    def _answers(self, batch: Sequence[Part]) -> Iterator[Answer]:
        heard = [wave for *_, wave in batch if wave is not None]
        rows = zip(*self.probabilities(np.stack(heard)), strict=True) if heard else iter(())
        for start, end, wave in batch:
            probabilities, silent = (None, False) if wave is None else next(rows)
            if probabilities is None or silent:
                yield Answer(start, end, code="short" if probabilities is None else "silence")
            else:
                row = tuple(map(float, probabilities))
                yield Answer(start, end, row, self.class_names[row.index(max(row))])

    def __repr__(self) -> str:
        return f"<OnnxModel {self.facts['name']!r}: {', '.join(self.class_names)}; {self.facts['notice']}>"


def _batches(spans: Iterable[Part], size: int) -> Iterator[list[Part]]:
    source = iter(spans)
    while batch := list(islice(source, size)):
        yield batch
