"""A run that is trained on two classes: everything of it knows two, whatever the data have."""

from lung_srad.evaluation import Predictions
from lung_srad.inference import load
from lung_srad.runs import load_model
from lung_srad.training import evaluate, fit, score


def test_a_run_knows_two_classes(dataset, preset, tmp_path):
    run = fit(preset("dass_finetuning", "training.two_class=true"), dataset, out=tmp_path)
    assert run.facts()["class_names"] == ["normal", "abnormal"]
    assert run.facts()["data"]["fingerprint"] != dataset.fingerprint()
    assert run.facts()["data"]["name"] == dataset.name
    model = load_model(run.weights)
    assert (model.class_names, model.net.num_classes) == (("normal", "abnormal"), 2)
    kept: Predictions = run.headline.read_predictions(run.result()["selected_epoch"], "test")
    expected = {cycle.id: int(cycle.label != dataset.normal) for cycle in dataset.cycles("test")}
    assert dict(zip(kept.id.tolist(), kept.label.tolist(), strict=True)) == expected
    again = evaluate(run, dataset)
    assert (again.label == kept.label).all()
    scores = score(run, dataset)
    assert (scores.se, scores.score) == (scores.se2, scores.score2)
    assert load(run.path).class_names == ("normal", "abnormal")


def test_a_start_from_four_classes_leaves_their_head(dataset, preset, tmp_path, finished):
    before = finished("dass_finetuning", "training.refit=false")
    changes = ["training.two_class=true", "training.epochs=1", "training.refit=false"]
    run = fit(preset("dass_finetuning", *changes), dataset, out=tmp_path, start_from=before.path)
    assert run.facts()["start"]["head"] == "left out"
