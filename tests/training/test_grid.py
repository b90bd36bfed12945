"""Many runs from one command, their table, and the verbs that do it."""

import csv
import io
import json
import shutil
import statistics

import numpy as np
import pytest
import small_runs
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.datasets import Table
from lung_srad.errors import ConfigError, RunError
from lung_srad.evaluation import Predictions, patient_intervals, read_predictions
from lung_srad.preset_files import ensemble_names, preset_names
from lung_srad.runs import RunFolder
from lung_srad.training import find_runs, results_table, run_grid

RUN = CliRunner()
SETS = [f"--set={pair}" for pair in (f"backbone.name={small_runs.BACKBONE}", *small_runs.SMALL)]


@pytest.fixture
def train(workplace, tmp_path):
    """Returns a function that runs the verb with small presets."""

    def run(*words):
        own = [f"--data=table:{workplace / 'corpus' / 'table.csv'}", f"--out={tmp_path / 'runs'}", "--profile=small"]
        return RUN.invoke(app, ["train", *own, *SETS, "--set=smoothing.blocks=[0]", *words])

    return run


def call_it_icbhi(folder):
    """Says in the provenance of every run below a folder that its data were ICBHI's official split."""
    for path in folder.rglob("provenance.json"):
        facts = json.loads(path.read_text())
        facts["data"] |= {"name": "icbhi", "split": "official"}
        path.write_text(json.dumps(facts))


def states(outcomes):
    return [(o.folder.path.parent.name, o.folder.path.name, o.state) for o in outcomes]


def test_a_grid_goes_seed_by_seed_and_resumes_what_is_there(preset, dataset, tmp_path):
    systems = [preset("dass_finetuning"), preset("lung_srad", "training.refit=false")]
    asked = [(n, f"seed{s}") for s in (1, 2) for n in ("dass_finetuning-small", "lung_srad-small")]
    first = list(run_grid(systems, [1, 2], dataset, out=tmp_path))
    assert states(first) == [(*run, "trained") for run in asked]
    again = list(run_grid(systems, [1, 2], dataset, out=tmp_path, resume=True))
    assert states(again) == [(*run, "was finished") for run in asked]
    refused = list(run_grid(systems[:1], [1], dataset, out=tmp_path))
    assert refused[0].state == "failed"
    assert "--resume" in refused[0].error


def test_a_finished_run_of_another_preset_is_not_taken_for_this_one(preset, dataset, tmp_path):
    list(run_grid([preset("dass_finetuning")], [1], dataset, out=tmp_path))
    other = preset("dass_finetuning", "optimizer.learning_rate=5e-4")
    (outcome,) = run_grid([other], [1], dataset, out=tmp_path, resume=True)
    assert (outcome.state, "preset" in outcome.error) == ("failed", True)


def test_a_finished_run_of_other_data_is_not_taken_for_this_one(preset, dataset, tmp_path):
    list(run_grid([preset("dass_finetuning")], [1], dataset, out=tmp_path / "runs"))
    other = Table(small_runs.write_corpus(tmp_path / "other", silent="p9-1"))
    (outcome,) = run_grid([preset("dass_finetuning")], [1], other, out=tmp_path / "runs", resume=True)
    assert (outcome.state, "other data" in outcome.error) == ("failed", True)


def test_a_run_that_somebody_works_on_is_passed_over(preset, dataset, tmp_path):
    held = RunFolder(tmp_path / "dass_finetuning-small" / "seed1")
    with held.lock():
        outcomes = list(run_grid([preset("dass_finetuning")], [1, 2], dataset, out=tmp_path, resume=True))
    assert states(outcomes) == [
        ("dass_finetuning-small", "seed1", "busy"),
        ("dass_finetuning-small", "seed2", "trained"),
    ]


def test_two_presets_for_one_folder_are_refused(preset, dataset, tmp_path):
    with pytest.raises(ConfigError, match="dass_finetuning-small twice"):
        list(run_grid([preset("dass_finetuning")] * 2, [1], dataset, out=tmp_path))


