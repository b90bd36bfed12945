"""The verbs report and compare, from the shell."""

import csv

import made_runs
import numpy as np
import pytest
import small_runs
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.config import load_preset
from lung_srad.evaluation import Predictions, read_facts, read_predictions, write_facts, write_predictions

RUN = CliRunner()


def call(*words):
    return RUN.invoke(app, [*map(str, words)])


def test_files_become_a_report(tmp_path, predictions):
    for seed in (1, 2):
        write_predictions(tmp_path / f"seed{seed}.csv", predictions(seed))
        write_predictions(tmp_path / f"valid{seed}.csv", predictions(seed, part="validation"))
    write_predictions(tmp_path / "train.csv", predictions(5, part="train"))
    write_facts(tmp_path / "patients.csv", {str(100 + n): {"sex": "MF"[n % 2]} for n in range(12)})
    words = [tmp_path / "seed1.csv", tmp_path / "seed2.csv", "--name=Theirs", "--prevalence=10"]
    words += [f"--validation={tmp_path / 'valid1.csv'}", f"--validation={tmp_path / 'valid2.csv'}"]
    words += [f"--train={tmp_path / 'train.csv'}", f"--patients={tmp_path / 'patients.csv'}"]
    result = call("report", *words, f"--out={tmp_path / 'out'}", "--synthetic")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("**SYNTHETIC · Scores in per cent**")
    assert "| Theirs |" in result.stdout
    assert "| baseline: device and site, no audio |" in result.stdout
    assert "**Confusion matrix, mean counts over seeds**" in result.stdout
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "PPV at 10 %" in text
    assert "By sex, in per cent" in text
    assert (tmp_path / "out" / "report.html").is_file()
    assert not (tmp_path / "out" / "card.md").exists()


def test_the_file_of_another_model_is_joined_to_its_corpus(tmp_path):
    table = small_runs.write_corpus(tmp_path / "corpus")
    with table.open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    lines = [f"{row['id']},{row['label']}" for row in rows[:-2]] + ["nobody#0,wheeze"]
    (tmp_path / "theirs.csv").write_text("id,label\n" + "\n".join(lines) + "\n")
    words = ["report", f"--import={tmp_path / 'theirs.csv'}", f"--data=table:{table}", f"--out={tmp_path / 'out'}"]
    result = call(*words)
    assert result.exit_code == 0, result.stderr
    assert "2 (p9-2, p9-3) of 12 cycles of the corpus are not in the file" in result.stderr
    assert "1 (nobody#0) ids of the file are no cycle" in result.stderr
    joined = read_predictions(tmp_path / "out" / "predictions.csv")
    assert list(joined.id) == [row["id"] for row in rows]
    assert list(np.flatnonzero(joined.predicted != joined.label)) == [10, 11]
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "The predictions are labels" in text
    assert "baseline: device and site, no audio" in text
    assert "this was checked" in text
    refused = call(*words, "--part=train")
    assert (refused.exit_code, "none of its 11 ids is a cycle" in refused.stderr) == (1, True)


def test_a_run_gets_its_report_and_its_card(tmp_path):
    preset = load_preset("lung_srad", profile="small", overrides=["training.refit=false"])
    runs = [made_runs.make_run(tmp_path, preset, seed) for seed in (1, 2)]
    write_facts(runs[0].patients, {f"p{n}": {"sex": "MF"[n % 2]} for n in range(6)})
    alone = call("report", runs[0].path)
    assert alone.exit_code == 0, alone.stderr
    assert {path.name for path in runs[0].path.iterdir()} >= {"report.html", "report.md", "card.md", "figures"}
    assert "By sex" in (runs[0].path / "card.md").read_text(encoding="utf-8")
    both = call("report", runs[0].path.parent)
    assert both.exit_code == 0, both.stderr
    assert "±" in (runs[0].path.parent / "card.md").read_text(encoding="utf-8")


def test_the_table_of_patients_is_read_as_it_was_written(tmp_path):
    facts = {"1": {"age group": "65 and over", "sex": "F"}}
    write_facts(tmp_path / "patients.csv", facts)
    assert read_facts(tmp_path / "patients.csv") == facts


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a.csv", "--import=b.csv", "--data=table:c.csv"],
        ["--import=b.csv"],
        ["a.csv", "--prevalence=0"],
        ["a.csv", "--prevalence=x"],
    ],
)
def test_wrong_usage_of_report(tmp_path, monkeypatch, predictions, words):
    monkeypatch.chdir(tmp_path)
    write_predictions(tmp_path / "a.csv", predictions(1))
    assert call("report", *words).exit_code == 2


def test_systems_are_compared(tmp_path, predictions):
    write_predictions(tmp_path / "base.csv", predictions(1, strength=0.5))
    write_predictions(tmp_path / "ours.csv", predictions(2, strength=3.0))
    result = call("compare", tmp_path / "base.csv", tmp_path / "ours.csv", f"--out={tmp_path / 'table.md'}")
    assert result.exit_code == 0, result.stderr
    assert "**Against base: 120 cycles, 12 patients" in result.stdout
    assert "| ours | 1 |" in result.stdout
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == result.stdout
    named = call("compare", tmp_path / "base.csv", tmp_path / "ours.csv", "--names=one, two")
    assert "**Against one" in named.stdout
    assert "| two | 1 |" in named.stdout
    assert call("compare", tmp_path / "base.csv", tmp_path / "ours.csv", "--names=one").exit_code == 2
    assert call("compare").exit_code == 2
    alone = call("compare", tmp_path / "base.csv")
    assert (alone.exit_code, alone.stderr.count("\n")) == (1, 1)


def test_files_of_other_cycles_are_refused(tmp_path, predictions):
    first = predictions(1)
    columns = [getattr(first, name)[:-1] for name in first.__slots__[1:]]
    write_predictions(tmp_path / "a.csv", first)
    write_predictions(tmp_path / "b.csv", Predictions(first.class_names, *columns))
    result = call("report", tmp_path / "a.csv", tmp_path / "b.csv", f"--out={tmp_path / 'out'}")
    assert (result.exit_code, "they differ in 'id'" in result.stderr) == (1, True)
    assert not (tmp_path / "out").exists()
