"""SPRSound on a small corpus: what is understood, and every defect that the report can name."""

import json
from collections import Counter

import numpy as np
import pytest
import soundfile

from lung_srad.datasets import ICBHI, SPRSound, open_dataset, report_text
from lung_srad.datasets.sprsound import balanced_folds
from lung_srad.errors import DataError

FIRST = "40000001_4.9_1_p1_11"
POOR = "40000001_5.0_1_p3_12"
NORMAL = "40000002_0.3_0_p2_21"
STRIDOR = "40000003_12.4_0_p4_31"


def record(corpus, stem):
    return corpus / "train_json" / f"{stem}.json"


def change(corpus, stem, **changes):
    """Changes the first event of a recording; None takes a key away."""
    content = json.loads(record(corpus, stem).read_text())
    event = content["event_annotation"][0] | changes
    content["event_annotation"][0] = {key: value for key, value in event.items() if value is not None}
    record(corpus, stem).write_text(json.dumps(content))


def add(corpus, noise, folder, stem, *, audio="test2022_wav", events=(("100", "900", "Normal"),)):
    """Adds a recording to a test part."""
    (corpus / audio).mkdir(exist_ok=True)
    (corpus / folder).mkdir(parents=True, exist_ok=True)
    noise(corpus / audio / f"{stem}.wav", seed=len(stem))
    rows = [{"start": start, "end": end, "type": kind} for start, end, kind in events]
    content = {"record_annotation": "Normal", "event_annotation": rows}
    (corpus / folder / f"{stem}.json").write_text(json.dumps(content))


@pytest.fixture
def release(sprsound, noise):
    """Returns the corpus in the layout of 2022, with an inter- and an intra-test part."""
    for kind in ("wav", "json"):
        (sprsound / f"train_{kind}").rename(sprsound / f"train2022_{kind}")
    add(sprsound, noise, "test2022_json/intra_test_json", "40000002_0.3_0_p4_22")
    add(sprsound, noise, "test2022_json/inter_test_json", "40000009_7.0_1_p1_91")
    return sprsound


def test_a_cycle_is_an_event_with_icbhis_labels(sprsound):
    cycles = {cycle.id: cycle for cycle in SPRSound(sprsound).cycles()}
    assert [cycle.label for cycle in cycles.values()] == [2, 1, 0, 0, 0, 2, 2, 3, 1, 0]
    cycle = cycles[f"{FIRST}#1"]  # the second of its file, though it is the first to be heard
    assert (cycle.start, cycle.end, cycle.recording, cycle.patient) == (0.1, 1.0, FIRST, "40000001")
    assert (cycle.device, cycle.site, cycle.path.name) == ("Yunting-II", "Pl", f"{FIRST}.wav")
    assert [cycles[f"{stem}#0"].site for stem in (NORMAL, STRIDOR)] == ["Ll", "Lr"]
    assert SPRSound.class_names == ICBHI.class_names


def test_poor_quality_is_counted_and_not_scored(sprsound):
    data = SPRSound(sprsound)
    report = data.validate()
    assert report.ok
    assert report.total.recordings == 6
    assert POOR not in {cycle.recording for cycle in data.cycles()}
    assert "1 recording(s) of poor quality have no events: counted, not scored" in report.notices
    assert "recordings by label: CAS & DAS 2, Normal 2, Poor Quality 1, CAS 1" in report.notices
    assert data.record_labels()[POOR] == "Poor Quality"


def test_events_of_a_poor_recording_are_left_out_and_named(sprsound):
    record(sprsound, POOR).write_text(
        record(sprsound, NORMAL).read_text().replace('"Normal", "ev', '"Poor Quality", "ev')
    )
    data = SPRSound(sprsound)
    assert POOR not in {cycle.recording for cycle in data.cycles()}
    assert any(POOR in notice and "2 event(s) left out" in notice for notice in data.validate(audio=False).notices)


def test_stridor_can_be_left_out_without_another_fold(sprsound):
    for fold in range(5):
        whole, without = SPRSound(sprsound, f"fold-{fold}"), SPRSound(sprsound, f"fold-{fold}-no-stridor")
        assert [c for c in whole.cycles() if c.id != f"{STRIDOR}#0"] == without.cycles()
    assert "left out: 1 Stridor event(s)" in without.validate(audio=False).notices


def test_every_child_is_in_one_fold(sprsound):
    tests = [{c.patient for c in SPRSound(sprsound, f"fold-{fold}").cycles("test")} for fold in range(5)]
    assert sorted(len(test) for test in tests) == [1] * 5
    for fold, test in enumerate(tests):
        assert not test & {cycle.patient for cycle in SPRSound(sprsound, f"fold-{fold}").cycles("train")}
    assert len(set.union(*tests)) == 5


