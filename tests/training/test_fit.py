"""One run from end to end: what is chosen, what is kept, what is refused."""

import hashlib
import json
import re
import shutil
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import small_runs
import torch
from safetensors.torch import load_file, save_file

from lung_srad.config import load_preset
from lung_srad.datasets import Table, partition
from lung_srad.errors import BusyError, ConfigError, DataError, LungSradError, RunError, WeightsError
from lung_srad.evaluation import Scores, best_epoch
from lung_srad.models import create_model
from lung_srad.runs import RunFolder, load_model
from lung_srad.runs.state import read_tensors
from lung_srad.training import evaluate, fit, run_name, score
from lung_srad.training.start import start_weights

EPOCHS = 3
THREE = f"training.epochs={EPOCHS}"


def scores_of(phase, part, epochs=EPOCHS):
    return [phase.read_predictions(epoch, part).scores() for epoch in range(1, epochs + 1)]


def as_scores(entry):
    return Scores(**entry | {"recalls": tuple(entry["recalls"])})


def log_of(phase):
    return [json.loads(line) for line in (phase.path / "log.jsonl").read_text().splitlines()]


# --- selection (DESIGN, settled 4)


def test_validation_patients_choose_the_epoch_and_the_refit_reports_it(finished):
    run = finished("lung_srad", THREE)
    result = run.result()
    validation, test = scores_of(run.select, "validation"), scores_of(run.refit, "test")
    chosen = best_epoch(validation)
    assert result["selected_epoch"] == chosen
    assert result["selected_by"] == "validation"
    assert result["headline"] == "refit"
    rules = {rule["rule"]: rule for rule in result["rules"]}
    assert [name for name, rule in rules.items() if rule["headline"]] == ["best on validation"]
    assert as_scores(rules["best on validation"]["scores"]) == test[chosen - 1]
    assert as_scores(rules["last epoch"]["scores"]) == test[-1]
    assert rules["mean of the last 5 epochs"]["scores"]["sp"] == pytest.approx(np.mean([s.sp for s in test]))
    assert rules["best on test (optimistic)"]["optimistic"]
    assert as_scores(result["validation"]) == validation[chosen - 1]


