"""A file, an array, chunks and a microphone: the same answers."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from lung_srad.audio import open_recording
from lung_srad.errors import AudioError, ConfigError
from lung_srad.inference import Classification, Model

Record = Callable[..., Path]


def require_same(a: Classification, b: Classification) -> None:
    first, second = ([(s.start, s.end, s.label, s.code) for s in each.segments] for each in (a, b))
    assert first == second
    for one, other in zip(a.segments, b.segments, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    assert (a.seconds, a.rate, a.kind, a.notices) == (b.seconds, b.rate, b.kind, b.notices)
    assert a.quality.findings == b.quality.findings
    assert a.quality.measures == pytest.approx(b.quality.measures, abs=1e-5)
    assert [(e.start, e.end, e.label) for e in a.events] == [(e.start, e.end, e.label) for e in b.events]


@pytest.mark.parametrize(("rate", "channels", "seconds"), [(4000, 1, 40.3), (44_100, 2, 13.0), (16_000, 1, 3.0)])
def test_every_way_to_hear_a_recording_gives_the_same(model: Model, record: Record, rate, channels, seconds) -> None:
    path = record(rate=rate, channels=channels, seconds=seconds)
    samples, _ = soundfile.read(path, dtype="float32")
    whole = model.classify(path)
    require_same(whole, model.classify(samples, rate=rate))
    require_same(whole, model.classify(torch.from_numpy(samples), rate=rate, batch_size=32))
    require_same(whole, model.classify(io.BytesIO(path.read_bytes()), batch_size=1))
    require_same(whole, model.classify(np.array_split(samples, 7), rate=rate))
    with path.open("rb") as file:
        require_same(whole, model.classify(file))
    require_same(whole, model.classify(partial(open_recording, path)))
    listener, heard = model.listen(rate), []
    for chunk in np.array_split(samples, 50):
        heard += listener.push(chunk)
    found = listener.close()
    require_same(whole, found)
    assert heard == list(found.segments[: len(heard)])
    assert len(found.segments) - len(heard) <= 2  # the last one, and one that the resampler held back


def test_whole_numbers_are_pcm(model: Model, record: Record) -> None:
    path = record(seconds=9)
    samples, rate = soundfile.read(path, dtype="int16")
    require_same(model.classify(path), model.classify(samples, rate=rate))


def test_cycles_of_an_array_are_those_of_the_file(model: Model, record: Record) -> None:
    path, pairs = record(rate=8000), [(0.5, 2.25), (2.25, 9.5)]
    samples, rate = soundfile.read(path, dtype="float32")
    require_same(model.classify(path, cycles=pairs), model.classify(samples, rate=rate, cycles=pairs))


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (np.zeros((2, 9)), r"shape \(2, 9\) of float64; \(samples,\)"),
        (np.zeros((2, 2, 2)), "shape"),
        (np.zeros(3, dtype=complex), "complex"),
        (["a"], "samples of list"),
        (np.array([0.0, np.nan]), "sample 11 is nan"),
    ],
)
def test_a_chunk_that_cannot_be(model: Model, chunk, words: str) -> None:
    listener = model.listen(4000)
    assert listener.push(np.full(10, 0.1)) == ()
    with pytest.raises(AudioError, match=f"^the stream: .*{words}"):
        listener.push(chunk)


def test_a_listener_that_cannot_be(model: Model) -> None:
    for rate in (0, 999, 4000.5, 400_000):
        with pytest.raises(AudioError, match="the stream"):
            model.listen(rate)
    listener = model.listen(4000)
    assert listener.push([]) == ()
    with pytest.raises(AudioError, match="zero samples"):
        listener.close()
    listener.push([0.1, 0.2])
    with pytest.raises(AudioError, match="2 channels; 1, as before"):
        listener.push(np.zeros((4, 2)))
    listener.close()
    for call in (lambda: listener.push([0.1]), listener.close):
        with pytest.raises(ConfigError, match="is closed"):
            call()


def test_a_rate_belongs_to_samples_alone(model: Model, record: Record) -> None:
    with pytest.raises(ConfigError, match="rate: 4000; none for a file"):
        model.classify(record(), rate=4000)
    with pytest.raises(ConfigError, match="rate: 4000; none for a file"):
        model.classify(partial(open_recording, record()), rate=4000)
    with pytest.raises(ConfigError, match="rate: none; that of the samples"):
        model.classify(np.zeros(100))
    for empty in (np.zeros(0), []):
        with pytest.raises(AudioError, match="zero samples"):
            model.classify(empty, rate=4000)


def test_a_file_of_more_than_a_day_is_refused_before_it_is_decoded(model: Model, record: Record, monkeypatch) -> None:
    monkeypatch.setattr("lung_srad.inference.sources.MAX_HOURS", 9 / 3600)
    with pytest.raises(AudioError, match=r"0.0 hours; allowed: up to .* hours; split it"):
        model.classify(record(seconds=9.5))
