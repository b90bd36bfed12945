"""Splits as checked objects: sizes, patients on two sides, the hash, and what refuses to be split so."""

import hashlib
from pathlib import Path

import pytest

from lung_srad.datasets import ICBHI, Cycle, SPRSound, Table, TwoClass, partition, report_text, validation_patients
from lung_srad.datasets.icbhi import ONE_DEVICE_OUT, SCHEMES
from lung_srad.errors import DataError


def cycle(name: str, patient: str, split: str = "", label: int | None = 0) -> Cycle:
    return Cycle(name, Path("a.wav"), 0, 1, label, patient, patient, split=split)


PAIRS = [(cycle("a#0", "1"), "train"), (cycle("a#1", "1"), "train"), (cycle("b#0", "2"), "test")]


def test_a_partition_counts_and_is_disjoint():
    found = partition("mine", PAIRS)
    assert (found.patients, found.cycles, found.shared) == ({"train": 1, "test": 1}, {"train": 2, "test": 1}, ())
    assert str(found).startswith("split mine: train 1 patients, 2 cycles, test 1 patients, 1 cycles; disjoint: no")
    assert found.require_disjoint("x") is found


def test_the_hash_is_that_of_the_sorted_list_of_ids_and_parts():
    rows = repr([("a#0", "train"), ("a#1", "train"), ("b#0", "test")])
    expected = hashlib.sha256(rows.encode()).hexdigest()
    assert partition("mine", PAIRS[::-1]).sha256 == expected
    other = [(cycle("a#0", "1", label=2), "train"), *PAIRS[1:]]
    assert partition("other", other).sha256 == expected  # labels and names are not the split
    assert partition("mine", [*PAIRS[:2], (PAIRS[2][0], "train")]).sha256 != expected


def test_a_patient_on_two_sides_is_named_and_refused_where_the_split_promises_otherwise():
    found = partition("mine", [*PAIRS, (cycle("b#1", "2"), "train")])
    assert found.shared == ("2",)
    assert found.shared_cycles == {"train": 1, "test": 1}
    assert "NOT disjoint: patient(s) 2 on both sides (1 train, 1 test cycles)" in str(found)
    assert found.facts()["shared_patients"] == ["2"]
    with pytest.raises(DataError, match=r"here: patient\(s\) 2 in more than one of train, test; the split 'mine'"):
        found.require_disjoint("here")


def test_only_training_and_test_count_where_both_are_there():
    extra = [*PAIRS, (cycle("c#0", "1"), "later"), (cycle("d#0", "9"), "")]
    assert partition("", extra) == partition("", PAIRS)
    assert partition("", extra[2:4]).cycles == {"later": 1, "test": 1}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_split_of_icbhi_holds_what_it_promises(corpus, scheme):
    data = ICBHI(corpus, scheme)
    assert data.partition().shared == ()
    assert data.keeps_patients_apart == (scheme != "official")
    assert TwoClass(data).partition() == data.partition()


def test_one_device_is_left_out_with_all_its_patients(corpus, noise):
    both = corpus / "audio_and_txt_files" / "101_2b1_Ar_mc_AKGC417L"
    noise(both.with_suffix(".wav"), seed=9)
    both.with_suffix(".txt").write_text("0.0\t0.9\t0\t0\n")
    with (corpus / "official_split.txt").open("a") as file:
        file.write(f"\n{both.name}\ttrain")
    data = ICBHI(corpus, "lodo-AKGC417L")
    assert {c.device for c in data.cycles("test")} == {"AKGC417L"}
    assert {c.patient for c in data.cycles("test")} == {"101", "102"}
    assert {c.patient for c in data.cycles("train")} == {"103", "104"}  # 101's Meditron is in neither
    assert any(
        "1 recording(s) with other devices of patients who were recorded with AKG" in n for n in data.scan().notices
    )
    assert data.partition().sha256 != ICBHI(corpus, "lodo-Meditron").partition().sha256
    assert set(ONE_DEVICE_OUT) < set(SCHEMES)


