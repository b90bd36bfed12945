"""Answers as values, JSON, CSV and text."""

import csv
import io
import json
from pathlib import Path

import pytest

from lung_srad.errors import RunError
from lung_srad.inference import Classification, Segment, as_csv, as_json

FACTS = {"name": "tiny", "notice": "research use, not a medical device"}
SEGMENTS = (
    Segment(0.0, 8.0, (0.75, 0.25), "normal"),
    Segment(2.0, 10.0, (0.25, 0.75), "crackle"),
    Segment(4.0, 12.0, (0.5, 0.5), "normal"),
    Segment(6.0, 14.0, code="silence"),
)


def found(path: str = "a.wav", segments: tuple[Segment, ...] = SEGMENTS, kind: str = "windows") -> Classification:
    return Classification(path, 14.0, 4000, kind, ("normal", "crackle"), segments, ("low_rate: 1 kHz",), FACTS)


def test_the_summary_by_hand() -> None:
    summary = found().summary
    assert summary.n == 3
    assert summary.max == {"normal": 0.75, "crackle": 0.75}
    assert summary.mean == {"normal": 0.5, "crackle": 0.5}
    assert summary.labels == {"normal": 2, "crackle": 1}
    assert summary.codes == {"silence": 1}


def test_the_summary_of_no_answer() -> None:
    summary = found(segments=SEGMENTS[3:]).summary
    assert (summary.n, summary.max, summary.mean) == (0, {}, {})
    assert summary.labels == {"normal": 0, "crackle": 0}


def test_json_holds_everything(tmp_path: Path) -> None:
    found().to_json(tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert content == found().to_dict()
    assert (content["schema"], content["version"]) == ("lung_srad.classification", 1)
    assert {key: content[key] for key in ("path", "seconds", "rate", "kind")} == {
        "path": "a.wav",
        "seconds": 14.0,
        "rate": 4000,
        "kind": "windows",
    }
    assert content["segments"][1] == {
        "start": 2.0,
        "end": 10.0,
        "probabilities": {"normal": 0.25, "crackle": 0.75},
        "label": "crackle",
        "code": "",
        "ood_score": None,
    }
    assert content["segments"][3]["probabilities"] is None
    assert content["summary"]["n"] == 3
    assert content["events"] == [
        {"start": 2.0, "end": 12.0, "label": "crackle", "peak": 0.625, "mean": pytest.approx(0.525)}
    ]
    assert content["event_rule"] == {"onset": 0.5, "offset": 0.3, "gap": 0.0, "shortest": 0.0}
    assert content["quality"] == {"verdict": "accept", "findings": [], "measures": {}}
    assert content["notices"] == ["low_rate: 1 kHz"]
    assert content["model"] == FACTS


def test_json_of_several_names_what_failed() -> None:
    content = json.loads(as_json([found()], {"b.wav": "b.wav: is empty"}))
    assert (content["schema"], content["version"]) == ("lung_srad.classifications", 1)
    assert content["recordings"] == [found().to_dict()]
    assert content["failed"] == [{"path": "b.wav", "error": "b.wav: is empty"}]


def test_csv_has_a_row_per_segment(tmp_path: Path) -> None:
    odd = 'b, "two"\nlines.wav'
    rows = list(csv.DictReader(io.StringIO(as_csv([found(), found(odd)]))))
    assert list(rows[0]) == ["path", "start", "end", "label", "code", "p_normal", "p_crackle"]
    assert [row["path"] for row in rows] == ["a.wav"] * 4 + [odd] * 4
    assert [float(row["p_crackle"]) for row in rows[:3]] == [0.25, 0.75, 0.5]
    assert rows[3] == rows[7] | {"path": "a.wav"}
    assert list(rows[3].values()) == ["a.wav", "6.0", "14.0", "", "silence", "", ""]
    found().to_csv(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == as_csv([found()])


def test_the_text_shows_few_segments_and_the_summary() -> None:
    lines = str(found()).splitlines()
    assert lines[0] == "a.wav: 14.00 s, 4 windows"
    assert lines[1].split() == ["normal", "crackle"]
    assert lines[2].split() == ["0.00-8.00", "s", "0.75", "0.25", "normal"]
    assert lines[5].split() == ["6.00-14.00", "s", "silence"]
    assert [line.split() for line in lines[6:9]] == [
        ["mean", "0.50", "0.50"],
        ["max", "0.75", "0.75"],
        ["windows", "2", "1", "silence", "1"],
    ]
    assert lines[9:] == ["  event 2.00-12.00 s: crackle 0.53", "note: low_rate: 1 kHz"]


def test_the_text_of_many_segments_is_the_summary() -> None:
    text = str(found(segments=SEGMENTS * 100, kind="cycles"))
    assert "a.wav: 14.00 s, 400 cycles" in text
    assert len(text.splitlines()) == 7  # an event among them


def test_a_name_with_control_characters_cannot_draw_on_the_terminal() -> None:
    assert "\x1b" not in str(found("\x1b[2J.wav"))
    assert "\x1b" not in repr(found("\x1b[2J.wav"))


def test_the_representation_is_one_line() -> None:
    assert repr(found()) == "<Classification a.wav: 14.00 s, 4 windows; normal 2, crackle 1, silence 1>"
    assert "1 window;" in repr(found(segments=SEGMENTS[:1]))


def test_a_name_that_is_no_text_can_be_written(tmp_path: Path) -> None:
    odd = found("caf\udce9.wav")  # bytes of a name that are not UTF-8
    odd.to_csv(tmp_path / "a.csv")
    odd.to_json(tmp_path / "a.json")
    assert "caf\\udce9.wav" in (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["path"] == "caf\udce9.wav"


def test_a_file_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot be written \(No such file"):
        found().to_json(tmp_path / "absent" / "a.json")
    (tmp_path / "old.csv").write_text("old")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        found().to_csv(tmp_path / "folder.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.csv", "old.csv"]
