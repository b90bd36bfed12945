"""A simulated corpus on disk: the same bits however it was made, resumable, and never over something else."""

import errno
import json
import math
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import lung_srad
from lung_srad.cli import app
from lung_srad.datasets import ICBHI, read_truth, simulate
from lung_srad.datasets.simulated import plan_corpus, store, workers
from lung_srad.datasets.simulated.population import SIZES, Size
from lung_srad.datasets.simulated.render import Event, Rendered
from lung_srad.errors import ConfigError, DataError


def content(root):
    """Returns name -> bytes of everything below a folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def quick(monkeypatch):
    """Makes every rendering noise, and adds a size of five recordings."""

    def noise(plan, setting):
        wave = np.random.default_rng(plan.seed).normal(0, 0.05, round(plan.seconds * 4000)).clip(-1, 1)
        events = [Event("crackle", c.start, c.end, i, "fine", 500.0, 6.0) for i, c in enumerate(plan.cycles)]
        return Rendered(wave, 4000, "PCM_16", tuple(reversed(events)))

    monkeypatch.setattr(store, "render", noise)
    monkeypatch.setitem(SIZES, "few", Size(4, 5))


# --- the real thing


def test_a_simulated_corpus_has_no_defect(tiny):
    report = ICBHI(tiny).validate()
    assert report.defects == ()
    assert report.notices == ("SYNTHETIC: simulated recordings, nobody's lungs",)
    assert report.total == lung_srad.datasets.Count(recordings=24, patients=12, cycles=report.total.cycles)
    result = CliRunner().invoke(app, ["check", f"icbhi:{tiny}"])
    assert result.exit_code == 0
    assert result.stdout.endswith("No defects.\n")


def test_several_processes_write_what_one_writes(tiny, tmp_path):
    root = shutil.copytree(tiny, tmp_path / "copy")
    lost = sorted((root / "audio_and_txt_files").glob("*.wav"))[::5]
    for path in lost:
        path.unlink()
    # from standard input: where a pool of the standard library would fail
    code = f"from lung_srad.datasets.simulated.workers import written_by; print(*written_by(2, {str(root)!r}))"
    run = subprocess.run([sys.executable, "-"], input=code, text=True, check=True, capture_output=True)
    assert sorted(run.stdout.split()) == [path.stem for path in lost]
    assert content(root) == content(tiny)


def test_annotations_are_the_plan_and_events_are_where_the_truth_has_them(tiny):
    plans = plan_corpus("tiny", "medium", 0.5, None, 0)
    cycles = {}
    for cycle in ICBHI(tiny).cycles():
        cycles.setdefault(cycle.recording, []).append(cycle)
    assert set(cycles) == {plan.name for plan in plans}
    for plan in plans:
        found = cycles[plan.name]
        assert [(c.start, c.end) for c in found] == [(c.start, c.end) for c in plan.cycles]
        assert [c.label for c in found] == [c.label_crackle + 2 * c.label_wheeze for c in plan.cycles]
        assert soundfile.info(found[0].path).duration == pytest.approx(plan.seconds, abs=1e-3)
        events = read_truth(found[0].path)
        assert events == read_truth(tiny / "truth" / f"{plan.name}.json")
        assert [event.start for event in events] == sorted(event.start for event in events)
        for index, cycle in enumerate(plan.cycles):
            kinds = {event.kind for event in events if event.cycle == index}
            assert ("crackle" in kinds, "wheeze" in kinds) == (cycle.crackle, cycle.wheeze)
        for event in events:
            assert 0 <= event.start < event.end <= plan.seconds
            assert math.isfinite(event.snr_db)


def test_every_page_of_it_says_synthetic(tiny):
    data = ICBHI(tiny)
    assert data.synthetic
    assert ICBHI(tiny / "audio_and_txt_files").synthetic
    assert json.loads((tiny / "simulation.json").read_text())["note"].startswith("SYNTHETIC")
    assert all(json.loads(path.read_text())["synthetic"] for path in (tiny / "truth").iterdir())


def test_a_real_corpus_is_not_synthetic(corpus):
    assert not ICBHI(corpus).synthetic


# --- text files


def test_the_side_files_are_those_of_icbhi(tiny):
    patients = {cycle.patient for cycle in ICBHI(tiny).cycles()}
    demographic = [line.split("\t") for line in (tiny / "metadata.txt").read_text().splitlines()]
    assert {row[0] for row in demographic} == patients
    for _, age, sex, bmi, weight, height, site in demographic:
        child = float(age) <= 16
        assert sex in ("F", "M")
        assert (bmi == "NA") == child
        assert (weight == "NA") == (height == "NA") == (not child)
        assert site in ("Tc", "Al", "Ar", "Pl", "Pr", "Ll", "Lr")
    diagnoses = dict(line.split("\t") for line in (tiny / "patient_diagnosis.txt").read_text().splitlines())
    assert set(diagnoses) == patients
    assert all(b"\r" not in text for name, text in content(tiny).items() if name.endswith(".txt"))


def test_folds_divide_the_patients(tiny):
    tested = [{c.patient for c in ICBHI(tiny, f"fold-{fold}").cycles("test")} for fold in range(5)]
    assert set.union(*tested) == {cycle.patient for cycle in ICBHI(tiny).cycles()}
    assert sum(map(len, tested)) == 12


# --- stopped and resumed


def test_what_was_stopped_goes_on_to_the_same_bits(quick, tmp_path):
    simulate(tmp_path / "whole", size="few")

    def stop(what, done, total):
        assert (what, total) == ("simulating", 5)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "parts", size="few", report=stop)
    audio = tmp_path / "parts" / "audio_and_txt_files"
    finished = {path.name: path.stat().st_mtime_ns for path in audio.glob("*.wav")}
    assert len(finished) == 2
    (audio / ".301_1b1.wav.0a1b2c3d.tmp").write_bytes(b"half")  # what a kill leaves behind
    steps = []
    simulate(tmp_path / "parts", size="few", report=lambda *step: steps.append(step))
    assert steps == [("simulating", done, 5) for done in (3, 4, 5)]
    assert {name: (audio / name).stat().st_mtime_ns for name in finished} == finished
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_a_stop_before_the_first_recording_leaves_a_folder_to_go_on_with(quick, tmp_path, monkeypatch):
    def stop(path):
        (path.parent / f".{path.name}.0a1b2c3d.tmp").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "replacing", stop)
        with pytest.raises(KeyboardInterrupt):
            simulate(tmp_path / "sounds", size="few")
    assert simulate(tmp_path / "sounds", size="few").validate(audio=False).ok
    assert not list((tmp_path / "sounds").glob(".*"))


@pytest.mark.parametrize("suffix", [".wav", ".txt", ".json"])
def test_what_is_lost_is_made_again(quick, tmp_path, suffix):
    simulate(tmp_path, size="few")
    before = content(tmp_path)
    next(tmp_path.rglob(f"3*{suffix}")).unlink()
    assert content(tmp_path) != before
    simulate(tmp_path, size="few")
    assert content(tmp_path) == before


def test_a_full_disk_is_one_sentence_and_nothing_is_lost(quick, tmp_path, monkeypatch):
    simulate(tmp_path / "whole", size="few")
    good, left = store.replacing, [12]

    def replacing(path):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return good(path)

    monkeypatch.setattr(store, "replacing", replacing)
    with pytest.raises(DataError, match=r"No space left on device; .*finished recordings are kept"):
        simulate(tmp_path / "parts", size="few")
    monkeypatch.setattr(store, "replacing", good)
    assert simulate(tmp_path / "parts", size="few").validate(audio=False).ok
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("start", "text"),
    [
        ("import os; os._exit(7)", "a process ended with exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", "a process ended by signal SIGKILL; .*use fewer workers"),
        (r"import os; os.write(1, b'failed\tx.wav: No space left on device\n')", r"^x\.wav: No space left on device$"),
    ],
)
def test_what_a_process_meets_is_said_here(quick, tmp_path, monkeypatch, start, text):
    monkeypatch.setattr(workers, "_START", start)
    with pytest.raises(DataError, match=text):
        list(workers.written_by(2, tmp_path))


def test_one_that_is_lost_is_named_while_the_others_work(quick, tmp_path, monkeypatch):
    alone = """
