"""The published training part of SPRSound, where it is at hand."""

from collections import Counter

import pytest

from lung_srad.datasets import SPRSound, validation_patients
from lung_srad.datasets.sprsound import balanced_folds


@pytest.fixture(scope="module")
def root(shared):
    return shared / "data" / "sprsound_train"


def test_the_training_part_gives_the_published_counts(root):
    report = SPRSound(root).validate(audio=False)
    assert report.ok
    assert (report.total.recordings, report.total.patients, report.total.cycles) == (1949, 251, 6656)
    assert {name: sum(row.values()) for name, row in report.by_class.items()} == {
        "normal": 5159,
        "crackle": 912 + 49,
        "wheeze": 452 + 39 + 15,
        "both": 30,
    }
    assert report.notices[:2] == (
        "recordings by label: Normal 1303, DAS 248, Poor Quality 177, CAS 126, CAS & DAS 95",
        "177 recording(s) of poor quality have no events: counted, not scored",
    )
    assert report.notices[2].endswith("Wheeze 452, Coarse Crackle 49, Rhonchi 39, Wheeze+Crackle 30, Stridor 15")


def test_folds_are_alike_and_no_child_is_in_two(root):
    found = SPRSound(root).scan()  # one look at the files: the folds are a function of it
    labels = {entry.patient: [] for entry in found.recordings}
    for cycle in found.cycles:
        labels[cycle.patient].append(cycle.label)
    fold = balanced_folds(labels)
    assert {cycle.patient for cycle in found.cycles if cycle.split == "test"} <= {p for p in fold if fold[p] == 0}
    assert sorted(Counter(fold.values()).values()) == [50, 50, 50, 50, 51]
    tests = [[cycle for cycle in found.cycles if fold[cycle.patient] == number] for number in range(5)]
    patients = [{cycle.patient for cycle in test} for test in tests]  # eight children have poor recordings alone
    for label, share in enumerate((1032, 192, 101, 6)):
        counts = [Counter(cycle.label for cycle in test)[label] for test in tests]
        assert all(abs(count - share) <= 0.06 * share + 1 for count in counts)
    assert sorted(map(len, patients)) == [48, 48, 48, 49, 50]


def test_validation_children_hold_every_class(root):
    train = SPRSound(root).cycles("train")
    for seed in (1, 2, 3):
        chosen = validation_patients(train, seed=seed)
        assert chosen.unmet == ()
        held = [cycle for cycle in train if cycle.patient in chosen.patients]
        assert {cycle.label for cycle in held} == {0, 1, 2, 3}
        assert 0.15 < len(held) / len(train) < 0.25