def test_validation_patients_are_in_the_refit_only(finished):
    run = finished("lung_srad", THREE)
    facts = run.facts()
    held, cycles = set(facts["validation_patients"]), facts["cycles"]
    assert set(run.select.read_predictions(1, "validation").patient) == held
    assert not held & set(run.select.read_predictions(EPOCHS, "fit").patient)
    assert held < set(run.refit.read_predictions(EPOCHS, "train").patient)
    assert cycles["fit"] + cycles["validation"] == cycles["train"] == run.result()["train_cycles"] == 28
    steps = [entry["step"] for entry in log_of(run.select) if "loss" in entry]
    assert steps == list(range(1, EPOCHS * (cycles["fit"] // 8) + 1))  # the smaller last batch is left out


def test_without_a_refit_the_first_run_is_the_headline(finished):
    run = finished("dass_finetuning", "training.refit=false")
    result = run.result()
    assert result["headline"] == "select"
    assert result["train_cycles"] == run.facts()["cycles"]["fit"] < 28
    assert not run.refit.path.exists()
    assert run.weights.read_bytes() == (run.select.path / "best.safetensors").read_bytes()
    headline = next(rule for rule in result["rules"] if rule["headline"])
    epoch = result["selected_epoch"]
    assert as_scores(headline["scores"]) == scores_of(run.select, "test", 2)[epoch - 1]


@pytest.mark.parametrize("name", ["lung_srad", "dass_finetuning"])
def test_the_weights_are_those_of_the_headline_epoch(finished, dataset, name):
    run = finished(name, THREE) if name == "lung_srad" else finished(name, "training.refit=false")
    result = run.result()
    phase = run.refit if result["headline"] == "refit" else run.select
    recorded = phase.read_predictions(result["selected_epoch"], "test")
    computed = evaluate(run, dataset)
    assert computed.id.tolist() == recorded.id.tolist()
    assert np.array_equal(computed.probabilities, recorded.probabilities)
    other = phase.read_predictions(result["selected_epoch"] % 2 + 1, "test")
    assert not np.array_equal(other.probabilities, recorded.probabilities)
    assert score(run, dataset) == recorded.scores()
    assert score(run, dataset, split="train").n == 28


def test_a_validation_part_without_a_score_leaves_the_last_epoch_and_says_so(tmp_path, dataset, preset, monkeypatch):
    monkeypatch.setattr("lung_srad.training.phase.best_epoch", lambda scores: None)
    run = fit(preset("dass_finetuning"), dataset, out=tmp_path)
    assert run.result()["selected_epoch"] == 2
    assert "last epoch" in run.result()["selected_by"]


# --- what is on disk


def test_predictions_of_every_epoch_are_kept(finished):
    run = finished("lung_srad", THREE)
    assert {path.name for path in (run.select.path / "predictions").iterdir()} == {
        *(f"epoch_{epoch:03d}_{part}.csv" for epoch in (1, 2, 3) for part in ("validation", "test")),
        "epoch_003_fit.csv",
    }
    assert {path.name for path in (run.refit.path / "predictions").iterdir()} == {
        *(f"epoch_{epoch:03d}_test.csv" for epoch in (1, 2, 3)),
        "epoch_003_train.csv",
    }


def test_the_log_holds_every_part_of_the_loss_and_no_clock(finished):
    entries = log_of(finished("lung_srad", THREE).select)
    steps = [entry for entry in entries if "loss" in entry]
    assert {"ce", "mix_time", "mix_freq", "accuracy", "learning_rate"} < set(steps[0])
    for entry in steps:
        assert entry["loss"] == pytest.approx(entry["ce"] + entry["mix_time"] + entry["mix_freq"])
    scored = [(entry["epoch"], entry["part"]) for entry in entries if "part" in entry]
    assert scored[:2] == [(1, "validation"), (1, "test")]
    assert scored[-1] == (3, "fit")
    assert not any(key.endswith("_s") for entry in entries for key in entry)


def test_the_learning_rate_is_the_published_cosine_after_a_warm_up(finished):
    steps = [entry for entry in log_of(finished("lung_srad", THREE).refit) if "loss" in entry]
    high, low = 1e-3, 1e-6
    cosine = {epoch: low + (high - low) * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2 for epoch in (1, 2, 3)}
    assert cosine[3] == pytest.approx(low)
    for entry in steps:
        assert entry["learning_rate"] == pytest.approx(min(1, entry["step"] / 3) * cosine[entry["epoch"]])


def test_provenance_says_where_the_run_comes_from(finished, dataset):
    facts = finished("lung_srad", THREE).facts()
    assert facts["data"] == {"name": "table", "split": "", "fingerprint": dataset.fingerprint()}
    assert facts["class_names"] == list(small_runs.CLASSES)
    assert facts["start"] == {"weights": "random"}
    assert facts["versions"]["torch"].startswith(torch.__version__.partition("+")[0])
    assert {"command", "commit", "machine", "seed", "silent", "processes"} < set(facts)


def test_a_run_is_named_by_its_preset_reading_and_profile():
    assert run_name(load_preset("lung_srad")) == "lung_srad"
    assert run_name(load_preset("lung_srad", profile="small", overrides=["reading=code"])) == "lung_srad-code-small"


@pytest.mark.parametrize(
    ("scheme", "default", "name"),
    [("official", "official", "lung_srad"), ("fold-1", "official", "lung_srad-fold-1"), ("", "", "lung_srad")],
)
def test_a_run_on_another_split_than_the_default_carries_it_in_its_name(scheme, default, name):
    dataset = SimpleNamespace(scheme=scheme, default_scheme=default)
    assert run_name(load_preset("lung_srad"), dataset) == name


def test_a_run_keeps_its_split_its_hash_and_that_of_validation(finished, dataset):
    run = finished("lung_srad", THREE)
    split, found = run.facts()["split"], dataset.partition()
    validation = split.pop("validation_sha256")
    assert split == found.facts()
    assert (split["patients"], split["shared_patients"]) == ({"train": 7, "test": 3}, [])
    assert run.result()["split"] == {"name": "", "sha256": found.sha256}
    held = set(run.facts()["validation_patients"])
    sides = [(cycle, "validation" if cycle.patient in held else "fit") for cycle in dataset.cycles("train")]
    assert validation == partition("", sides).sha256


def test_runs_on_two_splits_do_not_overwrite_each_other(tmp_path, dataset, preset):
    other = Table(dataset.location)
    other.scheme = "fold-1"
    quick = preset("dass_finetuning", "training.refit=false", "training.epochs=1")
    first, second = (fit(quick, data, out=tmp_path) for data in (dataset, other))
    assert (first.path.parent.name, second.path.parent.name) == (
        "dass_finetuning-small",
        "dass_finetuning-small-fold-1",
    )
    assert second.facts()["split"]["name"] == "fold-1"


# --- determinism


@pytest.mark.parametrize("drawn", [99, 100])  # and finished: the same seed three times
def test_the_same_seed_gives_the_same_bits_whatever_torch_has_drawn_before(finished, dataset, preset, tmp_path, drawn):
    torch.manual_seed(drawn)
    state = torch.get_rng_state()
    again = fit(preset("lung_srad", THREE), dataset, out=tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert small_runs.digests(again) == small_runs.digests(finished("lung_srad", THREE))


def test_another_seed_gives_another_run(finished, dataset, preset, tmp_path):
    other = fit(preset("lung_srad", THREE), dataset, seed=2, out=tmp_path)
    assert other.path.name == "seed2"
    first = finished("lung_srad", THREE)
    assert small_runs.digests(other)["weights.safetensors"] != small_runs.digests(first)["weights.safetensors"]


@pytest.mark.filterwarnings("ignore:This DataLoader will create . worker processes")  # more than there are cores
@pytest.mark.parametrize("workers", [1, 4])
def test_workers_give_the_bits_of_none(finished, dataset, preset, tmp_path, workers):
    few = ("training.refit=false", "training.batch_size=4", "training.eval_batch_size=3")  # batches for all of them
    run = fit(preset("dass_finetuning", *few, f"training.workers={workers}"), dataset, out=tmp_path)
    alone, shared = small_runs.digests(finished("dass_finetuning", *few)), small_runs.digests(run)
    differ = {name for name in alone if alone[name] != shared[name]}
    assert differ == {"config.toml", "weights.safetensors", "select/best.safetensors"}  # the preset stands in them
    weights = [read_tensors(each.weights)[0] for each in (run, finished("dass_finetuning", *few))]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[1])


def test_the_shipped_tiny_backbone_trains(dataset, preset, tmp_path):
    own = ["backbone.name=dass_tiny", "smoothing.blocks=[2, 3]", "training.epochs=1", "training.refit=false"]
    run = fit(preset("lung_srad", *own), dataset, out=tmp_path)
    assert run.finished
    assert len(load_model(run.weights).net.state_dict()) == len(create_model("dass_tiny").state_dict())


# --- where a run starts


def test_a_run_can_start_from_another(finished, dataset, preset, tmp_path):
    before = finished("dass_finetuning", "training.refit=false")
    frozen = ["optimizer.learning_rate=1e-30", "training.epochs=1", "training.refit=false"]
    run = fit(preset("dass_smoothing", *frozen), dataset, out=tmp_path, start_from=before.path)
    start = run.facts()["start"]
    old, new = read_tensors(before.weights)[0], read_tensors(run.weights)[0]
    sha256 = small_runs.digests(before)["weights.safetensors"]
    assert start == {"weights": "run", "sha256": sha256, "loaded": len(old), "head": "loaded"}
    assert all(torch.allclose(old[key], new[key], rtol=0, atol=1e-12) for key in old)


def test_a_run_can_start_from_a_checkpoint_named_by_the_environment(finished, dataset, preset, tmp_path, monkeypatch):
    before = finished("dass_finetuning", "training.refit=false")
    checkpoint = tmp_path / "official.safetensors"
    save_file(load_file(before.weights), checkpoint)
    monkeypatch.setenv("LUNG_SRAD_WEIGHTS", str(checkpoint))
    frozen = ["optimizer.learning_rate=1e-30", "training.epochs=1", "training.refit=false"]
    run = fit(preset("dass_finetuning", *frozen), dataset, out=tmp_path / "runs")
    start = run.facts()["start"]
    assert (start["weights"], start["head"]) == ("checkpoint", "left out")
    assert start["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert run.facts()["start_from"] == str(checkpoint)
    old, new = load_file(checkpoint), read_tensors(run.weights)[0]
    same = {key for key in old if torch.allclose(old[key], new[key], rtol=0, atol=1e-12)}
    assert set(old) - same == {"classifier.head.weight", "classifier.head.bias"}
    monkeypatch.delenv("LUNG_SRAD_WEIGHTS")
    (run.path / "result.json").unlink()
    with pytest.raises(RunError, match="a run of other start"):
        fit(preset("dass_finetuning", *frozen), dataset, out=tmp_path / "runs", resume=True)


def test_a_folder_of_the_hub_is_a_checkpoint_and_not_a_run(finished, tmp_path):
    before = finished("dass_finetuning", "training.refit=false")
    save_file(load_file(before.weights), tmp_path / "model.safetensors")
    model = load_model(before.weights)
    assert start_weights(model.net, tmp_path, model.class_names)["weights"] == "checkpoint"


def test_the_head_of_other_classes_is_left_out(finished):
    before = finished("dass_finetuning", "training.refit=false")
    net = load_model(before.weights).net
    torch.nn.init.ones_(net.head.weight)
    found = start_weights(net, before.path, ("normal", "wheeze", "crackle"))
    assert (found["head"], found["loaded"]) == ("left out", len(net.state_dict()) - 2)
    assert (net.head.weight == 1).all()


@pytest.mark.parametrize(
    ("start", "error", "words"),
    [
        ("absent.pth", WeightsError, "no such file"),
        ("empty", RunError, "no run here"),
        ("unfinished", RunError, "weights.safetensors: is not there"),
        ("tiny", RunError, "weights of dass_micro; a run of the same backbone"),
    ],
)
def test_a_start_that_cannot_be_is_refused_before_anything_is_written(
    finished, dataset, preset, tmp_path, start, error, words
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "config.toml").touch()
    source = finished("dass_finetuning", "training.refit=false").path if start == "tiny" else tmp_path / start
    changes = ["backbone.name=dass_tiny"] if start == "tiny" else []
    with pytest.raises(error, match=words):
        fit(preset("dass_finetuning", *changes), dataset, out=tmp_path / "runs", start_from=source)
    assert not RunFolder(tmp_path / "runs" / "dass_finetuning-small" / "seed1").started


# --- what is refused


def test_a_run_that_is_there_is_not_overwritten(finished, dataset, preset):
    run = finished("lung_srad", THREE)
    before = small_runs.digests(run)
    again = {"out": run.path.parents[1], "seed": 1}
    with pytest.raises(RunError, match=r"there is a run here already, finished; .*--resume"):
        fit(preset("lung_srad", THREE), dataset, **again)
    assert fit(preset("lung_srad", THREE), dataset, resume=True, **again) == run
    with pytest.raises(RunError, match="a run of other preset"):
        fit(preset("lung_srad", "training.epochs=4"), dataset, resume=True, **again)
    assert small_runs.digests(run) == before


@pytest.fixture
def unfinished(finished, tmp_path):
    """Returns a copy of a finished run that lost its result and its second phase."""
    source = finished("lung_srad", THREE)
    path = tmp_path / "runs" / source.path.parent.name / source.path.name
    shutil.copytree(source.path, path)
    (path / "result.json").unlink()
    shutil.rmtree(path / "refit")
    return RunFolder(path)


def test_resuming_another_run_is_refused(unfinished, dataset, preset, workplace, tmp_path):
    again = {"out": unfinished.path.parents[1], "resume": True}
    before = small_runs.digests(unfinished)
    with pytest.raises(RunError, match="a run of other preset; the run that was started; resume with the command"):
        fit(preset("lung_srad", THREE, "optimizer.learning_rate=1e-4"), dataset, **again)
    shutil.copytree(workplace / "corpus", tmp_path / "corpus")
    table = tmp_path / "corpus" / "table.csv"
    table.write_text(table.read_text().replace("p0-0.wav,normal", "p0-0.wav,crackle"))
    with pytest.raises(RunError, match="a run of other data"):
        fit(preset("lung_srad", THREE), Table(table), **again)
    unfinished.path.rename(unfinished.path.with_name("seed2"))
    with pytest.raises(RunError, match="a run of other seed"):
        fit(preset("lung_srad", THREE), dataset, seed=2, **again)
    assert small_runs.digests(RunFolder(unfinished.path.with_name("seed2"))) == before


def test_a_run_somebody_works_on_is_refused(unfinished, dataset, preset):
    with unfinished.lock(), pytest.raises(BusyError, match="another process works on this run"):
        fit(preset("lung_srad", THREE), dataset, out=unfinished.path.parents[1], resume=True)


def test_weights_and_scores_of_an_unfinished_run(unfinished, dataset):
    with pytest.raises(RunError, match=r"not finished; .*--resume"):
        score(unfinished, dataset)
    unfinished.weights.unlink()
    with pytest.raises(RunError, match=r"weights.safetensors: is not there; .*--resume"):
        evaluate(unfinished, dataset)


def test_a_folder_without_a_run(tmp_path, dataset):
    for ask in (score, evaluate):
        with pytest.raises(RunError, match="no run"):
            ask(tmp_path, dataset)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["training.batch_size=21"], r"training.batch_size: 21 x 1 processes; at most 20"),
        (["objective.temperature=0.0"], r"objective.temperature: 0.0; greater than 0"),
        (["objective.tau=0.1"], r"unknown key 'tau'"),
        (["smoothing.stage=4"], r"no stage 4"),
    ],
)
def test_a_preset_that_cannot_train_is_refused_before_anything_is_written(dataset, preset, tmp_path, overrides, words):
    with pytest.raises(LungSradError, match=words):
        fit(preset("lung_srad", *overrides), dataset, out=tmp_path)
    assert not (tmp_path / "lung_srad-small" / "seed1" / "select").exists()


# --- data


def test_a_silent_cycle_is_refused_by_name(preset, tmp_path):
    table = Table(small_runs.write_corpus(tmp_path / "corpus", silent="p8-1"))
    with pytest.raises(DataError) as caught:
        fit(preset(), table, out=tmp_path / "runs")
    for words in ("p8-1.wav: cycle p8-1", "is silent, 1 in all", "at least 1e-4", "training.silent=skip"):
        assert words in str(caught.value)


def test_a_silent_cycle_can_be_left_out(preset, tmp_path):
    table = Table(small_runs.write_corpus(tmp_path / "corpus", silent="p8-1"))
    skip = ["training.silent=skip", "training.epochs=1", "training.refit=false"]
    run = fit(preset("dass_finetuning", *skip), table, out=tmp_path / "runs")
    for predictions in (run.select.read_predictions(1, "test"), evaluate(run, table)):
        silent = predictions.id == "p8-1"
        assert np.isnan(predictions.probabilities[silent]).all()
        assert not np.isnan(predictions.probabilities[~silent]).any()
    assert run.facts()["silent"] == ["p8-1"]
    assert run.result()["rules"][0]["scores"]["n"] == 12  # a miss, not left out


def corpus_with(tmp_path, old, new):
    path = small_runs.write_corpus(tmp_path / "corpus")
    path.write_text(re.sub(old, new, path.read_text()))
    return Table(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            r",test,",
            ",other,",
            r"no cycle in 'test'; .*this data has 28 in 'train', 12 in 'other'",
        ),
        (
            r"p0-0.wav,normal",
            "p0-0.wav,",
            r"p0-0.wav: cycle p0-0 has no label, 1 in all; every training cycle needs one",
        ),
        (r"(p[789]-\d.wav),\w+", r"\1,", r"no test cycle has a label"),
        (r",(crackle|wheeze),", ",normal,", r"1 class \(normal\); two or more classes"),
        (r",p[0-6],train", ",p0,train", r"1 training patient\(s\): none can be set aside; at least two"),
    ],
)
def test_data_that_cannot_be_trained_on(preset, tmp_path, old, new, words):
    with pytest.raises(DataError, match=words):
        fit(preset(), corpus_with(tmp_path, old, new), out=tmp_path / "runs")