import os, sys, time
if sys.argv[2] == "0":
    os._exit(7)
for _ in range(1000):
    time.sleep(0.1)
    os.write(1, b"done\\tx\\n")
"""
    monkeypatch.setattr(workers, "_START", alone)
    started = time.monotonic()
    with pytest.raises(DataError, match="a process ended with exit code 7"):
        list(workers.written_by(2, tmp_path))
    assert time.monotonic() - started < 10


def test_a_process_says_what_it_meets(tiny, tmp_path, monkeypatch, capfd):
    root = shutil.copytree(tiny, tmp_path / "copy")
    for path in (root / "audio_and_txt_files").iterdir():
        path.unlink()
    (root / "audio_and_txt_files").rmdir()
    monkeypatch.setattr(sys, "argv", ["-c", str(root), "0", "8"])
    workers.work()
    assert capfd.readouterr().out.startswith("failed\t")


# --- folders that hold something else


def test_a_folder_of_another_simulation_is_refused(quick, tmp_path):
    simulate(tmp_path, size="few", seed=1)
    before = content(tmp_path)
    with pytest.raises(DataError, match=r"holds a simulation of seed 1; allowed: a new folder, or one of seed 2;"):
        simulate(tmp_path, size="few", seed=2)
    with pytest.raises(DataError, match=r"simulation of difficulty medium, seed 1; .*one of difficulty hard, seed 0"):
        simulate(tmp_path, size="few", difficulty="hard")
    assert content(tmp_path) == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 0, "settings": {}}', '{"version": 1, "settings": {}}'])
def test_a_simulation_of_another_version_is_refused(tmp_path, text):
    (tmp_path / "simulation.json").write_text(text)
    with pytest.raises(DataError, match="holds a simulation of another version"):
        simulate(tmp_path, size="tiny")


def test_files_of_others_are_never_written_over(quick, tmp_path):
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(DataError, match=r"holds 1 other file\(s\), first thesis\.txt; allowed: a new or empty folder"):
        simulate(tmp_path, size="few")
    assert content(tmp_path) == {"thesis.txt": b"years"}
    with pytest.raises(DataError, match=r"thesis\.txt: is a file; allowed: a folder"):
        simulate(tmp_path / "thesis.txt", size="few")
    root = tmp_path / "new"
    simulate(root, size="few")
    shutil.copy(tmp_path / "thesis.txt", root / "audio_and_txt_files" / "101_1b1_Al_sc_Meditron.txt")
    with pytest.raises(DataError, match=r"101_1b1_Al_sc_Meditron\.txt: is no file of this simulation"):
        simulate(root, size="few")


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"size": "tinny"}, "size: 'tinny'; allowed: tiny, demo, small, full; did you mean 'tiny'?"),
        ({"difficulty": "harder"}, "did you mean 'hard'?"),
        ({"confound": 1.5}, "confound: 1.5; allowed: 0 to 1"),
        ({"confound": math.nan}, "confound: nan"),
        ({"leak": "yes"}, "leak: 'yes'; allowed: icbhi"),
        ({"seed": -1}, "seed: -1; allowed: whole numbers from 0"),
        ({"workers": 0}, "workers: 0; allowed: whole numbers from 1"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, wrong, text):
    with pytest.raises(ConfigError) as caught:
        simulate(tmp_path / "out", **wrong)
    assert text in str(caught.value)
    assert not (tmp_path / "out").exists()


# --- the truth


def test_a_recording_without_truth_is_named(corpus, tmp_path):
    with pytest.raises(DataError, match=r"101_1b1_Al_sc_Meditron\.json: cannot be read .*real recordings have none"):
        read_truth(corpus / "audio_and_txt_files" / "101_1b1_Al_sc_Meditron.wav")
    (tmp_path / "x.json").write_text('{"events": [{"kind": "crackle"}]}')
    with pytest.raises(DataError, match="is no side-car of a simulation"):
        read_truth(tmp_path / "x.json")


# --- the verb


def test_the_verb_says_what_it_made_and_what_to_do_next(quick, tmp_path):
    out = tmp_path / "sounds"
    arguments = [str(out), "--size", "few", "--difficulty", "easy", "--confound", "0", "--leak", "icbhi", "--seed", "3"]
    result = CliRunner().invoke(app, ["simulate", *arguments])
    assert result.exit_code == 0, result.stderr
    data = ICBHI(out)
    lines = result.stdout.splitlines()
    assert lines[0] == f"{out}: 5 recordings and {len(data.cycles())} cycles of 4 simulated patients (SYNTHETIC)"
    assert lines[1] == f"next: lung-srad check icbhi:{out}"
    settings = json.loads((out / "simulation.json").read_text())["settings"]
    assert settings == {"size": "few", "difficulty": "easy", "confound": 0.0, "leak": "icbhi", "seed": 3}
    again = CliRunner().invoke(app, ["simulate", str(out), "--size", "few"])
    assert again.exit_code == 1
    assert again.stderr.startswith(f"error: {out}: holds a simulation of ")
