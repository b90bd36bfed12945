"""Tables: means, sample deviations, Markdown, CSV, and the printed figures."""

import csv
import io
import statistics

import pytest

from lung_srad.errors import DataError
from lung_srad.evaluation import Figure, Table, figure, measured, printed, score_predictions

FIRST = score_predictions([0, 0, 1, 2], [0, 0, 1, 1], num_classes=3)  # Sp 100, Se 50, 2-class Se 100
SECOND = score_predictions([0, 0, 1, 2], [0, 1, 1, 2], num_classes=3)  # Sp 50, Se 100, 2-class Se 100

PAPER = printed(
    "Lung-SRAD",
    {"sp": 79.53, "sp_std": 0.95, "se": 49.42, "se_std": 1.19, "score": 64.48, "score_std": 0.25},
    {"sp": 79.53, "se": 65.61, "se_std": 0.24, "score": 72.57, "score_std": 0.47},
    seeds=5,
    cycles=4142,
)
ONLY_SCORE = printed("BTS++", {"score": 65.69})


def test_mean_and_sample_deviation() -> None:
    row = measured("tiny", [FIRST, SECOND], rule="last epoch", cycles=1270)
    assert (row.seeds, row.cycles) == (2, 1270)
    assert row.sp == Figure(75.0, pytest.approx(statistics.stdev([100, 50])))
    assert str(row.sp) == "75.00 ± 35.36"
    assert str(row.score2) == "87.50 ± 17.68"


def test_one_seed_has_no_deviation() -> None:
    row = measured("tiny", [FIRST], rule="last epoch")
    assert row.sp == Figure(100.0)
    assert str(row.sp) == "100.00"


def test_a_figure_that_a_seed_lacks_is_absent() -> None:
    assert figure([1.0, None]) is None
    assert figure([]) is None
    only_normals = score_predictions([0], [0], num_classes=2)
    assert measured("tiny", [only_normals], rule="last epoch").score is None


def test_markdown() -> None:
    rows = (measured("a|b", [FIRST, SECOND], rule="last epoch", cycles=1270), PAPER, ONLY_SCORE)
    lines = Table(rows, title="Systems", notes=("A note.",)).markdown().splitlines()
    assert lines[0] == "**Systems**"
    assert lines[-1] == "A note."
    assert lines[3].count("---:") == 8
    assert lines[4] == (
        r"| a\|b | last epoch | 1,270 | 2 | 75.00 ± 35.36 | 75.00 ± 35.36 | 75.00 ± 0.00 "
        "| 100.00 ± 0.00 | 87.50 ± 17.68 | 75.00 ± 11.79 |"
    )
    assert lines[5] == (
        "| Lung-SRAD | printed in the paper | 4,142 | 5 | 79.53 ± 0.95 | 49.42 ± 1.19 | 64.48 ± 0.25 "
        "| 65.61 ± 0.24 | 72.57 ± 0.47 | – |"
    )
    assert lines[6] == "| BTS++ | printed in the paper | – | – | – | – | 65.69 | – | – | – |"


def test_csv_is_exact() -> None:
    third = score_predictions([0, 0, 0, 1], [0, 0, 1, 1], num_classes=3)
    row = measured('a "quoted", name', [third], rule="last epoch")
    (read,) = csv.DictReader(io.StringIO(Table((row,)).csv()))
    assert read["system"] == 'a "quoted", name'
    assert float(read["sp"]) == third.sp
    assert (read["sp_std"], read["training_cycles"], read["seeds"]) == ("", "", "1")


def test_cells_match_the_header() -> None:
    table = Table((PAPER, ONLY_SCORE))
    assert [len(cells) for cells in table.cells] == [len(table.header)] * 2


def test_no_seed() -> None:
    with pytest.raises(DataError, match="no finished seed"):
        measured("tiny", [], rule="last epoch")
