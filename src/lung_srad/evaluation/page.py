"""The blocks of a report page: one HTML file that needs nothing else, readable on a phone, in light and in dark.

Blocks are pure functions from text and numbers to :class:`Html`. Whatever is not :class:`Html` is escaped, so that no
name of a file or a patient can become markup; and the page forbids itself, by its security policy, to load anything
or to run a script.
"""

import base64
import html
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from numpy.typing import NDArray

from lung_srad.evaluation.sheet import Sheet
from lung_srad.evaluation.tables import Figure, Row, Table

_COLUMNS = {  # of a table of results: field of a row, heading
    "score": "Score",
    "sp": "Sp",
    "se": "Se",
    "score2": "2-class Score",
    "se2": "2-class Se",
    "balanced_accuracy": "balanced accuracy",
}
_WITH_INTERVAL = re.compile(r"([-\d][^()]*) \((.+ to .+)\)")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Html(str):
    """Text that is HTML already; any other string is escaped where it goes into a page."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page: a heading and the blocks below it. ``anchor`` is what links to it are called."""

    anchor: str
    title: str
    blocks: tuple[Html, ...]


def page(title: str, sections: Sequence[Section], *, stamp: str = "", lead: Iterable[Html] = ()) -> str:
    """Returns a whole page.

    Args:
        title: of the page.
        sections: in order; a table of contents links to them.
        stamp: what stays in sight however far one scrolls, and on every printed page, e.g. ``SYNTHETIC``.
        lead: blocks before the first section.
    """
    css = resources.files("lung_srad.evaluation").joinpath("page.css").read_text(encoding="utf-8")
    contents = join(Html(f'<li><a href="#{text(s.anchor)}">{text(s.title)}</a></li>') for s in sections)
    body = join(
        Html(f'<section id="{text(s.anchor)}"><h2>{text(s.title)}</h2>{join(s.blocks)}</section>') for s in sections
    )
    stamped = Html(f'<div class="stamp" role="note">{text(stamp)}</div>') if stamp else Html()
    heading = f"{stamp} · {title}" if stamp else title
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{text(_POLICY)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(heading)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n{stamped}\n"
        f"<main>\n<header><h1>{text(title)}</h1>{join(lead)}</header>\n"
        f'<nav aria-label="On this page"><ul>{contents}</ul></nav>\n{body}\n</main>\n</body>\n</html>\n'
    )


def text(content: str) -> Html:
    """Returns text as HTML, escaped unless it is HTML already."""
    return content if isinstance(content, Html) else Html(html.escape(content))


def join(blocks: Iterable[str]) -> Html:
    """Returns blocks one after the other."""
    return Html("\n".join(text(block) for block in blocks))


def term(word: str, meaning: str) -> Html:
    """Returns a word that is explained, and what it means."""
    return Html(f"<strong>{text(word)}</strong> {text(meaning)}")


def paragraph(content: str, *, kind: str = "") -> Html:
    """Returns a paragraph; ``kind`` is a class of the style sheet: ``lead``, ``note`` or ``warning``."""
    return Html(f'<p class="{text(kind)}">{text(content)}</p>' if kind else f"<p>{text(content)}</p>")


def bullets(items: Iterable[str]) -> Html:
    """Returns an unordered list."""
    return Html("<ul>" + "".join(f"<li>{text(item)}</li>" for item in items) + "</ul>")


def code(content: str) -> Html:
    """Returns lines for a shell or an interpreter, as they are."""
    return Html(f'<pre tabindex="0"><code>{text(content)}</code></pre>')


def cards(items: Iterable[tuple[str, str, str]]) -> Html:
    """Returns large figures side by side: (what it is, the figure, a line about it)."""
    each = (
        f'<div class="card"><p class="what">{text(what)}</p><p class="figure">{text(figure)}</p>'
        f'<p class="about">{text(about)}</p></div>'
        for what, figure, about in items
    )
    return Html(f'<div class="cards">{"".join(each)}</div>')


def picture(svg: str, *, alt: str, caption: str) -> Html:
    """Returns a drawing with its caption; ``alt`` says in words what it shows.

    The drawing is an image of its own, so its style and names stay out of the page; it still follows light and dark.
    """
    source = base64.b64encode(svg.encode()).decode()
    image = f'<img src="data:image/svg+xml;base64,{source}" alt="{text(alt)}">'
    scroll = f'<div class="wide" role="region" aria-label="{text(alt)}" tabindex="0">{image}</div>'
    return Html(f"<figure>{scroll}<figcaption>{text(caption)}</figcaption></figure>")


