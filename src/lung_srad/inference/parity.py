"""Whether an ONNX file computes what the model computes: both on the same inputs, every difference listed."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lung_srad.audio import is_silent
from lung_srad.errors import ConfigError, WeightsError, message, optional_import
from lung_srad.inference.model import Model

ALLOWED = {"features": 1e-4, "wave": 1e-3}  # the largest difference of a logit, by what goes in
MARGIN = 2e-3  # of two logits between which the answer may turn
BATCHES = (1, 3, 8)  # sizes that take turns: the batch of the graph is free


@dataclass(frozen=True)
class Turned:
    """One input whose answer differs.

    Attributes:
        number: of the input, from 0.
        kind: what the input is.
        labels: the model's answer, and the file's.
        margin: between the model's two greatest logits.
    """

    number: int
    kind: str
    labels: tuple[str, str]
    margin: float


@dataclass(frozen=True)
class Comparison:
    """From one kind of input to logits.

    Attributes:
        given: what goes in, "wave" or "features".
        inputs: how many were compared; ``silent`` of them have no answer on either side.
        difference: the largest one of a logit.
        allowed: what it may be.
        turned: every input whose answer differs.
        silence_differs: inputs that only one of the two calls silent.
    """

    given: str
    inputs: int
    silent: int
    difference: float
    allowed: float
    turned: tuple[Turned, ...]
    silence_differs: int

    @property
    def ok(self) -> bool:
        """Whether nothing lies outside of what is allowed."""
        margins = all(each.margin <= MARGIN for each in self.turned)
        return self.difference <= self.allowed and margins and not self.silence_differs

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "FAILED"
        first = f"{self.given} to logits: {verdict}; {self.inputs} inputs, {self.silent} silent"
        difference = f"largest difference {self.difference:.2e} (allowed {self.allowed:.0e})"
        lines = [f"{first}; {difference}; {len(self.turned)} labels differ"]
        if self.silence_differs:
            lines.append(f"  {self.silence_differs} inputs are silent on one side alone")
        lines += [
            f"  input {each.number} ({each.kind}): {each.labels[0]} became {each.labels[1]}, margin {each.margin:.2e} "
            f"(allowed {MARGIN:.0e})"
            for each in self.turned
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Parity:
    """All comparisons of one file."""

    comparisons: tuple[Comparison, ...]

    @property
    def ok(self) -> bool:
        """Whether every comparison is."""
        return all(each.ok for each in self.comparisons)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        return {"ok": self.ok, "comparisons": [{**asdict(each), "ok": each.ok} for each in self.comparisons]}

    def __str__(self) -> str:
        return "\n".join(map(str, self.comparisons))


def check_onnx(model: Model, path: str | Path, *, inputs: int = 1000, seed: int = 0) -> Parity:
    """Returns how an ONNX file of ours compares with the model, on as many inputs that are made here.

    A graph that takes waves is compared as a whole, and from its features on.

    Raises:
        WeightsError: the file cannot be read, or is not a graph of ours.
        ConfigError: no input.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        seen = f"cannot be read ({error.strerror or error})"
        raise WeightsError(message(path, seen, "an ONNX file that export wrote", "check the path")) from error
    return compare(model, content, inputs=inputs, seed=seed, where=path)


def compare(model: Model, content: bytes, *, inputs: int, seed: int = 0, where: object = "graph") -> Parity:
    """Returns the comparison of a graph in memory; ``where`` names it in an error. Raises as :func:`check_onnx`."""
    if inputs < 1:
        raise ConfigError(message("check", f"{inputs} inputs", "1 or more", "1,000 for a small model, 50 for a large"))
    onnx = optional_import("onnx", "onnx")
    try:
        graph = onnx.load_model_from_string(content)
        facts = {each.key: each.value for each in graph.metadata_props}
        sessions = {facts["input"]: _session(content)}
        if facts["input"] == "wave":
            part = onnx.utils.Extractor(graph).extract_model(["features"], ["logits"])
            sessions["features"] = _session(part.SerializeToString())
    except Exception as error:  # each version of these libraries has errors of its own
        if isinstance(error, ImportError):
            raise
        seen = f"is not a graph of ours ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        raise WeightsError(message(where, seen, "an ONNX file that export wrote", "export it again")) from error
    found = tuple(_comparison(model, given, session, inputs, seed) for given, session in sessions.items())
    return Parity(found)