def test_folds_share_out_events_and_their_holders_whatever_the_order():
    generator = np.random.default_rng(0)
    labels = {f"p{n}": generator.choice(4, generator.integers(1, 60), p=(0.8, 0.12, 0.06, 0.02)) for n in range(80)}
    labels = {patient: events.tolist() for patient, events in labels.items()}
    folds = balanced_folds(labels)
    assert balanced_folds({patient: labels[patient][::-1] for patient in reversed(labels)}) == folds
    assert set(Counter(folds.values()).values()) <= {15, 16, 17}
    for label in range(4):
        holders = Counter(folds[patient] for patient, events in labels.items() if label in events)
        events = Counter(folds[patient] for patient, events in labels.items() for one in events if one == label)
        for counts, slack in ((holders, 2), (events, 0.15 * sum(events.values()) / 5 + 3)):
            assert max(counts.values()) - min(counts.values()) <= slack


def test_the_official_parts_are_those_of_the_folders(release):
    data = SPRSound(release, "official")
    assert {cycle.patient for cycle in data.cycles("test")} == {"40000002", "40000009"}
    assert len(data.cycles("train")) == 10
    (leak,) = data.validate(audio=False).leaks
    assert (leak.patient, leak.at_hand) == ("40000002", {"train": 1, "test": 1})
    assert "on both sides here" in report_text(data.validate(audio=False))


def test_official_clean_tests_on_other_children_alone(release):
    data = SPRSound(release, "official-clean")
    assert {cycle.patient for cycle in data.cycles("test")} == {"40000009"}
    assert data.cycles("train") == SPRSound(release, "official").cycles("train")
    assert any("left out of the test part: 1 recording" in notice for notice in data.validate(audio=False).notices)


def test_folds_do_not_change_with_the_test_parts(release, noise):
    before = SPRSound(release, "fold-1").cycles()
    add(release, noise, "test2022_json/inter_test_json", "40000008_7.0_1_p1_92")
    assert SPRSound(release, "fold-1").cycles() == before
    assert any("3 test recording(s) unused" in notice for notice in SPRSound(release).validate(audio=False).notices)


def test_the_layout_of_the_first_release_is_understood(release):
    before = SPRSound(release, "official").cycles()
    new = release / "Classification"
    new.mkdir()
    (release / "train2022_wav").rename(new / "train_classification_wav")
    (release / "train2022_json").rename(new / "train_classification_json")
    (release / "test2022_wav").rename(new / "valid_classification_wav")
    (release / "test2022_json").rename(new / "valid_classification_json")
    assert [cycle.id for cycle in SPRSound(release, "official").cycles("test")] == [
        c.id for c in before if c.split == "test"
    ]


def test_files_of_later_years_are_understood(sprsound):
    content = json.loads(record(sprsound, NORMAL).read_text())
    del content["record_annotation"]
    content["event_annotation"][0]["end"] = 900
    record(sprsound, NORMAL).write_text(json.dumps(content))
    data = SPRSound(sprsound)
    assert (data.cycles()[3].start, data.cycles()[3].end) == (0.0, 0.9)
    assert any("without a record label 1" in notice for notice in data.validate(audio=False).notices)


def test_a_record_label_that_does_not_follow_from_the_events_is_a_notice(sprsound):
    change(sprsound, NORMAL, type="Wheeze")
    report = SPRSound(sprsound).validate(audio=False)
    assert report.ok
    assert any("record label does not follow" in notice and NORMAL in notice for notice in report.notices)


def test_annotations_alone_can_be_counted(sprsound):
    for path in (sprsound / "train_wav").iterdir():
        path.unlink()
    report = SPRSound(sprsound).validate()
    assert report.ok
    assert report.total.cycles == 10
    with pytest.raises(DataError, match="6 annotations and no recording"):
        SPRSound(sprsound).cycles()


def event(**changes):
    return lambda corpus: change(corpus, FIRST, **changes)


def annotation(text):
    return lambda corpus: record(corpus, FIRST).write_text(text)


def cut_wav(corpus):
    path = corpus / "train_wav" / f"{FIRST}.wav"
    path.write_bytes(path.read_bytes()[:-2000])


def another_length(corpus):
    soundfile.write(corpus / "train_wav" / f"{FIRST}.wav", np.ones(4000) / 2, 4000)


def second_copy(corpus):
    (corpus / "copy").mkdir()
    (corpus / "copy" / f"{FIRST}.flac").write_bytes(b"")