def test_classes_are_matched_by_name_and_labels_may_be_absent(finished, workplace):
    run = finished("lung_srad", THREE)
    home = Table(workplace / "corpus" / "table.csv")
    recorded = evaluate(run, home)
    rows = (workplace / "corpus" / "table.csv").read_text().splitlines()

    def table(name, keep):
        path = workplace / "corpus" / name
        path.write_text("\n".join([rows[0], *filter(None, map(keep, rows[1:]))]) + "\n")
        return Table(path)

    unlabelled = table("unlabelled.csv", lambda row: re.sub(r"\.wav,\w+", ".wav,", row))
    predictions = evaluate(run, unlabelled)
    assert np.array_equal(predictions.probabilities, recorded.probabilities)
    assert predictions.class_names == small_runs.CLASSES
    assert (predictions.label == -1).all()
    with pytest.raises(DataError, match="cycle"):
        predictions.scores()

    wheezes = evaluate(run, table("wheezes.csv", lambda row: row if ",wheeze," in row else None))
    assert set(wheezes.label) == {2}
    foreign = table("foreign.csv", lambda row: row.replace("crackle", "rhonchus"))
    with pytest.raises(DataError, match=r"label 'rhonchus'; the run knows normal, crackle, wheeze; rename"):
        evaluate(run, foreign)
    with pytest.raises(DataError, match="no split 'tset'"):
        evaluate(run, home, split="tset")
    assert list(evaluate(run, home, split="all").id) == [cycle.id for cycle in home.cycles()]


