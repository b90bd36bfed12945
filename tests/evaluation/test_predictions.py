"""The predictions file: exact round trips, one-step writes, and messages that name line and column."""

import math
import os
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_srad.errors import DataError
from lung_srad.evaluation import Predictions, read_predictions, write_predictions

NAMES = ("normal", "crackle", "wheeze", "both")


def predictions(n: int = 5, seed: int = 0) -> Predictions:
    draw = np.random.default_rng(seed)
    start = draw.random(n) * 10
    probabilities = draw.dirichlet(np.ones(4), n).astype(np.float32)
    probabilities[-1] = np.nan
    return Predictions(
        class_names=NAMES,
        id=[f"101_1b1_Al_sc_Meditron#{i}" for i in range(n)],
        recording=["101_1b1_Al_sc_Meditron"] * n,
        patient=[101] * n,
        device=["Meditron"] * n,
        site=["Al"] * n,
        split=["test"] * n,
        start=start,
        end=[*(start[:-1] + 1.5), math.inf],
        label=[*range(n - 1), -1],
        probabilities=probabilities,
    )


def assert_equal(one: Predictions, other: Predictions) -> None:
    assert one.class_names == other.class_names
    for field in fields(Predictions)[1:]:
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


def test_round_trip_is_exact(tmp_path: Path) -> None:
    table = predictions()
    write_predictions(tmp_path / "p.csv", table)
    read = read_predictions(tmp_path / "p.csv")
    assert_equal(read, table)
    assert read.probabilities.astype(np.float32).tobytes() == predictions().probabilities.astype(np.float32).tobytes()


@settings(max_examples=30, deadline=None)
@given(
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12),
    first=st.floats(0, 1),
    start=st.floats(0, 1e6),
)
def test_round_trip_of_awkward_values(
    tmp_path_factory: pytest.TempPathFactory, text: str, first: float, start: float
) -> None:
    path = tmp_path_factory.mktemp("awkward") / "p.csv"
    columns = {name: [text] for name in ("id", "recording", "patient", "device", "site", "split")}
    table = Predictions(
        class_names=("a", "b"),
        **columns,
        start=[start],
        end=[math.inf],
        label=[1],
        probabilities=[[first, 1 - first]],
    )
    write_predictions(path, table)
    assert_equal(read_predictions(path), table)


