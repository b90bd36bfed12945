"""What is reported: runs, seeds of runs, files, and places that hold neither."""

import json
from dataclasses import asdict

import made_runs
import numpy as np
import pytest

from lung_srad.config import load_preset
from lung_srad.datasets import Cycle
from lung_srad.errors import RunError
from lung_srad.evaluation import Predictions, Scores, select, write_predictions
from lung_srad.reports import known_cycles, read_source, read_sources
from lung_srad.reports.sources import external_source, normal_class

PRESET = load_preset("lung_srad", profile="small", overrides=["training.refit=false"])


@pytest.fixture
def runs(tmp_path):
    return [made_runs.make_run(tmp_path / "runs", PRESET, seed) for seed in (1, 2)]


def test_a_run_is_its_headline_with_everything_that_is_known_of_it(runs):
    source = read_source([runs[0].path])
    epoch = runs[0].result()["selected_epoch"]
    assert source.name == "Lung-SRAD (profile small)"
    assert (source.predictions[0].probabilities == made_runs.answers(PRESET, 1, epoch).probabilities).all()
    assert list(source.rules) == [
        "best on validation",
        "last epoch",
        "mean of the last 5 epochs",
        "best on test (optimistic)",
    ]
    assert (source.seeds, source.runs, source.synthetic) == ((1,), (runs[0].path,), False)
    assert source.split == {"name": "official"}  # what a run that kept no more is known to have
    assert source.validation == ()
    assert source.training is None


def test_validation_and_training_come_from_the_run_where_they_are_kept(runs):
    for epoch in (1, 2, 3):
        runs[0].select.write_predictions(epoch, "validation", made_runs.answers(PRESET, 9, epoch, "validation"))
    runs[0].select.write_predictions(PRESET.training.epochs, "fit", made_runs.answers(PRESET, 9, 1, "fit"))
    source = read_source([runs[0].path])
    epoch = runs[0].result()["selected_epoch"]
    expected = made_runs.answers(PRESET, 9, epoch, "validation")
    assert (source.validation[0].probabilities == expected.probabilities).all()
    assert set(source.training.split) == {"fit"}


def test_a_folder_of_seeds_is_one_system(runs):
    source = read_source([runs[0].path.parent], name="ours")
    assert (source.name, source.seeds, len(source.predictions)) == ("ours", (1, 2), 2)
    assert all(len(scores) == 2 for scores in source.rules.values())
    assert isinstance(source.rules["last epoch"][0], Scores)


def test_several_systems_below_a_folder_are_named(runs, tmp_path):
    other = load_preset("dass_finetuning", profile="small", overrides=["training.refit=false"])
    made_runs.make_run(tmp_path / "runs", other, 1)
    with pytest.raises(RunError, match=r"2 systems: DASS fine-tuning .*; Lung-SRAD .*; give the folder of one"):
        read_source([tmp_path / "runs"])
    first, second = read_sources(sorted((tmp_path / "runs").iterdir()))
    assert first.name.startswith("DASS fine-tuning")
    assert second.seeds == (1, 2)


def test_files_are_the_seeds_of_one_system(tmp_path, predictions):
    for seed in (1, 2):
        write_predictions(tmp_path / f"theirs{seed}.csv", predictions(seed))
    alone = read_source([tmp_path / "theirs1.csv"])
    assert (alone.name, len(alone.predictions), alone.rules, alone.runs) == ("theirs1", 1, {}, ())
    both = read_source([tmp_path / "theirs1.csv", tmp_path / "theirs2.csv"], name="theirs")
    assert (both.name, len(both.predictions)) == ("theirs", 2)
    folder = read_source([tmp_path])
    assert (folder.name, len(folder.predictions)) == (tmp_path.name, 2)


def test_predictions_that_lie_in_a_simulated_run_are_synthetic(runs, tmp_path):
    data = {"name": "icbhi", "split": "official", "fingerprint": "f", "synthetic": True}
    run = made_runs.make_run(tmp_path / "simulated", PRESET, 1, data=data)
    assert read_source([run.path]).synthetic
    assert read_source([run.select.predictions_file(1, "test")]).synthetic
    assert not read_source([runs[0].select.predictions_file(1, "test")]).synthetic