def _session(content: bytes) -> Any:
    runtime = optional_import("onnxruntime", "onnx")
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    return runtime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])


def _comparison(model: Model, given: str, session: Any, inputs: int, seed: int) -> Comparison:
    turned, difference, silent, differs, done = [], 0.0, 0, 0, 0
    asked = ["logits", "silent"] if given == "wave" else ["logits"]
    for kinds, waves in _batches(model, inputs, seed):
        with torch.inference_mode():
            wave = torch.from_numpy(waves)
            quiet = is_silent(model.frontend.spectrogram(wave)).numpy()
            features = model.frontend(wave)
            own = model.net(features).numpy()
        logits, *flags = session.run(asked, {given: waves if given == "wave" else features.numpy()})
        differs += int((flags[0] != quiet).sum()) if flags else 0
        silent += int(quiet.sum())
        for index in np.flatnonzero(~quiet):
            gap = np.abs(logits[index] - own[index]).max()
            difference = max(difference, float(gap) if np.isfinite(gap) else np.inf)
            answers = own[index].argmax(), logits[index].argmax()
            if answers[0] != answers[1]:
                first, second = (model.class_names[answer] for answer in answers)
                top = np.sort(own[index])[-2:]
                turned.append(Turned(done + int(index), kinds[index], (first, second), float(top[1] - top[0])))
        done += len(waves)
    return Comparison(given, done, silent, difference, ALLOWED[given], tuple(turned), differs)


def _batches(model: Model, inputs: int, seed: int) -> Iterator[tuple[Sequence[str], np.ndarray]]:
    front = model.frontend
    source = made_waves(round(front.seconds * front.sample_rate), front.sample_rate, seed)
    left = inputs
    for size in cycle(BATCHES):
        if left < 1:
            return
        kinds, waves = zip(*islice(source, min(size, left)), strict=True)
        left -= len(waves)
        yield kinds, np.stack(waves)


def made_waves(samples: int, rate: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yields, without end, kinds of waves in turn and a wave of each: (samples,), drawn anew every time."""
    draw, time = np.random.default_rng(seed), np.arange(samples) / rate
    while True:
        noise = draw.standard_normal(samples)
        breath = noise * (0.1 + np.abs(np.sin(np.pi * time / draw.uniform(1, 3)))) * 10 ** draw.uniform(-3, -0.5)
        low = np.convolve(breath, np.hanning(32) / 16, "same")  # nothing above 1 kHz, as from a stethoscope
        tone = np.sin(2 * np.pi * draw.uniform(100, 1000) * time) * (time % 2 > draw.uniform(0.5, 1.5))
        clicks = np.convolve((draw.random(samples) < 20 / rate).astype(float), -np.diff(np.hanning(60)), "same")
        kinds = {
            "noise": breath,
            "low noise": low,
            "whistle": low + 0.1 * tone,
            "clicks": low + clicks,
            "hum": 1e-3 * noise + 0.3 * np.sin(2 * np.pi * 50 * time),
            "offset": low + draw.uniform(-0.5, 0.5),
            "clipped": np.clip(20 * breath, -1, 1),
            "faint": 1e-5 * noise,
            "half digital silence": np.where(time < time[-1] / 2, 0, low),
            "sweep": 0.1 * np.sin(2 * np.pi * (20 + 200 * time) * time),
            "silence": np.full(samples, draw.choice([0.0, 0.25])),
        }
        for kind, wave in kinds.items():
            yield kind, wave.astype(np.float32)
