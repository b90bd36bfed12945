"""The section on honest evaluation: its commands, what is gathered from runs that are there, what is flattered."""

import shlex
import sys
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))  # made_runs

import made_runs
import pytest

import evaluation_page
from lung_srad.config import load_preset
from lung_srad.evaluation import write_predictions
from lung_srad.evaluation.selection import TEST
from lung_srad.reports.sources import headline
from lung_srad.runs import RunFolder


def preset(name: str):
    return load_preset(name, profile="small", overrides=["training.refit=false"])


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "runs"
    for name in evaluation_page.SYSTEMS:
        for seed in (1, 2, 3):
            made_runs.make_run(folder, preset(name), seed)
    split = {"patients": {"train": 20, "test": 6}, "cycles": {"train": 700, "test": 24}, "sha256": "ab" * 32}
    data = {"name": "icbhi", "split": "lodo-Litt3200", "fingerprint": "f"}
    left_out = made_runs.make_run(
        tmp_path / "other",
        preset("dass_finetuning"),
        1,
        data=data,
        split=split | {"name": "lodo-Litt3200", "shared_patients": []},
    )
    left_out.path.parent.rename(folder / "dass_finetuning-small-lodo-Litt3200")
    return folder


def test_commands_make_what_is_gathered():
    lines = evaluation_page.commands("a b", "I C", "S")
    asked = [dict(pairwise(shlex.split(line))) for line in lines]
    assert [words["lung-srad"] for words in asked] == ["train"] * 4 + ["evaluate", "report", "report", "compare"]
    assert [words.get("--split") for words in asked[1:4]] == ["lodo-AKGC417L", "lodo-Litt3200", "lodo-Meditron"]
    assert {words["--out"] for words in asked[:4]} == {"a b"}
    assert asked[4]["evaluate"] == "a b/dass_finetuning-small/seed1"
    assert asked[4]["--data"] == "sprsound:S"
    assert shlex.split(lines[-1])[2:] == ["a b/dass_finetuning-small", "a b/lung_srad-small"]


def test_what_is_there_is_gathered(root, tmp_path, monkeypatch, capsys):
    write_predictions(root / "icbhi_on_sprsound.csv", made_runs.answers(preset("lung_srad"), 7, 1))
    page = tmp_path / "results.md"
    page.write_text("# Results\n")
    monkeypatch.setattr("sys.argv", ["evaluation_page.py", f"--runs={root}", f"--out={page}"])
    for _ in range(2):
        evaluation_page.main()
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Results\n\n<!-- what follows: python benchmarks/evaluation_page.py")
    assert text.count("### One device left out") == 1
    assert "**Against DASS fine-tuning (profile small)" in text
    assert "| Litt3200 | 20 / 700 | 6 / 24 |" in text
    assert "| DASS fine-tuning on SPRSound |" in text
    assert "Confusion matrix, counts" in text
    assert "best on test (optimistic)" in text
    assert evaluation_page.NOTHING not in text
    said = capsys.readouterr().out.splitlines()[-1]
    assert said in text
    assert "7 runs, 6 test patients" in said
    assert str(tmp_path) not in text


def test_nothing_is_said_of_runs_that_are_not_there(tmp_path, monkeypatch, capsys):
    page = tmp_path / "results.md"
    monkeypatch.setattr("sys.argv", ["evaluation_page.py", f"--runs={tmp_path / 'none'}", f"--out={page}"])
    evaluation_page.main()
    assert page.read_text(encoding="utf-8").count(evaluation_page.NOTHING.strip()) == 5


def test_what_is_flattered_is_the_mean_of_best_on_test_less_the_headline(root):
    runs = evaluation_page.finished(root)
    number, patients, found = evaluation_page.flattery(runs)
    expected = []
    for run in runs:
        epochs = next(rule["epochs"] for rule in run.result()["rules"] if rule["rule"] == TEST)
        best = run.headline.read_predictions(epochs[0], "test").scores().score
        expected.append(best - headline(run).scores().score)
    assert (number, patients) == (7, 6)
    assert found.value == pytest.approx(sum(expected) / len(expected))
    assert found.value >= 0
    assert evaluation_page.flattery([]) is None


def test_simulated_runs_say_nothing_of_flattery(tmp_path):
    data = {"name": "icbhi", "split": "official", "fingerprint": "f", "synthetic": True}
    run = made_runs.make_run(tmp_path, preset("lung_srad"), 1, data=data)
    assert isinstance(run, RunFolder)
    assert evaluation_page.flattery([run]) is None
