"""ICBHI on a small corpus: what is understood, and every defect that the report can name."""

import shutil

import numpy as np
import pytest
import soundfile

from lung_srad.datasets import ICBHI, report_text
from lung_srad.errors import DataError

FIRST = "101_1b1_Al_sc_Meditron"
SECOND = "102_1b1_Ar_mc_AKGC417L"
THIRD = "103_1b1_Tc_sc_LittC2SE"


def sounds(corpus):
    return corpus / "audio_and_txt_files"


def kinds(report):
    return [defect.kind for defect in report.defects]


def test_cycles_hold_what_the_names_and_files_say(corpus):
    data = ICBHI(corpus)
    train, test = data.cycles("train"), data.cycles("test")
    assert [cycle.id for cycle in data.cycles()] == [cycle.id for cycle in train + test]
    cycle = train[3]
    assert (cycle.id, cycle.recording, cycle.patient) == (f"{SECOND}#1", SECOND, "102")
    assert (cycle.start, cycle.end, cycle.label) == (0.9, 1.9, 1)
    assert (cycle.device, cycle.site, cycle.split) == ("AKGC417L", "Ar", "train")
    assert cycle.path == sounds(corpus) / f"{SECOND}.wav"
    assert {cycle.patient for cycle in test} == {"104"}


def test_cycles_hold_what_is_listed_of_their_patients(corpus):
    assert {(c.age, c.sex, c.listed_site) for c in ICBHI(corpus).cycles()} == {(None, "", "")}
    (corpus / "metadata.txt").write_text("101\t3\tF\tNA\t19\t99\tPr\n102\t70\tM\t33\tNA\tNA\tNA\n104\tNA\tNA\n")
    data = ICBHI(corpus)
    known = {cycle.patient: (cycle.age, cycle.sex, cycle.listed_site, cycle.site) for cycle in data.cycles()}
    nothing = (None, "", "")
    assert known == {
        "101": (3.0, "F", "Pr", "Al"),
        "102": (70.0, "M", "", "Ar"),
        "103": (*nothing, "Tc"),
        "104": (*nothing, "Pl"),
    }
    report = data.validate(audio=False)
    assert report.ok
    assert [notice for notice in report.notices if "metadata.txt" in notice] != []


def test_a_clean_corpus_has_no_defect(corpus):
    (sounds(corpus) / ".DS_Store").write_bytes(b"\0")
    steps = []
    report = ICBHI(corpus).validate(progress=lambda *step: steps.append(step))
    assert report.ok
    assert report.notices == ()
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_folder_of_the_recordings_will_do_with_the_split_beside_it(corpus):
    assert ICBHI(sounds(corpus)).cycles() == ICBHI(corpus).cycles()


