"""Specificity, sensitivity and the ICBHI Score of a set of predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lung_srad.errors import DataError, message

NO_ANSWER = -1  # the predicted class of a silent cycle: it is never classified


@dataclass(frozen=True, slots=True)
class Scores:
    """What one set of predictions scores, in per cent.

    A figure is ``None`` where no cycle can answer it: ``sp`` without a normal cycle, ``se`` without an
    abnormal one, a class's recall without a cycle of that class. It is never NaN and never a silent 0.

    Attributes:
        sp: correct normals / normals.
        se: abnormal cycles given their exact class / abnormal cycles.
        score: (sp + se) / 2.
        se2: abnormal cycles given any abnormal class / abnormal cycles.
        score2: (sp + se2) / 2.
        balanced_accuracy: mean recall of the classes that occur.
        recalls: recall of each class.
        n: number of cycles.
    """

    sp: float | None
    se: float | None
    score: float | None
    se2: float | None
    score2: float | None
    balanced_accuracy: float
    recalls: tuple[float | None, ...]
    n: int


def score_predictions(labels: ArrayLike, predicted: ArrayLike, *, num_classes: int, normal: int = 0) -> Scores:
    """Returns the scores of predicted classes.

    A cycle without an answer (predicted −1: silence) counts as a miss in every figure, the 2-class ones
    included, so that refusing to answer never pays.

    Raises:
        DataError: no cycle, columns of different length, or a class outside the range.
    """
    if not 0 <= normal < num_classes:
        raise DataError(_out_of_range("normal", normal, 0, num_classes))
    counts = confusion_matrix(labels, predicted, num_classes=num_classes)
    answered, sizes = counts[:, :num_classes], counts.sum(axis=1)
    abnormal = np.arange(num_classes) != normal
    hits = answered.diagonal()
    sp = _percent(hits[normal], sizes[normal])
    se = _percent(hits[abnormal].sum(), sizes[abnormal].sum())
    se2 = _percent(answered[np.ix_(abnormal, abnormal)].sum(), sizes[abnormal].sum())
    recalls = tuple(_percent(hit, size) for hit, size in zip(hits, sizes, strict=True))
    present = [recall for recall in recalls if recall is not None]
    return Scores(
        sp=sp,
        se=se,
        score=_middle(sp, se),
        se2=se2,
        score2=_middle(sp, se2),
        balanced_accuracy=sum(present) / len(present),
        recalls=recalls,
        n=int(sizes.sum()),
    )


def confusion_matrix(labels: ArrayLike, predicted: ArrayLike, *, num_classes: int) -> NDArray[np.int64]:
    """Returns counts by true class (rows) and predicted class; the last column is "no answer".

    Shape:
        labels, predicted: (n,) -> (num_classes, num_classes + 1)

    Raises:
        DataError: no cycle, columns of different length, or a class outside the range.
    """
    true = _column("labels", labels, 0, num_classes)
    given = _column("predicted", predicted, NO_ANSWER, num_classes)
    if len(true) != len(given) or not len(true):
        seen = f"{len(true)} labels and {len(given)} predictions"
        allowed = "one prediction for each label, and at least one"
        raise DataError(message("scores", seen, allowed, "leave out cycles of unknown label, from both columns"))
    counts = np.zeros((num_classes, num_classes + 1), dtype=np.int64)
    np.add.at(counts, (true, given), 1)  # −1 is the last column
    return counts


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Returns the mean of every figure over several evaluations of the same cycles.

    Raises:
        DataError: nothing to average, or evaluations of different cycles.
    """
    if not scores or len({(s.n, len(s.recalls)) for s in scores}) > 1:
        seen = f"{len(scores)} evaluations of {sorted({s.n for s in scores})} cycles"
        allowed = "one or more evaluations of the same cycles"
        raise DataError(message("mean of scores", seen, allowed, "average over epochs or seeds of one split"))
    balanced = sum(s.balanced_accuracy for s in scores) / len(scores)
    return Scores(
        sp=_mean([s.sp for s in scores]),
        se=_mean([s.se for s in scores]),
        score=_mean([s.score for s in scores]),
        se2=_mean([s.se2 for s in scores]),
        score2=_mean([s.score2 for s in scores]),
        balanced_accuracy=balanced,
        recalls=tuple(_mean(column) for column in zip(*(s.recalls for s in scores), strict=True)),
        n=scores[0].n,
    )


def _column(name: str, values: ArrayLike, lowest: int, num_classes: int) -> NDArray[np.int64]:
    column = np.asarray(values)
    if column.ndim != 1 or (column.size and not np.issubdtype(column.dtype, np.integer)):
        seen = f"shape {column.shape}, type {column.dtype}"
        raise DataError(message(name, seen, "one whole number per cycle", "pass class indices, not probabilities"))
    outside = column[(column < lowest) | (column >= num_classes)]
    if outside.size:
        raise DataError(_out_of_range(name, int(outside[0]), lowest, num_classes))
    return column.astype(np.int64)


def _out_of_range(name: str, value: int, lowest: int, num_classes: int) -> str:
    return message(name, f"class {value}", f"{lowest} to {num_classes - 1}", "compare the class names of both columns")


def _percent(part: int, whole: int) -> float | None:
    return float(100 * part / whole) if whole else None


def _middle(sp: float | None, se: float | None) -> float | None:
    return None if sp is None or se is None else (sp + se) / 2


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
