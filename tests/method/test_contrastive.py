"""Eq. 8-10: unit rows, where the gradient stops, the Patch-Mix InfoNCE in all its readings, the sum."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from lung_srad.errors import ConfigError, ShapeError
from lung_srad.method import AxisMix, patch_mix_info_nce, project_pair, total_loss

F64 = torch.float64
CYCLE = [1, 2, 3, 4, 0]  # no fixed point, and not its own inverse


def random(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def rows(count=5, width=4, seed=0):
    return F.normalize(random(count, width, seed=seed), dim=-1)


def mix_of(perm, lam, lam_drawn=0.5):
    return AxisMix("time", start=0, width=1, perm=torch.tensor(perm), lam=lam, lam_drawn=lam_drawn)


def head(width_out=4):
    torch.manual_seed(0)
    return torch.nn.Linear(4, width_out, dtype=F64)


@pytest.mark.parametrize("project_on", ["both", "mixed"])
@pytest.mark.parametrize("stop", ["mixed", "original"])
def test_eq8_rows_are_unit_and_the_gradient_is_exactly_zero_where_stopped(stop, project_on):
    h, f, f_mix = head(), random(5, 4).requires_grad_(), random(5, 4, seed=1).requires_grad_()
    q, q_mix = project_pair(h, f, f_mix, stop=stop, project_on=project_on)
    for branch in (q, q_mix):
        torch.testing.assert_close(branch.norm(dim=-1), torch.ones(5, dtype=F64))
    torch.testing.assert_close(q_mix, F.normalize(h(f_mix), dim=-1))
    torch.testing.assert_close(q, F.normalize(h(f) if project_on == "both" else f, dim=-1))

    loss = patch_mix_info_nce(q, q_mix, mix_of(CYCLE, 0.3))
    stopped, free = (f_mix, f) if stop == "mixed" else (f, f_mix)
    grads = torch.autograd.grad(loss, [free, h.weight, stopped], allow_unused=True)
    assert grads[0].abs().min() > 0
    assert grads[1].abs().sum() > 0
    assert grads[2] is None


def test_eq8_the_head_learns_from_the_stopped_branch():
    h, f, f_mix = head(), random(5, 4), random(5, 4, seed=1)
    weights = random(5, 4, seed=2)
    _, q_mix = project_pair(h, f, f_mix.requires_grad_())
    (grad,) = torch.autograd.grad((q_mix * weights).sum(), h.weight)
    assert grad.abs().sum() > 0


def test_eq8_the_head_sees_one_branch_at_a_time():
    calls = []

    def project(features):
        calls.append(len(features))
        return features

    project_pair(project, random(5, 4), random(5, 4))
    project_pair(project, random(5, 4), random(5, 4), project_on="mixed")
    assert calls == [5, 5, 5]


def test_eq8_takes_one_mixed_branch_per_axis():
    h, f, time, freq = head(), random(5, 4), random(5, 4, seed=1), random(5, 4, seed=2).requires_grad_()
    for options in ({}, {"stop": "original", "project_on": "mixed"}):
        q, *mixed = project_pair(h, f, time, freq, **options)
        for branch, features in zip(mixed, (time, freq), strict=True):
            pair = project_pair(h, f, features, **options)
            assert torch.equal(torch.stack(pair), torch.stack((q, branch)))


def reference(q, q_mix, perm, lam, *, form, anchor, positive, temperature):
    """Eq. 9 written out, one anchor at a time."""
    losses = []
    for i in range(len(q)):
        own, others = (q[i], q_mix) if anchor == "original" else (q_mix[i], q)
        partner = perm.index(i) if anchor == "original" and positive == "holds_anchor" else perm[i]
        exponentials = [math.exp(own @ row / temperature) for row in others]
        p_own, p_partner = (exponentials[j] / sum(exponentials) for j in (i, partner))
        if form == "log_of_mean":
            losses.append(-math.log(lam * p_own + (1 - lam) * p_partner))
        else:
            losses.append(-lam * math.log(p_own) - (1 - lam) * math.log(p_partner))
    return losses


READINGS = list(
    itertools.product(
        ("log_of_mean", "mean_of_logs"), ("original", "mixed"), ("holds_anchor", "printed"), ("mean", "sum")
    )
)


@pytest.mark.parametrize(("form", "anchor", "positive", "reduction"), READINGS)
def test_eq9_every_reading_is_what_it_says(form, anchor, positive, reduction):
    q, q_mix = rows(), rows(seed=1)
    for perm, temperature in ((CYCLE, 0.2), ([0, 2, 1, 4, 3], 0.06), ([0, 1, 2, 3, 4], 1.0)):
        losses = reference(q, q_mix, perm, 0.3, form=form, anchor=anchor, positive=positive, temperature=temperature)
        expected = sum(losses) / (len(losses) if reduction == "mean" else 1)
        loss = patch_mix_info_nce(
            q,
            q_mix,
            mix_of(perm, 0.3),
            temperature=temperature,
            form=form,
            anchor=anchor,
            positive=positive,
            reduction=reduction,
        )
        assert loss.item() == pytest.approx(expected)


def test_eq9_two_by_two_by_hand():
    """q = e1, e2; mixed rows e1, e1: all similarities of q_1 are 1, all of q_2 are 0, so every p is 1/2."""
    q = torch.eye(2, dtype=F64)
    for form in ("log_of_mean", "mean_of_logs"):
        loss = patch_mix_info_nce(q, q[[0, 0]], mix_of([1, 0], 0.3), form=form)
        assert loss.item() == pytest.approx(math.log(2))
    # q against itself at τ = 1: p_own = e / (e + 1), p_partner = 1 / (e + 1).
    own, partner = math.e / (math.e + 1), 1 / (math.e + 1)
    loss = patch_mix_info_nce(q, q, mix_of([1, 0], 0.3), temperature=1.0)
    assert loss.item() == pytest.approx(-math.log(0.3 * own + 0.7 * partner))
    loss = patch_mix_info_nce(q, q, mix_of([1, 0], 0.3), temperature=1.0, form="mean_of_logs", reduction="sum")
    assert loss.item() == pytest.approx(-2 * (0.3 * math.log(own) + 0.7 * math.log(partner)))


@pytest.mark.parametrize("form", ["log_of_mean", "mean_of_logs"])
@pytest.mark.parametrize(("lam", "perm"), [(1.0, CYCLE), (0.3, [0, 1, 2, 3, 4])])
def test_eq9_is_plain_info_nce_at_lambda_one_and_where_all_are_their_own_partner(form, lam, perm):
    q, q_mix = rows().requires_grad_(), rows(seed=1)
    expected = F.cross_entropy(q @ q_mix.mT / 0.2, torch.arange(5))
    loss = patch_mix_info_nce(q, q_mix, mix_of(perm, lam), form=form)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, q), torch.autograd.grad(expected, q))


@pytest.mark.parametrize("form", ["log_of_mean", "mean_of_logs"])
@pytest.mark.parametrize("anchor", ["original", "mixed"])
def test_eq9_of_independent_directions_is_the_logarithm_of_the_batch(form, anchor):
    """Similarities are about N(0, 1/768), so the loss is about log B + σ²/2 with σ² = 1 / (768 τ²): 2.79 at B = 16."""
    size, width, variance = 16, 768, 1 / (768 * 0.2**2)
    perm = [*range(1, size), 0]
    losses = [
        patch_mix_info_nce(
            rows(size, width, seed=2 * seed),
            rows(size, width, seed=2 * seed + 1),
            mix_of(perm, 0.4),
            form=form,
            anchor=anchor,
        ).item()
        for seed in range(20)
    ]
    assert losses == pytest.approx([math.log(size) + variance / 2] * 20, abs=0.3)  # of one batch
    assert sum(losses) / 20 == pytest.approx(math.log(size) + variance / 2, abs=0.1)


def test_eq9_at_lambda_zero_the_partner_alone_counts():
    q, q_mix = rows().requires_grad_(), rows(seed=1)
    loss = patch_mix_info_nce(q, q_mix, mix_of(CYCLE, 0.0))
    expected = F.cross_entropy(q @ q_mix.mT / 0.2, torch.tensor([4, 0, 1, 2, 3]))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, q), torch.autograd.grad(expected, q))


def test_eq9_the_log_of_the_sum_is_the_smaller_loss():
    for seed, lam in itertools.product(range(5), (0.1, 0.5, 0.9)):
        q, q_mix, mix = rows(seed=seed), rows(seed=seed + 10), mix_of(CYCLE, lam)
        smaller, larger = (patch_mix_info_nce(q, q_mix, mix, form=f) for f in ("log_of_mean", "mean_of_logs"))
        assert smaller < larger


def test_eq9_a_partner_that_holds_the_anchor_is_easier_to_find_than_the_printed_one():
    """Mixed row i is 0.4 x_i + 0.6 x_π(i): the positive is where x_i is."""
    q, perm, lam = torch.eye(5, dtype=F64), torch.tensor(CYCLE), 0.4
    q_mix = F.normalize(lam * q + (1 - lam) * q[perm], dim=-1)
    holds, printed = (
        patch_mix_info_nce(q, q_mix, mix_of(CYCLE, lam), positive=positive) for positive in ("holds_anchor", "printed")
    )
    assert holds < printed
    swap = [1, 0, 3, 2]  # its own inverse: the two agree
    losses = [
        patch_mix_info_nce(rows(4), rows(4, seed=1), mix_of(swap, lam), positive=positive)
        for positive in ("holds_anchor", "printed")
    ]
    assert torch.equal(*losses)


def test_eq9_gradients_and_extremes_are_sound():
    q, q_mix = rows().requires_grad_(), rows(seed=1).requires_grad_()
    for form, anchor in itertools.product(("log_of_mean", "mean_of_logs"), ("original", "mixed")):
        assert torch.autograd.gradcheck(
            lambda a, b, form=form, anchor=anchor: patch_mix_info_nce(
                a, b, mix_of(CYCLE, 0.3), form=form, anchor=anchor
            ),
            (q, q_mix),
        )
    cold = patch_mix_info_nce(q.float(), -q.float(), mix_of(CYCLE, 0.3), temperature=1e-3)
    assert torch.isfinite(cold)
    assert torch.isfinite(torch.autograd.grad(cold, q)[0]).all()


def test_eq9_lambda_as_drawn():
    q, q_mix = rows(), rows(seed=1)
    drawn = patch_mix_info_nce(q, q_mix, mix_of(CYCLE, 0.4, lam_drawn=0.35), lam="drawn")
    assert torch.equal(drawn, patch_mix_info_nce(q, q_mix, mix_of(CYCLE, 0.35)))
    assert not torch.equal(drawn, patch_mix_info_nce(q, q_mix, mix_of(CYCLE, 0.4)))


def test_eq10_is_the_sum_of_its_parts():
    parts = {
        "ce": torch.tensor(1.0, requires_grad=True),
        "time": torch.tensor(2.0),
        "freq": torch.tensor(4.0),
    }
    total = total_loss(parts)
    total.backward()
    assert total.item() == 7
    assert parts["ce"].grad.item() == 1
    assert total_loss(parts, {"time": 0.5, "freq": 0.0}).item() == 2


def test_wrong_arguments_say_what_is_wrong():
    q, mix = rows(), mix_of(CYCLE, 0.3)
    choices = {
        "form": "'log_of_mean', 'mean_of_logs'",
        "anchor": "'original', 'mixed'",
        "positive": "'holds_anchor', 'printed'",
        "reduction": "'mean', 'sum'",
        "lam": "'true', 'drawn'",
    }
    for name, allowed in choices.items():
        with pytest.raises(ConfigError, match=f"patch_mix_info_nce: {name}: 'wrong'; one of {allowed}"):
            patch_mix_info_nce(q, q, mix, **{name: "wrong"})
    for name, allowed in {"stop": "'mixed', 'original'", "project_on": "'both', 'mixed'"}.items():
        with pytest.raises(ConfigError, match=f"project_pair: {name}: 'none'; one of {allowed}"):
            project_pair(head(), q, q, **{name: "none"})
    for temperature in (0.0, -0.2, math.nan):
        with pytest.raises(ConfigError, match=r"temperature: .*; greater than 0; the paper takes 0.2"):
            patch_mix_info_nce(q, q, mix, temperature=temperature)
    with pytest.raises(ShapeError, match=r"q_mix: float64 \(4, 4\); needs Float \(B, P\), beside q float64 \(5, 4\)"):
        patch_mix_info_nce(q, q[:4], mix)
    with pytest.raises(ShapeError, match="mix: a batch of 5; q has 4 rows"):
        patch_mix_info_nce(q[:4], q[:4], mix)
    with pytest.raises(ShapeError, match=r"mixed rows \(5, 3\); the original rows are \(5, 4\)"):
        project_pair(head(3), q, q, project_on="mixed")
    with pytest.raises(ShapeError, match=r"mixed rows \(4, 4\); the original rows are \(5, 4\)"):
        project_pair(head(), q, q, q[:4])
    with pytest.raises(ConfigError, match="weights: 'tme'; must name a part; did you mean 'time'"):
        total_loss({"time": torch.tensor(1.0)}, {"tme": 1.0})
    with pytest.raises(ConfigError, match="total_loss: parts: none"):
        total_loss({})