def results(table: Table) -> Html:
    """Returns a table of results: each figure with its interval over patients below it, where there is one."""
    head = ("system", "epoch", *_COLUMNS.values(), "training cycles", "seeds")
    rows = [_result(row) for row in table.rows]
    notes = join(paragraph(note, kind="note") for note in table.remarks)
    return join([_grid(table.heading, head, rows), notes])


def sheet(content: Sheet, *, quiet: Collection[int] = ()) -> Html:
    """Returns rows of text, words on the left, figures on the right, remarks below; ``quiet`` rows are grey."""
    rows = []
    for row, (first, *cells) in enumerate(content.cells):
        grey = ' class="quiet"' if row in quiet else ""
        marks = ["" if place < content.texts else ' class="number"' for place in range(1, len(cells) + 1)]
        each = "".join(f"<td{mark}>{_two_lines(cell)}</td>" for mark, cell in zip(marks, cells, strict=True))
        rows.append(f'<tr{grey}><th scope="row">{text(first)}</th>{each}</tr>')
    notes = join(paragraph(note, kind="note") for note in content.remarks)
    return join([_grid(content.heading, content.header, rows, texts=content.texts), notes])


def _two_lines(cell: str) -> Html:
    """Returns a cell, the interval in brackets behind a figure below it: ``79.5 (76.0 to 83.1)``."""
    match = _WITH_INTERVAL.fullmatch(cell)
    return Html(f"{text(match[1])}<small>{text(match[2])}</small>") if match else text(cell)


def count(number: float) -> str:
    """Returns a number of cycles: whole, or with one decimal where it is a mean over seeds."""
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


def _result(row: Row) -> str:
    cells = [f"<td>{text(row.rule)}</td>"]
    for field in _COLUMNS:
        mark = ' class="number main"' if field == "score" else ' class="number"'
        cells.append(f"<td{mark}>{_figure(getattr(row, field))}</td>")
    cells += [f'<td class="number">{"–" if n is None else f"{n:,}"}</td>' for n in (row.cycles, row.seeds)]
    return f'<tr><th scope="row">{text(row.system)}</th>{"".join(cells)}</tr>'


def _figure(figure: Figure | None) -> Html:
    if figure is None:
        return Html("–")
    below = f"<small>{text(figure.span)}</small>" if figure.span else ""
    return Html(f"{text(str(figure))}{below}")


def confusion(counts: NDArray, class_names: Sequence[str], *, caption: str) -> Html:
    """Returns a confusion matrix: true classes by row, answers by column, each cell with its share of the row.

    Shape:
        counts: (classes, classes + 1), means over several seeds; the last column is "no answer" and is left out where
            it is empty.
    """
    silent = bool(counts[:, -1].any())
    columns = (*class_names, "no answer") if silent else tuple(class_names)
    rows = []
    for index, name in enumerate(class_names):
        size = counts[index].sum()
        cells = [
            _share(number, number / size if size else 0.0, right=index == column)
            for column, number in enumerate(counts[index, : len(columns)])
        ]
        rows.append(f'<tr><th scope="row">{text(name)}</th>{"".join(cells)}<td class="number">{count(size)}</td></tr>')
    return _grid(caption, ("true ↓", *columns, "all"), rows, kind="confusion", texts=1)


def _share(number: float, share: float, *, right: bool) -> str:
    mark = "number right" if right else "number"
    return f'<td class="{mark}" style="--share: {share:.3f}">{count(number)}<small>{100 * share:.0f} %</small></td>'


def _grid(caption: str, head: Sequence[str], rows: Sequence[str], *, kind: str = "results", texts: int = 2) -> Html:
    """Returns a table that scrolls by itself where it is wider than the screen; ``texts`` columns hold words."""
    marks = ["" if place < texts else ' class="number"' for place in range(len(head))]
    headings = "".join(f'<th scope="col"{mark}>{text(word)}</th>' for mark, word in zip(marks, head, strict=True))
    return Html(
        f'<p class="caption">{text(caption)}</p><div class="wide" role="region" aria-label="{text(caption)}" '
        f'tabindex="0"><table class="{kind}" aria-label="{text(caption)}"><thead><tr>{headings}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def side_by_side(blocks: Iterable[str]) -> Html:
    """Returns blocks next to each other where there is room, below each other where there is not."""
    return Html('<div class="beside">' + "".join(f"<div>{text(block)}</div>" for block in blocks) + "</div>")
