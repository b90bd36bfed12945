"""The published figures, from the annotations and recordings at hand."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bad_corpora import ALIASES

from lung_srad.datasets import ICBHI, report_text, validation_patients


@pytest.fixture(scope="module")
def data(shared):
    return shared / "data"


def test_all_annotations_give_the_published_counts(data):
    report = ICBHI(data / "icbhi_annotations").validate()  # it brings no split file: the published one is taken
    assert report.ok
    assert (report.total.recordings, report.total.patients, report.total.cycles) == (920, 126, 6898)
    assert [sum(row.values()) for row in report.by_class.values()] == [3642, 1864, 886, 506]
    assert [row["train"] for row in report.by_class.values()] == [2063, 1215, 501, 363]
    assert [row["test"] for row in report.by_class.values()] == [1579, 649, 385, 143]
    assert [report.by_split[side].cycles for side in ("train", "test")] == [4142, 2756]
    assert [report.by_split[side].recordings for side in ("train", "test")] == [539, 381]
    assert [report.by_split[side].patients for side in ("train", "test")] == [79, 49]
    recordings = {device: sum(count.recordings for count in row.values()) for device, row in report.by_device.items()}
    assert recordings == {"AKGC417L": 646, "Meditron": 127, "LittC2SE": 87, "Litt3200": 60}
    assert {leak.patient: leak.at_hand for leak in report.leaks} == {
        "156": {"train": 9, "test": 8},
        "218": {"train": 4, "test": 4},
    }
    text = report_text(report)
    for figure in ("920", "126", "6,898", "3,642", "1,864", "886", "506", "4,142", "2,756"):
        assert figure in text


def test_the_subset_gives_its_counts_and_says_who_is_on_both_sides(data):
    report = ICBHI(data / "icbhi_subset").validate(audio=False)
    assert report.ok
    assert (report.total.recordings, report.total.patients, report.total.cycles) == (224, 84, 2249)
    assert [report.by_split[side].cycles for side in ("train", "test")] == [1270, 979]
    assert [str(leak) for leak in report.leaks] == [
        "patient 156: split file train 9, test 8; recordings here train 2: on one side here",
        "patient 218: split file train 4, test 4; recordings here train 4, test 4: on both sides here",
    ]


def test_clean_training_has_neither_patient(data):
    clean = ICBHI(data / "icbhi_subset", "official-clean")
    assert not {"156", "218"} & {cycle.patient for cycle in clean.cycles("train")}
    assert len(clean.cycles("test")) == 979


def test_five_folds_share_out_every_patient(data):
    folds = [{cycle.patient for cycle in ICBHI(data / "icbhi_subset", f"fold-{k}").cycles("test")} for k in range(5)]
    assert sum(map(len, folds)) == len(set.union(*folds)) == 84


def test_the_91_old_names_are_understood(data, tmp_path):
    annotations, split_file = data / "icbhi_annotations", data / "icbhi_subset" / "official_split.txt"
    old = (data / "icbhi_subset" / "filename_differences.txt").read_text().replace("'", "").split()
    old_by_key = {stem.rpartition("_")[0]: stem for stem in old}
    for path in annotations.glob("*.txt"):
        shutil.copy(path, tmp_path / f"{old_by_key.get(path.stem.rpartition('_')[0], path.stem)}.txt")
    before = ICBHI(annotations, split_file=split_file).validate()
    after = ICBHI(tmp_path, split_file=split_file).validate()
    assert len(old) == 91
    assert old == ALIASES.read_text().split()
    assert after.ok
    assert (after.by_device, after.by_class) == (before.by_device, before.by_class)
    assert any(notice.startswith("91 recording(s) under a name with another device") for notice in after.notices)


def test_recordings_as_released_decode(data):
    report = ICBHI(data / "icbhi_raw", split_file=data / "icbhi_subset" / "official_split.txt").validate()
    assert report.ok
    assert report.total.recordings == 10


def test_validation_patients_of_the_subset_hold_every_class_and_device(data):
    icbhi = ICBHI(data / "icbhi_subset")
    train = icbhi.cycles("train")
    chosen = validation_patients(train, seed=1, class_names=icbhi.class_names)
    inside = [cycle for cycle in train if cycle.patient in chosen.patients]
    assert len(chosen.patients) == 10  # of 48
    assert 0.15 < len(inside) / len(train) < 0.25
    assert {cycle.label for cycle in inside} == {0, 1, 2, 3}
    assert {"AKGC417L", "LittC2SE", "Meditron"} <= {cycle.device for cycle in inside}
    assert chosen.unmet == ("device Litt3200: only 2 training patient(s), 3 are needed to ask for it on both sides",)
