"""Areas and curves against scikit-learn, in resamples too; influences against small changes of the weights."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from lung_srad.evaluation.calibration import expected_calibration_error
from lung_srad.evaluation.intervals import Statistic, drawn
from lung_srad.evaluation.patients import rates
from lung_srad.evaluation.ranking import Ranked, auroc, average_precision, curve, findings, sensitivity_at

DRAW = np.random.default_rng(3)
PATIENTS = 12
OWNER = np.sort(np.r_[np.arange(PATIENTS), DRAW.integers(0, PATIENTS, 140)])
PRESENT = DRAW.random(len(OWNER)) < 0.4
SCORE = np.round(DRAW.normal(PRESENT + DRAW.normal(0, 0.7, PATIENTS)[OWNER], 1), 1)  # many ties
RANKED = Ranked(PRESENT, SCORE, OWNER, PATIENTS)
WEIGHTS = np.r_[np.ones((1, PATIENTS)), drawn(PATIENTS, 40, seed=0)]


@pytest.mark.parametrize(
    ("statistic", "theirs"), [(auroc(RANKED), roc_auc_score), (average_precision(RANKED), average_precision_score)]
)
def test_areas_of_all_resamples_are_those_of_scikit_learn(statistic: Statistic, theirs) -> None:
    values, _ = statistic(WEIGHTS)
    expected = [100 * theirs(PRESENT, SCORE, sample_weight=row[OWNER]) for row in WEIGHTS]
    np.testing.assert_allclose(values, expected, rtol=1e-9)


def sensitivity_of_scikit_learn(weights: np.ndarray, target: float) -> float:
    fpr, tpr, _ = roc_curve(PRESENT, SCORE, sample_weight=weights[OWNER], drop_intermediate=False)
    return 100 * tpr[fpr <= 1 - target / 100 + 1e-12].max()


@pytest.mark.parametrize("target", [0, 50, 80, 90, 95, 100])
def test_sensitivity_at_a_specificity_is_that_of_scikit_learn(target: float) -> None:
    values, _ = sensitivity_at(RANKED, target)(WEIGHTS)
    np.testing.assert_allclose(values, [sensitivity_of_scikit_learn(row, target) for row in WEIGHTS], rtol=1e-9)


def test_curves_are_those_of_scikit_learn() -> None:
    found = curve([RANKED])
    assert (len(found.sp), found.sp[0], found.sp[1], found.sp[-1]) == (201, 0, 0.5, 100)
    np.testing.assert_allclose(found.se, [sensitivity_of_scikit_learn(WEIGHTS[0], sp) for sp in found.sp], rtol=1e-9)
    precision, recall, _ = precision_recall_curve(PRESENT, SCORE)
    precision, recall = (
        precision[-2::-1],
        recall[-2::-1],
    )  # from the highest threshold down; the last pair is no threshold
    expected = [100 * precision[np.argmax(recall >= wanted / 100 - 1e-12)] for wanted in found.recall]
    np.testing.assert_allclose(found.precision, expected, rtol=1e-9)


def test_a_curve_over_seeds_is_the_mean() -> None:
    other = Ranked(PRESENT, -SCORE, OWNER, PATIENTS)
    both, one, two = curve([RANKED, other]), curve([RANKED]), curve([other])
    np.testing.assert_allclose(both.se, (np.array(one.se) + two.se) / 2)
    np.testing.assert_allclose(both.precision, (np.array(one.precision) + two.precision) / 2)


COUNTS = np.random.default_rng(8).integers(0, 9, (PATIENTS, 4, 5)).astype(float)
CONFIDENCE = 1 / (1 + np.exp(-SCORE))
SMOOTH = {
    "auroc": auroc(RANKED),
    "average precision": average_precision(RANKED),
    "calibration error": expected_calibration_error(CONFIDENCE, PRESENT, OWNER, PATIENTS),
    **rates(COUNTS, 1, ("a", "b", "c", "d")),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_an_influence_is_how_a_patient_moves_the_figure(name: str) -> None:
    weights, small = WEIGHTS[:4], 1e-6
    _, influence = SMOOTH[name](weights)
    for index in range(PATIENTS):
        up, down = weights.copy(), weights.copy()
        up[:, index] += small
        down[:, index] -= small
        slope = (SMOOTH[name](up)[0] - SMOOTH[name](down)[0]) / (2 * small)
        drawn_in = weights[:, index] > 0  # the influence of one who is not in a resample is not looked at
        np.testing.assert_allclose(influence[drawn_in, index], slope[drawn_in], atol=1e-4)


def test_the_influence_on_a_staircase_is_about_the_jackknife() -> None:
    """It has no derivative; over many patients its error is that of leaving each out."""
    draw = np.random.default_rng(0)
    owner = np.arange(60).repeat(40)
    present = draw.random(len(owner)) < 0.5
    score = draw.normal(present * 1.5 + draw.normal(0, 0.8, (60, 2))[owner, present.astype(int)], 1)
    statistic = sensitivity_at(Ranked(present, score, owner, 60), 80)
    _, influence = statistic(np.ones((1, 60)))
    left_out, _ = statistic(1 - np.eye(60))
    jackknife = np.sqrt(59 / 60 * ((left_out - left_out.mean()) ** 2).sum())
    assert np.sqrt((influence**2).sum()) == pytest.approx(jackknife, rel=0.15)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [figure(RANKED)(WEIGHTS) for figure in (average_precision, lambda given: sensitivity_at(given, 80))]
    monkeypatch.setattr("lung_srad.evaluation.ranking._CHUNK", 300)
    parts = [figure(RANKED)(WEIGHTS) for figure in (average_precision, lambda given: sensitivity_at(given, 80))]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one[0], other[0])
        np.testing.assert_allclose(one[1], other[1])


def test_a_silent_unit_is_a_miss() -> None:
    present, owner = np.array([True, True, False, False]), np.arange(4)
    heard = Ranked(present, np.array([0.9, 0.8, 0.2, 0.1]), owner, 4)
    silent = Ranked(present, np.array([0.9, -np.inf, np.inf, 0.1]), owner, 4)
    once = np.ones((1, 4))
    assert auroc(heard)(once)[0] == 100
    assert auroc(silent)(once)[0] == 25  # of four pairs one is in order
    assert sensitivity_at(silent, 50)(once)[0] == 50
    assert sensitivity_at(silent, 51)(once)[0] == 0


def test_a_resample_without_the_finding_has_no_figure() -> None:
    present, owner = np.array([True, False, False]), np.array([0, 1, 2])
    given = Ranked(present, np.array([0.9, 0.2, 0.1]), owner, 3)
    weights = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    for statistic in (auroc(given), sensitivity_at(given, 80)):
        assert np.isnan(statistic(weights)[0]).all()
    assert np.isnan(average_precision(given)(weights)[0]).tolist() == [True, False]


def test_findings() -> None:
    assert findings(("normal", "crackle", "wheeze", "both"), 0) == {
        "abnormal": (1, 2, 3),
        "crackle": (1, 3),
        "wheeze": (2, 3),
    }
    assert findings(("ill", "well"), 1) == {"abnormal": (0,)}
    assert findings(("normal", "rhonchi", "wheeze", "both"), 0)["rhonchi"] == (1,)
    assert findings(("crackle", "normal", "stridor"), 1) == {"abnormal": (0, 2), "crackle": (0,), "stridor": (2,)}
