"""Labels for Audacity and tables for Raven, read back as their formats are published."""

import csv
from pathlib import Path

import pytest

from lung_srad.inference import Classification, Event, Segment, as_audacity, as_raven
from lung_srad.inference.label_files import RAVEN_HEADER
from lung_srad.inference.spans import read_spans

FACTS = {"name": "tiny", "normal": "normal", "sample_rate": 16_000, "notice": "research use"}


@pytest.fixture
def found() -> Classification:
    answers = [(0.0, 0.2), (2.0, 0.9), (4.0, 0.8), (6.0, 0.1), (8.123456, 0.7)]
    segments = tuple(Segment(start, start + 2, (1 - level, level), "x") for start, level in answers)
    return Classification("a.wav", 11.0, 4000, "windows", ("normal", "wheeze\tä"), segments, (), FACTS)


def test_audacity(found: Classification, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(as_audacity(found), encoding="utf-8")
    rows = [line.split("\t") for line in (tmp_path / "a.txt").read_text(encoding="utf-8").splitlines()]
    assert [(float(start), float(end), label) for start, end, label in rows] == [
        (2.0, 6.0, "wheeze ä"),
        (8.123456, 10.123456, "wheeze ä"),
    ]
    assert read_spans(tmp_path / "a.txt", Path("a.wav")) == [(each.start, each.end) for each in found.events]


def test_raven(found: Classification, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(as_raven(found), encoding="utf-8")
    with (tmp_path / "a.txt").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert tuple(rows[0]) == RAVEN_HEADER
    assert [int(row["Selection"]) for row in rows] == [1, 2]
    assert {(row["View"], row["Channel"], row["Low Freq (Hz)"], row["High Freq (Hz)"]) for row in rows} == {
        ("Spectrogram 1", "1", "0.0", "2000.0")
    }
    events = [Event(float(r["Begin Time (s)"]), float(r["End Time (s)"]), r["Annotation"], 0, 0) for r in rows]
    assert [(each.start, each.end, each.label) for each in events] == [
        (each.start, each.end, "wheeze ä") for each in found.events
    ]
    assert float(rows[0]["Score"]) == pytest.approx(0.85)
    assert read_spans(tmp_path / "a.txt", Path("a.wav")) == [(each.start, each.end) for each in found.events]
