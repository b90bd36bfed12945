"""Which epoch a result comes from: four rules, side by side, none of them silent."""

from collections.abc import Sequence
from dataclasses import dataclass

from lung_srad.errors import DataError, message
from lung_srad.evaluation.metrics import Scores, mean_scores

LAST = "last epoch"
VALIDATION = "best on validation"
LAST_FIVE = "mean of the last 5 epochs"
TEST = "best on test (optimistic)"
GUARD = 5.0  # per cent; the literature's guard against the epochs that call everything normal


@dataclass(frozen=True, slots=True)
class Choice:
    """What one rule reports.

    Attributes:
        rule: the rule's name, as tables print it.
        epochs: the epochs it took, counted from 1; empty where the rule has no answer.
        scores: test scores at those epochs (the mean of several); ``None`` where it has no answer.
        headline: the rule by which systems are compared.
        optimistic: the test part itself chose the epoch, so the figure flatters.
    """

    rule: str
    epochs: tuple[int, ...]
    scores: Scores | None
    headline: bool = False
    optimistic: bool = False


def select(validation: Sequence[Scores], test: Sequence[Scores]) -> tuple[Choice, ...]:
    """Returns what each of the four rules reports, in the order in which tables print them.

    Where a second run was trained on all patients, ``validation`` comes from the first run and ``test``
    from the second. An empty ``validation`` leaves the validation rule without an answer.

    Args:
        validation: scores on the validation patients after each epoch.
        test: scores on the test part after each epoch.

    Raises:
        DataError: no epoch, or a different number of epochs on the two sides.
    """
    if not test or (validation and len(validation) != len(test)):
        seen = f"{len(validation)} epochs on validation, {len(test)} on test"
        remedy = "finish the run first, or evaluate the same epochs on both"
        raise DataError(message("selection of the epoch", seen, "the same number, at least one", remedy))
    last = len(test)
    guarded = [s.score if s.se is not None and s.se > GUARD else None for s in test]
    return (
        _choose(LAST, (last,), test),
        _choose(VALIDATION, _only(best_epoch(validation)), test, headline=True),
        _choose(LAST_FIVE, tuple(range(max(1, last - 4), last + 1)), test),
        _choose(TEST, _only(_first_best(guarded)), test, optimistic=True),
    )


def best_epoch(validation: Sequence[Scores]) -> int | None:
    """Returns e*, the earliest epoch (from 1) of the best validation Score; ``None`` without a Score."""
    return _first_best([s.score for s in validation])


def _first_best(scores: list[float | None]) -> int | None:
    known = [score for score in scores if score is not None]
    return scores.index(max(known)) + 1 if known else None


def _only(epoch: int | None) -> tuple[int, ...]:
    return () if epoch is None else (epoch,)


def _choose(
    rule: str,
    epochs: tuple[int, ...],
    test: Sequence[Scores],
    *,
    headline: bool = False,
    optimistic: bool = False,
) -> Choice:
    scores = mean_scores([test[epoch - 1] for epoch in epochs]) if epochs else None
    return Choice(rule, epochs, scores, headline=headline, optimistic=optimistic)
