"""The cache: the same bits as without it, a miss on every change, and never a broken file."""

import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import numpy as np
import pytest
import soundfile
import torch

from lung_srad.audio import Frontend, load_cycle
from lung_srad.datasets import ICBHI, FeatureCache
from lung_srad.errors import AudioError, DataError

SECONDS = 1.0


class CountingFrontend:
    """A cheap front end that counts its calls; ``key`` is anything that could change its output."""

    sample_rate, seconds, resampler = 4000, SECONDS, "sinc"

    def __init__(self, **key):
        self.key = key
        self.calls = 0

    def spectrogram(self, wave):
        self.calls += 1
        return wave.reshape(-1, 8) * 1.0

    def cache_key(self):
        return self.key


@pytest.fixture
def cycles(corpus):
    return ICBHI(corpus).cycles()


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_features_are_the_spectrogram_of_the_published_pipeline(cycles, tmp_path):
    frontend = Frontend(seconds=SECONDS)
    cache = FeatureCache(tmp_path / "cache", frontend)
    assert cache.prepare(cycles) == ()
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 4  # one per recording
    for cycle in cycles:
        wave = load_cycle(cycle.path, cycle.start, cycle.end, SECONDS)
        features = cache.features(cycle)
        assert features.dtype == torch.float32
        assert torch.equal(features, frontend.spectrogram(wave))


def test_a_prepared_cycle_is_not_computed_again(cycles, tmp_path):
    first, second = CountingFrontend(), CountingFrontend()
    steps = []
    FeatureCache(tmp_path, first).prepare(cycles, progress=lambda *step: steps.append(step))
    cache = FeatureCache(tmp_path, second)
    cache.prepare(cycles)
    cache.features(cycles[0])
    assert (first.calls, second.calls) == (8, 0)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_cycle_that_was_not_prepared_has_the_same_bits(cycles, tmp_path):
    prepared, alone = FeatureCache(tmp_path, Frontend(seconds=1)), FeatureCache(tmp_path, Frontend(seconds=1))
    prepared.prepare(cycles)
    assert torch.equal(alone.features(cycles[1]), prepared.features(cycles[1]))


def test_writing_into_features_changes_neither_file_nor_next_reader(cycles, tmp_path):
    cache = FeatureCache(tmp_path, CountingFrontend())
    before = cache.features(cycles[0]).clone()
    cache.features(cycles[0]).zero_()
    assert torch.equal(cache.features(cycles[0]), before)


def test_other_audio_other_times_or_another_parameter_miss_the_cache(cycles, tmp_path):
    def calls(cycle, **key):
        frontend = CountingFrontend(**key)
        FeatureCache(tmp_path, frontend).features(cycle)
        return frontend.calls

    cycle = cycles[0]
    assert (calls(cycle, a=1), calls(cycle, a=1)) == (1, 0)
    assert calls(replace(cycle, start=0.1), a=1) == 1
    assert calls(replace(cycle, end=float("inf")), a=1) == 1
    assert calls(replace(cycle, id="x", label=3), a=1) == 0
    assert (calls(cycle, a=2), calls(cycle, a=1, b=1)) == (1, 1)
    samples, rate = soundfile.read(cycle.path, dtype="int16")
    samples[4000] ^= 1
    soundfile.write(cycle.path, samples, rate)
    assert calls(cycle, a=1) == 1


@pytest.mark.parametrize("option", [{"seconds": 2.0}, {"sample_rate": 8000}, {"resampler": "soxr"}])
def test_every_option_of_the_front_end_that_counts_is_in_the_key(cycles, tmp_path, option):
    if option == {"resampler": "soxr"}:
        pytest.importorskip("soxr")
    FeatureCache(tmp_path, Frontend(seconds=SECONDS)).features(cycles[0])
    FeatureCache(tmp_path, Frontend(**{"seconds": SECONDS, **option})).features(cycles[0])
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_audio_that_changes_under_a_running_cache_is_seen(cycles, tmp_path, noise):
    cache = FeatureCache(tmp_path, CountingFrontend())
    before = cache.features(cycles[0]).clone()
    noise(cycles[0].path, seed=77, seconds=2.5)
    assert not torch.equal(cache.features(cycles[0]), before)


