"""Tables: means, sample deviations, Markdown, CSV, and the printed figures."""

import csv
import io
import statistics

import pytest

from lung_srad.errors import DataError
from lung_srad.evaluation import Estimate, Figure, Table, figure, measured, printed, score_predictions

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
    assert lines[3].count("---:") == 9
    assert lines[4] == (
        r"| a\|b | last epoch | 1,270 | 2 | 75.00 ± 35.36 | 75.00 ± 35.36 | 75.00 ± 0.00 | – "
        "| 100.00 ± 0.00 | 87.50 ± 17.68 | 75.00 ± 11.79 |"
    )
    assert lines[5] == (
        "| Lung-SRAD | printed in the paper | 4,142 | 5 | 79.53 ± 0.95 | 49.42 ± 1.19 | 64.48 ± 0.25 | – "
        "| 65.61 ± 0.24 | 72.57 ± 0.47 | – |"
    )
    assert lines[6] == "| BTS++ | printed in the paper | – | – | – | – | 65.69 | – | – | – | – |"


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


# --- intervals over patients

INTERVALS = {"score": Estimate(75.0, 61.04, 88.06), "se": Estimate(75.0, 40.0, 90.0)}
WITH = measured("tiny", [FIRST, SECOND], rule="last epoch", intervals=INTERVALS)


def test_the_interval_of_the_score_has_a_column() -> None:
    table = Table((WITH, ONLY_SCORE))
    place = table.header.index("95 % (patients)")
    assert table.header[place - 1] == "Score"
    assert [cells[place] for cells in table.cells] == ["61.0–88.1", "–"]


def test_csv_holds_every_interval() -> None:
    (read,) = csv.DictReader(io.StringIO(Table((WITH,)).csv()))
    assert (read["score_low"], read["score_high"], read["se_low"], read["sp_low"]) == ("61.04", "88.06", "40.0", "")


def test_a_figure_without_an_interval_has_a_dash() -> None:
    """Patients who do not differ say nothing of others."""
    table = Table((measured("tiny", [FIRST], rule="last epoch", intervals={"score": Estimate(75.0)}),))
    assert table.cells[0][table.header.index("95 % (patients)")] == "–"


# --- simulated recordings


def test_a_synthetic_row_says_so_wherever_it_is_shown() -> None:
    table = Table((measured("tiny", [FIRST], rule="last epoch", synthetic=True), PAPER), title="Systems", notes=("A.",))
    assert table.heading == "SYNTHETIC · Systems"
    assert table.remarks[0].startswith("SYNTHETIC: simulated recordings.")
    assert [cells[0] for cells in table.cells] == ["tiny [SYNTHETIC]", "Lung-SRAD"]
    text = table.markdown()
    assert text.startswith("**SYNTHETIC · Systems**")
    assert text.index("say nothing about real ones") < text.index("A.")
    assert [row["data"] for row in csv.DictReader(io.StringIO(table.csv()))] == ["SYNTHETIC", ""]


def test_a_table_of_real_recordings_is_not_stamped() -> None:
    table = Table((PAPER,), title="Systems", notes=("A.",))
    assert (table.heading, table.remarks) == ("Systems", ("A.",))
    assert "SYNTHETIC" not in table.markdown() + table.csv()