def test_the_table_gives_mean_and_deviation_over_seeds_beside_the_printed_figures(preset, dataset, tmp_path):
    list(run_grid([preset("lung_srad"), preset("dass_smoothing")], [1, 2, 3], dataset, out=tmp_path))
    (tmp_path / "lung_srad-small" / "seed3" / "result.json").unlink()
    call_it_icbhi(tmp_path)
    table = results_table(find_runs([tmp_path]))
    names = [row.system.split(" (")[0] for row in table.rows]
    assert names == ["DASS + smoothing"] * 5 + ["Lung-SRAD"] * 5
    assert "profile small" in table.rows[5].system
    assert "training.epochs=2" in table.rows[5].system
    ours, printed = table.rows[5], table.rows[9]
    assert (ours.rule, ours.seeds, ours.cycles) == ("best on validation", 2, 28)
    results = [RunFolder(tmp_path / "lung_srad-small" / f"seed{seed}").result() for seed in (1, 2)]
    scores = [rule["scores"]["score"] for result in results for rule in result["rules"] if rule["headline"]]
    assert (ours.score.mean, ours.score.std) == (statistics.fmean(scores), statistics.stdev(scores))
    assert (printed.score.mean, printed.score.std, printed.cycles, printed.seeds) == (64.48, 0.25, 4142, 5)
    assert any("68.51, not 68.40" in note for note in table.notes)
    assert any("seed3" in note for note in table.notes)


def test_the_headline_has_an_interval_over_patients(finished, tmp_path):
    shutil.copytree(finished().path, tmp_path / "seed1")
    run = RunFolder(tmp_path / "seed1")
    epoch = run.result()["selected_epoch"]
    given = run.headline.read_predictions(epoch, "test")
    drawn = np.random.default_rng(0).dirichlet(np.ones(len(given.class_names)), len(given))  # patients who differ
    columns = [getattr(given, name) for name in given.__slots__[:-1]]
    run.headline.write_predictions(epoch, "test", Predictions(*columns, drawn))
    headline, *others = results_table([run]).rows
    expected = patient_intervals([run.headline.read_predictions(epoch, "test")])["score"]
    assert expected.low < expected.value < expected.high
    assert headline.score.interval == (expected.low, expected.high)
    assert all(row.score.interval is None for row in others)


def test_without_predictions_there_is_no_interval_and_a_note(finished, tmp_path):
    shutil.copytree(finished().path, tmp_path / "seed9")
    for path in tmp_path.rglob("epoch_*_test.csv"):
        path.unlink()
    table = results_table([RunFolder(tmp_path / "seed9")])
    assert table.rows[0].score.interval is None
    assert "no interval: " in table.notes[0]


@pytest.fixture
def simulated(workplace, dataset, monkeypatch):
    """Returns the small corpus as one that says of itself that it is simulated, whoever opens it."""
    monkeypatch.setattr(Table, "synthetic", True)
    return dataset


def test_a_run_on_simulated_recordings_is_stamped(preset, simulated, tmp_path, workplace, monkeypatch):
    list(run_grid([preset("lung_srad", "training.refit=false")], [1], simulated, out=tmp_path))
    call_it_icbhi(tmp_path)
    (run,) = find_runs([tmp_path])
    assert run.facts()["data"]["synthetic"] is True
    table = results_table([run])
    assert all(row.synthetic for row in table.rows)
    assert not any("printed" in row.rule for row in table.rows)
    words = ["evaluate", str(run.path), f"--data=table:{workplace / 'corpus' / 'table.csv'}"]
    judged = RUN.invoke(app, [*words, f"--out={tmp_path / 'p.csv'}"])
    assert judged.stdout.startswith("**SYNTHETIC · ")
    monkeypatch.setattr(Table, "synthetic", False)
    judged = RUN.invoke(app, [*words, f"--out={tmp_path / 'q.csv'}"])
    assert not judged.stdout.startswith("**SYNTHETIC")
    assert "The weights were trained on SYNTHETIC recordings alone." in judged.stdout


