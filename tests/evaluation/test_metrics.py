"""Scores against a confusion matrix worked by hand, and against scikit-learn."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

from lung_srad.errors import DataError
from lung_srad.evaluation import confusion_matrix, mean_scores, score_predictions

# By hand: 4 normals (3 right), 3 crackles (1 right, 1 called wheeze, 1 called normal),
# 2 wheezes (both called crackle), 1 both (right).
LABELS = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
PREDICTED = [0, 0, 0, 1, 1, 2, 0, 1, 1, 3]


def test_by_hand() -> None:
    scores = score_predictions(LABELS, PREDICTED, num_classes=4)
    assert scores.sp == 75.0
    assert scores.se == pytest.approx(100 * 2 / 6)  # exact class
    assert scores.se2 == pytest.approx(100 * 5 / 6)  # not called normal
    assert scores.score == pytest.approx((75 + 100 * 2 / 6) / 2)
    assert scores.score2 == pytest.approx((75 + 100 * 5 / 6) / 2)
    assert scores.recalls == pytest.approx((75.0, 100 / 3, 0.0, 100.0))
    assert scores.balanced_accuracy == pytest.approx((75 + 100 / 3 + 0 + 100) / 4)
    assert scores.n == 10


def test_confusion_matrix_by_hand() -> None:
    expected = [[3, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 2, 0, 0, 0], [0, 0, 0, 1, 0]]
    np.testing.assert_array_equal(confusion_matrix(LABELS, PREDICTED, num_classes=4), expected)


def test_agrees_with_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    labels, predicted = draw.integers(0, 5, 300), draw.integers(0, 5, 300)
    scores = score_predictions(labels, predicted, num_classes=5)
    assert scores.recalls == pytest.approx(100 * recall_score(labels, predicted, average=None))
    assert scores.balanced_accuracy == pytest.approx(100 * balanced_accuracy_score(labels, predicted))


@pytest.mark.parametrize("classes", [2, 3, 4, 7])
@pytest.mark.parametrize("seed", range(4))
def test_every_figure_agrees_with_scikit_learn(classes: int, seed: int) -> None:
    """Few cycles, so that classes are often absent, from labels and from answers."""
    draw = np.random.default_rng((seed, classes))
    labels, predicted = draw.integers(0, classes, (2, 9))
    normal = int(draw.integers(0, classes))
    scores = score_predictions(labels, predicted, num_classes=classes, normal=normal)
    matrix = confusion_matrix(labels, predicted, num_classes=classes)
    np.testing.assert_array_equal(matrix[:, :-1], sklearn_confusion(labels, predicted, labels=range(classes)))
    assert matrix[:, -1].sum() == 0
    present = np.unique(labels)
    recalls = dict(zip(present, 100 * recall_score(labels, predicted, labels=present, average=None), strict=True))
    assert scores.recalls == tuple(
        pytest.approx(recalls[index]) if index in recalls else None for index in range(classes)
    )
    assert scores.balanced_accuracy == pytest.approx(np.mean(list(recalls.values())))
    abnormal = [index for index in range(classes) if index != normal]
    ill, flagged = labels != normal, predicted != normal
    if ill.any():
        assert scores.se == pytest.approx(100 * recall_score(labels, predicted, labels=abnormal, average="micro"))
        assert scores.se2 == pytest.approx(100 * recall_score(ill, flagged))
    if not ill.all():
        assert scores.sp == pytest.approx(100 * recall_score(ill, flagged, pos_label=False))
    for se, score in ((scores.se, scores.score), (scores.se2, scores.score2)):
        known = se is not None and scores.sp is not None
        assert score == (pytest.approx((scores.sp + se) / 2) if known else None)


def test_the_normal_class_may_stand_anywhere() -> None:
    swap = np.array([2, 1, 0, 3])
    here = score_predictions(LABELS, PREDICTED, num_classes=4)
    there = score_predictions(swap[LABELS], swap[PREDICTED], num_classes=4, normal=2)
    assert (here.sp, here.se, here.se2) == (there.sp, there.se, there.se2)


def test_a_cycle_without_an_answer_is_a_miss_everywhere() -> None:
    answered = score_predictions([0, 0, 1, 1], [0, 0, 1, 1], num_classes=2)
    silent = score_predictions([0, 0, 1, 1], [0, -1, 1, -1], num_classes=2)
    assert (answered.sp, answered.se, answered.se2) == (100, 100, 100)
    assert (silent.sp, silent.se, silent.se2, silent.n) == (50, 50, 50, 4)


def test_what_no_cycle_can_answer_is_none() -> None:
    scores = score_predictions([1, 1], [1, 0], num_classes=3)
    assert (scores.sp, scores.score, scores.score2) == (None, None, None)
    assert (scores.se, scores.recalls, scores.balanced_accuracy) == (50, (None, 50, None), 50)
    assert score_predictions([0], [0], num_classes=2).se is None


def test_mean_scores() -> None:
    first = score_predictions([0, 0, 1], [0, 0, 0], num_classes=3)
    second = score_predictions([0, 0, 1], [1, 0, 1], num_classes=3)
    mean = mean_scores([first, second])
    assert (mean.sp, mean.se, mean.score, mean.recalls, mean.n) == (75, 50, 62.5, (75, 50, None), 3)
    assert (mean.se2, mean.score2, mean.balanced_accuracy) == (50, 62.5, 62.5)
    other = score_predictions([0, 0, 1], [0, 0, 2], num_classes=3)
    mean = mean_scores([first, other, other, other])
    assert (mean.se, mean.score, mean.se2, mean.score2) == (0, 50, 75, 87.5)
    assert mean_scores([first]) == first


def test_a_mean_that_one_evaluation_lacks_is_none() -> None:
    normals, abnormals = (score_predictions([label] * 2, [0, 1], num_classes=2) for label in (0, 1))
    mean = mean_scores([normals, abnormals])
    assert (mean.sp, mean.se, mean.score, mean.se2, mean.score2, mean.recalls) == (None,) * 5 + ((None, None),)
    assert mean.balanced_accuracy == 50


@pytest.mark.parametrize(
    ("labels", "predicted", "words"),
    [
        ([], [], "0 labels"),
        ([0, 1], [0], "2 labels and 1 predictions"),
        ([0, 4], [0, 0], "labels: class 4; 0 to 3; "),
        ([0, -1], [0, 0], "labels: class -1; 0 to 3; "),
        ([0, 1], [0, -2], "predicted: class -2; -1 to 3; "),
        ([0, 1], [5, 4], "predicted: class 5; "),
        ([0.0, 1.0], [0, 1], "float64"),
        ([0, 1], [[0.5, 0.5], [0.5, 0.5]], "shape"),
    ],
)
def test_columns_that_do_not_fit(labels: list, predicted: list, words: str) -> None:
    with pytest.raises(DataError, match=words):
        score_predictions(labels, predicted, num_classes=4)


@pytest.mark.parametrize("normal", [-1, 4])
def test_unknown_normal_class(normal: int) -> None:
    with pytest.raises(DataError, match=f"normal: class {normal}; 0 to 3; "):
        score_predictions([0], [0], num_classes=4, normal=normal)


def test_scores_stay_as_they_are() -> None:
    scores = score_predictions([0], [0], num_classes=2)
    with pytest.raises(FrozenInstanceError):
        scores.sp = 50.0
    assert not hasattr(scores, "__dict__")  # slots: a misspelt field cannot be read as a new one


def test_mean_of_different_cycles() -> None:
    few, many = score_predictions([0], [0], num_classes=2), score_predictions([0, 1], [0, 1], num_classes=2)
    with pytest.raises(DataError, match=r"mean of scores: 2 evaluations of \[1, 2\] cycles"):
        mean_scores([few, many])
    with pytest.raises(DataError, match="same cycles"):
        mean_scores([few, score_predictions([0], [0], num_classes=3)])
    with pytest.raises(DataError, match="0 evaluations"):
        mean_scores([])