def test_an_evaluation_says_how_far_it_is(finished, dataset):
    heard = []
    evaluate(finished("lung_srad", THREE), dataset, report=lambda *said: heard.append(said))
    assert heard[0] == ("reading recordings", 1, 12)
    assert heard[-1] == ("classifying", 12, 12)


def test_other_data_is_scored_from_the_weights(finished, workplace):
    run = finished("lung_srad", THREE)
    path = workplace / "corpus" / "other.csv"
    path.write_text((workplace / "corpus" / "table.csv").read_text().replace(",train,", ",dev,"))
    assert score(run, Table(path)) == score(run, Table(workplace / "corpus" / "table.csv"))
    assert score(run, Table(path), split="dev").n == 28


# --- what can go wrong on the way


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(dataset, preset, tmp_path):
    wild = ["optimizer.learning_rate=1e30", "optimizer.warmup_steps=0", "training.checkpoint_every=1"]
    with pytest.raises(RunError) as caught:
        fit(preset("dass_finetuning", *wild), dataset, out=tmp_path)
    assert (
        "finite numbers; the last checkpoint is kept; start anew in another --out with a lower optimizer.learning_rate"
        in str(caught.value)
    )
    run = RunFolder(tmp_path / "dass_finetuning-small" / "seed1")
    assert read_tensors(run.select.checkpoint)[1]["step"] >= 1
    assert not (run.path / "lock").exists()