def flip(content):
    content[len(content) // 2] ^= 1
    return content


@pytest.mark.parametrize("spoil", [flip, lambda c: c[:-1], lambda c: c[:100], lambda c: b"", lambda c: c + b"x"])
def test_a_broken_file_is_written_again(cycles, tmp_path, spoil):
    folder = tmp_path / "cache"
    FeatureCache(folder, CountingFrontend()).prepare(cycles)
    before = digests(folder)
    for path in folder.glob("*.npy"):
        path.write_bytes(spoil(bytearray(path.read_bytes())))
    assert digests(folder) != before
    cache = FeatureCache(folder, CountingFrontend())
    cache.features(cycles[0])
    cache.prepare(cycles)
    single = {name for name in digests(folder) if name not in before}
    assert len(single) == 1  # the cycle that was asked for before the others were known
    assert {name: digest for name, digest in digests(folder).items() if name in before} == before


def test_eight_writers_at_once_give_the_bytes_of_one(cycles, tmp_path):
    FeatureCache(tmp_path / "one", CountingFrontend()).prepare(cycles)
    barrier = Barrier(8)

    def write(_):
        cache = FeatureCache(tmp_path / "eight", CountingFrontend())
        barrier.wait()
        cache.prepare(cycles)
        return [cache.features(cycle).sum().item() for cycle in cycles]

    with ThreadPoolExecutor(8) as pool:
        sums = list(pool.map(write, range(8)))
    assert digests(tmp_path / "eight") == digests(tmp_path / "one")
    assert all(each == sums[0] for each in sums)


WRITER = """
import sys
from lung_srad.audio import Frontend
from lung_srad.datasets import FeatureCache, open_dataset
FeatureCache(sys.argv[2], Frontend(seconds=1.0)).prepare(open_dataset(sys.argv[1]).cycles())
"""


@pytest.mark.slow
def test_eight_processes_at_once_give_the_bytes_of_one(corpus, tmp_path):
    FeatureCache(tmp_path / "one", Frontend(seconds=1.0)).prepare(ICBHI(corpus).cycles())
    command = [sys.executable, "-c", WRITER, str(corpus), str(tmp_path / "eight")]
    writers = [subprocess.Popen(command) for _ in range(8)]
    assert [writer.wait() for writer in writers] == [0] * 8
    assert digests(tmp_path / "eight") == digests(tmp_path / "one")


def test_what_a_killed_writer_left_is_removed_and_what_is_being_written_is_not(cycles, tmp_path):
    old, new = tmp_path / "a.tmp", tmp_path / "b.tmp"
    old.write_bytes(b"")
    new.write_bytes(b"")
    os.utime(old, (time.time() - 7200,) * 2)
    FeatureCache(tmp_path, CountingFrontend()).prepare(cycles[:1])
    assert (old.exists(), new.exists()) == (False, True)


def test_a_writer_that_fails_leaves_no_file(cycles, tmp_path):
    class Failing(CountingFrontend):
        def spectrogram(self, wave):
            if self.calls:
                raise KeyboardInterrupt
            return super().spectrogram(wave)

    with pytest.raises(KeyboardInterrupt):
        FeatureCache(tmp_path / "cache", Failing()).prepare(cycles)
    assert list((tmp_path / "cache").iterdir()) == []


def test_silent_cycles_are_named(cycles, tmp_path):
    soundfile.write(cycles[2].path, np.zeros(8000), 4000)
    assert FeatureCache(tmp_path, CountingFrontend()).prepare(cycles) == (cycles[2].id, cycles[3].id)


def test_what_cannot_be_read_or_written_is_named(cycles, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"file: cannot be written"):
        FeatureCache(tmp_path / "file", CountingFrontend()).features(cycles[0])
    cycles[0].path.write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=cycles[0].path.name):
        FeatureCache(tmp_path / "cache", CountingFrontend()).features(cycles[0])
    cycles[0].path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        FeatureCache(tmp_path / "cache", CountingFrontend()).features(cycles[0])
