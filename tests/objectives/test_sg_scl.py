"""Contrast guided by the stethoscope: the formula, its corner cases, and what the second view may do."""

import math
from dataclasses import replace

import by_hand
import pytest
import torch

from lung_srad.errors import ConfigError, ShapeError
from lung_srad.objectives import Facts, StethoscopeContrast
from lung_srad.objectives.sg_scl import supervised_contrast


def contrast(rows, group, temperature):
    """mean_i -1/|P(i)| Σ_p log(e^(z_i·z_p/τ) / Σ_{a≠i} e^(z_i·z_a/τ)), one anchor and one other at a time."""
    losses = []
    for i, anchor in enumerate(rows):
        odds = {a: ((anchor * row).sum() / temperature).exp() for a, row in enumerate(rows) if a != i}
        logs = [(odds[a] / sum(odds.values())).log() for a in odds if group[a] == group[i]]
        losses.append(-sum(logs) / len(logs) if logs else rows[0, 0] * 0)
    return sum(losses) / len(losses)


def slow(net, objective, batch, step):
    """L = CE(f(v1)) + SupCon of z1 = h(f(v1)) and z2 = h(f(v2)), which is a constant, over the devices."""
    first, second = net.backbone(batch.features), net.backbone(batch.second)
    z1 = by_hand.projected(objective.projector, first)
    z2 = by_hand.projected(objective.projector, second).detach()
    device = batch.device.tolist()
    scl = contrast(by_hand.unit(torch.cat((z1, z2))), device + device, 0.06)
    ce = by_hand.cross_entropy(net.head(first), batch.label)
    return {"ce": ce, "scl": scl, "total": ce + 0.5 * scl}


def test_losses_and_gradients_are_those_of_the_formula(agree):
    agree(StethoscopeContrast, slow, weight=0.5)


@pytest.mark.parametrize("group", [[0, 1, 1, 0, 2, 0], [0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5]])
def test_the_contrast_is_that_of_loops(group):
    rows = by_hand.unit(torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    rows.requires_grad_()
    found = supervised_contrast(rows, torch.tensor(group), 0.3)
    expected = contrast(rows, group, 0.3)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    grads = (torch.autograd.grad(loss, rows)[0] for loss in (found, expected))
    torch.testing.assert_close(*grads, rtol=1e-9, atol=1e-9)


def test_two_groups_of_two_by_hand():
    """Rows e_1, e_1, e_2, e_2 and τ = 1: the partner has e / (e + 2)."""
    rows = torch.eye(2).repeat_interleave(2, dim=0)
    loss = supervised_contrast(rows, torch.tensor([0, 0, 1, 1]), 1.0)
    assert loss.item() == pytest.approx(math.log(math.e + 2) - 1)


def test_of_one_device_every_pair_is_positive():
    """Orthogonal rows: each of the others has 1/(N - 1), whatever the temperature."""
    loss = supervised_contrast(torch.eye(5), torch.zeros(5), 0.06)
    assert loss.item() == pytest.approx(math.log(4))


def test_an_anchor_that_is_alone_counts_as_zero():
    alone = torch.eye(3, requires_grad=True)
    assert supervised_contrast(alone, torch.arange(3), 0.06) == 0
    pair = supervised_contrast(alone, torch.tensor([0, 0, 1]), 0.06)
    assert pair.item() == pytest.approx(2 / 3 * math.log(2))
    pair.backward()
    assert alone.grad.isfinite().all()


def test_random_directions_give_the_logarithm_of_the_others():
    """2B = 32 independent unit rows: a positive's similarity is zero on average, and log Σ_{a≠i} e^(s_a/τ) about
    log 31 + σ²/2 - (e^σ² - 1) / 62 with σ² = 1 / (768 τ²), so 3.61 at τ = 0.06.
    """
    draw, variance = torch.Generator().manual_seed(0), 1 / (768 * 0.06**2)
    expected = math.log(31) + variance / 2 - (math.exp(variance) - 1) / 62
    assert expected == pytest.approx(3.61, abs=0.01)
    losses = []
    for _ in range(50):
        rows = torch.nn.functional.normalize(torch.randn(32, 768, generator=draw), dim=1)
        group = torch.randint(4, (16,), generator=draw).repeat(2)
        losses.append(supervised_contrast(rows, group, 0.06))
    assert torch.stack(losses).mean().item() == pytest.approx(expected, abs=0.1)


# --- the second view


def test_each_way_of_making_views_asks_for_its_own():
    facts = Facts(4, (1, 1))
    assert StethoscopeContrast(facts, views="published").second_view == "first"
    assert StethoscopeContrast(facts, views="corrected").second_view == "clean"


def test_nothing_is_learnt_through_the_second_view(net, batch, step):
    objective = StethoscopeContrast(Facts(net.backbone.width, (3, 2, 1)))
    second = batch.second.clone().requires_grad_()
    losses = objective(net, replace(batch, second=second), step())
    losses.total.backward()
    assert second.grad is None
    other = objective(net, replace(batch, second=batch.second + 1), step())
    assert torch.equal(losses.parts["ce"], other.parts["ce"])
    assert not torch.equal(losses.parts["scl"], other.parts["scl"])


def test_the_projector_is_called_once_per_view(net, batch, step):
    objective, rows = StethoscopeContrast(Facts(net.backbone.width, (3, 2, 1))), []
    objective.projector.register_forward_hook(lambda module, inputs, output: rows.append(len(inputs[0])))
    objective(net, batch, step())
    assert rows == [6, 6]


def test_a_batch_of_one_device_trains(net, batch, step):
    objective = StethoscopeContrast(Facts(net.backbone.width, (3, 2, 1)))
    losses = objective(net, replace(batch, device=torch.zeros(6, dtype=torch.long)), step())
    losses.total.backward()
    assert losses.total.isfinite()
    assert objective.projector[0].weight.grad.abs().max() > 0


def test_a_batch_without_a_second_view_is_refused(net, batch, step):
    objective = StethoscopeContrast(Facts(net.backbone.width, (3, 2, 1)))
    with pytest.raises(ShapeError, match=r"sg_scl: a batch without a second view; .*give CycleDataset"):
        objective(net, replace(batch, second=None), step())


def test_a_temperature_that_cannot_be_is_refused_at_once():
    with pytest.raises(ConfigError, match=r"objective.temperature: 0.0; greater than 0; .*0.06"):
        StethoscopeContrast(Facts(4, (1, 1)), temperature=0.0)
