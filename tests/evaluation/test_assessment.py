"""An assessment holds everything, can be written as JSON, says what it cannot say, and is made in time."""

import json
import time
from dataclasses import asdict

import numpy as np
import pytest
from made_answers import answers, built, sure

from lung_srad.errors import DataError
from lung_srad.evaluation import (
    Assessment,
    Predictions,
    Settings,
    at_temperature,
    confusion_matrix,
    evaluate_predictions,
    fit_bias,
    fit_temperature,
    paired_difference,
    patient_intervals,
    with_bias,
)

QUICK = Settings(resamples=200, few_resamples=50, prevalences=(10.0,))
TEST = [answers(1, silent=2), answers(2)]
VALIDATION = [answers(3, prefix="v", patients=5), answers(4, prefix="v", patients=5)]
TRAIN = (["Meditron", "AKGC417L", "Litt3200"], ["Al", "Tc", "Al"], [1, 0, 2])
FACTS = {f"p{index}": {"sex": "FM"[index % 2]} for index in range(12)}


@pytest.fixture(scope="module")
def whole() -> Assessment:
    return evaluate_predictions(TEST, validation=VALIDATION, train=TRAIN, facts=FACTS, settings=QUICK)


def test_what_was_assessed(whole: Assessment) -> None:
    assert (whole.seeds, whole.cycles, whole.unlabelled, whole.silent) == (2, 168, 0, (2, 0))
    assert (whole.patients, whole.recordings) == (12, 24)
    assert whole.effective_patients == pytest.approx(12)
    assert whole.scores == tuple(each.scores() for each in TEST)
    matrices = [confusion_matrix(each.label, each.predicted, num_classes=4) for each in TEST]
    np.testing.assert_allclose(whole.confusion, np.mean(matrices, axis=0))
    assert whole.notes == ()


def test_figures_are_those_of_patient_intervals_and_recalls(whole: Assessment) -> None:
    expected = patient_intervals(TEST, resamples=200)
    assert {name: whole.figures[name] for name in expected} == expected
    for index, name in enumerate(whole.class_names):
        recall = whole.figures[f"recall {name}"]
        assert recall.value == pytest.approx(np.mean([each.recalls[index] for each in whole.scores]))
        assert recall.low < recall.value < recall.high


def test_validation_fits_and_the_test_part_is_scored(whole: Assessment) -> None:
    assert whole.temperatures == tuple(fit_temperature(each) for each in VALIDATION)
    cooled = [at_temperature(*pair) for pair in zip(TEST, whole.temperatures, strict=True)]
    assert whole.scaled == evaluate_predictions(cooled, settings=QUICK).calibration
    assert whole.tuned.biases == tuple(fit_bias(each) for each in VALIDATION)
    ruled = [with_bias(*pair) for pair in zip(TEST, whole.tuned.biases, strict=True)]
    gain = paired_difference(ruled, TEST, resamples=200)["score"]
    assert whole.tuned.gain["score"] == gain
    assert whole.tuned.figures["score"].value == pytest.approx(whole.figures["score"].value + gain.value)
    assert [each.score for each in whole.tuned.validation] >= [each.scores().score for each in VALIDATION]
    for kind in (whole.detection, whole.by_recording):
        assert all(len(point.thresholds) == 2 for each in kind for point in each.points)


def test_units_subgroups_and_spreads(whole: Assessment) -> None:
    assert [each.name for each in whole.detection] == ["abnormal", "crackle", "wheeze"]
    assert {each.unit for each in whole.detection} == {"cycle"}
    assert {(each.unit, each.units) for each in whole.by_recording} == {("recording", 24)}
    assert {(each.unit, each.units) for each in whole.by_patient} <= {("patient", 12)}
    assert [each.by for each in whole.subgroups] == ["device", "site", "cycle length", "sex"]
    assert [(each.by, each.units) for each in whole.spreads] == [("recording", 24), ("patient", 12)]


def test_baselines_stand_beside(whole: Assessment) -> None:
    silence, lookup = whole.baselines
    assert (silence.name, silence.scores.score) == ("always normal", 50)
    expected = {"Meditron": 1, "AKGC417L": 0, "Litt3200": 2}
    hits = [expected[device] == label for device, label in zip(TEST[0].device, TEST[0].label, strict=True)]
    recalls = [np.mean(np.array(hits)[TEST[0].label == index]) * 100 for index in range(4)]
    assert lookup.scores.recalls == pytest.approx(recalls)


