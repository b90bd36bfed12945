"""Two labels for another corpus: normal, and everything else."""

from dataclasses import replace

from lung_srad.datasets import DATASETS, Table, TwoClass

ROWS = """path,start,end,label,patient,split
a.wav,0,1,crackle,p1,train
a.wav,1,2,normal,p1,train
a.wav,2,3,wheeze,p1,test
b.wav,3,4,,p2,test
"""


def corpus(folder):
    (folder / "mine.csv").write_text(ROWS)
    for name in "ab":
        (folder / f"{name}.wav").write_bytes(b"RIFF")
    return Table(folder / "mine.csv")


def test_everything_that_is_not_normal_is_abnormal(tmp_path):
    table = corpus(tmp_path)
    two = TwoClass(table)
    assert two.class_names == ("normal", "abnormal")
    before, after = table.scan().cycles, two.scan().cycles
    names = [None if c.label is None else table.class_names[c.label] for c in before]
    assert names == ["crackle", "normal", "wheeze", None]
    assert [cycle.label for cycle in after] == [1, 0, 1, None]
    assert [replace(cycle, label=0) for cycle in after] == [replace(cycle, label=0) for cycle in before]


def test_it_is_the_same_corpus_to_everybody_else(tmp_path):
    table = corpus(tmp_path)
    two = TwoClass(table)
    for name in ("name", "location", "splits", "scheme", "synthetic"):
        assert getattr(two, name) == getattr(table, name)
    assert replace(two.scan(), cycles=()) == replace(table.scan(), cycles=())
    assert TwoClass not in DATASETS.values()


def test_the_normal_class_need_not_be_the_first(tmp_path, monkeypatch):
    table = corpus(tmp_path)
    monkeypatch.setattr(table, "normal", 1)
    labels = [cycle.label for cycle in table.scan().cycles]
    found = [cycle.label for cycle in TwoClass(table).scan().cycles]
    assert found == [None if label is None else int(label != 1) for label in labels]
