"""Somebody else's predictions: every way to write them, and what does not fit together."""

from pathlib import Path

import numpy as np
import pytest

from lung_srad.errors import DataError
from lung_srad.evaluation import Predictions, import_predictions, labels_only, read_facts, write_facts

CLASSES = ("normal", "crackle", "wheeze", "both")


class Cycle:
    """What is read of a dataset's cycle."""

    def __init__(self, name: str, label: int | None = 0) -> None:
        self.id, self.label = name, label
        self.recording = self.patient = name.partition("#")[0]
        self.device = self.site = ""
        self.split, self.start, self.end = "test", 0.0, 1.0


CYCLES = [Cycle("101_Al#0"), Cycle("101_Al#1", 1), Cycle("102_Ar#0", 3)]


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "theirs.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_labels_by_name_or_number_are_joined_in_the_order_of_the_corpus(written):
    found = import_predictions(written("id,label\n102_Ar#0,Both\n101_Al#1,1\n101_Al#0,normal\n"), CYCLES, CLASSES)
    assert list(found.predictions.id) == [cycle.id for cycle in CYCLES]
    assert list(found.predictions.predicted) == [0, 1, 3]
    assert list(found.predictions.label) == [0, 1, 3]  # what is true comes from the corpus
    assert found.labels_only
    assert labels_only(found.predictions)
    assert found.remarks == ("The file holds labels: what needs probabilities (calibration, ROC, PR) is left out.",)


@pytest.mark.parametrize("names", ["p_normal,p_crackle,p_wheeze,p_both", "Normal,Crackle,Wheeze,Both"])
def test_probabilities_are_taken_and_made_to_sum_to_one(written, names):
    lines = "101_Al#0,x,0.7,0.1,0.1,0.11\n101_Al#1,x,0.1,0.6,0.1,0.2\n102_Ar#0,x,,,,\n"
    found = import_predictions(written(f"id,label,{names}\n{lines}"), CYCLES, CLASSES)
    assert not found.labels_only
    assert not labels_only(found.predictions)
    assert np.allclose(found.predictions.probabilities[0], np.array([0.7, 0.1, 0.1, 0.11]) / 1.01)
    assert list(found.predictions.predicted) == [0, 1, -1]
    assert found.remarks == ()


@pytest.mark.parametrize(
    "ids",
    [
        ("101_Al#0", "101_Al#1", "102_Ar#0"),
        ("101_Al_0", "101_Al_1", "102_Ar_0"),
        ("wavs/101_Al_0.wav", "wavs\\101_Al_1.WAV", "102_Ar.flac"),  # a recording of one cycle needs no number
    ],
)
def test_ids_may_be_written_in_several_ways(written, ids):
    text = "filename,prediction\n" + "".join(f"{name},{label}\n" for name, label in zip(ids, (0, 1, 3), strict=True))
    found = import_predictions(written(text), CYCLES, CLASSES)
    assert (found.unanswered, found.unknown) == ((), ())
    assert list(found.predictions.predicted) == [0, 1, 3]


def test_what_does_not_fit_is_counted_on_both_sides_and_shown(written):
    found = import_predictions(written("id,predicted\n101_Al#0,0\nx#1,0\nx#2,0\nx#3,1\nx#4,1\n"), CYCLES, CLASSES)
    assert found.unanswered == ("101_Al#1", "102_Ar#0")
    assert found.unknown == ("x#1", "x#2", "x#3", "x#4")
    assert list(found.predictions.predicted) == [0, -1, -1]
    assert found.remarks[0].startswith(
        "2 (101_Al#1, 102_Ar#0) of 3 cycles of the corpus are not in the file: they count"
    )
    assert found.remarks[1].startswith("4 (x#1, x#2, x#3 ...) ids of the file are no cycle")
    assert found.predictions.scores().se == 0  # not to answer never pays


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("name,label\na,0\n", "columns name, label; one of id, cycle, file, filename"),
        ("id,p_normal,p_crackle\n101_Al#0,1,0\n", "one for each of normal, crackle, wheeze, both, or one of predicted"),
        ("id,label\nx#0,0\n", r"none of its 1 ids is a cycle, such as 'x#0'; ids like '101_Al#0'"),
        ("id,label\n101_Al#0,0\n101_Al_0,1\n", "line 3: '101_Al_0', also in line 2"),
        ("id,label\n101_Al#0,wheze\n", r"line 2: 'wheze' \(did you mean 'wheeze'"),
        ("id,label\n101_Al#0,4\n", "line 2: '4'"),
        ("id,normal,crackle,wheeze,both\n101_Al#0,1,1,0,0\n", "line 2: 1, 1, 0, 0; numbers from 0 to 1 whose sum is 1"),
        ("id,normal,crackle,wheeze,both\n101_Al#0,a,1,0,0\n", "line 2: a, 1, 0, 0"),
        ("id,label\n101_Al#0\n", "line 2: 1 values; 2, as in the first line"),
        ("id,id\n101_Al#0,1\n", "columns id, id; each column once"),
        ("id,label\n", "no row"),
        ("", "one of id, cycle, file, filename|no row"),
    ],
)
def test_a_file_that_does_not_hold_is_named_with_its_line(written, text, match):
    with pytest.raises(DataError, match=match):
        import_predictions(written(text), CYCLES, CLASSES)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        import_predictions(tmp_path / "absent.csv", CYCLES, CLASSES)


def test_an_id_that_two_cycles_could_be_is_no_id(written):
    cycles = [Cycle("a_1#0"), Cycle("a#1"), Cycle("a_1#1"), Cycle("a#1_0")]
    found = import_predictions(written("id,label\na#1,0\na_1_0,1\n"), cycles, CLASSES)
    assert found.unknown == ("a_1_0",)
    assert list(found.predictions.predicted) == [-1, 0, -1, -1]


def test_facts_are_written_and_read_again(tmp_path):
    facts = {"101": {"sex": "F", "age group": "2 to 5"}, "102": {"diagnosis": "COPD"}, "103": {}}
    write_facts(tmp_path / "patients.csv", facts)
    assert read_facts(tmp_path / "patients.csv") == facts
    (tmp_path / "bad.csv").write_text("who,sex\n101,F\n")
    with pytest.raises(DataError, match="'patient', and a column for each fact"):
        read_facts(tmp_path / "bad.csv")


def test_silence_alone_makes_no_labels():
    columns = (["a", "b"], *(["x", "x"],) * 5, [0, 0], [1, 1], [0, 1])
    assert not labels_only(Predictions(("n", "c"), *columns, [[0.4, 0.6], [np.nan, np.nan]]))
    assert labels_only(Predictions(("n", "c"), *columns, [[0, 1], [np.nan, np.nan]]))