def test_a_run_that_starts_from_simulated_weights_says_so(simulated, train, tmp_path, monkeypatch):
    list(run_grid([small_runs.small_preset("dass_finetuning", "training.refit=false")], [1], simulated, out=tmp_path))
    before = tmp_path / "dass_finetuning-small" / "seed1"
    monkeypatch.setattr(Table, "synthetic", False)
    assert train("lung_srad", "--no-refit").exit_code == 0
    words = ["lung_srad", "--no-refit", f"--init-from={before}", f"--out={tmp_path / 'more'}"]
    done = train(*words)
    assert done.exit_code == 0, done.stderr
    assert "tensors loaded, head loaded" in done.stderr
    facts = RunFolder(tmp_path / "more" / "lung_srad-small" / "seed1").facts()
    assert (facts["start"]["synthetic"], "synthetic" in facts["data"]) == (True, False)
    assert facts["start_from"] == str(before)
    table = results_table(find_runs([tmp_path / "more", tmp_path / "runs"]))
    names = {row.system for row in table.rows if row.rule == "best on validation"}
    assert len(names) == 2  # not averaged, and told apart by name
    assert sum(f"from SYNTHETIC weights {facts['start']['sha256'][:8]}" in name for name in names) == 1
    assert not any(row.synthetic for row in table.rows)  # its scores are on real recordings


def test_a_run_on_real_recordings_is_not_stamped(finished):
    assert "synthetic" not in finished().facts()["data"]
    assert "SYNTHETIC" not in results_table([finished()]).markdown()


def test_printed_figures_stand_beside_icbhi_only(finished):
    table = results_table([finished()])
    assert not any("printed" in row.rule for row in table.rows)
    (note,) = table.notes
    assert note.startswith("Split as given: no patient on two sides; sha256 ")


def test_a_damaged_run_is_left_out_with_a_note(finished, tmp_path):
    shutil.copytree(finished().path, tmp_path / "seed9")
    (tmp_path / "seed9" / "result.json").write_text("{}")
    table = results_table([finished(), RunFolder(tmp_path / "seed9")])
    assert {row.seeds for row in table.rows} == {1}
    assert any("result.json: lacks headline" in note for note in table.notes)


def test_lost_weights_are_named(finished, tmp_path, workplace):
    shutil.copytree(finished().path, tmp_path / "seed9")
    (tmp_path / "seed9" / "weights.safetensors").unlink()
    data = f"--data=table:{workplace / 'corpus' / 'table.csv'}"
    result = RUN.invoke(app, ["evaluate", str(tmp_path / "seed9"), data, f"--out={tmp_path / 'p.csv'}"])
    assert result.exit_code == 1
    assert "weights.safetensors: is not there" in result.stderr
    assert "train again" in result.stderr


def test_runs_of_different_settings_are_not_averaged(preset, dataset, tmp_path):
    list(run_grid([preset("dass_finetuning")], [1], dataset, out=tmp_path / "a"))
    list(run_grid([preset("dass_finetuning", "training.epochs=3")], [2], dataset, out=tmp_path / "b"))
    rows = results_table(find_runs([tmp_path])).rows
    assert [row.seeds for row in rows if row.rule == "best on validation"] == [1, 1]


def test_a_run_given_twice_counts_once(finished, tmp_path):
    run = finished()
    shutil.copytree(run.path, tmp_path / "copy")
    table = results_table([run, RunFolder(tmp_path / "copy")])
    assert {row.seeds for row in table.rows} == {1}
    assert any("the same run as" in note for note in table.notes)


def test_a_place_without_a_finished_run_is_an_error(finished, tmp_path):
    with pytest.raises(RunError, match="no run here"):
        find_runs([tmp_path])
    shutil.copytree(finished().path, tmp_path / "seed1")
    (tmp_path / "seed1" / "result.json").unlink()
    with pytest.raises(RunError, match="no finished run"):
        results_table(find_runs([tmp_path]))