def test_it_can_be_written_as_json(whole: Assessment) -> None:
    text = json.dumps(whole.json(), allow_nan=False)
    back = json.loads(text)
    assert back["level"] == 95
    assert back["figures"]["score"] == asdict(whole.figures["score"])
    assert back["detection"][0]["curve"]["se"] == list(whole.detection[0].curve.se)


def test_infinite_numbers_are_none_in_json() -> None:
    few = evaluate_predictions([built(["a", "a", "b", "b"], [0, 1, 0, 1], sure([0, 1, 1, 1]))], settings=QUICK)
    json.dumps(few.json(), allow_nan=False)


def test_without_validation_facts_and_recordings() -> None:
    given = answers(1)
    columns = [getattr(given, name) for name in ("patient", "device", "site", "split", "start", "end", "label")]
    nameless = Predictions(given.class_names, given.id, [""] * len(given), *columns, given.probabilities)
    found = evaluate_predictions([nameless], settings=QUICK)
    assert (found.temperatures, found.scaled, found.tuned, found.by_recording, found.recordings) == (
        (),
        (),
        None,
        (),
        0,
    )
    assert [each.by for each in found.spreads] == ["patient"]
    assert [each.name for each in found.baselines] == ["always normal"]
    assert len(found.notes) == 2
    assert "validation" in found.notes[0]
    assert "recording" in found.notes[1]


def test_a_recording_name_of_two_patients_is_two_recordings() -> None:
    given = built(["a", "a", "b", "b"], [0, 1, 0, 1], sure([0, 1, 1, 1]))
    columns = [getattr(given, name) for name in ("patient", "device", "site", "split", "start", "end", "label")]
    same = Predictions(given.class_names, given.id, ["r"] * 4, *columns, given.probabilities)
    assert evaluate_predictions([same], settings=QUICK).recordings == 2


def test_findings_that_are_nowhere_are_noted() -> None:
    given = built(["a", "a", "b", "b", "c"], [1, 0, 1, 0, 0], sure([1, 0, 0, 0, 1]))
    found = evaluate_predictions([given], settings=QUICK)
    assert found.notes[-1] == "In all cycles or in none, so nothing on how it is detected: wheeze."


def test_validation_without_abnormal_cycles_has_no_rule() -> None:
    held = built(["v", "w"], [0, 0], np.array([[0.6, 0.2, 0.1, 0.1], [0.4, 0.3, 0.2, 0.1]]))
    found = evaluate_predictions([answers(1)], validation=[held], settings=QUICK)
    assert found.tuned is None
    assert any("rule" in note for note in found.notes)


@pytest.mark.parametrize(
    ("test", "validation", "text"),
    [
        ([], [], "none; one file for each seed"),
        (TEST, VALIDATION[:1], "1 files for 2 of the test part"),
        (TEST, TEST, "patients p0, p1, p10, p11, p2 are in the test part too"),
    ],
)
def test_what_does_not_fit_is_an_error(test: list, validation: list, text: str) -> None:
    with pytest.raises(DataError) as error:
        evaluate_predictions(test, validation=validation, settings=QUICK)
    assert text in str(error.value)


def test_each_seed_is_fitted_on_validation_patients_of_its_own() -> None:
    """Runs draw validation patients by seed, so seeds of one system share the test part alone."""
    other = answers(4, prefix="w", patients=9)
    both = evaluate_predictions(TEST, validation=[VALIDATION[0], other], settings=QUICK)
    alone = [
        evaluate_predictions([test], validation=[held], settings=QUICK)
        for test, held in zip(TEST, [VALIDATION[0], other], strict=True)
    ]
    assert both.temperatures == tuple(each.temperatures[0] for each in alone)
    assert both.tuned.biases == tuple(each.tuned.biases[0] for each in alone)
    for found, *single in zip(both.detection, *(each.detection for each in alone), strict=True):
        for point, *points in zip(found.points, *(each.points for each in single), strict=True):
            assert point.thresholds == tuple(each.thresholds[0] for each in points)


def test_everything_from_2756_cycles_in_a_minute() -> None:
    """As many as the official test part of ICBHI, in 49 patients, with every interval at its default."""
    given = answers(1, patients=49, cycles=57)
    assert len(given) >= 2756
    start = time.process_time()
    evaluate_predictions([given], validation=[answers(2, prefix="v", patients=15)], facts=FACTS)
    assert time.process_time() - start < 60
