"""Many recordings into a folder: every file accounted for, after any kill, however many processes."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from lung_srad.cli import app
from lung_srad.errors import DataError, RunError
from lung_srad.inference import Model, find_recordings
from lung_srad.inference.bulk import Options, OutFolder, Task, Worker, classify_all, plan, settings_of
from lung_srad.inference.patients import patient_of, read_patients
from lung_srad.inference.tables import tables_of_folder

TABLES = ("table.csv", "patients.csv", "windows.csv", "events.csv", "index.html")


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """Returns a folder of three good recordings of two patients and two bad files."""
    folder, draw = tmp_path / "ward", np.random.default_rng(0)
    (folder / "deep").mkdir(parents=True)
    names = ("101_1b1_Al_sc_Meditron.wav", "101_1b2_Ar_sc_Meditron.flac", "deep/102_1b1_Tc_sc_LittC2SE.wav")
    for name, seconds in zip(names, (9, 3, 12), strict=True):
        soundfile.write(folder / name, 0.1 * draw.standard_normal(seconds * 4000), 4000)
    (folder / "103_1b1_Tc_sc_LittC2SE.wav").write_bytes(b"")
    (folder / "text.wav").write_text("<script>alert(1)</script>")
    return folder


@pytest.fixture
def classify(run: Path) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(app, ["classify", "--model", str(run), *map(str, words)])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def texts(out: Path) -> dict[str, bytes]:
    """Returns everything that is written about recordings, by name."""
    files = [path for path in out.rglob("*") if path.is_file() and path.name not in ("log.jsonl", "settings.json")]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def test_every_file_has_a_row_and_its_files(classify, ward: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = classify(ward, "--out", out, "--html", "--timing")
    assert result.exit_code == 1, result.output
    assert "5 recordings: " in result.stdout
    assert "2 failed" in result.stdout
    assert re.search(r"timing: 24\.0 s of sound in \d+\.\d+ s, \d+\.\d times faster than real time", result.stdout)
    assert result.stderr.splitlines()[-1] == "2 of 5 recordings could not be used"
    rows = rows_of(out / "table.csv")
    assert [Path(row["path"]).name for row in rows] == [
        "101_1b1_Al_sc_Meditron.wav",
        "101_1b2_Ar_sc_Meditron.flac",
        "103_1b1_Tc_sc_LittC2SE.wav",
        "102_1b1_Tc_sc_LittC2SE.wav",
        "text.wav",
    ]
    assert [row["status"] == "failed" for row in rows] == [False, False, True, False, True]
    assert [row["patient"] for row in rows] == ["101", "101", "103", "102", ""]
    assert "the file is empty" in rows[2]["error"]
    windows = rows_of(out / "windows.csv")
    assert len(windows) == sum(int(row["segments"]) for row in rows if row["segments"]) == 2 + 1 + 3
    content = json.loads((out / "recordings" / "deep" / "102_1b1_Tc_sc_LittC2SE.wav.json").read_text())
    assert content["schema"] == "lung_srad.classification"
    assert [row["start"] for row in windows[-3:]] == [str(each["start"]) for each in content["segments"]]
    assert len(rows_of(out / "events.csv")) == sum(int(row["events"]) for row in rows if row["events"])
    for suffix in ("labels.txt", "selections.txt", "html"):
        assert (out / "recordings" / f"101_1b2_Ar_sc_Meditron.flac.{suffix}").is_file()


def test_patients_are_summed_over_their_segments(classify, ward: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    classify(ward, "--out", out)
    patients = {row["patient"]: row for row in rows_of(out / "patients.csv")}
    assert {name: row["recordings"] for name, row in patients.items()} == {"101": "2", "102": "1", "103": "1"}
    windows = [row for row in rows_of(out / "windows.csv") if "/101_" in row["path"]]
    mine = patients["101"]
    assert int(mine["n"]) == len(windows) == 3
    for name in ("normal", "wheeze"):
        values = [float(row[f"p_{name}"]) for row in windows]
        assert float(mine[f"mean_{name}"]) == pytest.approx(sum(values) / 3)
        assert float(mine[f"max_{name}"]) == max(values)
        assert int(mine[f"n_{name}"]) == sum(row["label"] == name for row in windows)
    assert (patients["103"]["failed"], patients["103"]["n"]) == ("1", "")


def test_a_second_run_hears_only_what_is_new_or_changed(classify, ward: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    classify(ward, "--out", out)
    before, lines = texts(out), (out / "log.jsonl").read_text().count("\n")
    again = classify(ward, "--out", out)
    assert "3 of them were done before" in again.stdout
    assert texts(out) == before
    assert (out / "log.jsonl").read_text().count("\n") == lines + 2  # what failed is tried again
    soundfile.write(ward / "text.wav", 0.1 * np.random.default_rng(1).standard_normal(36_000), 4000)
    (ward / "103_1b1_Tc_sc_LittC2SE.wav").unlink()
    assert classify(ward, "--out", out).exit_code == 0
    assert [row["status"] for row in rows_of(out / "table.csv")] == ["warn"] * 4


def test_a_line_that_a_kill_cut_is_heard_again(model: Model, ward: Path, tmp_path: Path) -> None:
    tasks, whole = plan([ward], find_recordings), tmp_path / "whole"
    cut = tmp_path / "cut"
    for path in (whole, cut):
        settings = settings_of(model, Options())
        rows = classify_all(partial(map, Worker(model, Options(), path)), tasks, OutFolder(path, settings))
        assert len(list(rows)) == 5
        tables_of_folder(OutFolder(path, settings), tasks, model.class_names)
    content = (cut / "log.jsonl").read_bytes()
    (cut / "log.jsonl").write_bytes(content[:-20])
    for leftover in (cut / ".table.csv.1234.tmp", cut / "recordings" / "deep" / ".x.json.1234.tmp"):
        leftover.write_text("half")
    out = OutFolder(cut, settings_of(model, Options()))
    assert (cut / "log.jsonl").read_bytes() == content[: content[:-1].rfind(b"\n") + 1]
    rows = list(classify_all(partial(map, Worker(model, Options(), cut)), tasks, out))
    assert {Path(row["path"]).name for row in rows} == {"text.wav", "103_1b1_Tc_sc_LittC2SE.wav"}
    tables_of_folder(out, tasks, model.class_names)
    assert texts(whole) == texts(cut)


def test_a_folder_of_another_kind_is_refused(classify, model: Model, ward: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    classify(ward, "--out", out)
    other = classify(ward, "--out", out, "--hop", "4")
    assert other.exit_code == 1
    assert "begun with other settings (hop)" in other.stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    (tmp_path / "full" / ".thesis.tex.tmp").write_text("mine")
    assert "holds '.thesis.tex.tmp'" in classify(ward, "--out", tmp_path / "full").stderr
    assert len(list((tmp_path / "full").iterdir())) == 2  # nothing was touched
    (tmp_path / "cut" / "recordings").mkdir(parents=True)
    (tmp_path / "cut" / ".settings.json.1234.tmp").write_text("{")  # killed at once
    assert classify(ward, "--out", tmp_path / "cut").exit_code == 1
    assert {path.name for path in (tmp_path / "cut").iterdir() if path.name.startswith(".")} == set()
    (out / "log.jsonl").write_text("[]\n")
    with pytest.raises(RunError, match=r"log.jsonl: cannot be read"):
        OutFolder(out, settings_of(model, Options()) | {"patients": {}})


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_recording_for_which_there_is_no_memory_costs_itself(model: Model, ward: Path, tmp_path: Path, error) -> None:
    class Starved(Model):
        def classify(self, recording, **named):
            raise error

    starved = Starved(**{name: getattr(model, name) for name in Model.__dataclass_fields__})
    row = Worker(starved, Options(), tmp_path / "out")(plan([ward], find_recordings)[0])
    assert row["status"] == "failed"
    assert "not enough memory" in row["error"]
    assert "split the file" in row["error"]


def test_a_disk_that_is_full_stops_everything(model: Model, ward: Path, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise RunError("no room")

    monkeypatch.setattr("lung_srad.inference.bulk.write_text", full)
    worker = Worker(model, Options(), tmp_path / "out")
    task = next(task for task in plan([ward], find_recordings) if "Al" in task.path)
    with pytest.raises(RunError, match="no room"):
        worker(task)


def test_a_recording_that_goes_while_its_page_is_drawn_costs_itself(model: Model, ward: Path, tmp_path: Path) -> None:
    task = next(task for task in plan([ward], find_recordings) if "Al" in task.path)

    class Fleeting(Model):
        def classify(self, recording, **named):
            found = super().classify(recording, **named)
            recording.unlink()
            return found

    fleeting = Fleeting(**{name: getattr(model, name) for name in Model.__dataclass_fields__})
    row = Worker(fleeting, Options(html=True), tmp_path / "out")(task)
    assert row["status"] == "failed"
    assert "No such file" in row["error"]


def test_names_of_outputs_never_meet(tmp_path: Path) -> None:
    for name in ("a/x.wav", "a/X.wav", "b/x.wav", "b/deep/y.wav", f"b/{'n' * 240}.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    tasks = plan([tmp_path / "a", tmp_path / "b"], find_recordings)
    assert tasks == sorted(tasks, key=lambda task: task.path)
    assert len({task.name.casefold() for task in tasks}) == len(tasks)
    assert "deep/y.wav" in {task.name for task in tasks}
    assert max(len(Path(task.name).name) for task in tasks) <= 180
    assert plan([tmp_path / "a" / "x.wav"], find_recordings) == [Task(str(tmp_path / "a" / "x.wav"), "x.wav")]


def test_hostile_names_stay_in_the_folder_and_out_of_the_page(classify, tmp_path: Path) -> None:
    odd = tmp_path / "in" / '<img src=x onerror=alert(1)>"\n.wav'
    odd.parent.mkdir()
    soundfile.write(tmp_path / "good.wav", 0.1 * np.random.default_rng(1).standard_normal(36_000), 4000)
    os.replace(tmp_path / "good.wav", odd)
    out = tmp_path / "out"
    result = classify(tmp_path / "in", "--out", out, "--html")
    assert result.exit_code == 0, result.output
    pages = [out / "index.html", *(out / "recordings").glob("*.html")]
    assert len(pages) == 2
    for page in pages:
        assert "<img src=x" not in page.read_text(encoding="utf-8")


def test_patients_from_a_table(classify, ward: Path, tmp_path: Path) -> None:
    (tmp_path / "who.csv").write_text("recording,patient\n101_1b1_Al_sc_Meditron,A\nward/text.wav,B\n")
    out = tmp_path / "out"
    classify(ward, "--out", out, "--patients", tmp_path / "who.csv")
    found = {Path(row["path"]).name[:7]: row["patient"] for row in rows_of(out / "table.csv")}
    assert found == {"101_1b1": "A", "101_1b2": "101", "102_1b1": "102", "103_1b1": "103", "text.wa": "B"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recording;patient\n", "the first line is"),
        ("recording,patient\na,1\na,2\n", "line 3: recording 'a', patient '2'"),
        ("recording,patient\na\n", "line 2"),
        ('recording,patient\n"a', "cannot be read"),
    ],
)
def test_a_table_of_patients_that_cannot_be(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "who.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_patients(tmp_path / "who.csv")


def test_patients_in_names() -> None:
    names = ("101_1b1_Al_sc_Meditron.wav", "65058931_3.4_1_p2_1086.flac", "101_ward.wav")
    assert [patient_of(Path(name)) for name in names] == ["101", "65058931", ""]


@pytest.mark.parametrize("words", [["--html"], ["--workers", "2"], ["--out", "x", "--csv", "y"]])
def test_options_that_do_not_go_together(classify, ward: Path, words: list[str]) -> None:
    assert classify(ward, *words).exit_code == 2


def command(run: Path, ward: Path, out: Path, *words: str) -> list[str]:
    start = [sys.executable, "-m", "lung_srad.cli", "classify", str(ward), "--out", str(out), "--model", str(run)]
    return [*start, "--threads", "1", *words]


@pytest.mark.slow
def test_two_processes_killed_and_resumed_are_the_same(run: Path, tmp_path: Path) -> None:
    """Killed 8 times at random moments, and once more to the end; one process: tests/faults/test_kills.py."""
    ward, draw = tmp_path / "ward", np.random.default_rng(0)
    ward.mkdir()
    for number in range(60):
        soundfile.write(ward / f"{number:03d}.wav", 0.1 * draw.standard_normal(9 * 4000), 4000)
        if number % 10 == 0:
            (ward / f"{number:03d}.wav").write_bytes(b"RIFF")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert subprocess.run(command(run, ward, whole), capture_output=True, check=False).returncode == 1
    for turn in range(8):
        process = subprocess.Popen(
            command(run, ward, killed, "--workers", "2"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        count = (killed / "log.jsonl").read_bytes().count(b"\n") if (killed / "log.jsonl").exists() else 0
        until, log = time.monotonic() + 120, killed / "log.jsonl"
        while process.poll() is None and time.monotonic() < until:
            if log.exists() and log.read_bytes().count(b"\n") > count + turn % 3:
                break
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 0.2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert subprocess.run(command(run, ward, killed), capture_output=True, check=False).returncode == 1
    assert texts(killed).keys() == texts(whole).keys()
    for name, content in texts(whole).items():
        assert texts(killed)[name] == content, name


@pytest.mark.slow
def test_two_processes_answer_as_one(run: Path, ward: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for out, workers in ((one, "1"), (two, "2")):
        done = subprocess.run(command(run, ward, out, "--workers", workers), capture_output=True, check=False)
        assert done.returncode == 1, done.stderr
    assert texts(one) == texts(two)


@pytest.mark.slow
def test_a_process_that_dies_costs_its_file_alone(ward: Path, tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    from dying import dies_over_deep

    from lung_srad.inference.processes import in_processes

    tasks = plan([ward], find_recordings)
    rows = {Path(row["path"]).name: row for row in in_processes(dies_over_deep, 2, tasks)}
    assert len(rows) == 5
    assert [name for name, row in rows.items() if row["status"] == "failed"] == ["102_1b1_Tc_sc_LittC2SE.wav"]
    assert "ended by signal SIGKILL" in rows["102_1b1_Tc_sc_LittC2SE.wav"]["error"]
