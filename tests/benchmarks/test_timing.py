"""Contestants take turns, and ratios are of turns in which both ran."""

import pytest

from timing import ratio, take_turns, weighted_sum


def test_everyone_runs_in_every_turn_and_the_limited_ones_seldom() -> None:
    runs: list[str] = []
    calls = {name: lambda name=name: runs.append(name) for name in ("often", "rare")}
    times = take_turns("test", calls, seconds=0, least=3, limits={"rare": 1}, singly=calls)
    assert runs.count("often") == 4  # one to warm up
    assert [taken is None for taken in times["rare"]] == [False, True, True]
    assert None not in times["often"]


def test_a_ratio_is_the_median_over_common_turns() -> None:
    assert ratio([8.0, 2.0, None, 9.0], [2.0, 1.0, 7.0, 3.0]) == (3.0, 2.0, 4.0)


def test_a_sum_is_missing_where_a_part_is() -> None:
    assert weighted_sum([(2, [1.0, None]), (3, [2.0, 1.0])]) == [pytest.approx(8.0), None]
