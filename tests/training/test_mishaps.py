"""Processes that are lost, and memory that is gone: one sentence each, soon, and the run goes on to the same bits."""

import multiprocessing
import os
import signal
import time

import pytest
import small_runs
import torch

from lung_srad.datasets import CycleDataset
from lung_srad.errors import DataError, RunError
from lung_srad.training import evaluate, fit
from lung_srad.training.mishaps import reported

AT_WORK = ("lung_srad", "training.workers=1")


def killing(phase):
    """Returns a report that kills the process that makes batches, once a phase has taken a step."""

    def report(what, done, total):
        if what.startswith(phase) and done == 2:
            report.killed_at = time.monotonic()
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    return report


@pytest.mark.parametrize("phase", ["select", "refit"])
def test_a_process_that_is_killed_is_named_soon_and_nothing_is_lost(finished, dataset, preset, tmp_path, phase):
    report = killing(phase)
    with pytest.raises(
        RunError, match=r"a process that makes batches was killed by signal: Killed; .*training.workers"
    ):
        fit(preset(*AT_WORK), dataset, out=tmp_path, report=report)
    assert time.monotonic() - report.killed_at <= 10
    run = fit(preset(*AT_WORK), dataset, out=tmp_path, resume=True)
    same = {
        name: digest for name, digest in small_runs.digests(finished()).items() if name.endswith((".csv", ".jsonl"))
    }
    assert same.items() <= small_runs.digests(run).items()  # weights name their preset, with its number of workers


def test_a_process_that_is_killed_while_a_run_is_evaluated(finished, dataset, monkeypatch):
    run = finished(*AT_WORK)
    monkeypatch.setattr(CycleDataset, "__getitem__", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(RunError, match=r"seed1: a process that makes batches was killed by signal: Killed"):
        evaluate(run, dataset)


def test_what_another_process_cannot_read_is_the_same_sentence(dataset, preset, tmp_path, monkeypatch):
    def gone(self, item):
        raise DataError("p0-1.wav: cannot be read (No such file or directory); allowed: a file; restore it")

    monkeypatch.setattr(CycleDataset, "__getitem__", gone)
    for workers in (0, 1):
        with pytest.raises(DataError, match=r"^p0-1.wav: cannot be read \(No such file or directory\); .*restore it$"):
            fit(preset("lung_srad", f"training.workers={workers}"), dataset, out=tmp_path / str(workers))


def test_a_file_that_another_process_cannot_open_is_one_line(dataset, preset, tmp_path, monkeypatch):
    def full(self, item):
        raise OSError(28, "No space left on device", "cache.npy")

    monkeypatch.setattr(CycleDataset, "__getitem__", full)
    with pytest.raises(RunError, match=r"No space left on device: 'cache.npy'\)") as caught:
        fit(preset(*AT_WORK), dataset, out=tmp_path)
    assert "\n" not in str(caught.value)


NO_MEMORY = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
FAR = "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File\n"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError(),
        RuntimeError(f"[enforce fail at alloc_cpu.cpp:127] err == 0. {NO_MEMORY}"),
        RuntimeError(f"{FAR}RuntimeError: {NO_MEMORY}\n"),
    ],
)
def test_memory_that_is_gone_comes_with_advice(tmp_path, error):
    words = r"there is not enough memory \(.+\).*lower training.batch_size"
    with pytest.raises(RunError, match=words) as caught, reported(tmp_path):
        raise error
    assert "\n" not in str(caught.value)


def test_other_errors_stay_what_they_are(tmp_path):
    for error in (RuntimeError("a fault of ours"), ValueError("memory"), DataError("where: x; y; z")):
        with pytest.raises(type(error)) as caught, reported(tmp_path):
            raise error
        assert caught.value is error