def test_answers_that_are_not_finite_are_no_silence(dataset, preset, tmp_path, monkeypatch):
    monkeypatch.setattr("lung_srad.models.Classifier.forward", lambda net, x, side: x.new_full((len(x), 3), torch.nan))
    monkeypatch.setattr("lung_srad.training.phase.Phase._train", lambda phase, epoch, progress, log: progress)
    with pytest.raises(RunError, match="answers for 'validation' are not finite"):
        fit(preset("dass_finetuning"), dataset, out=tmp_path)


def test_a_full_disk_is_one_message(dataset, preset, tmp_path, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device", "checkpoint.safetensors")

    monkeypatch.setattr("lung_srad.files.os.fsync", full)
    with pytest.raises(RunError, match=r"No space left on device.*make room, then continue the run with --resume"):
        fit(preset(), dataset, out=tmp_path)
    monkeypatch.undo()


def test_tensorboard_hears_what_the_log_holds(dataset, preset, tmp_path):
    pytest.importorskip("tensorboard")
    changes = ["training.tensorboard=true", "training.epochs=1", "training.refit=false"]
    run = fit(preset("dass_finetuning", *changes), dataset, out=tmp_path)
    assert list((run.select.path / "tensorboard").glob("events.*"))


def test_an_unknown_system_is_named():
    with pytest.raises(ConfigError, match="did you mean 'lung_srad'"):
        fit("lungsrad", None)


def test_a_result_is_what_the_scores_were(finished):
    run = finished("lung_srad", THREE)
    train = asdict(run.refit.read_predictions(EPOCHS, "train").scores())
    assert as_scores(run.result()["train_last_epoch"]) == as_scores(train)


def test_data_may_be_given_by_where_it_is(preset, dataset, workplace, tmp_path):
    where = f"table:{workplace / 'corpus' / 'table.csv'}"
    run = fit(preset("dass_finetuning", "training.epochs=1", "training.refit=false"), where, out=tmp_path)
    assert score(run, where) == score(run, dataset)
    assert (evaluate(run, where).probabilities == evaluate(run, dataset).probabilities).all()
