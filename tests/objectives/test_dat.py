"""Domain-adversarial training: which way gradients go, and how strongly."""

import math

import by_hand
import pytest
import torch

from lung_srad.errors import ConfigError
from lung_srad.objectives import DomainAdversarial, Facts
from lung_srad.objectives.dat import reverse_gradient


def slow_with(coefficient, weight):
    """Returns the slow form: (1 + c) f - c f, the first held constant, is f with a gradient times -c."""

    def slow(net, objective, batch, step):
        features = net.backbone(batch.features)
        turned = (1 + coefficient) * features.detach() - coefficient * features
        norm, linear = objective.domain
        answers = []
        for row in turned:
            mean = row.mean()
            normed = (row - mean) / (((row - mean) ** 2).mean() + 1e-5).sqrt() * norm.weight + norm.bias
            answers.append(linear.weight @ normed + linear.bias)
        device = by_hand.cross_entropy(torch.stack(answers), batch.device)
        ce = by_hand.cross_entropy(net.head(features), batch.label)
        return {"ce": ce, "device": device, "total": ce + weight * device}

    return slow


def test_losses_and_gradients_are_those_of_the_formula(agree):
    agree(DomainAdversarial, slow_with(1.0, 1.0))
    agree(DomainAdversarial, slow_with(0.3, 0.5), coefficient=0.3, weight=0.5)


def test_the_corrected_ramp_follows_the_training(agree):
    half = 2 / (1 + math.exp(-1)) - 1  # a tenth of the training lies behind
    agree(DomainAdversarial, slow_with(half, 1.0), ramp="corrected", progress=0.1)


def test_the_ramp_by_hand():
    published, corrected = (DomainAdversarial(Facts(4, (1, 1), 2), ramp=ramp) for ramp in ("published", "corrected"))
    assert [published.strength(p) for p in (0.0, 0.5, 1.0)] == [1, 1, 1]
    found = [corrected.strength(p) for p in (0.0, 0.1, 0.5, 1.0)]
    assert found == pytest.approx([0, math.tanh(0.5), math.tanh(2.5), math.tanh(5)])
    assert DomainAdversarial(Facts(4, (1, 1), 2), ramp="corrected", coefficient=0.2).strength(1.0) < 0.2


def test_a_reversed_gradient_by_hand():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, 0.25)
    assert torch.equal(y, x)
    (y**2).sum().backward()
    assert x.grad.tolist() == [-0.5, 1.0]


def test_a_step_confuses_the_device_and_learns_the_class(net, batch, step):
    """Down the gradient of the total, the device's loss rises with the backbone and falls with its own head."""
    objective = DomainAdversarial(Facts(net.backbone.width, (3, 2, 1), 3))
    losses = objective(net, batch, step())
    parameter = net.backbone.patch_embed[0].weight
    (total,) = torch.autograd.grad(losses.total, parameter, retain_graph=True)
    (ce,) = torch.autograd.grad(losses.parts["ce"], parameter, retain_graph=True)
    (device,) = torch.autograd.grad(losses.parts["device"], parameter)  # comes back reversed
    torch.testing.assert_close(total, ce + device)
    before = losses.parts["device"].item()
    with torch.no_grad():
        parameter -= 0.05 * device / device.norm()
    assert objective(net, batch, step()).parts["device"].item() > before


def test_it_has_an_answer_for_every_device():
    sizes = [tuple(p.shape) for p in DomainAdversarial(Facts(768, (1, 1), 4)).domain.parameters()]
    assert sizes == [(768,), (768,), (4, 768), (4,)]


def test_one_device_cannot_be_told_apart():
    with pytest.raises(ConfigError, match=r"dat: 1 device among the training cycles; two or more.*another objective"):
        DomainAdversarial(Facts(4, (1, 1), 1))