def test_train_table_and_evaluate_from_the_shell(train, workplace, tmp_path, monkeypatch):
    done = train("dass_smoothing", "lung_srad", "--seeds=1,2", "--no-refit")
    assert done.exit_code == 0, done.stderr
    assert "| Lung-SRAD (profile small, " in done.stdout
    assert done.stderr.count(": trained") == 4
    again = train("lung_srad", "--seeds=1-2", "--no-refit", "--resume")
    assert again.stderr.count(": was finished") == 2
    refused = train("lung_srad", "--no-refit")
    assert (refused.exit_code, "error: " in refused.stderr) == (1, True)
    target = tmp_path / "table.csv"
    assert RUN.invoke(app, ["table", str(tmp_path / "runs"), f"--csv={target}"]).stdout == done.stdout
    rows = list(csv.DictReader(io.StringIO(target.read_text())))
    assert {row["seeds"] for row in rows if row["epoch"] == "last epoch"} == {"2"}
    assert {row["split_sha256"] for row in rows} == {Table(workplace / "corpus" / "table.csv").partition().sha256}
    assert "split as given: train 7 patients, 28 cycles, test 3 patients, 12 cycles; disjoint" in done.stderr
    run, data = tmp_path / "runs" / "lung_srad-small" / "seed1", workplace / "corpus" / "table.csv"
    places = [f"--out={tmp_path / 'p.csv'}", f"--report={tmp_path / 'external'}"]
    judged = RUN.invoke(app, ["evaluate", str(run), f"--data=table:{data}", *places])
    assert judged.exit_code == 0, judged.stderr
    assert "**Confusion matrix, counts**" in judged.stdout
    assert "**By device, in per cent**" in judged.stdout
    assert "classes of run and data, matched by name: normal, crackle, wheeze" in judged.stderr
    assert (tmp_path / "external" / "report.html").is_file()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "predictions_test.csv").touch()
    kept = RUN.invoke(app, ["evaluate", str(run), f"--data=table:{data}"])
    assert (kept.exit_code, "is there already" in kept.stderr) == (1, True)
    recorded = RunFolder(run).select.read_predictions(RunFolder(run).result()["selected_epoch"], "test")
    assert (read_predictions(tmp_path / "p.csv").probabilities == recorded.probabilities).all()


def test_readings_lie_side_by_side(train, tmp_path):
    assert train("lung_srad", "--reading=code", "--no-refit").exit_code == 0
    assert train("lung_srad", "--no-refit").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["lung_srad-code-small", "lung_srad-small"]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["lung_srd"], 1, "did you mean 'lung_srad'?"),
        (["lung_srad", "--set=training.epoch=3"], 1, "'epochs'"),
        (["lung_srad", "--set=backbone.framez=3"], 1, "did you mean 'frames'?"),
        (["lung_srad", "--set=backbone.frames=0"], 1, "more than 0"),
        (["lung_srad", "--weights=nowhere.pth"], 1, "nowhere.pth"),
        (["lung_srad", "--init-from=nowhere"], 1, "nowhere"),
        (["lung_srad", "--seeds=5-1"], 2, "5-1"),
        (["lung_srad", "--seeds=1-"], 2, "1-"),
        (["lung_srad", "--seeds=1-3000000000"], 2, "1-3000000000"),
        (["lung_srad", "--weights=a.pth", "--init-from=b"], 2, "give one"),
    ],
)
def test_wrong_words_end_in_one_message(train, tmp_path, words, code, text):
    result = train(*words)
    assert result.exit_code == code
    assert text in result.stderr.replace("\n│ ", " ")
    assert not list((tmp_path / "runs").rglob("result.json"))


def test_presets_lists_prints_and_resolves():
    listed = RUN.invoke(app, ["presets"]).stdout
    rows = {line.split()[0]: line.split()[-1] for line in listed.splitlines()}
    assert list(rows) == [*preset_names(), *ensemble_names()]
    assert (rows["lung_srad"], rows["bts_ensemble"]) == ("64.48", "65.69")
    assert RUN.invoke(app, ["presets", "bts_ensemble"]).stdout.startswith("# Table 1: BTS++")
    assert RUN.invoke(app, ["presets", "bts", "--long"]).exit_code == 2
    assert RUN.invoke(app, ["presets", "lung_srad"]).stdout.startswith("# Table 2, row 6")
    resolved = RUN.invoke(app, ["presets", "lung_srad", "--reading=code"]).stdout
    assert 'form = "mean_of_logs"' in resolved
