"""A run that was cut off and continued equals the run that was not: every byte that is a function of the run."""

import json
from importlib import import_module
from itertools import count

import pytest
import small_runs

from lung_srad.errors import DataError, RunError
from lung_srad.runs import RunFolder
from lung_srad.training import fit

SYSTEMS = {
    "paper": ("lung_srad",),
    "code, half step, bf16": ("lung_srad", "reading=code", "optimizer.half_step=true", "training.precision=bf16"),
    "two views, masks per batch": ("dass_finetuning", "objective.name=sg_scl", "augment.per=batch"),
    "ramp": ("dass_finetuning", "objective.name=dat", "objective.ramp=corrected"),
}


CALLS = 40 + 2 * 9  # of the report: a recording each, then steps and batches to score of both phases


class Cut(Exception):  # noqa: N818 - no error: it stands for a signal
    """What stands for anything that ends a run from outside."""


@pytest.fixture
def train(dataset, preset, tmp_path):
    """Returns a function that trains a system into the same folder, again and again."""

    def go(system, **options):
        return fit(preset(*SYSTEMS[system]), dataset, out=tmp_path, **options)

    return go


def folder_of(tmp_path, system):
    return RunFolder(next(path for path in tmp_path.glob("*/seed1")))


def cut_at(place):
    """Returns a report that ends the run when it is called for the ``place``-th time."""
    calls = count(1)

    def report(what, done, total):
        if next(calls) == place:
            raise Cut(what)

    return report


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_run_cut_off_again_and_again_equals_the_unbroken_one(finished, train, tmp_path, system):
    unbroken = finished(*SYSTEMS[system])
    cuts = []
    for resume in (False, *[True] * 40):
        try:
            run = train(system, resume=resume, report=cut_at(40 + 4))  # 40 recordings, then a few steps on
            break
        except Cut as cut:
            cuts.append(str(cut))
            assert not (folder_of(tmp_path, system).path / "lock").exists()
    assert small_runs.digests(run) == small_runs.digests(unbroken)
    assert {"select", "refit"} <= {cut.partition(",")[0] for cut in cuts}
    assert any("scoring" in cut for cut in cuts)


@pytest.mark.parametrize("place", [1, 43, 47, 54])
def test_a_run_cut_off_anywhere(finished, train, place):
    with pytest.raises(Cut):
        train("paper", report=cut_at(place))
    assert small_runs.digests(train("paper", resume=True)) == small_runs.digests(finished(*SYSTEMS["paper"]))


@pytest.mark.parametrize(
    ("module", "name", "nth"),
    [
        ("training.phase", "save_checkpoint", 2),
        ("training.phase", "save_checkpoint", 4),
        ("training.fit", "save_model", 1),
        ("training.fit", "save_model", 2),
        ("runs.folder", "replacing", 2),  # provenance, then the preset, at last the result
        ("runs.folder", "replacing", 3),
    ],
)
def test_a_run_cut_off_between_two_files(finished, train, monkeypatch, module, name, nth):
    """Between predictions and checkpoint, between scores and the weights that are kept, before the result."""
    home = import_module(f"lung_srad.{module}")
    calls, real = count(1), getattr(home, name)

    def cut(*arguments):
        if next(calls) == nth:
            raise Cut
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(home, name, cut)
        with pytest.raises(Cut):
            train("paper")
    assert small_runs.digests(train("paper", resume=True)) == small_runs.digests(finished(*SYSTEMS["paper"]))


def test_the_log_of_times_is_cut_back_too(train):
    with pytest.raises(Cut):
        train("paper", report=cut_at(CALLS))
    run = train("paper", resume=True)
    for phase in (run.select, run.refit):
        lines = [json.loads(line) for line in (phase.path / "timing.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines] == [1, 2]


def test_a_stop_by_the_keyboard_loses_nothing(finished, train, monkeypatch):
    def stop(what, done, total):
        if done == 3 and what.startswith("refit"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("paper", report=stop)
    assert small_runs.digests(train("paper", resume=True)) == small_runs.digests(finished(*SYSTEMS["paper"]))


@pytest.fixture
def cut_run(train, tmp_path):
    """Returns a run that was cut off in its second phase."""
    with pytest.raises(Cut):
        train("paper", report=cut_at(CALLS - 4))
    return folder_of(tmp_path, "paper")


def test_a_damaged_checkpoint_is_one_message_and_stays(cut_run, train):
    whole = cut_run.select.checkpoint.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"\xff" * 100):
        cut_run.select.checkpoint.write_bytes(damage)
        with pytest.raises(RunError, match=r"checkpoint.safetensors: cannot be read.*a whole file that train wrote"):
            train("paper", resume=True)
        assert cut_run.select.checkpoint.read_bytes() == damage


def test_the_checkpoint_of_another_model_is_refused(cut_run, train, finished):
    other = finished("dass_finetuning", "training.refit=false").select.checkpoint
    cut_run.select.checkpoint.write_bytes(other.read_bytes())
    with pytest.raises(RunError, match=r"does not fit this run \(.*projector"):
        train("paper", resume=True)


def test_a_log_that_lost_its_end_is_refused(cut_run, train):
    (cut_run.select.path / "log.jsonl").write_text("")
    with pytest.raises(RunError, match=r"log.jsonl: 0 bytes, fewer than when its checkpoint was written; at least \d+"):
        train("paper", resume=True)


def test_predictions_that_are_missing_are_named(cut_run, train):
    (cut_run.select.path / "predictions" / "epoch_001_test.csv").unlink()
    with pytest.raises(DataError, match=r"epoch_001_test.csv"):
        train("paper", resume=True)
