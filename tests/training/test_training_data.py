"""The batches of an epoch: the same however often it is started, and shared out among processes."""

from dataclasses import replace

import pytest
import small_runs
import torch

from lung_srad.errors import ConfigError, DataError
from lung_srad.runs import build_model
from lung_srad.training.data import cache_folder, open_corpus
from lung_srad.training.distributed import World

CPU = torch.device("cpu")
ONE = World(0, 1, CPU)


@pytest.fixture
def corpus(dataset, preset):
    return open_corpus(dataset, preset(), build_model(preset(), 3).backbone.frontend, seed=1)


def epoch(corpus, preset, part="train", seed=1, number=1, world=ONE, skip=0):
    return list(corpus.batches(part, preset, seed=seed, epoch=number, world=world, skip=skip))


def names(batches):
    return [batch.cycle_id for batch in batches]


def test_parts_are_checked_to_share_no_patient(corpus, dataset, monkeypatch):
    assert corpus.partition() == dataset.partition()
    assert corpus.validation().shared == ()
    assert set(corpus.validation().cycles) == {"fit", "validation"}
    monkeypatch.setattr(type(dataset), "keeps_patients_apart", True)
    mixed = replace(corpus, parts={**corpus.parts, "test": [*corpus.parts["test"], corpus.parts["fit"][0]]})
    with pytest.raises(DataError, match="in more than one of train, test"):
        mixed.partition()
    mixed = replace(corpus, parts={**corpus.parts, "validation": corpus.parts["fit"]})
    with pytest.raises(DataError, match="in more than one of fit, validation"):
        mixed.validation()


def test_an_epoch_takes_whole_batches_of_all_cycles_at_random(corpus, preset):
    first, second = (epoch(corpus, preset(), number=number) for number in (1, 2))
    assert [len(ids) for ids in names(first)] == [8, 8, 8]  # of 28: the last, smaller batch is left out
    drawn = [name for ids in names(first) for name in ids]
    assert len(set(drawn)) == 24
    assert set(drawn) < {cycle.id for cycle in corpus.parts["train"]}
    assert names(first) != names(second) != names(epoch(corpus, preset(), number=2, seed=2))


def test_an_epoch_started_again_goes_on_with_the_same_batches(corpus, preset):
    whole, rest = epoch(corpus, preset()), epoch(corpus, preset(), skip=1)
    assert names(rest) == names(whole)[1:]
    assert all(torch.equal(a.features, b.features) for a, b in zip(whole[1:], rest, strict=True))
    assert epoch(corpus, preset(), skip=3) == []


def test_two_processes_share_the_batches_of_one(corpus, preset):
    whole = epoch(corpus, preset())
    halves = [epoch(corpus, preset("lung_srad", "training.batch_size=4"), world=World(r, 2, CPU)) for r in range(2)]
    assert names(whole) == [a + b for a, b in zip(*map(names, halves), strict=True)]
    for batch, *parts in zip(whole, *halves, strict=True):
        assert torch.equal(batch.features, torch.cat([part.features for part in parts]))


def test_masks_can_be_those_of_a_batch_also_over_processes_and_after_a_restart(corpus, preset):
    changes = "augment.per=batch", "augment.freq_mask=0", "backbone.frames=49"  # 0.5 s: every frame is a column
    whole, own = epoch(corpus, preset("lung_srad", *changes)), epoch(corpus, preset("lung_srad", *changes[1:]))
    assert names(whole) == names(own)
    for batch, several in zip(whole, own, strict=True):
        masked = [{tuple(flat) for flat in (x.features[:, 0].std(1) < 1e-6).tolist()} for x in (batch, several)]
        assert len(masked[0]) == 1  # the same columns are flat in all of them
        assert len(masked[1]) > 1
    half = "training.batch_size=4"
    parts = [epoch(corpus, preset("lung_srad", *changes, half), world=World(r, 2, CPU)) for r in range(2)]
    for batch, *halves in zip(whole, *parts, strict=True):
        assert torch.equal(batch.features, torch.cat([each.features for each in halves]))
    again = epoch(corpus, preset("lung_srad", *changes), skip=2)
    assert torch.equal(again[0].features, whole[2].features)


@pytest.mark.parametrize("second", [None, "clean", "first"])
def test_batches_bring_the_second_view_that_is_asked_for(corpus, preset, second):
    batches = corpus.batches("train", preset(), seed=1, epoch=1, world=ONE, second=second)
    assert all((batch.second is not None) == (second is not None) for batch in batches)


def test_devices_are_those_of_all_training_patients(corpus, preset):
    assert corpus.devices == ["pen", "phone"]
    one = [cycle for cycle in corpus.parts["train"] if cycle.device == "phone"]
    corpus.parts["fit"] = one
    assert {index for batch in epoch(corpus, preset(), part="fit") for index in batch.device.tolist()} == {1}


def test_validation_patients_are_set_aside(corpus):
    held = {cycle.patient for cycle in corpus.parts["validation"]}
    assert not held & {cycle.patient for cycle in corpus.parts["fit"]}
    assert sorted(c.id for c in (*corpus.parts["fit"], *corpus.parts["validation"])) == sorted(
        c.id for c in corpus.parts["train"]
    )
    assert corpus.class_counts("train") == (10, 9, 9)
    assert sum(corpus.class_counts("fit")) == len(corpus.parts["fit"])


def test_more_in_a_step_than_there_is(corpus, preset):
    with pytest.raises(ConfigError, match=r"batch_size: 8 x 4 processes; at most 28, .*--set training.batch_size"):
        corpus.steps("train", preset(), World(0, 4, CPU))


def test_the_cache_lies_where_it_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("LUNG_SRAD_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("LUNG_SRAD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "lung_srad"


def test_a_corpus_is_opened_with_progress(dataset, preset):
    heard = []
    frontend = build_model(preset(), len(small_runs.CLASSES)).backbone.frontend
    open_corpus(dataset, preset(), frontend, 1, lambda done, total: heard.append((done, total)))
    assert heard == [(number, 40) for number in range(1, 41)]