def test_flac_gives_the_same_cycles(corpus):
    before = ICBHI(corpus).cycles("train")
    for path in sounds(corpus).glob("*.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".flac"), samples, rate)
        path.unlink()
    after = ICBHI(corpus).cycles("train")
    assert {cycle.path.suffix for cycle in after} == {".flac"}
    assert [(c.id, c.start, c.end, c.label) for c in after] == [(c.id, c.start, c.end, c.label) for c in before]


def test_an_end_within_the_rounding_of_its_times_is_clamped(corpus):
    (sounds(corpus) / f"{FIRST}.txt").write_text("0\t2.0004\t0\t0\n")
    assert ICBHI(corpus).cycles("train")[0].end == 2.0


def test_a_cycle_too_short_for_a_breath_is_a_notice(corpus):
    (sounds(corpus) / f"{FIRST}.txt").write_text("0\t0.09\t0\t0\n0.09\t0.19\t0\t0\n")
    report = ICBHI(corpus).validate()
    assert report.ok
    (notice,) = report.notices
    assert notice == f"1 cycle(s) last less than 0.1 s, first {FIRST}#0; the shortest of the database lasts 0.2 s"


def test_a_fold_is_the_test_part(corpus):
    data = ICBHI(corpus, "fold-1")
    assert {cycle.patient for cycle in data.cycles("test")} == {"102"}
    assert {cycle.patient for cycle in data.cycles("train")} == {"101", "103", "104"}


def test_folds_need_no_official_split(corpus):
    (corpus / "official_split.txt").unlink()
    assert len(ICBHI(corpus, "fold-3").cycles("test")) == 2


def test_official_clean_takes_patients_on_both_sides_out_of_training(corpus, noise):
    stem = "102_2b1_Ar_mc_AKGC417L"
    noise(sounds(corpus) / f"{stem}.wav", seed=9)
    (sounds(corpus) / f"{stem}.txt").write_text("0\t1\t0\t0\n")
    with (corpus / "official_split.txt").open("a") as file:
        file.write(f"\n{stem}\ttest\n")
    published, clean = ICBHI(corpus), ICBHI(corpus, "official-clean")
    assert "102" in {cycle.patient for cycle in published.cycles("train")}
    assert "102" not in {cycle.patient for cycle in clean.cycles("train")}
    assert clean.cycles("test") == published.cycles("test")
    (leak,) = published.validate(audio=False).leaks
    assert (leak.patient, leak.listed, leak.at_hand) == (
        "102",
        {"train": 1, "test": 1},
        {"train": 1, "test": 1},
    )
    assert "on both sides here" in report_text(published.validate(audio=False))
    assert clean.validate(audio=False).leaks[0].at_hand == {"test": 1}
    assert any("left out of training: 1 recording" in notice for notice in clean.validate(audio=False).notices)


def test_an_old_name_gets_the_name_and_device_of_the_split_file(corpus):
    for suffix in (".wav", ".txt"):
        (sounds(corpus) / f"{FIRST}{suffix}").rename(sounds(corpus) / f"101_1b1_Al_sc_AKGC417L{suffix}")
    cycle = ICBHI(corpus).cycles("train")[0]
    assert (cycle.id, cycle.device) == (f"{FIRST}#0", "Meditron")
    assert cycle.path.name == "101_1b1_Al_sc_AKGC417L.wav"
    report = ICBHI(corpus).validate(audio=False)
    assert report.ok
    assert any("1 recording(s) under a name with another device" in notice for notice in report.notices)


@pytest.mark.parametrize("listed", ["Meditron", "LittC2SE"])
def test_recording_226_is_littc2se_whatever_the_split_file_says(corpus, noise, listed):
    stem = "226_1b1_Pl_sc_LittC2SE"
    noise(sounds(corpus) / f"{stem}.wav")
    (sounds(corpus) / f"{stem}.txt").write_text("0\t1\t0\t0\n")
    with (corpus / "official_split.txt").open("a") as file:
        file.write(f"\n226_1b1_Pl_sc_{listed}\ttrain\n")
    cycle = ICBHI(corpus).cycles("train")[-1]
    assert (cycle.recording, cycle.device) == (stem, "LittC2SE")


def test_what_the_split_lists_and_is_absent_is_counted(corpus):
    for suffix in (".wav", ".txt"):
        (sounds(corpus) / f"{THIRD}{suffix}").unlink()
    report = ICBHI(corpus).validate(audio=False)
    assert report.ok
    assert report.notices == (f"1 of the 4 recordings in the split file are not here (train 1): {THIRD}",)


def test_annotations_alone_are_counted_and_cannot_be_trained_on(corpus):
    for path in sounds(corpus).glob("*.wav"):
        path.unlink()
    report = ICBHI(corpus).validate()
    assert report.ok
    assert report.total.cycles == 8
    assert report.notices == ("annotations alone: no audio for any of the 4 recordings",)
    with pytest.raises(DataError, match="4 annotations and no recording"):
        ICBHI(corpus).cycles("train")


def test_other_files_are_a_notice(corpus):
    (sounds(corpus) / "notes.txt").write_text("hello")
    (sounds(corpus) / "cover.png").write_bytes(b"")
    (sounds(corpus) / "more").mkdir()
    report = ICBHI(corpus).validate(audio=False)
    assert report.ok
    assert report.notices == ("3 file(s) that are neither a recording nor an annotation, first cover.png",)


def cut_wav(corpus):
    path = sounds(corpus) / f"{FIRST}.wav"
    path.write_bytes(path.read_bytes()[:9000])


def cut_flac(corpus):
    path = sounds(corpus) / f"{FIRST}.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(path.with_suffix(".flac"), samples, rate)
    path.unlink()
    path.with_suffix(".flac").write_bytes(path.with_suffix(".flac").read_bytes()[:12000])


def silent_cycle(corpus):
    path = sounds(corpus) / f"{FIRST}.wav"
    samples, rate = soundfile.read(path)
    samples[int(0.8 * rate) :] = 0  # a little before the cycle: resampling rings
    soundfile.write(path, samples, rate)


def not_finite(corpus):
    path = sounds(corpus) / f"{FIRST}.wav"
    samples, rate = soundfile.read(path)
    samples[-1] = np.nan
    soundfile.write(path, samples, rate, subtype="FLOAT")


def write(name, text):
    return lambda corpus: (sounds(corpus) / name).write_text(text)


def rename(new):
    return lambda corpus: [
        (sounds(corpus) / f"{THIRD}{suffix}").rename(sounds(corpus) / f"{new}{suffix}") for suffix in (".wav", ".txt")
    ]


def remove(name):
    return lambda corpus: (sounds(corpus) / name).unlink()


def split_line(line):
    def change(corpus):
        with (corpus / "official_split.txt").open("a") as file:
            file.write(f"\n{line}\n")

    return change


STRUCTURE = [  # kind, file that is named, how to make it
    ("no annotation", f"{FIRST}.wav", remove(f"{FIRST}.txt")),
    ("no recording", f"{FIRST}.txt", remove(f"{FIRST}.wav")),
    ("number", f"{FIRST}.txt", write(f"{FIRST}.txt", "0\tx\t0\t0\n")),
    ("outside", f"{FIRST}.txt", write(f"{FIRST}.txt", "0\t2.01\t0\t0\n")),
    ("outside", f"{FIRST}.txt", write(f"{FIRST}.txt", "5\t6\t0\t0\n")),
    ("audio", f"{FIRST}.wav", cut_wav),
    ("audio", f"{FIRST}.wav", write(f"{FIRST}.wav", "this is text")),
    ("audio", f"{FIRST}.wav", write(f"{FIRST}.wav", "")),
    ("twice", f"{FIRST}.wav", write(f"{FIRST}.flac", "")),
    ("twice", f"{FIRST}.wav", write("101_1b1_Al_sc_AKGC417L.wav", "")),
    ("name", "103_1b1_tc_sc_LittC2SE.wav", rename("103_1b1_tc_sc_LittC2SE")),
    ("name", "103_1b1_Tc_sc_Phone.wav", rename("103_1b1_Tc_sc_Phone")),
    ("name", "103_1b1_Tc.wav", rename("103_1b1_Tc")),
    ("name", "103_\\n.wav", rename("103_\n")),
    ("no split", "105_1b1_Tc_sc_LittC2SE", rename("105_1b1_Tc_sc_LittC2SE")),
    ("split line", "official_split.txt", split_line(f"{FIRST}\ttest")),
    ("split line", "official_split.txt", split_line("101_1b1_Al_sc_LittC2SE\ttrain")),
    ("split line", "official_split.txt", split_line("105_1b1_Al_sc_LittC2SE\tvalidation")),
    ("split line", "official_split.txt", split_line("105_1b1_Al_sc_LittC2SE")),
    ("split line", "official_split.txt", split_line("somebody\ttrain")),
    (
        "split file",
        "official_split.txt",
        lambda corpus: (corpus / "official_split.txt").write_bytes(b"\xff\xfe"),
    ),
    (
        "nothing here",
        "audio_and_txt_files",
        lambda corpus: [path.unlink() for path in sounds(corpus).iterdir()],
    ),
]


@pytest.mark.parametrize(("kind", "file", "spoil"), STRUCTURE)
def test_a_defect_is_in_the_report_and_stops_cycles(corpus, kind, file, spoil):
    spoil(corpus)
    report = ICBHI(corpus).validate(audio=False)
    assert not report.ok
    named = [defect for defect in report.defects if defect.kind == kind]
    assert file in {defect.file for defect in named}
    assert f"  {file}\n" in report_text(report)
    with pytest.raises(DataError) as caught:
        ICBHI(corpus).cycles()
    assert str(caught.value).startswith(f"{report.defects[0].file}: ")


@pytest.mark.parametrize(
    ("kind", "file", "seen", "spoil"),
    [
        ("silence", f"{FIRST}.wav", f"cycle {FIRST}#1 (0.9-1.9 s) is silent", silent_cycle),
        ("audio", f"{FIRST}.flac", "cannot be decoded", cut_flac),
        ("audio", f"{FIRST}.wav", "nan", not_finite),
    ],
)
def test_decoding_brings_more_to_light(corpus, kind, file, seen, spoil):
    spoil(corpus)
    assert ICBHI(corpus).validate(audio=False).ok
    (defect,) = ICBHI(corpus).validate().defects
    assert (defect.kind, defect.file) == (kind, file)
    assert seen in defect.seen


def test_all_defects_are_listed_not_only_the_first(corpus):
    remove(f"{FIRST}.txt")(corpus)
    write(f"{SECOND}.txt", "0\t1\t0\n0\t9\t0\t0\n")(corpus)
    silent_cycle_of_third = sounds(corpus) / f"{THIRD}.wav"
    soundfile.write(silent_cycle_of_third, np.zeros(8000), 4000)
    report = ICBHI(corpus).validate()
    assert sorted(kinds(report)) == ["columns", "no annotation", "outside", "silence", "silence"]
    with pytest.raises(DataError, match=r"and 2 more: lung-srad check lists them"):
        ICBHI(corpus).cycles()


def test_a_patient_without_a_fold_is_a_defect(corpus):
    (corpus / "patient_list_foldwise.txt").write_text("101 0\n102 1\n104 7\n")
    report = ICBHI(corpus, "fold-0").validate(audio=False)
    assert sorted(kinds(report)) == ["no split", "no split", "split line"]


def test_without_side_files_the_published_lists_are_taken(corpus):
    for name in ("official_split.txt", "patient_list_foldwise.txt"):
        (corpus / name).unlink()
    report = ICBHI(corpus).validate(audio=False)
    assert any("official_split.txt is not beside the recordings" in notice for notice in report.notices)
    assert report.by_split["test"].recordings == 2  # 101_1b1_Al_sc and 104_1b1_Pl_sc; the other two are made up
    assert kinds(report) == ["no split"] * 2
    folds = ICBHI(corpus, "fold-0").validate(audio=False)
    assert folds.ok
    assert any("patient_list_foldwise.txt is not beside" in notice for notice in folds.notices)


def test_a_split_file_from_elsewhere_is_taken(corpus, tmp_path):
    before = ICBHI(corpus).cycles()
    shutil.move(corpus / "official_split.txt", tmp_path / "other.txt")
    assert ICBHI(corpus, split_file=tmp_path / "other.txt").cycles() == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"split": "offical"}, "did you mean 'official'?"),
        ({"split_file": "nowhere.txt"}, "nowhere.txt: is no file"),
        ({"root": "nowhere"}, "nowhere: is no folder"),
    ],
)
def test_wrong_arguments_are_named(corpus, arguments, text):
    with pytest.raises(DataError) as caught:
        ICBHI(**{"root": corpus, **arguments})
    assert text in str(caught.value)
