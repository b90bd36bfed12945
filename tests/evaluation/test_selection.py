"""The four rules on a run worked by hand."""

import pytest

from lung_srad.errors import DataError
from lung_srad.evaluation import Scores, best_epoch, select
from lung_srad.evaluation.selection import LAST, LAST_FIVE, TEST, VALIDATION


def scores(sp: float | None, se: float | None) -> Scores:
    score = None if sp is None or se is None else (sp + se) / 2
    return Scores(sp=sp, se=se, score=score, se2=se, score2=score, balanced_accuracy=50.0, recalls=(sp, se), n=9)


VALIDATION_RUN = [scores(50, v) for v in (10, 40, 40, 30, 20, 10, 5)]
TEST_RUN = [scores(s, e) for s, e in ((100, 5), (70, 10), (60, 30), (80, 10), (50, 40), (60, 20), (40, 20))]


def test_the_four_rules_by_hand() -> None:
    last, validation, five, test = select(VALIDATION_RUN, TEST_RUN)
    assert (last.rule, last.epochs, last.scores) == (LAST, (7,), TEST_RUN[6])
    assert (validation.rule, validation.epochs, validation.scores) == (
        VALIDATION,
        (2,),
        TEST_RUN[1],
    )  # the earlier
    assert (five.rule, five.epochs) == (LAST_FIVE, (3, 4, 5, 6, 7))
    assert (five.scores.sp, five.scores.se) == (58, 24)
    assert (test.rule, test.epochs) == (TEST, (3,))  # epoch 1 (52.5) fails the guard; 3, 4 and 5 tie at 45
    assert [choice.headline for choice in (last, validation, five, test)] == [False, True, False, False]
    assert [choice.optimistic for choice in (last, validation, five, test)] == [False, False, False, True]
    assert "optimistic" in test.rule


def test_fewer_than_five_epochs() -> None:
    assert select(VALIDATION_RUN[:2], TEST_RUN[:2])[2].epochs == (1, 2)


def test_rules_without_an_answer() -> None:
    only_normals = [scores(100, None)] * 2
    nothing_abnormal_found = [scores(100, 0), scores(90, 5)]
    _, validation, _, test = select(only_normals, nothing_abnormal_found)
    assert (validation.epochs, validation.scores) == ((), None)
    assert (test.epochs, test.scores) == ((), None)
    assert select([], TEST_RUN)[1].scores is None


def test_best_epoch_skips_epochs_without_a_score() -> None:
    assert best_epoch([scores(100, None), scores(10, 10), scores(20, 0)]) == 2
    assert best_epoch([]) is None


@pytest.mark.parametrize(("validation", "test"), [(2, 3), (0, 0), (1, 0)])
def test_epochs_that_do_not_match(validation: int, test: int) -> None:
    with pytest.raises(DataError, match=f"{validation} epochs on validation, {test} on test"):
        select(VALIDATION_RUN[:validation], TEST_RUN[:test])
