"""The torch data set: the front end's bits, and draws that depend on (seed, epoch, index) alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from lung_srad.audio import Frontend, apply_spec_augment, draw_spec_augment, load_cycle
from lung_srad.datasets import ICBHI, Batch, CycleDataset, FeatureCache, derive_seed
from lung_srad.errors import DataError

AUGMENT = partial(draw_spec_augment, time_mask=40, freq_mask=48)


@pytest.fixture
def frontend():
    return Frontend(seconds=1.0, frames=64)


@pytest.fixture
def make(corpus, tmp_path, frontend):
    """Returns a function that makes a data set over the training part."""
    cycles = ICBHI(corpus).cycles("train")
    cache = FeatureCache(tmp_path / "cache", frontend)
    return lambda **options: CycleDataset(options.pop("cycles", cycles), cache, frontend, **options)


def batches(dataset, epochs=(0, 1), **options):
    items = [(epoch, index) for epoch in epochs for index in range(len(dataset))]
    return list(DataLoader(dataset, batch_size=2, sampler=items, collate_fn=dataset.collate, **options))


def test_a_batch_is_what_the_front_end_gives_and_says_whose_it_is(make, frontend):
    dataset = make()
    batch = dataset.collate([dataset[index] for index in range(len(dataset))])
    waves = torch.stack([load_cycle(c.path, c.start, c.end, 1.0) for c in dataset.cycles])
    torch.testing.assert_close(batch.features, frontend(waves), rtol=0, atol=1e-6)
    assert batch.features.shape == (6, 1, 128, 64)
    assert batch.label.tolist() == [0, 1] * 3
    assert batch.device.tolist() == [2, 2, 0, 0, 1, 1]  # AKGC417L, LittC2SE, Meditron
    assert batch.patient.tolist() == [0, 0, 1, 1, 2, 2]
    assert batch.cycle_id == tuple(cycle.id for cycle in dataset.cycles)
    assert batch.label.dtype == batch.device.dtype == torch.long


def test_draws_depend_on_seed_epoch_and_index_alone(make):
    first, again, other = (
        make(augment=AUGMENT, seed=1),
        make(augment=AUGMENT, seed=1),
        make(augment=AUGMENT, seed=2),
    )
    one = first[3, 4].features
    torch.manual_seed(0)
    assert torch.equal(again[3, 4].features, one)
    for different in (first[2, 4], first[3, 5], other[3, 4], make()[3, 4]):
        assert not torch.equal(different.features, one)
    assert torch.equal(first[0].features, first[0, 0].features)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker")  # on a machine of one core
def test_workers_give_the_same_bits_in_every_epoch(make):
    dataset = make(augment=AUGMENT, seed=5)
    dataset.cache.prepare(dataset.cycles)
    alone = batches(dataset)
    shared = batches(dataset, num_workers=2, persistent_workers=True)
    assert [batch.cycle_id for batch in shared] == [batch.cycle_id for batch in alone]
    assert all(torch.equal(a.features, b.features) for a, b in zip(alone, shared, strict=True))
    assert not torch.equal(alone[0].features, alone[3].features)  # the same cycles, an epoch later


def test_augmentation_leaves_the_cache_alone(make):
    dataset = make(augment=AUGMENT)
    before = dataset.cache.features(dataset.cycles[0]).clone()
    assert torch.equal(dataset[0, 0].features, dataset[0, 0].features)
    assert torch.equal(dataset.cache.features(dataset.cycles[0]), before)


def masked(features, *draw):
    return apply_spec_augment(features, AUGMENT(torch.Generator().manual_seed(derive_seed(1, *draw)), *features.shape))


def test_a_second_view_is_masked_anew_from_the_clean_cycle_or_from_the_first_view(make, frontend):
    one, clean, first = (make(augment=AUGMENT, seed=1, second=second) for second in (None, "clean", "first"))
    bare = make()[2].features
    assert one[3, 2].second is None
    for dataset, source in ((clean, bare), (first, masked(bare, "augment", 3, 2))):
        assert torch.equal(dataset[3, 2].features, one[3, 2].features)  # the first view is what it was
        assert torch.equal(dataset[3, 2].second, masked(source, "second view", 3, 2))
        assert not torch.equal(dataset[3, 2].second, dataset[3, 2].features)
    batch = clean.collate([clean[3, index] for index in range(2)])
    assert batch.second.shape == batch.features.shape
    assert torch.equal(batch.second[1:], frontend.shape(clean[3, 1].second[None]))
    assert one.collate([one[3, 0]]).second is None


def test_what_the_first_view_hides_the_second_hides_too_where_it_is_masked_from_it(make):
    hidden, bare = {}, make()[2].features
    for second in ("clean", "first"):
        item = make(augment=AUGMENT, seed=1, second=second)[3, 2]
        first, again = (view != bare for view in (item.features, item.second))
        assert first.any()
        hidden[second] = bool(again[first].all())
    assert hidden == {"clean": False, "first": True}


def test_masks_are_shared_by_those_of_a_batch_where_it_is_named(make):
    dataset = make(augment=AUGMENT, seed=1, second="clean")
    bare = [make()[index].features for index in (0, 2)]
    for index, clean in zip((0, 2), bare, strict=True):
        item = dataset[3, index, 7]
        assert torch.equal(item.features, masked(clean, "augment", "of a batch", 3, 7))
        assert torch.equal(item.second, masked(clean, "second view", "of a batch", 3, 7))
    assert not torch.equal(dataset[3, 0, 7].features, dataset[3, 0, 8].features)


def test_without_augmentation_both_views_are_the_cycle(make):
    item = make(second="first")[0]
    assert torch.equal(item.features, item.second)


def test_an_unknown_label_is_minus_one(make):
    dataset = make()
    unknown = make(cycles=[replace(dataset.cycles[0], label=None)])
    assert unknown.collate([unknown[0]]).label.tolist() == [-1]


def test_given_devices_and_patients_are_the_ones_pointed_into(make):
    dataset = make(devices=["Litt3200", "Meditron", "LittC2SE", "AKGC417L"], patients=["103", "102", "101"])
    assert [dataset[index].device for index in (0, 2, 4)] == [1, 3, 2]
    assert [dataset[index].patient for index in (0, 2, 4)] == [2, 1, 0]
    with pytest.raises(DataError, match="device: 'AKGC417L' is not among the given"):
        make(devices=["Meditron", "LittC2SE"])


def test_a_silent_cycle_is_refused_by_name(make):
    dataset = make()
    soundfile.write(dataset.cycles[0].path, np.zeros(8000), 4000)
    with pytest.raises(DataError, match=r"101_1b1_Al_sc_Meditron.wav: cycle 101_1b1_Al_sc_Meditron#0 .* is silent"):
        dataset[0]


def test_a_batch_moves_as_a_whole():
    ones = torch.ones(2, dtype=torch.long)
    batch = Batch(torch.ones(2, 1, 3, 4), ones, ones, ones, ("a", "b"), teacher_logits=torch.ones(2, 4))
    moved = batch.to("meta")
    assert {moved.features.device.type, moved.label.device.type, moved.teacher_logits.device.type} == {"meta"}
    assert moved.cycle_id == ("a", "b")
    assert moved.text_ids is None