def test_the_header_and_an_unanswered_unlabelled_row(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", predictions())
    lines = (tmp_path / "p.csv").read_text().splitlines()
    header = "id,recording,patient,device,site,split,start,end,label,p_normal,p_crackle,p_wheeze,p_both"
    assert lines[0] == header
    assert lines[1].split(",")[8] == "normal"
    assert lines[5].endswith(",inf,,,,,")


def test_predicted_and_scores() -> None:
    columns = {name: ["x"] * 3 for name in ("recording", "patient", "device", "site", "split")}
    table = Predictions(
        class_names=("a", "b"),
        id=["1", "2", "3"],
        **columns,
        start=[0, 0, 0],
        end=[1, 1, 1],
        label=[0, 1, -1],
        probabilities=[[0.5, 0.5], [math.nan, math.nan], [0.1, 0.9]],
    )
    assert len(table) == 3
    assert table.predicted.tolist() == [0, -1, 1]
    scores = table.scores()
    assert (scores.sp, scores.se, scores.n) == (100, 0, 2)


def test_predictions_of_cycles() -> None:
    cycle = SimpleNamespace(
        id="a#0",
        recording="a",
        patient="101",
        device="",
        site="Al",
        split="test",
        start=0.0,
        end=math.inf,
        label=None,
    )
    table = Predictions.of([cycle], [[0.25, 0.75]], class_names=("normal", "abnormal"))
    assert (table.id[0], table.site[0], table.label[0], table.end[0]) == ("a#0", "Al", -1, math.inf)


def test_columns_are_read_only_copies() -> None:
    labels = np.zeros(1, dtype=np.int64)
    texts = {name: ["x"] for name in ("id", "recording", "patient", "device", "site", "split")}
    table = Predictions(("a", "b"), **texts, start=[0], end=[1], label=labels, probabilities=[[1, 0]])
    labels[0] = 1
    assert table.label[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        table.label[0] = 1


def test_somebody_elses_file(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("\ufeffp_abnormal,id,label,p_normal\n0.67,a,abnormal,0.33\n\n,b,,\n", encoding="utf-8")
    table = read_predictions(path)
    assert table.class_names == ("abnormal", "normal")
    assert table.label.tolist() == [0, -1]
    assert (table.patient[0], table.start[0], table.end[0]) == ("", 0.0, math.inf)
    assert table.predicted.tolist() == [0, -1]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.csv"
    write_predictions(path, predictions())
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        write_predictions(path, predictions(seed=1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent.*No such file"):
        write_predictions(tmp_path / "absent" / "p.csv", predictions())


HEADER = "id,start,end,label,p_a,p_b\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: no column 'id'"),
        (HEADER, "no row"),
        ("id,label,p_a\n", "fewer than two columns"),
        ("id,id,label,p_a,p_b\n", "column 'id' twice"),
        ("id,label,p_a,p_b,devise\n", r"unknown column 'devise' \(did you mean 'device'"),
        (HEADER + "x,0,1,a,1,0\ny,0,1,a,1\n", "line 3: 5 values; 6, as in the first line"),
        (HEADER + "x,0,1,a,one,0\n", "line 2, column p_a: 'one'; a number"),
        (HEADER + "x,0,1,a,,1\n", "line 2, column p_a: ''"),
        (HEADER + "x,0,1,a,nan,1\n", "line 2, column p_a: 'nan'"),
        (HEADER + "x,0,1,a,1.5,-0.5\n", "line 2, column p_: .*1.5"),
        (HEADER + "x,0,1,a,0.5,0.2\n", "line 2, column p_: a sum of 0.7"),
        (HEADER + "x,0,1,c,1,0\n", r"line 2, column label: 'c' \(known: a, b\)"),
        (HEADER + "x,-1,1,a,1,0\n", "line 2, column start: -1.0"),
        (HEADER + "x,inf,inf,a,1,0\n", "line 2, column start: inf"),
        (HEADER + "x,2,1,a,1,0\n", "line 2, column end: 1.0; later than the start, 2.0"),
        (HEADER + ",0,1,a,1,0\n", "line 2, column id: nothing"),
        (HEADER + "x,0,1,a,1,0\nx,1,2,a,1,0\n", "line 3, column id: 'x', also at .*line 2"),
        (HEADER + 'x,0,1,a,"1,0\n', "line 2: unexpected end of data"),
    ],
)
def test_bad_files_name_line_and_column(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words) as caught:
        read_predictions(path)
    assert "bad.csv" in str(caught.value)


def test_files_that_are_no_predictions(tmp_path: Path) -> None:
    (tmp_path / "utf16.csv").write_text(HEADER, encoding="utf-16")
    (tmp_path / "picture.csv").write_bytes(bytes(range(256)))
    for name, words in (("absent.csv", "No such file"), (".", "Is a directory"), ("utf16.csv", "column")):
        with pytest.raises(DataError, match=words):
            read_predictions(tmp_path / name)
    with pytest.raises(DataError):
        read_predictions(tmp_path / "picture.csv")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": [0, 1]}, "columns of one length"),
        ({"label": ["a"]}, "predictions, label"),
        ({"label": [2]}, "column label: 2"),
        ({"probabilities": [[1.0]]}, "one probability for each of 2 classes"),
        ({"probabilities": [[math.nan, 1.0]]}, "column p_"),
    ],
)
def test_columns_that_do_not_fit(change: dict, words: str) -> None:
    texts = {name: ["x"] for name in ("id", "recording", "patient", "device", "site", "split")}
    columns = {**texts, "start": [0], "end": [1], "label": [0], "probabilities": [[1, 0]], **change}
    with pytest.raises(DataError, match=words):
        Predictions(("a", "b"), **columns)