def test_folds_of_one_system_are_pooled(tmp_path, runs):
    other = tmp_path / "fold"
    for seed in (1, 2):
        run = made_runs.make_run(other, PRESET, seed, split={"name": "fold-1"})
        for epoch in (1, 2, 3):
            given = made_runs.answers(PRESET, seed, epoch)
            columns = [getattr(given, name) for name in given.__slots__[1:]]
            columns[0] = np.char.add("x", given.id)
            run.select.write_predictions(epoch, "test", Predictions(given.class_names, *columns))
    source = read_source([runs[0].path.parent, run.path.parent])
    assert source.name == "Lung-SRAD, 2 folds pooled"
    assert [len(each) for each in source.predictions] == [48, 48]
    assert len(set(source.predictions[1].id)) == 48
    assert (source.validation, source.rules, source.runs) == ((), {}, ())
    assert source.notes[0].startswith("Folds pooled: official, fold-1.")
    with pytest.raises(RunError, match=r"2 folders with 0 cycles in common, 2 kinds"):
        read_source([runs[0].path, run.path.parent])


@pytest.mark.parametrize("kind", ["empty", "unfinished", "two", "mixed"])
def test_places_that_cannot_be_reported(tmp_path, runs, predictions, kind):
    write_predictions(tmp_path / "a.csv", predictions())
    (tmp_path / "nothing").mkdir()
    if kind == "unfinished":
        (runs[0].path / "result.json").unlink()
    paths, match = {
        "empty": ([tmp_path / "nothing"], "no run and no predictions file here"),
        "unfinished": ([runs[0].path], "no finished run"),
        "two": (
            [runs[1].path, runs[0].path],
            "2 folders with 24 cycles in common, 1 kinds of seeds or classes; folds of one",
        ),
        "mixed": ([tmp_path / "a.csv", runs[1].path], "a folder among files"),
    }[kind]
    with pytest.raises(RunError, match=match):
        read_source(paths)


def test_the_normal_class_is_found_by_name():
    assert normal_class(("crackle", "Normal")) == 1
    assert normal_class(("a", "b")) == 0


class Corpus:
    """What external validation asks of a dataset."""

    def __init__(self, name, synthetic=False):
        self.name, self.synthetic = name, synthetic
        self.splits, self.class_names = ("train", "test"), ("normal", "crackle", "wheeze", "both")

    def cycles(self, part):
        return [Cycle("a#0", "a.wav", 0, 1, 2, "p", "a", "pen", "Al", part)] if part == "train" else []


def test_other_data_than_a_run_knows_are_external_validation(runs, predictions):
    facts = runs[0].facts()
    other = external_source(runs[0], predictions(), Corpus("sprsound"))
    assert other.notes == ("External validation: trained on icbhi, scored on sprsound, not retrained.",)
    assert other.name == "Lung-SRAD on sprsound"
    assert external_source(runs[0], predictions(), Corpus("icbhi")).notes == ()
    (note,) = external_source(runs[0], predictions(part="train"), Corpus("icbhi")).notes
    assert "may have been trained on some of these" in note
    facts["data"]["synthetic"] = True
    (runs[0].path / "provenance.json").write_text(json.dumps(facts))
    assert "SYNTHETIC" in external_source(runs[0], predictions(), Corpus("sprsound")).notes[1]


def test_training_cycles_of_a_corpus_have_no_answers():
    known = known_cycles(Corpus("icbhi"))
    assert (list(known.label), list(known.device), list(known.predicted)) == ([2], ["pen"], [-1])


def test_made_runs_follow_the_rules_of_selection(runs):
    scores = [made_runs.answers(PRESET, 1, epoch).scores() for epoch in (1, 2, 3)]
    expected = [asdict(choice)["rule"] for choice in select(scores, scores)]
    assert {rule["rule"] for rule in runs[0].result()["rules"]} == set(expected)
