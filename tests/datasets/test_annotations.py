import pytest

from lung_srad.datasets.annotations import Row, read_annotation

GOOD = "0.0\t0.9\t0\t0\n"


def test_lines_become_rows_with_the_four_labels(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0.036\t0.579\t0\t0\n0.579\t2.45\t1\t0\n2.45\t3\t0\t1\n3\t4e0\t1\t1\n\n")
    rows, defects = read_annotation(path)
    assert rows == [Row(0.036, 0.579, 0), Row(0.579, 2.45, 1), Row(2.45, 3.0, 2), Row(3.0, 4.0, 3)]
    assert defects == []


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n\n"])
def test_other_line_endings_are_read(tmp_path, ending):
    path = tmp_path / "a.txt"
    path.write_bytes(f"0\t1\t0\t0{ending}1\t2\t0\t0{ending}".encode())
    assert read_annotation(path) == ([Row(0, 1, 0), Row(1, 2, 0)], [])


BAD = [
    ("encoding", b"\xef\xbb\xbf" + GOOD.encode()),
    ("encoding", GOOD.encode("utf-16")),
    ("encoding", b"0.0\t0.9\t0\t\0\n"),
    ("encoding", b"\x89PNG\xff\xfe"),
    ("empty", b""),
    ("empty", b"\n \n"),
    ("size", GOOD.encode() * 150_000),
    ("columns", b"start\tend\n"),
    ("columns", b"0.0\t0.9\t0\n"),
    ("columns", b"0.0\t0.9\t0\t0\t0\n"),
    ("columns", b"0.0,0.9,0,0\n"),
    ("columns", b"0.0 0.9 0 0\n"),
    ("number", b"start\tend\tcrackles\twheezes\n"),
    ("number", b"0,0\t0,9\t0\t0\n"),
    ("number", b"nan\t0.9\t0\t0\n"),
    ("number", b"0\tinf\t0\t0\n"),
    ("number", b"0\t1e309\t0\t0\n"),
    ("number", b"0\t1_0\t0\t0\n"),
    ("number", "0\t٣\t0\t0\n".encode()),
    ("flag", b"0\t0.9\t2\t0\n"),
    ("flag", b"0\t0.9\t0\t-1\n"),
    ("flag", b"0\t0.9\tyes\t0\n"),
    ("times", b"-0.1\t0.9\t0\t0\n"),
    ("times", b"0.9\t0.9\t0\t0\n"),
    ("times", b"0.9\t0.1\t0\t0\n"),
    ("duplicate", GOOD.encode() * 2),
    ("overlap", b"0\t1\t0\t0\n0.5\t1.5\t0\t0\n"),
    ("overlap", b"1\t2\t0\t0\n0\t1\t0\t0\n"),
]


@pytest.mark.parametrize(("kind", "content"), BAD)
def test_what_is_wrong_with_a_file_is_one_defect_that_names_it(tmp_path, kind, content):
    path = tmp_path / "101_1b1_Al_sc_Meditron.txt"
    path.write_bytes(content)
    _, (defect, *_) = read_annotation(path)
    assert defect.kind == kind
    assert defect.file == path.name
    assert all((defect.seen, defect.allowed, defect.remedy))
    assert str(defect).startswith(f"{path.name}: ")
    assert str(defect).isprintable()


def test_every_bad_line_is_listed_and_the_good_ones_are_kept(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0\t1\t0\t0\nx\t2\t0\t0\n2\t3\t9\t0\n3\t4\t0\t1\n")
    rows, defects = read_annotation(path)
    assert rows == [Row(0, 1, 0), Row(3, 4, 2)]
    assert [(defect.kind, defect.seen.split(":")[0]) for defect in defects] == [
        ("number", "line 2"),
        ("flag", "line 3"),
    ]


def test_a_file_that_cannot_be_read_is_a_defect(tmp_path):
    assert read_annotation(tmp_path)[1][0].kind == "unreadable"
