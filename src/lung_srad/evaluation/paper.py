"""The paper's tables: a row per system, our figures under three rules beside the printed ones."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lung_srad.evaluation.selection import LAST, TEST, VALIDATION
from lung_srad.evaluation.sheet import Sheet
from lung_srad.evaluation.tables import PRINTED, SYNTHETIC, SYNTHETIC_NOTE, Figure, Row, or_dash

FIELDS = {4: ("sp", "se", "score"), 2: ("sp", "se2", "score2")}  # of a row, by the number of classes
SHOWN = (VALIDATION, LAST, TEST)
_HEADER = (
    "system",
    "backbone",
    "training cycles",
    "seeds",
    "Sp",
    "Se",
    "Score",
    f"Score, {LAST}",
    f"Score, {TEST}",
    "printed Sp",
    "printed Se",
    "printed Score",
)
_TEXTS = 2


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One system of a printed table.

    Attributes:
        system: what it is called.
        backbone: the network that we train.
        ours: our rows by rule; empty where no run is finished.
        printed: the printed row.
        notes: what has to be known of it.
    """

    system: str
    backbone: str
    ours: Mapping[str, Row]
    printed: Row
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PaperTable:
    """One of the paper's tables, for four classes or for two.

    ``comparable``: printed figures may stand beside ours, as these are of the recordings of the paper.
    """

    title: str
    classes: int
    rows: tuple[PaperRow, ...]
    notes: tuple[str, ...] = ()
    comparable: bool = True

    @property
    def synthetic(self) -> bool:
        """Returns whether any row comes from simulated recordings."""
        return any(row.synthetic for each in self.rows for row in each.ours.values())

    @property
    def sheet(self) -> Sheet:
        """Returns the table as text, in per cent; an en dash where there is no figure, footnotes by number."""
        numbers = {note: place for place, note in enumerate(dict.fromkeys(n for r in self.rows for n in r.notes), 1)}
        heading = " · ".join(text for text in (SYNTHETIC if self.synthetic else "", self.title) if text)
        remarks = [f"[{number}] {note}" for note, number in numbers.items()]
        stamp = (SYNTHETIC_NOTE,) if self.synthetic else ()
        cells = tuple(self._cells(row, [numbers[note] for note in row.notes]) for row in self.rows)
        return Sheet(heading, _HEADER, cells, (*stamp, *remarks, *self.notes), _TEXTS)

    def _cells(self, row: PaperRow, footnotes: Sequence[int]) -> tuple[str, ...]:
        marks = [SYNTHETIC] if any(each.synthetic for each in row.ours.values()) else []
        marks += [", ".join(map(str, footnotes))] if footnotes else []
        of = next(iter(row.ours.values()), None)
        main, last, test = (self._figures(row.ours.get(rule)) for rule in SHOWN)
        printed = self._figures(row.printed if self.comparable else None)
        counts = (of and of.cycles, of and of.seeds)
        return (
            " ".join([row.system, *(f"[{mark}]" for mark in marks)]),
            row.backbone,
            *map(or_dash, (*counts, *main, last[-1], test[-1], *printed)),
        )

    def _figures(self, row: Row | None) -> tuple[Figure | None, ...]:
        """Returns Sp, Se and Score of a row under this table's number of classes."""
        return tuple(row and getattr(row, field) for field in FIELDS[self.classes])


def paper_csv(tables: Sequence[PaperTable]) -> str:
    """Returns the tables as CSV at full precision, a line for each system and rule; figures are of the table's classes.

    What is printed stands in lines of its own rule.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{name}{part}" for name in FIELDS[4] for part in ("", "_std")]
    writer.writerow(["table", "classes", "system", "backbone", "epoch", "data", "training_cycles", "seeds", *columns])
    for table in tables:
        for row in table.rows:
            lines = [(rule, row.ours[rule]) for rule in row.ours] + [(PRINTED, row.printed)] * table.comparable
            for rule, line in lines:
                figures = [getattr(line, field) for field in FIELDS[table.classes]]
                numbers = [number for f in figures for number in ((None, None) if f is None else (f.mean, f.std))]
                data = SYNTHETIC if line.synthetic else ""
                head = [table.title, table.classes, row.system, row.backbone if rule != PRINTED else "", rule, data]
                writer.writerow([*head, line.cycles, line.seeds, *numbers])
    return text.getvalue()
