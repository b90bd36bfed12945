"""Tables of systems: mean ± sample standard deviation over seeds, beside what the paper prints."""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lung_srad.errors import DataError, message
from lung_srad.evaluation.intervals import Estimate
from lung_srad.evaluation.metrics import Scores
from lung_srad.evaluation.sheet import Sheet

SYNTHETIC = "SYNTHETIC"  # the stamp on everything that comes from simulated recordings
SYNTHETIC_NOTE = (
    f"{SYNTHETIC}: simulated recordings. These scores say nothing about real ones; "
    "never set them beside scores on ICBHI."
)
PRINTED = "printed in the paper"
_FIGURES = {  # field of a row: heading; all in per cent
    "sp": "Sp",
    "se": "Se",
    "score": "Score",
    "se2": "2-class Se",
    "score2": "2-class Score",
    "balanced_accuracy": "balanced accuracy",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over seeds; ``std`` is the sample standard deviation, ``None`` for a single seed.

    ``interval`` is the 95 % interval over patients, where it is known.
    """

    mean: float
    std: float | None = None
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        return f"{self.mean:.2f}" if self.std is None else f"{self.mean:.2f} ± {self.std:.2f}"

    @property
    def span(self) -> str | None:
        """Returns the interval as text."""
        return self.interval and "{:.1f}–{:.1f}".format(*self.interval)


@dataclass(frozen=True, slots=True)
class Row:
    """One system under one rule. A figure that nobody has is ``None``.

    Attributes:
        system: the system's name.
        rule: where the figures come from (a rule of selection, a baseline, or the paper).
        cycles: number of training cycles.
        seeds: number of seeds behind mean and deviation.
        synthetic: the figures come from simulated recordings; the row says so wherever it is shown.
        split: name and hash of the split; "" where it has none or is not known.
    """

    system: str
    rule: str
    cycles: int | None
    seeds: int | None
    sp: Figure | None
    se: Figure | None
    score: Figure | None
    se2: Figure | None = None
    score2: Figure | None = None
    balanced_accuracy: Figure | None = None
    synthetic: bool = False
    split: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that render as text, see :attr:`sheet`."""

    rows: tuple[Row, ...]
    title: str = ""
    notes: tuple[str, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Returns whether any row comes from simulated recordings."""
        return any(row.synthetic for row in self.rows)

    @property
    def heading(self) -> str:
        """Returns the title, stamped where a row is synthetic."""
        return " · ".join(text for text in (SYNTHETIC if self.synthetic else "", self.title) if text)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Returns the notes, and first what the stamp means."""
        return ((SYNTHETIC_NOTE,) if self.synthetic else ()) + self.notes

    @property
    def header(self) -> tuple[str, ...]:
        """Returns the headings."""
        names = list(_FIGURES.values())
        names.insert(names.index("Score") + 1, "95 % (patients)")
        return ("system", "epoch", "training cycles", "seeds", *names)

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """Returns the rows as text, in per cent with two decimals; an en dash where there is no figure."""
        return tuple(_cells(row) for row in self.rows)

    @property
    def sheet(self) -> Sheet:
        """Returns the table as text: heading, headings of columns, cells and remarks."""
        return Sheet(self.heading, self.header, self.cells, self.remarks)

    def markdown(self) -> str:
        """Returns the table as Markdown, heading and remarks included."""
        return self.sheet.markdown()

    def csv(self) -> str:
        """Returns the table as CSV at full precision: mean, deviation and interval apart, empty where there is none."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = [f"{field}{part}" for field in _FIGURES for part in ("", "_std", "_low", "_high")]
        writer.writerow(["system", "epoch", "data", "split", "split_sha256", "training_cycles", "seeds", *columns])
        for row in self.rows:
            numbers = [number for field in _FIGURES for number in _numbers(getattr(row, field))]
            data = SYNTHETIC if row.synthetic else ""
            writer.writerow([row.system, row.rule, data, *row.split, row.cycles, row.seeds, *numbers])
        return text.getvalue()


def measured(
    system: str,
    scores: Sequence[Scores],
    *,
    rule: str,
    cycles: int | None = None,
    intervals: Mapping[str, Estimate] | None = None,
    synthetic: bool = False,
    split: tuple[str, str] = ("", ""),
) -> Row:
    """Returns the row of one system: mean and sample deviation over its seeds.

    Args:
        system: the system's name.
        scores: the scores of each seed.
        rule: the rule that chose the epochs.
        cycles: number of training cycles.
        intervals: of the figures, over patients.
        synthetic: whether the recordings are simulated.
        split: its name and hash.

    Raises:
        DataError: no seed.
    """
    if not scores:
        raise DataError(message(system, "no finished seed", "one or more", "train it first, or leave the row out"))
    figures = {field: figure([getattr(s, field) for s in scores]) for field in _FIGURES}
    known = {field: each for field, each in (intervals or {}).items() if each.low is not None}
    for field, estimate in known.items():
        figures[field] = replace(figures[field], interval=(estimate.low, estimate.high))
    return Row(system=system, rule=rule, cycles=cycles, seeds=len(scores), synthetic=synthetic, split=split, **figures)


def printed(
    system: str,
    four_class: Mapping[str, float | None],
    two_class: Mapping[str, float | None] | None = None,
    *,
    seeds: int | None = None,
    cycles: int | None = None,
) -> Row:
    """Returns the row of figures as somebody else printed them; what they did not print is absent.

    Args:
        system: the system's name.
        four_class: ``sp``, ``se``, ``score``, each with ``sp_std`` ... where a deviation is printed.
        two_class: the same for normal against abnormal; its ``sp`` is that of ``four_class`` and is not used.
        seeds: number of seeds behind the figures.
        cycles: number of training cycles.
    """

    def taken(figures: Mapping[str, float | None], name: str) -> Figure | None:
        mean = figures.get(name)
        return None if mean is None else Figure(mean, figures.get(f"{name}_std"))

    four = {name: taken(four_class, name) for name in ("sp", "se", "score")}
    two = {f"{name}2": taken(two_class or {}, name) for name in ("se", "score")}
    return Row(system=system, rule=PRINTED, cycles=cycles, seeds=seeds, **four, **two)


def figure(values: Sequence[float | None]) -> Figure | None:
    """Returns mean and sample standard deviation; ``None`` where a seed has no such figure."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return Figure(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


def or_dash(value: object) -> str:
    """Returns a cell: an en dash where there is nothing, thousands apart in whole numbers."""
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _cells(row: Row) -> tuple[str, ...]:
    name = f"{row.system} [{SYNTHETIC}]" if row.synthetic else row.system
    cells = [name, row.rule, or_dash(row.cycles), or_dash(row.seeds)]
    for field in _FIGURES:
        figure = getattr(row, field)
        cells.append(or_dash(figure))
        if field == "score":
            cells.append(or_dash(figure and figure.span))
    return tuple(cells)


def _numbers(figure: Figure | None) -> tuple[float | None, ...]:
    """Returns mean, deviation and the ends of the interval."""
    return (None,) * 4 if figure is None else (figure.mean, figure.std, *(figure.interval or (None, None)))