def test_a_device_that_is_not_there_is_said_to_be_missing(corpus):
    for path in (corpus / "audio_and_txt_files").glob("104*"):
        path.unlink()
    notices = ICBHI(corpus, "lodo-Litt3200").scan().notices
    assert (
        "no recording with Litt3200 is here (there are AKGC417L, LittC2SE, Meditron): the test part is empty" in notices
    )


def test_the_published_leak_is_shown_and_not_refused(corpus):
    (corpus / "audio_and_txt_files" / "104_1b1_Pl_sc_Litt3200.txt").rename(
        corpus / "audio_and_txt_files" / "101_2b1_Pl_sc_Litt3200.txt"
    )
    (corpus / "audio_and_txt_files" / "104_1b1_Pl_sc_Litt3200.wav").rename(
        corpus / "audio_and_txt_files" / "101_2b1_Pl_sc_Litt3200.wav"
    )
    listed = (corpus / "official_split.txt").read_text().replace("104_1b1", "101_2b1")
    (corpus / "official_split.txt").write_text(listed)
    assert ICBHI(corpus).partition().shared == ("101",)
    report = ICBHI(corpus).validate(audio=False)
    assert report.ok
    assert "NOT disjoint: patient(s) 101 on both sides" in report_text(report)
    clean = ICBHI(corpus, "official-clean")
    assert clean.partition().shared == ()
    assert "disjoint: no patient on two sides; sha256" in report_text(clean.validate(audio=False))


def test_a_split_that_breaks_its_promise_is_an_error_and_a_defect(corpus, monkeypatch):
    data = ICBHI(corpus, "fold-0")
    sides = {"101_1b1_Al_sc": "test", "102_1b1_Ar_mc": "train", "103_1b1_Tc_sc": "train", "104_1b1_Pl_sc": "train"}
    monkeypatch.setattr(ICBHI, "_fold_sides", lambda self, files: sides)
    cycles = data.cycles()
    moved = [c for c in cycles if c.patient == "102"]
    monkeypatch.setattr(
        "lung_srad.datasets.icbhi._cycles_of",
        lambda name, split, files, absent: [
            cycle(f"{name.stem}#0", "101" if name.patient == "102" else name.patient, split)
        ],
    )
    assert moved
    with pytest.raises(DataError, match="'fold-0' keeps every patient on one side"):
        data.partition()
    report = data.validate(audio=False)
    assert [defect.kind for defect in report.defects] == ["split"]


def test_folds_of_children_are_disjoint_and_a_tables_patients_may_be_on_both_sides(sprsound, table):
    hashes = {SPRSound(sprsound, f"fold-{fold}").partition().sha256 for fold in range(5)}
    assert len(hashes) > 1
    assert SPRSound(sprsound, "fold-0").keeps_patients_apart
    assert not SPRSound(sprsound, "official").keeps_patients_apart
    table.write_text(table.read_text().replace("p2", "p1"))
    assert Table(table).partition().shared == ("p1",)


def test_who_is_tested_chooses_no_epoch():
    cycles = [cycle(f"p{n % 10}#{n}", f"p{n % 10}", label=n % 2) for n in range(60)]
    tested = {"p3", "p7", "unknown"}
    chosen = [validation_patients(cycles, seed=seed, tested=tested) for seed in range(30)]
    assert not any(each.patients & tested for each in chosen)
    assert any(validation_patients(cycles, seed=seed).patients & tested for seed in range(30))
    assert validation_patients(cycles, seed=4, tested={"x"}) == validation_patients(cycles, seed=4)
    everyone = {each.patient for each in cycles}
    last = validation_patients(cycles, seed=4, tested=everyone)
    assert last.patients == validation_patients(cycles, seed=4).patients
    assert "patient p0: is tested too, and may choose the epoch" in last.unmet
