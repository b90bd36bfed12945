"""Tables of systems: mean ± sample standard deviation over seeds, beside what the paper prints."""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lung_srad.errors import DataError, message
from lung_srad.evaluation.metrics import Scores

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
    """A mean over seeds; ``std`` is the sample standard deviation, ``None`` for a single seed."""

    mean: float
    std: float | None = None

    def __str__(self) -> str:
        return f"{self.mean:.2f}" if self.std is None else f"{self.mean:.2f} ± {self.std:.2f}"


@dataclass(frozen=True, slots=True)
class Row:
    """One system under one rule. A figure that nobody has is ``None``.

    Attributes:
        system: the system's name.
        rule: where the figures come from (a rule of selection, a baseline, or the paper).
        cycles: number of training cycles.
        seeds: number of seeds behind mean and deviation.
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


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that render as text; the terminal's table is drawn from ``header`` and ``cells``."""

    rows: tuple[Row, ...]
    title: str = ""
    notes: tuple[str, ...] = ()

    @property
    def header(self) -> tuple[str, ...]:
        """Returns the headings."""
        return ("system", "epoch", "training cycles", "seeds", *_FIGURES.values())

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """Returns the rows as text, in per cent with two decimals; an en dash where there is no figure."""
        return tuple(
            (
                row.system,
                row.rule,
                _or_dash(row.cycles),
                _or_dash(row.seeds),
                *(_or_dash(getattr(row, f)) for f in _FIGURES),
            )
            for row in self.rows
        )

    def markdown(self) -> str:
        """Returns the table as Markdown, title and notes included."""
        lines = [self.header, ("---",) * 2 + ("---:",) * (len(self.header) - 2), *self.cells]
        body = "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
        parts = [f"**{self.title}**"] if self.title else []
        return "\n\n".join([*parts, body, *self.notes]) + "\n"

    def csv(self) -> str:
        """Returns the table as CSV at full precision: mean and deviation apart, empty where there is none."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = [name for field in _FIGURES for name in (field, f"{field}_std")]
        writer.writerow(["system", "epoch", "training_cycles", "seeds", *columns])
        for row in self.rows:
            figures = [getattr(row, field) for field in _FIGURES]
            numbers = [
                number for figure in figures for number in ((figure.mean, figure.std) if figure else (None, None))
            ]
            writer.writerow([row.system, row.rule, row.cycles, row.seeds, *numbers])
        return text.getvalue()


def measured(system: str, scores: Sequence[Scores], *, rule: str, cycles: int | None = None) -> Row:
    """Returns the row of one system: mean and sample deviation over its seeds.

    Args:
        system: the system's name.
        scores: the scores of each seed.
        rule: the rule that chose the epochs.
        cycles: number of training cycles.

    Raises:
        DataError: no seed.
    """
    if not scores:
        raise DataError(message(system, "no finished seed", "one or more", "train it first, or leave the row out"))
    figures = {field: figure([getattr(s, field) for s in scores]) for field in _FIGURES}
    return Row(system=system, rule=rule, cycles=cycles, seeds=len(scores), **figures)


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


def _or_dash(value: object) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
