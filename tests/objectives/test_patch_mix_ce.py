"""Patch-Mix with mixed labels: the loss of its formula, on the mixed pass alone."""

import math

import by_hand
import pytest
import torch
from torch import nn

from lung_srad.errors import ConfigError
from lung_srad.method import draw_mix
from lung_srad.objectives import Facts, PatchMixCrossEntropy, Step


def slow(net, objective, batch, step):
    """L = λ CE(ŷ, y_i) + (1 - λ) CE(ŷ, y_π(i)), with ŷ the answer to the mixed sample."""
    grid = net.backbone.embed(batch.features)
    mix = draw_mix("random", grid.shape, 1.0, step.shared, perm_generator=step.own[0])
    mixed, lam = by_hand.mixed_cells(grid, mix)
    logits = net.head(net.backbone.encode(mixed))
    other = torch.tensor([batch.label[j] for j in mix.perm.tolist()])
    loss = lam * by_hand.cross_entropy(logits, batch.label) + (1 - lam) * by_hand.cross_entropy(logits, other)
    return {"ce": loss, "total": loss}


def test_losses_and_gradients_are_those_of_the_formula(agree):
    agree(PatchMixCrossEntropy, slow)


@pytest.fixture
def by_rule(net, batch, monkeypatch):
    """Returns a function: the loss of two samples with known answers, and λ, for given options."""
    p = torch.tensor([[1 / 2, 1 / 4, 1 / 4], [1 / 4, 1 / 2, 1 / 4]])  # class 0, class 1
    net.head = nn.Identity()
    monkeypatch.setattr(net.backbone, "encode", lambda grid, side: p.log())
    two = type(batch)(batch.features[:2], torch.tensor([0, 2]), batch.device[:2], batch.patient[:2], ("a", "b"))
    swap = next(seed for seed in range(9) if torch.randperm(2, generator=torch.Generator().manual_seed(seed))[0])

    def loss(**options):
        objective = PatchMixCrossEntropy(Facts(3, (1, 1, 1)), **options)
        step = Step(torch.Generator().manual_seed(5), (torch.Generator().manual_seed(swap),))
        size = net.backbone.embed(two.features).shape
        mix = draw_mix(objective.axis, size, 1.0, torch.Generator().manual_seed(5))
        return objective(net, two, step).total.item(), mix

    return loss


@pytest.mark.parametrize("options", [{}, {"axis": "time"}, {"axis": "freq"}, {"lam": "drawn"}])
def test_two_swapped_samples_by_hand(by_rule, options):
    """Labels 0, 2: own -log(1/2), -log(1/4); of the other 2, 0: -log(1/4), -log(1/4)."""
    found, mix = by_rule(**options)
    lam = mix.lam_drawn if options.get("lam") == "drawn" else mix.lam
    assert 0.05 < lam < 0.95
    own, other = (math.log(2) + math.log(4)) / 2, math.log(4)
    assert found == pytest.approx(lam * own + (1 - lam) * other, rel=1e-6)


def test_class_weights_are_those_of_own_and_of_mixed_labels(net, batch, step):
    objective = PatchMixCrossEntropy(Facts(net.backbone.width, (3, 2, 1)), class_weights=True)
    found, again = objective(net, batch, step()), step()
    size = net.backbone.embed(batch.features).shape
    mix = draw_mix("random", size, 1.0, again.shared, perm_generator=again.own[0])
    weights = torch.tensor([2, 3, 6]) / 11
    parts = []
    for label in (batch.label, batch.label[mix.perm]):
        losses = -found.logits.log_softmax(1).gather(1, label[:, None]).squeeze(1)
        parts.append((weights[label] * losses).sum() / weights[label].sum())
    torch.testing.assert_close(found.total, mix.lam * parts[0] + (1 - mix.lam) * parts[1])


def test_a_beta_that_cannot_be_is_refused_at_once():
    with pytest.raises(ConfigError, match=r"objective.beta: 0.0; greater than 0; the published system takes 1"):
        PatchMixCrossEntropy(Facts(4, (1, 1)), beta=0.0)
