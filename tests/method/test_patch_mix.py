"""Eq. 6 and 7: what a mix holds, and how it is drawn."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_srad.errors import ConfigError, ShapeError
from lung_srad.method import AxisMix, TokenMix, apply_mix, draw_mix, mix_freq, mix_time, mix_tokens

SHAPE = (6, 3, 8, 20)  # (B, C, H, W)
KINDS = ("time", "freq", "random")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def grid(seed=0):
    return torch.randn(SHAPE, dtype=torch.float64, generator=generator(seed))


def inside(mix):
    """Which cells of the grid the mix replaces, (H, W)."""
    mask = torch.zeros(SHAPE[2:], dtype=torch.bool)
    if isinstance(mix, TokenMix):
        mask.view(-1)[mix.positions] = True
    elif mix.axis == "time":
        mask[:, mix.start : mix.start + mix.width] = True
    else:
        mask[mix.start : mix.start + mix.width] = True
    return mask


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**31))
def test_outside_unchanged_inside_from_the_partner(kind, seed):
    x, mix = grid(), draw_mix(kind, SHAPE, 1.0, generator(seed))
    before = x.clone()
    mixed, mask = apply_mix(x, mix), inside(mix)
    assert torch.equal(mixed[:, :, ~mask], x[:, :, ~mask])
    assert torch.equal(mixed[:, :, mask], x[mix.perm][:, :, mask])
    assert torch.equal(x, before)
    assert mixed.data_ptr() != x.data_ptr()


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**31), beta=st.sampled_from([0.2, 1.0, 5.0]))
def test_lam_is_the_share_that_stays_and_the_width_is_rounded_down(kind, seed, beta):
    mix = draw_mix(kind, SHAPE, beta, generator(seed))
    mask, size = inside(mix), {"time": 20, "freq": 8, "random": 160}[kind]
    assert mix.lam == pytest.approx(1 - mask.double().mean().item())
    width = len(mix.positions) if kind == "random" else mix.width
    assert width == math.floor(size * (1 - mix.lam_drawn))
    assert mix.lam_drawn <= mix.lam < mix.lam_drawn + 1 / size + 1e-12
    assert sorted(mix.perm.tolist()) == list(range(6))


def test_frequency_is_time_transposed():
    x, time = grid(), draw_mix("time", SHAPE, 1.0, generator(3))
    freq = dataclasses.replace(time, axis="freq")
    assert torch.equal(mix_freq(x.mT, freq).mT, mix_time(x, time))
    assert not torch.equal(mix_time(x, time), x)


@pytest.mark.parametrize(("width", "whole"), [(0, False), (20, True)])
def test_an_empty_band_and_the_whole_axis(width, whole):
    x, perm = grid(), torch.tensor([1, 2, 3, 4, 5, 0])
    mix = AxisMix("time", start=0, width=width, perm=perm, lam=1 - width / 20, lam_drawn=1 - width / 20)
    assert torch.equal(mix_time(x, mix), x[perm] if whole else x)


def test_gradients_reach_both_samples_of_a_mix():
    x, perm = grid().requires_grad_(), torch.tensor([1, 2, 3, 4, 5, 0])
    mixes = [
        AxisMix("time", 2, 5, perm, 0.75, 0.75),
        AxisMix("freq", 1, 3, perm, 0.625, 0.625),
        TokenMix(torch.tensor([0, 7, 33]), perm, 0.98, 0.98),
    ]
    for mix in mixes:
        (grad,) = torch.autograd.grad(apply_mix(x, mix)[0].sum(), x)
        mask = inside(mix)
        assert torch.equal(grad[0], (~mask).double().expand(3, -1, -1))
        assert torch.equal(grad[1], mask.double().expand(3, -1, -1))
        assert not grad[2:].any()


def test_same_seed_same_mix_and_processes_share_all_but_the_permutation():
    for kind in KINDS:
        one, again = (draw_mix(kind, (64, 3, 8, 20), 1.0, generator(5)) for _ in range(2))
        rank = draw_mix(kind, (64, 3, 8, 20), 1.0, generator(5), perm_generator=generator(6))
        place = "positions" if kind == "random" else "start"
        assert torch.equal(one.perm, again.perm)
        assert not torch.equal(one.perm, rank.perm)
        for mix in (again, rank):
            assert (mix.lam, mix.lam_drawn) == (one.lam, one.lam_drawn)
            assert torch.equal(torch.as_tensor(getattr(mix, place)), torch.as_tensor(getattr(one, place)))


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    for kind in KINDS:
        draw_mix(kind, SHAPE, 0.5, generator())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("beta", [0.05, 0.3, 1.0, 4.0, 200.0])
def test_lambda_follows_the_symmetric_beta(beta):
    g = generator(1)
    lam = torch.tensor([draw_mix("freq", (1, 1, 4, 4), beta, g).lam_drawn for _ in range(4000)])
    assert ((lam >= 0) & (lam <= 1)).all()
    variance = 1 / (4 * (2 * beta + 1))
    assert lam.mean().item() == pytest.approx(0.5, abs=5 * (variance / 4000) ** 0.5)
    assert lam.var().item() == pytest.approx(variance, rel=0.1)


def test_the_band_start_is_uniform_over_its_places():
    g, starts = generator(2), {}
    for _ in range(4000):
        mix = draw_mix("freq", (1, 1, 4, 4), 1.0, g)
        starts.setdefault(mix.width, []).append(mix.start)
    assert sorted(starts) == [0, 1, 2, 3]  # floor: all four cells only where λ = 0
    for width, seen in starts.items():
        counts = torch.bincount(torch.tensor(seen), minlength=5 - width).double()
        assert len(counts) == 5 - width
        expected = len(seen) / (5 - width)
        assert (counts - expected).abs().max() < 5 * expected**0.5


def test_random_cells_are_distinct_and_cover_the_grid():
    g, hits = generator(3), torch.zeros(160)
    for _ in range(500):
        mix = draw_mix("random", SHAPE, 1.0, g)
        assert len(mix.positions.unique()) == len(mix.positions)
        hits[mix.positions] += 1
    assert hits.min() > 180  # 250 expected
    assert hits.max() < 320


def test_a_mix_is_frozen():
    mix = draw_mix("time", SHAPE, 1.0, generator())
    with pytest.raises(dataclasses.FrozenInstanceError):
        mix.width = 3


def test_wrong_arguments_say_what_is_wrong():
    x, g = grid(), generator()
    time, tokens = draw_mix("time", SHAPE, 1.0, g), draw_mix("random", SHAPE, 1.0, g)
    with pytest.raises(ConfigError, match="draw_mix: kind: 'tme'; one of 'time', 'freq', 'random'; did you mean"):
        draw_mix("tme", SHAPE, 1.0, g)
    for beta in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match=r"draw_mix: beta: .*; a positive number"):
            draw_mix("time", SHAPE, beta, g)
    for shape in ((8, 20), (4, 3, 0, 20)):
        with pytest.raises(ShapeError, match=r"draw_mix: grid_shape: .*; four sizes \(B, C, H, W\)"):
            draw_mix("time", shape, 1.0, g)
    with pytest.raises(ConfigError, match="mix_freq: mix: along 'time'; takes a mix along 'freq'"):
        mix_freq(x, time)
    with pytest.raises(ConfigError, match="mix_time: mix: TokenMix"):
        mix_time(x, tokens)
    with pytest.raises(ConfigError, match="mix_tokens: mix: AxisMix"):
        mix_tokens(x, time)
    with pytest.raises(ShapeError, match=r"a batch of 6, .*x has a batch of 5"):
        apply_mix(x[:5], time)
    wide = AxisMix("time", 15, 6, time.perm, 0.7, 0.7)
    with pytest.raises(ShapeError, match=r"cells up to 21; x has a batch of 6 and 20 cells"):
        mix_time(x, wide)
    with pytest.raises(ShapeError, match=r"cells up to 161; .* 160 cells"):
        mix_tokens(x, TokenMix(torch.tensor([160]), time.perm, 0.9, 0.9))
    with pytest.raises(ShapeError, match=r"mix_time: x: float64 \(3, 8, 20\); needs Float \(B, C, H, W\)"):
        mix_time(x[0], time)
