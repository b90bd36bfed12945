"""From segments to a timeline, and from that to events, by hand."""

import pytest

from lung_srad.errors import ConfigError
from lung_srad.inference.events import Cell, EventRule, find_events, sounds, timeline
from lung_srad.inference.segments import Segment, Summary, summarize, together

NAMES = ("normal", "crackle", "wheeze", "both")


def segment(start: float, end: float, *probabilities: float) -> Segment:
    return Segment(start, end, probabilities)


def cells(*levels: float | None, step: float = 2.0) -> list[Cell]:
    """Returns stretches of two classes, by the probability of the abnormal one."""
    return [
        Cell(index * step, (index + 1) * step, () if level is None else (1 - level, level))
        for index, level in enumerate(levels)
    ]


def spans(found) -> list[tuple[float, float]]:
    return [(event.start, event.end) for event in found]


def test_the_timeline_is_the_mean_over_overlapping_segments() -> None:
    found = timeline([segment(0, 8, 1.0, 0.0), segment(2, 10, 0.5, 0.5), Segment(4, 12, code="silence")])
    assert found == (
        Cell(0, 2, (1.0, 0.0)),
        Cell(2, 4, (0.75, 0.25)),
        Cell(4, 8, (0.75, 0.25)),
        Cell(8, 10, (0.5, 0.5)),
        Cell(10, 12),
    )


def test_the_timeline_of_cycles_has_the_gaps_between_them() -> None:
    assert timeline([segment(5, 6, 0.2, 0.8), segment(1, 2, 0.9, 0.1)]) == (
        Cell(1, 2, (0.9, 0.1)),
        Cell(2, 5),
        Cell(5, 6, (0.2, pytest.approx(0.8))),
    )
    assert timeline([]) == ()
    assert timeline([Segment(0, 3, code="silence")]) == (Cell(0, 3),)


def test_the_mean_of_the_timeline_is_that_of_the_segments() -> None:
    many = [segment(start, start + 8, 1 - start / 400, start / 400) for start in range(0, 400, 2)]
    for cell in timeline(many):
        over = [each.probabilities[1] for each in many if each.start <= cell.start and cell.end <= each.end]
        assert cell.probabilities[1] == pytest.approx(sum(over) / len(over))


def test_an_event_begins_at_the_onset_and_ends_under_the_offset() -> None:
    given = cells(0.1, 0.4, 0.6, 0.4, 0.2, 0.4, 0.1)
    found = find_events(given, ("normal", "odd"), "normal", EventRule())
    assert spans(found) == [(2, 8)]
    assert found[0].label == "odd"
    assert (found[0].peak, found[0].mean) == (0.6, pytest.approx(1.4 / 3))


def test_no_answer_ends_an_event() -> None:
    given = cells(0.9, None, 0.9, 0.0)
    assert spans(find_events(given, ("normal", "odd"), "normal", EventRule())) == [(0, 2), (4, 6)]
    joined = find_events(given, ("normal", "odd"), "normal", EventRule(gap=2.0))
    assert spans(joined) == [(0, 6)]
    assert joined[0].mean == pytest.approx(0.9)


def test_short_events_are_dropped_after_gaps_are_closed() -> None:
    given = cells(0.9, 0.0, 0.9, 0.0, 0.0, 0.0, 0.9)
    assert spans(find_events(given, ("normal", "odd"), "normal", EventRule(gap=2, shortest=4))) == [(0, 6)]


def test_both_is_a_crackle_and_a_wheeze() -> None:
    assert sounds(NAMES, "normal") == {"crackle": (1, 3), "wheeze": (2, 3)}
    assert sounds(("normal", "abnormal"), "normal") == {"abnormal": (1,)}
    assert sounds(("normal", "both", "crackle"), "normal") == {"both": (1,), "crackle": (2,)}
    given = [Cell(0, 2, (0.1, 0.5, 0.0, 0.4)), Cell(2, 4, (0.1, 0.0, 0.3, 0.6))]
    found = find_events(given, NAMES, "normal", EventRule())
    assert [(event.label, event.start, event.end) for event in found] == [("crackle", 0, 4), ("wheeze", 0, 4)]
    assert [event.peak for event in found] == [pytest.approx(0.9), pytest.approx(0.9)]


@pytest.mark.parametrize(
    "values", [{"onset": 1.0}, {"offset": 0.6}, {"offset": 0.0}, {"onset": float("nan")}, {"gap": -1}, {"shortest": -1}]
)
def test_a_rule_that_cannot_be(values) -> None:
    with pytest.raises(ConfigError, match="events: onset"):
        EventRule(**values)


def test_summaries_together_are_the_summary_of_all() -> None:
    one = [segment(0, 8, 0.7, 0.2, 0.05, 0.05), Segment(8, 16, code="silence")]
    two = [segment(0, 8, 0.1, 0.6, 0.2, 0.1), segment(8, 16, 0.2, 0.2, 0.5, 0.1), Segment(16, 17, code="silence")]
    parts = [summarize(each, NAMES) for each in (one, two, [])]
    whole, found = summarize(one + two, NAMES), together(parts)
    assert (found.n, found.max, found.labels, found.codes) == (whole.n, whole.max, whole.labels, whole.codes)
    assert found.mean == pytest.approx(whole.mean)
    assert Summary.from_dict(found.to_dict()) == found
    assert together([summarize([], NAMES)]).mean == {}
    with pytest.raises(ValueError, match="no summary"):
        together([])
