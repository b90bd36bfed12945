"""A report as blocks of plain content, and the two ways to write it: one HTML page, or Markdown with pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lung_srad.evaluation import Sheet
from lung_srad.evaluation import page as html
from lung_srad.evaluation.tables import SYNTHETIC

FEW_MARK = "†"  # behind the name of a group of few patients, for those who do not see grey


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph; ``kind`` is a class of the page's style: ``lead``, ``note`` or ``warning``."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Cards:
    """Large figures side by side: (what it is, the figure, a line about it)."""

    items: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """A table; the rows whose places are in ``quiet`` are grey."""

    sheet: Sheet
    quiet: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts by true class and answer; the last column is "no answer"."""

    counts: NDArray[np.float64]
    class_names: tuple[str, ...]
    caption: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A vector drawing: the name of its file, its text, what it shows in words, its caption."""

    name: str
    svg: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class Lines:
    """Items, one below the other."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """Lines for a shell."""

    text: str


Block = Words | Cards | Rows | Confusion | Drawing | Lines | Commands


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a report under one heading; ``anchor`` is what links to it are called."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report; ``stamp`` stays in sight, e.g. ``SYNTHETIC``."""

    title: str
    lead: tuple[Block, ...]
    parts: tuple[Part, ...]
    stamp: str = ""

    def html(self) -> str:
        """Returns one page that needs nothing but itself."""
        sections = [html.Section(part.anchor, part.title, tuple(map(_html, part.blocks))) for part in self.parts]
        return html.page(self.title, sections, stamp=self.stamp, lead=map(_html, self.lead))

    def markdown(self, pictures: str = "figures") -> str:
        """Returns the same as Markdown; :meth:`drawings` are the files ``pictures/NAME.svg`` beside it."""
        lines = [f"# {self.title}", *([f"**{self.stamp}**"] if self.stamp else [])]
        lines += [_markdown(block, pictures) for block in self.lead]
        for part in self.parts:
            lines += [f"## {part.title}", *(_markdown(block, pictures) for block in part.blocks)]
        return "\n\n".join(line.strip() for line in lines) + "\n"

    def drawings(self) -> dict[str, str]:
        """Returns file name -> SVG of every drawing."""
        blocks = (block for part in self.parts for block in part.blocks)
        return {f"{block.name}.svg": block.svg for block in blocks if isinstance(block, Drawing)}


def stamped(part: Part) -> Part:
    """Returns a part whose tables and pictures each say that they come from simulated recordings."""

    def marked(block: Block) -> Block:
        match block:
            case Rows(sheet, quiet) if not sheet.heading.startswith(SYNTHETIC):
                return Rows(replace(sheet, heading=f"{SYNTHETIC} · {sheet.heading}"), quiet)
            case Confusion() | Drawing():
                return replace(block, caption=f"{SYNTHETIC} · {block.caption}")
        return block

    return replace(part, blocks=tuple(map(marked, part.blocks)))


def _html(block: Block) -> html.Html:
    match block:
        case Words(text, kind):
            return html.paragraph(text, kind=kind)
        case Cards(items):
            return html.cards(items)
        case Rows(sheet, quiet):
            return html.sheet(sheet, quiet=quiet)
        case Confusion(counts, names, caption):
            return html.confusion(counts, names, caption=caption)
        case Drawing(_, svg, alt, caption):
            return html.picture(svg, alt=alt, caption=caption)
        case Lines(items):
            return html.bullets(items)
        case Commands(text):
            return html.code(text)


def _markdown(block: Block, pictures: str) -> str:
    match block:
        case Words(text):
            return text
        case Cards(items):
            return "\n".join(f"- **{what}: {figure}** {about}" for what, figure, about in items)
        case Rows(sheet):
            return sheet.markdown()
        case Confusion(counts, names, caption):
            return confusion_sheet(counts, names, caption).markdown()
        case Drawing(name, _, alt, caption):
            return f"![{alt}]({pictures}/{name}.svg)\n\n*{caption}*"
        case Lines(items):
            return "\n".join(f"- {item}" for item in items)
        case Commands(text):
            return f"```\n{text}\n```"


def confusion_sheet(counts: NDArray[np.float64], names: Sequence[str], caption: str) -> Sheet:
    """Returns a confusion matrix as text: counts, and their share of the row; "no answer" only where there is one."""
    columns = (*names, "no answer") if counts[:, -1].any() else tuple(names)
    cells = []
    for name, row in zip(names, counts, strict=True):
        size = row.sum()
        each = (f"{html.count(n)} ({100 * n / size if size else 0:.0f} %)" for n in row[: len(columns)])
        cells.append((name, *each, html.count(size)))
    return Sheet(caption, ("true ↓", *columns, "all"), tuple(cells), texts=1)
