"""What every registered objective keeps to."""

import dataclasses
import inspect
from typing import get_type_hints

import pytest
import torch

from lung_srad.config import READINGS
from lung_srad.objectives import OBJECTIVES

NEEDED = {"axes": ["time", "freq"]} | {
    key.removeprefix("objective."): value for key, value in READINGS["paper"].items() if key.startswith("objective.")
}
COUNTS = (3, 2, 1)


@pytest.fixture(params=OBJECTIVES)
def make(request):
    """Returns a function that builds an objective for a width, with the options it cannot do without."""
    kind = OBJECTIVES[request.param]
    parameters = inspect.signature(kind).parameters.values()
    options = {p.name: NEEDED[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty}

    def build(width, **more):
        torch.manual_seed(7)
        return kind(width, COUNTS, **options | more).train()

    build.kind = kind
    return build


def test_the_constructor_is_the_schema_of_a_preset(make):
    first, second, *options = inspect.signature(make.kind).parameters.values()
    assert (first.name, second.name) == ("width", "class_counts")
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in options)
    assert {parameter.name for parameter in options} <= set(get_type_hints(make.kind.__init__))


def test_losses_are_finite_and_named(make, net, batch, step):
    losses = make(net.backbone.width)(net, batch, step())
    assert losses.total.shape == ()
    assert losses.total.isfinite()
    assert "ce" in losses.parts
    assert all(part.shape == () and part.isfinite() for part in losses.parts.values())
    assert losses.logits.shape == (len(batch.label), net.num_classes)
    torch.testing.assert_close(losses.total, sum(losses.parts.values()))


def test_everything_that_is_trained_gets_a_gradient(make, net, batch, step):
    objective = make(net.backbone.width)
    objective(net, batch, step()).total.backward()
    trained = [*net.named_parameters(), *objective.named_parameters()]
    without = [name for name, parameter in trained if parameter.requires_grad and parameter.grad is None]
    assert without == []


def test_every_draw_comes_from_the_step(make, net, batch, step):
    objective = make(net.backbone.width)
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one = objective(net, batch, step()).total
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    assert torch.equal(objective(net, batch, step()).total, one)
    assert not torch.equal(objective(net, batch, step(9)).total, one)


def test_what_it_keeps_survives_a_round_trip(make, net, batch, step):
    objective = make(net.backbone.width)
    objective(net, batch, step())
    other = make(net.backbone.width)
    other.load_state_dict(objective.state_dict())
    assert torch.equal(objective(net, batch, step()).total, other(net, batch, step()).total)


def test_class_weights_are_one_over_the_counts(make, net, batch, step):
    plain = make(net.backbone.width)(net, batch, step())
    weighted = make(net.backbone.width, class_weights=True)(net, batch, step())
    losses = -plain.logits.log_softmax(1).gather(1, batch.label[:, None]).squeeze(1)
    weights = torch.tensor([1 / COUNTS[label] for label in batch.label])
    torch.testing.assert_close(plain.parts["ce"], losses.mean())
    torch.testing.assert_close(weighted.parts["ce"], (weights * losses).sum() / weights.sum())


def test_a_class_without_cycles_weighs_nothing(make, net, batch, step):
    objective = make.kind(net.backbone.width, (3, 0, 1), **NEEDED if make.kind is OBJECTIVES["patch_mix"] else {})
    assert objective.class_loss.weights is None
    weighted = OBJECTIVES["cross_entropy"](4, (3, 0, 1), class_weights=True)
    assert weighted.class_loss.weights.tolist() == pytest.approx([0.25, 0, 0.75])


def test_side_input_reaches_every_pass_of_the_backbone(make, net, batch, step):
    ids = torch.arange(len(batch.label)).unsqueeze(1)
    plain, seen = net.backbone.tokens, []

    def tokens(grid, side=None):
        assert side is not None
        seen.append(side["text_ids"])
        return plain(grid) * (1 + side["text_ids"].unsqueeze(2) / 10)

    net.backbone.tokens = tokens
    with_text = dataclasses.replace(batch, text_ids=ids)
    losses = make(net.backbone.width)(net, with_text, step())
    assert losses.total.isfinite()
    assert torch.equal(seen[0], ids)
    rest = torch.cat([ids[:0], *seen[1:]])  # the mixed passes: once more per axis
    assert torch.equal(rest, ids.repeat(len(rest) // len(ids), 1))
