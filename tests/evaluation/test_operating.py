"""Operating points by hand and against scikit-learn; recordings and patients as units."""

import numpy as np
import pytest
from made_answers import answers, built, sure
from sklearn.metrics import average_precision_score, roc_auc_score

from lung_srad.evaluation import npv, ppv
from lung_srad.evaluation.intervals import drawn
from lung_srad.evaluation.operating import Detection, detections, threshold, units_of
from lung_srad.evaluation.patients import labelled
from lung_srad.evaluation.ranking import Ranked


def detected(seeds, validation=None, unit="cycle", by=None) -> dict[str, Detection]:
    given = labelled(seeds)
    weights = drawn(len(given.patients), 200, 0)
    held = [units_of(labelled([each]), "cycle") for each in validation or []]
    units = units_of(given, unit, None if by is None else getattr(seeds[0], by)[given.rows])
    return {each.name: each for each in detections(units, held, weights, weights[:100], (10.0,))}


def test_predictive_values_by_hand() -> None:
    """Of 1,000 with a prevalence of 10 %: 80 of 100 found, 90 of 900 flagged in vain."""
    assert ppv(90, 80, 10) == pytest.approx(100 * 80 / 170)
    assert npv(90, 80, 10) == pytest.approx(100 * 810 / 830)
    assert ppv(100, 0, 10) is None
    assert npv(0, 100, 10) is None


def test_a_threshold_by_hand() -> None:
    score = np.array([0.1, 0.2, 0.2, 0.4, 0.9])
    given = Ranked(np.array([False, False, True, False, False]), score, np.arange(5), 5)
    assert [threshold(given, target) for target in (0, 25, 50, 51, 75, 76, 100)] == [
        0.1,
        0.2,
        0.4,
        0.9,
        0.9,
        np.inf,
        np.inf,
    ]


def test_a_threshold_with_silent_units() -> None:
    """One of two without the finding has no answer and is flagged whatever the threshold."""
    score = np.array([-np.inf, np.inf, 0.2, 0.4])
    given = Ranked(np.array([True, False, False, True]), score, np.arange(4), 4)
    assert threshold(given, 50) == 0.4
    assert threshold(given, 80) == np.inf


def test_validation_where_the_finding_is_everywhere_chooses_no_threshold() -> None:
    held = built(["v", "w"], [1, 1], sure([1, 0]))
    found = detected([answers(1)], [held])
    assert {point.thresholds for point in found["crackle"].points} == {()}
    assert {len(point.thresholds) for point in found["wheeze"].points} == {1}


def test_cycles_against_scikit_learn() -> None:
    seeds = [answers(1), answers(2)]
    found = detected(seeds)
    assert list(found) == ["abnormal", "crackle", "wheeze"]
    for name, classes in (("abnormal", [1, 2, 3]), ("crackle", [1, 3]), ("wheeze", [2, 3])):
        there = np.isin(seeds[0].label, classes)
        scores = [each.probabilities[:, classes].sum(1) for each in seeds]
        areas = [100 * roc_auc_score(there, score) for score in scores]
        assert found[name].auroc.value == pytest.approx(np.mean(areas))
        assert found[name].auroc.spread == pytest.approx(np.std(areas, ddof=1))
        assert found[name].auprc.value == pytest.approx(
            np.mean([100 * average_precision_score(there, s) for s in scores])
        )
        assert (found[name].units, found[name].present) == (len(there), there.sum())
        assert found[name].auroc.low < found[name].auroc.value < found[name].auroc.high


def test_points_on_the_curve_and_their_predictive_values() -> None:
    found = detected([answers(1)])["abnormal"]
    assert [point.target for point in found.points] == [80, 90, 95]
    for point in found.points:
        assert point.se.value == pytest.approx(found.curve.se[int(2 * point.target)])
        assert point.se.low < point.se.high
        assert (point.thresholds, point.sp_there, point.se_there) == ((), None, None)
        (predictive,) = point.predictive
        assert predictive.prevalence == 10
        assert predictive.ppv == ppv(point.target, point.se.value, 10)
        assert predictive.npv == npv(point.target, point.se.value, 10)


def test_thresholds_come_from_validation() -> None:
    test, validation = answers(1), answers(2, prefix="v")
    found = detected([test], [validation])["crackle"]
    for point in found.points:
        (chosen,) = point.thresholds
        held = validation.probabilities[:, [1, 3]].sum(1)[~np.isin(validation.label, [1, 3])]
        assert 100 * (held < chosen).mean() >= point.target
        there, score = np.isin(test.label, [1, 3]), test.probabilities[:, [1, 3]].sum(1)
        assert point.sp_there.value == pytest.approx(100 * (score[~there] < chosen).mean())
        assert point.se_there.value == pytest.approx(100 * (score[there] >= chosen).mean())
        assert point.predictive[0].ppv == ppv(point.sp_there.value, point.se_there.value, 10)


@pytest.mark.parametrize(("unit", "cycles"), [("recording", 4), ("patient", 2)])
def test_units_have_the_mean_probability_and_any_finding(unit: str, cycles: int) -> None:
    given = answers(1, silent=1, cycles=cycles)
    found = detected([given], unit=unit, by=unit)["wheeze"]
    names = getattr(given, unit)
    score = given.probabilities[:, [2, 3]].sum(1)
    means = [np.nanmean(score[names == name]) for name in np.unique(names)]
    there = [np.isin(given.label[names == name], [2, 3]).any() for name in np.unique(names)]
    assert (found.unit, found.units, found.present) == (unit, len(there), sum(there))
    assert found.auroc.value == pytest.approx(100 * roc_auc_score(there, means))
    holders = given.patient[np.isin(given.label, [2, 3])]
    assert found.patients == len(set(holders))


def test_a_unit_without_any_answer_is_a_miss() -> None:
    given = built(["a", "a", "b", "b", "c", "c"], [1, 1, 0, 0, 0, 1], sure([-1, -1, -1, 0, 0, 1]))
    units = units_of(labelled([given]), "patient", given.patient)
    assert units.scores["abnormal"].tolist() == [[-np.inf, 0, 0.5]]
    assert units.present["abnormal"].tolist() == [True, False, True]


def test_a_finding_in_all_units_or_in_none_is_left_out() -> None:
    given = built(["a", "a", "b", "b"], [1, 0, 1, 0], sure([1, 0, 0, 0]))
    assert list(detected([given])) == ["abnormal", "crackle"]  # no wheeze anywhere
    assert detected([given], unit="patient", by="patient") == {}
