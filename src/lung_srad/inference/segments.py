"""One window or cycle, and many of them in a few numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Segment:
    """One window or cycle.

    Attributes:
        start: seconds from the start of the recording.
        end: seconds.
        probabilities: of each class; empty where there is no answer.
        label: the name of the likeliest class; None where there is no answer.
        code: why there is no answer: "silence"; "short" for less than a frame of the spectrogram; "foreign" for what
            is no sound of a chest; "unsure" for a likeliest class below the threshold; else "".
        ood_score: how foreign it is, 1 and more being foreign; None where nobody found out (``lung-srad calibrate``).
    """

    start: float
    end: float
    probabilities: tuple[float, ...] = ()
    label: str | None = None
    code: str = ""
    ood_score: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A recording's segments in a few numbers.

    Attributes:
        n: segments with an answer; those without are counted in ``codes``.
        max: the highest probability of each class over them; empty where n is 0.
        mean: the mean probability of each class; empty where n is 0.
        labels: how many segments are called by the name of each class.
    """

    n: int
    max: dict[str, float]
    mean: dict[str, float]
    labels: dict[str, int]
    codes: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values; None stands for the probabilities of nothing."""
        return {
            "n": self.n,
            "max": self.max or None,
            "mean": self.mean or None,
            "labels": self.labels,
            "codes": self.codes,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Summary":
        """Returns what :meth:`to_dict` was made from."""
        return cls(content["n"], content["max"] or {}, content["mean"] or {}, content["labels"], content["codes"])


def summarize(segments: Iterable[Segment], class_names: Sequence[str]) -> Summary:
    """Returns maximum, mean and counts over segments."""
    segments = tuple(segments)
    answered = [segment for segment in segments if segment.probabilities]
    columns = dict(zip(class_names, zip(*(s.probabilities for s in answered), strict=True), strict=False))
    called = Counter(segment.label for segment in answered)
    return Summary(
        n=len(answered),
        max={name: max(column) for name, column in columns.items()},
        mean={name: sum(column) / len(column) for name, column in columns.items()},
        labels={name: called[name] for name in class_names},
        codes=dict(Counter(segment.code for segment in segments if segment.code)),
    )


def together(summaries: Iterable[Summary]) -> Summary:
    """Returns the summary of all segments of several recordings, each segment counting once.

    Raises:
        ValueError: there is no summary.
    """
    given = list(summaries)
    if not given:
        raise ValueError("together: no summary; one or more")
    heard = [each for each in given if each.n]
    n, names = sum(each.n for each in heard), list(given[0].labels)
    return Summary(
        n=n,
        max={name: max(each.max[name] for each in heard) for name in names} if heard else {},
        mean={name: sum(each.n * each.mean[name] for each in heard) / n for name in names} if heard else {},
        labels={name: sum(each.labels[name] for each in given) for name in names},
        codes=dict(sum((Counter(each.codes) for each in given), Counter())),
    )
