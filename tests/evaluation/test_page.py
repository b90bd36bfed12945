"""Pages: one file that loads nothing, escapes everything, says SYNTHETIC, and is well-formed."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from lung_srad.evaluation import Estimate, Table, measured, score_predictions
from lung_srad.evaluation.page import (
    Html,
    Section,
    bullets,
    cards,
    code,
    confusion,
    page,
    paragraph,
    picture,
    results,
    side_by_side,
    term,
)

EVIL = "<script>alert('x')</script> & \"q\""
SCORES = score_predictions([0, 0, 1, 2], [0, 0, 1, 1], num_classes=3)
COUNTS = np.array([[5, 1, 0, 0], [0, 3, 1, 0], [0, 0, 0, 0]])


def whole(*blocks: Html, stamp: str = "") -> str:
    return page("A title", [Section("one", "Part one", blocks)], stamp=stamp)


class Balance(HTMLParser):
    """Notes tags that are closed in the wrong order, and every attribute that could load something."""

    EMPTY = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.sources: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def parsed(text: str) -> Balance:
    parser = Balance()
    parser.feed(text)
    parser.close()
    assert (parser.open, parser.wrong) == ([], [])
    return parser


def everything() -> tuple[Html, ...]:
    table = Table((measured(EVIL, [SCORES], rule=EVIL),), title=EVIL, notes=(EVIL,))
    return (
        paragraph(EVIL),
        paragraph(EVIL, kind="note"),
        term(EVIL, EVIL),
        bullets([EVIL, term("a", "b")]),
        code(EVIL),
        cards([(EVIL, EVIL, EVIL)]),
        picture("<svg/>", alt=EVIL, caption=EVIL),
        results(table),
        confusion(COUNTS, [EVIL, "b", "c"], caption=EVIL),
        side_by_side([EVIL, paragraph("a")]),
    )


def test_every_block_escapes_what_it_is_given():
    text = page(EVIL, [Section("one", EVIL, everything())], stamp=EVIL, lead=[paragraph(EVIL)])
    assert "<script" not in text
    assert "alert(&#x27;x&#x27;)" in text
    found = parsed(text)
    assert not {"script", "link", "iframe", "object"} & found.tags


def test_a_page_needs_nothing_else_and_may_load_nothing():
    text = whole(*everything())
    assert all(source.startswith(("data:image/svg+xml;base64,", "#")) for source in parsed(text).sources)
    assert "default-src 'none'" in text.replace("&#x27;", "'")
    assert not re.search(r"url\(|@import|https?://", text)


def test_a_page_has_a_language_a_title_and_a_way_to_each_part():
    text = whole(paragraph("Words."))
    assert text.startswith("<!doctype html>")
    assert '<html lang="en">' in text
    assert "<title>A title</title>" in text
    assert '<a href="#one">Part one</a>' in text
    assert '<section id="one"><h2>Part one</h2><p>Words.</p></section>' in text
    assert "SYNTHETIC" not in text


def test_the_stamp_is_in_the_title_and_stays_in_sight():
    text = whole(paragraph("Words."), stamp="SYNTHETIC")
    assert "<title>SYNTHETIC · A title</title>" in text
    assert '<div class="stamp" role="note">SYNTHETIC</div>' in text
    assert re.search(r"\.stamp \{\s*position: sticky", text)


def test_a_table_of_results_shows_figures_intervals_and_stamp():
    intervals = {"score": Estimate(75.0, 61.04, 88.06)}
    row = measured("tiny", [SCORES], rule="last epoch", cycles=1270, intervals=intervals, synthetic=True)
    text = results(Table((row, measured("other", [SCORES], rule="-")), title="Systems", notes=("A note.",)))
    parsed(text)
    assert '<td class="number main">75.00<small>61.0–88.1</small></td>' in text
    assert '<td class="number main">75.00</td>' in text
    assert "1,270" in text
    assert "SYNTHETIC · Systems" in text
    assert text.index("say nothing about real ones") < text.index("A note.")


def test_a_confusion_matrix_shows_counts_and_shares_of_the_row():
    text = confusion(COUNTS, ["a", "b", "c"], caption="Counts")
    parsed(text)
    assert '<td class="number right" style="--share: 0.833">5<small>83 %</small></td>' in text
    assert '<td class="number" style="--share: 0.250">1<small>25 %</small></td>' in text
    assert "no answer" not in text
    assert text.count("<small>0 %</small>") == 1 + 1 + 3  # the empty row has shares too


def test_silence_has_a_column_where_there_is_any():
    counts = COUNTS.copy()
    counts[0, 3] = 2
    text = confusion(counts, ["a", "b", "c"], caption="Counts")
    assert '<th scope="col" class="number">no answer</th>' in text
    assert '<td class="number" style="--share: 0.250">2<small>25 %</small></td>' in text


def test_a_picture_is_inline_and_described():
    text = picture("<svg>é</svg>", alt="What one sees", caption="Said below")
    assert 'src="data:image/svg+xml;base64,PHN2Zz7DqTwvc3ZnPg=="' in text
    assert 'alt="What one sees"' in text
    assert "<figcaption>Said below</figcaption>" in text


@pytest.mark.parametrize("scheme", ["--paper: #ffffff", "prefers-color-scheme: dark", "@media print"])
def test_light_dark_and_paper_are_thought_of(scheme):
    assert scheme in whole()
