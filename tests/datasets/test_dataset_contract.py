"""What holds for every registered corpus; a new one adds a line to ``BUILT`` and nothing else."""

import dataclasses
import json
import shutil

import pytest

from lung_srad.datasets import DATASETS, ICBHI, Dataset, Table, open_dataset, report_text
from lung_srad.errors import DataError

BUILT = {
    "icbhi": ("corpus", "audio_and_txt_files/101_1b1_Al_sc_Meditron.wav"),
    "sprsound": ("sprsound", "train_wav/40000001_4.9_1_p1_11.wav"),
    "table": ("table", "sounds/a.wav"),
}


@pytest.fixture(params=sorted(DATASETS))
def built(request):
    """Returns the kind, the location, and one of the audio files of a small corpus of every kind."""
    fixture, audio = BUILT[request.param]
    location = request.getfixturevalue(fixture)
    return request.param, location, (location if location.is_dir() else location.parent) / audio


def test_the_contract(built):
    kind, location, _ = built
    data = open_dataset(f"{kind}:{location}")
    assert isinstance(data, Dataset)
    assert data.name == kind
    assert 0 <= data.normal < len(data.class_names)
    cycles = data.cycles()
    assert cycles
    assert data.cycles() == cycles
    assert len({cycle.id for cycle in cycles}) == len(cycles)
    assert sorted(c.id for split in data.splits for c in data.cycles(split)) == sorted(c.id for c in cycles)
    for cycle in cycles:
        assert cycle.label is None or 0 <= cycle.label < len(data.class_names)
        assert 0 <= cycle.start < cycle.end
        assert cycle.path.is_file()
        assert cycle.patient
        assert cycle.split in data.splits


def test_the_report_counts_what_cycles_gives(built):
    kind, location, _ = built
    data = open_dataset(f"{kind}:{location}")
    report = data.validate()
    assert report.ok
    assert report.total.cycles == len(data.cycles())
    assert report.total.patients == len({cycle.patient for cycle in data.cycles()})
    assert {split: count.cycles for split, count in report.by_split.items()} == {
        split: len(data.cycles(split)) for split in data.splits
    }
    assert sum(sum(row.values()) for row in report.by_class.values()) == report.total.cycles
    assert sum(count.cycles for row in report.by_device.values() for count in row.values()) == report.total.cycles
    json.dumps(dataclasses.asdict(report))
    assert str(location) in report_text(report)


def test_the_fingerprint_follows_content_not_place(built, tmp_path_factory):
    kind, location, audio = built
    data = open_dataset(f"{kind}:{location}")
    before = data.fingerprint()
    assert data.fingerprint() == before
    copy = shutil.copytree(location.parent, tmp_path_factory.mktemp("copy") / "deep")
    moved = open_dataset(f"{kind}:{copy / location.name}")
    assert moved.fingerprint() == before
    audio = copy / audio.relative_to(location.parent)
    content = bytearray(audio.read_bytes())
    content[-1] ^= 1
    audio.write_bytes(content)
    assert moved.fingerprint() != before


def test_an_unknown_split_is_named(built):
    kind, location, _ = built
    with pytest.raises(DataError, match=r"no split 'tests'.*did you mean 'test'"):
        open_dataset(f"{kind}:{location}").cycles("tests")


def test_a_path_alone_says_what_it_is(corpus, table):
    assert isinstance(open_dataset(corpus), ICBHI)
    assert isinstance(open_dataset(str(table)), Table)
    assert open_dataset(corpus, split="fold-2").scheme == "fold-2"


def test_what_cannot_be_opened_is_named(table):
    with pytest.raises(DataError, match="did you mean 'icbhi'"):
        open_dataset("ichbi:somewhere")
    with pytest.raises(DataError, match="a split is given for a table"):
        open_dataset(table, split="official")
