"""`lung-srad classify`: a table for people, files for programs, and one sentence for each bad recording."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lung_srad.cli import app
from lung_srad.inference import shipped

NOTICE = "model lung_srad-small/seed1: simulated training, research use, not a medical device"
Record = Callable[..., Path]


@pytest.fixture
def classify(run: Path) -> Callable[..., Result]:
    """Returns a function that runs the verb with the small model."""
    return lambda *words: CliRunner().invoke(app, ["classify", "--model", str(run), *map(str, words)])


def test_one_recording_prints_a_table_and_the_notice(classify, record: Record) -> None:
    path = record(seconds=12)
    result = classify(path)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"{path}: 12.00 s, 3 windows"
    assert lines[1].split() == ["normal", "crackle", "wheeze", "both"]
    assert lines[-1] == NOTICE
    assert result.stderr == ""


def test_files_for_programs(classify, record: Record, tmp_path: Path) -> None:
    record("ward/b.flac", seconds=3)
    record("ward/deep/a.WAV", seconds=9)
    (tmp_path / "ward" / "notes.txt").write_text("no recording")
    (tmp_path / "ward" / "._b.flac").write_bytes(b"what some systems leave beside a file")
    out = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "json")}
    named = tmp_path / "ward" / "b.flac"
    result = classify(tmp_path / "ward", named, "--hop", "8", "--csv", out["csv"], "--json", out["json"])
    assert result.exit_code == 0, result.output
    with out["csv"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    content = json.loads(out["json"].read_text())
    assert [Path(row["path"]).name for row in rows] == ["b.flac", "a.WAV", "a.WAV"]
    assert [row["start"] for row in rows] == ["0.0", "0.0", "1.0"]
    assert [len(each["segments"]) for each in content["recordings"]] == [1, 2]
    assert content["failed"] == []
    segments = [segment for each in content["recordings"] for segment in each["segments"]]
    for row, segment in zip(rows, segments, strict=True):
        assert {name: float(row[f"p_{name}"]) for name in segment["probabilities"]} == segment["probabilities"]
    assert content["recordings"][0]["model"]["notice"] in NOTICE


def test_a_bad_recording_stops_nobody_else(classify, record: Record, tmp_path: Path) -> None:
    good, bad = record("good.wav", seconds=8), tmp_path / "bad.wav"
    bad.write_bytes(b"")
    result = classify(bad, good, tmp_path / "absent.wav", "--json", tmp_path / "out.json")
    assert result.exit_code == 1
    assert f"{good}: 8.00 s, 1 window" in result.stdout
    first, second, last = result.stderr.splitlines()
    assert first.startswith(f"error: {bad}: the file is empty (0 bytes); ")
    assert second.startswith(f"error: {tmp_path / 'absent.wav'}: No such file or directory; ")
    assert last == "2 of 3 recordings could not be used"
    content = json.loads((tmp_path / "out.json").read_text())
    assert len(content["recordings"]) == 1
    assert [each["path"] for each in content["failed"]] == [str(bad), str(tmp_path / "absent.wav")]


def test_given_cycles(classify, record: Record, tmp_path: Path) -> None:
    path = record("a.wav")
    record("b.wav")
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("0.5\t2.5\t0\t0\n2.5\t4.0\t0\t1\n")
    result = classify(path, "--cycles", tmp_path / "a.txt")
    assert "a.wav: 9.50 s, 2 cycles" in result.stdout
    both = classify(tmp_path / "a.wav", tmp_path / "b.wav", "--cycles", tmp_path)
    assert both.stdout.count("2 cycles") == 2
    refused = classify(tmp_path / "a.wav", tmp_path / "b.wav", "--cycles", tmp_path / "a.txt")
    assert refused.exit_code == 2
    (tmp_path / "b.txt").write_text("0.5\t99\t0\t0\n")
    half = classify(tmp_path, "--cycles", tmp_path)
    assert half.exit_code == 1
    assert "a.wav: 9.50 s" in half.stdout
    assert "cycle 1, 0.5-99 s; the recording has 9.500 s" in half.stderr


@pytest.mark.parametrize("option", ["--csv", "--json"])
def test_a_file_that_is_there_is_not_overwritten(classify, record: Record, tmp_path: Path, option: str) -> None:
    (tmp_path / "old").write_text("old")
    result = classify(record(), option, tmp_path / "old")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: {tmp_path / 'old'}: is there already; a new file; name another, or remove it\n"
    assert (tmp_path / "old").read_text() == "old"
    result = classify(record(), option, tmp_path / "absent" / "new")
    assert result.exit_code == 1
    assert "there is no such folder" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hop", "9"], "hop: 9.0 s; 0.01 to 8 s"),
        (["--model", "nonsense"], "model 'nonsense': is not there"),
    ],
)
def test_what_cannot_be_is_one_line(classify, record: Record, words: list[str], said: str) -> None:
    result = classify(record(), *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_folder_without_a_recording(classify, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = classify(tmp_path / "empty")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no recording in this folder" in result.stderr


def test_the_shipped_model_is_the_default(record: Record) -> None:
    result = CliRunner().invoke(app, ["classify", str(record(seconds=8))])
    if "demo" in shipped():
        assert result.exit_code == 0
        assert "model demo: simulated training" in result.stdout
    else:
        assert result.exit_code == 1
        assert "error: model 'demo': its weights are not in this installation" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="names are text elsewhere")
def test_names_that_are_no_text_or_no_line(classify, record: Record, tmp_path: Path) -> None:
    path = record("odd/a.wav", seconds=8)
    try:
        os.rename(path, os.fsencode(path.parent) + b"/caf\xe9\n.wav")
    except OSError:
        pytest.skip("this file system takes text only")
    Path(os.fsdecode(os.fsencode(path.parent) + b"/bad\xe9\n.wav")).write_bytes(b"")
    result = classify(path.parent, "--csv", tmp_path / "out.csv")
    assert result.exit_code == 1
    assert f"{path.parent}/caf\\udce9\\n.wav: 8.00 s, 1 window" in result.stdout
    assert result.stderr.startswith(f"error: {path.parent}/bad\\udce9\\n.wav: the file is empty")
    assert (tmp_path / "out.csv").exists()
