"""Systems beside each other, as a table: the reference, differences, p, and what cannot be compared."""

from dataclasses import replace

import numpy as np
import pytest

from lung_srad.errors import DataError
from lung_srad.evaluation import Predictions, compare
from lung_srad.reports import Source, comparison_sheet
from lung_srad.reports.compare import _p
from lung_srad.reports.parts import shown


@pytest.fixture
def sources(predictions):
    strengths = {"base": 0.5, "same": 0.5, "better": 3.0}
    return [
        Source(name, (predictions(seed, strength=strength), predictions(seed + 10, strength=strength)))
        for seed, (name, strength) in enumerate(strengths.items(), start=1)
    ]


def test_the_table_holds_what_the_comparison_found(sources):
    sheet = comparison_sheet(sources, resamples=300, permutations=500)
    found = compare({each.name: each.predictions for each in sources}, "base", resamples=300, permutations=500)
    assert [row[0] for row in sheet.cells] == ["base", "same", "better", "baseline: always normal"]
    assert sheet.cells[0][2] == shown(found.reference_figures["score"])
    assert sheet.cells[0][6:] == ("–",) * 5
    for row, cells in zip(found.rows, sheet.cells[1:], strict=False):
        assert cells[1] == "2"
        assert cells[6] == shown(row.difference["score"])
        assert cells[9] == _p(row.p, 500)
        assert cells[10] == _p(row.p_holm, 500)
    assert found.rows[1].difference["score"].value > 20
    assert sheet.cells[3][2] == "50.00"
    assert "12 patients" in sheet.heading
    assert any("deviation over seeds" in remark for remark in sheet.remarks)


def test_what_cannot_be_compared_is_said(sources, predictions):
    with pytest.raises(DataError, match=r"1 system\(s\): base; two or more"):
        comparison_sheet(sources[:1])
    with pytest.raises(DataError, match="each of a name of its own"):
        comparison_sheet([sources[0], sources[0]])
    with pytest.raises(DataError, match="they differ in"):
        comparison_sheet([sources[0], Source("short", (predictions(1, patients=11),))])
    given = predictions(1)
    shares = np.column_stack([given.probabilities[:, 0], 1 - given.probabilities[:, 0]])
    texts = [getattr(given, name) for name in given.__slots__[1:-2]]
    two = Predictions(("normal", "abnormal"), *texts, (given.label > 0).astype(int), shares)
    with pytest.raises(DataError, match="trained on two classes is not compared with one of four"):
        comparison_sheet([sources[0], Source("two", (two,))])


def test_stamps_notes_and_other_splits_are_remarked(sources):
    first = replace(sources[0], synthetic=True, split={"sha256": "a"}, notes=("Seen.",))
    sheet = comparison_sheet([first, replace(sources[2], split={"sha256": "b"})], resamples=100, permutations=100)
    assert sheet.heading.startswith("SYNTHETIC · ")
    assert "base: Seen." in sheet.remarks
    assert any("different splits" in remark for remark in sheet.remarks)


@pytest.mark.parametrize(("value", "text"), [(0.5, "0.500"), (0.0125, "0.013"), (0.0004, "0.0004")])
def test_p_is_written_with_what_it_can_tell(value, text):
    assert _p(value, 100_000) == text