JSON, WAV = f"{FIRST}.json", f"{FIRST}.wav"
DEFECTS = [
    ("json", JSON, "no JSON", annotation("{")),
    ("json", JSON, "no JSON", annotation("[" * 100_000)),
    ("json", JSON, "no JSON", lambda corpus: record(corpus, FIRST).write_bytes(b"\xff\xfe\xfa")),
    ("json", JSON, "no list 'event_annotation'", annotation('{"event_annotation": {}}')),
    ("json", JSON, "no list 'event_annotation'", annotation("[]")),
    ("size", JSON, "over 1,048,576 bytes", annotation(" " * (1 << 21))),
    (
        "empty",
        JSON,
        "no event in a recording called 'CAS'",
        annotation('{"record_annotation": "CAS", "event_annotation": []}'),
    ),
    ("record label", JSON, "'Norma'", annotation('{"record_annotation": "Norma", "event_annotation": []}')),
    ("record label", JSON, "[1]", annotation('{"record_annotation": [1], "event_annotation": []}')),
    ("event", JSON, "event #0: {", event(end=None)),
    ("event", JSON, "event #0: 7", annotation('{"event_annotation": [7]}')),
    ("number", JSON, "from '1,2' to '1900'", event(start="1,2")),
    ("number", JSON, "from [1200] to", event(start=[1200])),
    ("number", JSON, "from True to", event(start=True)),
    ("number", JSON, "from nan to", event(start=float("nan"))),
    ("number", JSON, "to 1000000", event(end=10**400)),
    ("number", JSON, "from 'nan' to", event(start="nan")),
    ("times", JSON, "from 1.9 s to 1.9 s", event(start="1900")),
    ("times", JSON, "from -0.1 s to", event(start="-100")),
    ("type", JSON, "event #0: type 'wheeze'", event(type="wheeze")),
    ("type", JSON, "event #0: type ['Wheeze']", event(type=["Wheeze"])),
    ("duplicate", JSON, "event #1: 0.1-1 s is there twice", event(start="100", end="1000")),
    ("outside", JSON, "event #0 from 1.2 s to 2.002 s lies outside the recording", event(end="2002")),
    ("outside", JSON, "lies outside the recording", another_length),
    ("audio", WAV, "", cut_wav),
    ("audio", WAV, "", lambda corpus: (corpus / "train_wav" / WAV).write_text("this is text")),
    ("no recording", JSON, "is not there", lambda corpus: (corpus / "train_wav" / WAV).unlink()),
    ("no annotation", WAV, "is not there", lambda corpus: record(corpus, FIRST).unlink()),
    ("twice", WAV, "there twice, in copy and in train_wav", second_copy),
    (
        "name",
        "40000001_4.9_1_p9_11.json",
        "the name is",
        lambda c: record(c, FIRST).rename(record(c, "40000001_4.9_1_p9_11")),
    ),
    ("nothing here", "sprsound", "no recording", lambda c: [p.unlink() for p in c.rglob("*") if p.is_file()]),
]


@pytest.mark.parametrize(("kind", "file", "seen", "spoil"), DEFECTS)
def test_a_defect_is_one_line_that_names_its_file(sprsound, kind, file, seen, spoil):
    spoil(sprsound)
    report = SPRSound(sprsound).validate(audio=False)
    named = [defect for defect in report.defects if defect.kind == kind]
    assert any(defect.file == file and seen in defect.seen for defect in named), report.defects
    assert all("\n" not in str(defect) and len(str(defect)) < 400 for defect in report.defects)
    assert f"  {file}\n" in report_text(report)
    with pytest.raises(DataError) as caught:
        SPRSound(sprsound).cycles()
    assert str(caught.value).startswith(f"{report.defects[0].file}: ")


def test_an_unknown_type_names_the_nearest(sprsound):
    change(sprsound, FIRST, type="wheeze")
    with pytest.raises(DataError, match="did you mean 'Wheeze'"):
        SPRSound(sprsound).cycles()


def test_a_silent_event_is_found_by_decoding(sprsound):
    path = sprsound / "train_wav" / WAV
    samples, rate = soundfile.read(path)
    samples[: int(1.1 * rate)] = 0
    soundfile.write(path, samples, rate)
    assert SPRSound(sprsound).validate(audio=False).ok
    (defect,) = SPRSound(sprsound).validate().defects
    assert (defect.kind, defect.file) == ("silence", WAV)
    assert f"cycle {FIRST}#1 (0.1-1 s) is silent" in defect.seen


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"split": "fold-5"}, "did you mean 'fold-4'?"),
        ({"split": "official-no-strider"}, "did you mean 'official-no-stridor'?"),
        ({"root": "nowhere"}, "nowhere: is no folder"),
    ],
)
def test_wrong_arguments_of_sprsound_are_named(sprsound, arguments, text):
    with pytest.raises(DataError) as caught:
        SPRSound(**{"root": sprsound, **arguments})
    assert text in str(caught.value)


def test_open_dataset_takes_a_split_and_no_split_file(sprsound, tmp_path):
    assert open_dataset(f"sprsound:{sprsound}").scheme == "fold-0"
    assert open_dataset(f"sprsound:{sprsound}", split="fold-3-no-stridor").scheme == "fold-3-no-stridor"
    with pytest.raises(DataError, match="a split file is given for SPRSound"):
        open_dataset(f"sprsound:{sprsound}", split_file=tmp_path / "split.txt")
