"""What every registered objective keeps to."""

import dataclasses
import inspect
import math
from typing import get_type_hints

import pytest
import torch

from lung_srad.config import READINGS
from lung_srad.errors import ShapeError
from lung_srad.models import Classifier
from lung_srad.objectives import OBJECTIVES, Facts

NEEDED = {"axes": ["time", "freq"]} | {
    key.removeprefix("objective."): value for key, value in READINGS["paper"].items() if key.startswith("objective.")
}
ONES = {"lambda_pcsl": 1.0, "lambda_gpal": 1.0}  # so that a total is the sum of its parts
COUNTS = (3, 2, 1)
DEVICES = 3


@pytest.fixture(params=OBJECTIVES)
def make(request):
    """Returns a function that builds an objective for a width, with the options it cannot do without."""
    kind = OBJECTIVES[request.param]
    parameters = inspect.signature(kind).parameters.values()
    options = {p.name: NEEDED[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty}
    options |= {p.name: ONES[p.name] for p in parameters if p.name in ONES}

    def build(width, counts=COUNTS, **more):
        torch.manual_seed(7)
        return kind(Facts(width, counts, DEVICES), **options | more).train()

    build.kind, build.name = kind, request.param
    return build


def test_the_constructor_is_the_schema_of_a_preset(make):
    first, *options = inspect.signature(make.kind).parameters.values()
    assert first.name == "facts"
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


def test_losses_are_not_rounded_under_bf16(make, transformer, batch, step):
    objective, kinds = make(transformer.backbone.width), set()
    for module in objective.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda module, inputs, output: kinds.add(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        losses = objective(transformer, batch, step())
    assert kinds <= {torch.float32}
    assert {value.dtype for value in (losses.total, losses.logits, *losses.parts.values())} == {torch.float32}
    losses.total.backward()


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


def test_class_weights_are_one_over_the_counts_and_their_scale_does_not_matter(make, net, batch, step):
    if make.name == "patch_mix_ce":
        pytest.skip("its labels are mixed: test_patch_mix_ce.py")
    plain = make(net.backbone.width)(net, batch, step())
    objective = make(net.backbone.width, class_weights=True)
    losses = -plain.logits.log_softmax(1).gather(1, batch.label[:, None]).squeeze(1)
    weights = torch.tensor([1 / COUNTS[label] for label in batch.label])
    expected = (weights * losses).sum() / weights.sum()
    torch.testing.assert_close(plain.parts["ce"], losses.mean())
    torch.testing.assert_close(objective(net, batch, step()).parts["ce"], expected)
    objective.class_loss.weights *= 10
    torch.testing.assert_close(objective(net, batch, step()).parts["ce"], expected)


def test_class_weights_sum_to_one(make):
    icbhi = (2063, 1215, 501, 363)
    total = sum(1 / count for count in icbhi)
    weights = make(4, icbhi, class_weights=True).class_loss.weights.tolist()
    assert weights == pytest.approx([1 / count / total for count in icbhi])
    assert sum(weights) == pytest.approx(1)


def test_a_class_without_cycles_weighs_nothing(make):
    assert make(4, (3, 0, 1)).class_loss.weights is None
    assert make(4, (3, 0, 1), class_weights=True).class_loss.weights.tolist() == pytest.approx([0.25, 0, 0.75])


def test_a_new_network_knows_nothing(make, net, batch, step):
    """So its answers are about uniform: over four classes the cross-entropy is near ln 4."""
    torch.manual_seed(2)
    four = Classifier(net.backbone, 4).train()
    losses = make(net.backbone.width, (3, 2, 1, 1))(four, batch, step())
    assert losses.parts["ce"].item() == pytest.approx(math.log(4), abs=0.15)


def test_a_batch_of_one_is_a_loss_or_an_error_that_says_what_to_do(make, net, batch, step):
    """Batch norm cannot take it; everything else can."""
    one = dataclasses.replace(batch, **{k: getattr(batch, k)[:1] for k in ("features", "label", "device", "patient")})
    one = dataclasses.replace(one, second=batch.second[:1])
    objective = make(net.backbone.width)
    if any(isinstance(module, torch.nn.BatchNorm1d) for module in objective.modules()):
        with pytest.raises(ShapeError, match=r"projector: a batch of 1 in training; two or more.*raise training.batch"):
            objective(net, one, step())
    else:
        assert objective(net, one, step()).total.isfinite()


def test_the_network_alone_is_what_is_used_at_test(make, net, batch, step):
    """What an objective owns, heads of devices too, is no part of the model."""
    objective = make(net.backbone.width)
    assert not {id(p) for p in objective.parameters()} & {id(p) for p in net.parameters()}
    assert not [name for name in net.state_dict() if "domain" in name or "projector" in name]


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
    rest = torch.cat([ids[:0], *seen[1:]])  # further passes, mixed or of the second view
    assert torch.equal(rest, ids.repeat(len(rest) // len(ids), 1))
