"""A table of anybody's recordings: what is understood, and every row that is refused."""

import pytest

from lung_srad.datasets import Table
from lung_srad.errors import DataError


def test_rows_become_cycles(table):
    data = Table(table)
    assert data.class_names == ("Normal", "crackle", "wheeze")
    assert (data.normal, data.splits) == (0, ("train", "test"))
    first, second = data.cycles("train")
    assert (first.id, second.id) == ("sounds/a#0", "sounds/a#1")
    assert (first.start, first.end, first.label) == (0.0, 0.9, 2)
    assert (first.patient, first.recording, first.device, first.site) == ("p1", "sounds/a", "phone", "")
    assert first.path == table.parent / "sounds" / "a.wav"
    whole, unknown = data.cycles("test")
    assert (whole.start, whole.end, unknown.label) == (0.0, 2.0, None)
    report = data.validate()
    assert report.ok
    assert report.by_class["unknown"] == {"train": 0, "test": 1}


def test_path_and_patient_are_enough(table):
    table.write_text("path,patient\nsounds/a.wav,p1\nsounds/b.flac,p2\n")
    data = Table(table)
    assert (data.class_names, data.splits) == ((), ("all",))
    assert [(cycle.end, cycle.label, cycle.split) for cycle in data.cycles()] == [(2.0, None, "all")] * 2


def test_columns_of_ones_own_are_kept_out_and_named(table):
    table.write_text("Path, Patient ,id,recording,site,note\nsounds/a.wav,p1,x,r,Tc,hello\n")
    (cycle,) = Table(table).cycles()
    assert (cycle.id, cycle.recording, cycle.site) == ("x", "r", "Tc")
    assert Table(table).validate(audio=False).notices == ("columns that are not used: note",)


def test_an_absolute_path_is_taken_as_it_is(table):
    table.write_text(f"path,patient\n{table.parent / 'sounds' / 'a.wav'},p1\n")
    assert Table(table).cycles()[0].path == table.parent / "sounds" / "a.wav"


@pytest.mark.parametrize(
    ("options", "names", "normal"),
    [
        ({}, ("Normal", "crackle", "wheeze"), 0),
        ({"normal": "wheeze"}, ("wheeze", "crackle", "Normal"), 0),
        (
            {"class_names": ("crackle", "wheeze", "Normal", "both")},
            ("crackle", "wheeze", "Normal", "both"),
            2,
        ),
    ],
)
def test_the_order_of_the_classes_is_known(table, options, names, normal):
    data = Table(table, **options)
    assert (data.class_names, data.normal) == (names, normal)


def test_without_a_normal_class_the_first_counts_and_is_named(table):
    table.write_text(table.read_text().replace("Normal", "rhonchi"))
    data = Table(table)
    assert (data.class_names, data.normal) == (("crackle", "rhonchi", "wheeze"), 0)
    assert any("'crackle' counts as the normal one" in notice for notice in data.validate(audio=False).notices)


def test_a_patient_in_two_splits_is_a_leak(table):
    table.write_text(table.read_text().replace("Normal,p1,train", "Normal,p1,test"))
    (leak,) = Table(table).validate(audio=False).leaks
    assert str(leak) == "patient p1: recordings here train 1, test 1: on both sides here"


ROWS = [  # kind, row, word of the message
    ("empty", ",0,1,crackle,p3,test,pen", "path is empty"),
    ("empty", "sounds/b.flac,1,2,crackle,,test,pen", "patient is empty"),
    ("empty", "sounds/b.flac,1,2,crackle,p2,,pen", "split is empty"),
    ("number", "sounds/b.flac,x,2,crackle,p2,test,pen", "'x'"),
    ("number", 'sounds/b.flac,"1,5",2,crackle,p2,test,pen', "'1,5'"),
    ("number", "sounds/b.flac,1,nan,crackle,p2,test,pen", "'nan'"),
    ("times", "sounds/b.flac,1.5,1.5,crackle,p2,test,pen", "from 1.5 s to 1.5 s"),
    ("times", "sounds/b.flac,-1,1.5,crackle,p2,test,pen", "from -1 s"),
    ("times", "sounds/b.flac,1,0,crackle,p2,test,pen", "from 1 s to 0 s"),
    ("outside", "sounds/b.flac,1,7,crackle,p2,test,pen", "1-7 s of b.flac"),
    ("outside", "sounds/b.flac,2.5,,crackle,p2,test,pen", "2.5-inf s"),
    ("twice", "sounds/a.wav,0,0.9,crackle,p1,train,phone", "there twice"),
    ("patient", "sounds/a.wav,1,1.5,crackle,p9,train,phone", "of patients 'p1' and 'p9'"),
    ("audio", "sounds/none.wav,1,1.5,crackle,p9,train,phone", "none.wav"),
]


@pytest.mark.parametrize(("kind", "row", "text"), ROWS)
def test_a_bad_row_is_named_by_its_line(table, kind, row, text):
    table.write_text(f"{table.read_text()}{row}\n")
    (defect,) = Table(table).validate(audio=False).defects
    assert defect.kind == kind
    assert text in str(defect)
    assert kind == "audio" or (defect.file == "table.csv" and "line 6" in defect.seen)
    with pytest.raises(DataError) as caught:
        Table(table).cycles()
    assert str(caught.value) == str(defect)


def test_an_id_that_is_there_twice_is_a_defect(table):
    table.write_text("path,patient,id,start\nsounds/a.wav,p1,x,0\nsounds/a.wav,p1,x,1\n")
    assert [defect.kind for defect in Table(table).validate(audio=False).defects] == ["twice"]


def test_a_label_that_the_model_does_not_know_is_a_defect(table):
    report = Table(table, class_names=("Normal", "crackle")).validate(audio=False)
    assert [str(defect) for defect in report.defects] == [
        "table.csv: line 2: label 'wheeze'; allowed: classes Normal, crackle; correct the row"
    ]


def test_a_silent_cycle_is_a_defect(table):
    import numpy as np
    import soundfile

    soundfile.write(table.parent / "sounds" / "b.flac", np.zeros(8000), 4000)
    assert [defect.kind for defect in Table(table).validate().defects] == ["silence", "silence"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "no column 'path'"),
        (b"path,label\na.wav,x\n", "no column 'patient'"),
        (b"path;patient\na.wav;x\n", "no column 'path'"),
        (b"path,patient,lable\na.wav,p,x\n", "did you mean 'label'?"),
        (b"path,patient,path\na.wav,p,x\n", "column 'path' is there twice"),
        (b"path,patient\n", "has no rows"),
        (b"path,patient\na.wav\n", "line 2 has 1 cells"),
        (b"path,patient\na.wav,p,more\n", "line 2 has 3 cells"),
        (b'path,patient\n"a.wav" x,p\n', "line 2 cannot be read"),
        ("path,patient\na,é\n".encode("latin-1"), "cannot be read"),
        ("path,patient\n".encode("utf-16"), "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, text):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Table(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert text in str(caught.value)


def test_a_table_from_a_spreadsheet_with_a_byte_order_mark_is_read(table):
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))
    assert len(Table(table).cycles()) == 4


def test_a_file_that_is_not_there_and_a_class_that_does_not_exist(table):
    with pytest.raises(DataError, match="No such file"):
        Table(table.parent / "none.csv")
    with pytest.raises(DataError, match="did you mean 'wheeze'"):
        Table(table, normal="weeze")
