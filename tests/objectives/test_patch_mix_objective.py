"""Patch-Mix as an objective: against a slow reference, and where gradients may go."""

import math

import pytest
import torch
from torch import nn

from lung_srad.config import READINGS
from lung_srad.errors import ConfigError, ShapeError
from lung_srad.method import draw_mix
from lung_srad.models import Backbone, Classifier, draw_depth, drawn_depth
from lung_srad.objectives import Facts, PatchMix

PAPER, CODE = (
    {key.removeprefix("objective."): value for key, value in READINGS[name].items() if key.startswith("objective.")}
    for name in ("paper", "code")
)
OTHERS = {"positive": "printed", "reduction": "sum", "lam": "drawn"}
ROWS = {
    "paper": PAPER,
    "code": CODE,
    **{f"paper, {key}": PAPER | {key: value} for key, value in CODE.items() if PAPER[key] != value},
    **{f"paper, {key} {value}": PAPER | {key: value} for key, value in OTHERS.items()},
    **{f"code, {key} {value}": CODE | {key: value} for key, value in OTHERS.items()},
}
COUNTS = (3, 2, 1)


def build(net, **options):
    torch.manual_seed(5)
    return PatchMix(Facts(net.backbone.width, COUNTS), **{"axes": ["time", "freq"], **PAPER, **options}).train()


def mixed_by_hand(grid, mix, kind):
    """Cell by cell: where the band is, sample i holds sample π(i)."""
    out = grid.clone()
    for i, j in enumerate(mix.perm.tolist()):
        for h in range(grid.shape[2]):
            for w in range(grid.shape[3]):
                place = {"time": w, "freq": h}.get(kind)
                if kind == "random":
                    inside = h * grid.shape[3] + w in mix.positions.tolist()
                else:
                    inside = mix.start <= place < mix.start + mix.width
                if inside:
                    out[i, :, h, w] = grid[j, :, h, w]
    return out


def contrast_by_hand(q, q_mix, mix, options, temperature):
    """Eq. 9, one anchor and one candidate at a time."""
    size, perm = len(q), mix.perm.tolist()
    lam = mix.lam if options["lam"] == "true" else mix.lam_drawn
    losses = []
    for i in range(size):
        if options["anchor"] == "original":
            similar = [torch.dot(q[i], q_mix[k]) / temperature for k in range(size)]
            partner = perm[i] if options["positive"] == "printed" else perm.index(i)
        else:
            similar = [torch.dot(q[k], q_mix[i]) / temperature for k in range(size)]
            partner = perm[i]
        total = sum(value.exp() for value in similar)
        own, other = similar[i].exp() / total, similar[partner].exp() / total
        if options["form"] == "log_of_mean":
            losses.append(-(lam * own + (1 - lam) * other).log())
        else:
            losses.append(-(lam * own.log() + (1 - lam) * other.log()))
    return sum(losses) / (size if options["reduction"] == "mean" else 1)


def reference(net, projector, batch, step, axes, options, temperature):
    """The whole loss, each pass for itself, as the pages of the paper say it."""
    size = len(batch.label)
    grid = net.backbone.embed(batch.features)
    with drawn_depth(net.backbone, draw_depth(net.backbone, size, step.shared)):
        features = net.backbone.encode(grid)
    mixes = [draw_mix(axis, grid.shape, 1.0, step.shared, perm_generator=step.own[0]) for axis in axes]
    depths = [draw_depth(net.backbone, size, step.shared) for _ in axes]
    losses = {"ce": nn.functional.cross_entropy(net.head(features), batch.label)}

    def unit(rows):
        return rows / rows.norm(dim=1, keepdim=True)

    anchors = features.detach() if options["stop_gradient"] == "original" else features
    q = unit(projector(anchors) if options["project_on"] == "both" else anchors)
    for axis, mix, depth in zip(axes, mixes, depths, strict=True):
        with drawn_depth(net.backbone, depth):
            mixed = net.backbone.encode(mixed_by_hand(grid, mix, axis))
        mixed = mixed.detach() if options["stop_gradient"] == "mixed" else mixed
        losses[f"mix_{axis}"] = contrast_by_hand(q, unit(projector(mixed)), mix, options, temperature)
    return losses


def gradients(net, objective):
    named = [*net.named_parameters(), *objective.named_parameters()]
    found = {name: parameter.grad for name, parameter in named}
    net.zero_grad()
    objective.zero_grad()
    return found


@pytest.mark.parametrize("row", ROWS)
def test_losses_and_gradients_are_those_of_the_slow_reference(net, batch, step, row):
    objective = build(net, **ROWS[row], temperature=0.3, weight=0.7)
    losses = objective(net, batch, step())
    losses.total.backward()
    found = gradients(net, objective)
    expected = reference(net, objective.projector, batch, step(), ("time", "freq"), ROWS[row], 0.3)
    total = expected["ce"] + 0.7 * (expected["mix_time"] + expected["mix_freq"])
    total.backward()
    assert losses.parts.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses.parts[name], value, rtol=1e-5, atol=1e-6, msg=name)
    torch.testing.assert_close(losses.total, total)
    for name, value in gradients(net, objective).items():
        if value is None:
            assert found[name] is None, name
        else:
            size = value.abs().max().item()
            torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5 + 2e-3 * size)


def test_no_two_rows_give_the_same_loss_and_gradient(net, batch, step):
    """So each row of the table above is a switch that does something."""
    seen = {}
    for row, options in ROWS.items():
        objective = build(net, **options)
        losses = objective(net, batch, step())
        losses.total.backward()
        trained = objective.projector[0].weight.requires_grad
        seen[row] = (losses.total.item(), net.backbone.patch_embed[0].weight.grad.sum().item(), trained)
        net.zero_grad()
    same_for_mixed_anchors = {"code, positive printed"}
    kept = [value for row, value in seen.items() if row not in same_for_mixed_anchors]
    assert len(set(kept)) == len(kept)
    assert seen["code, positive printed"] == seen["code"]


def test_single_cells_are_those_of_the_slow_reference(net, batch, step):
    objective = build(net, axes=["random"])
    losses = objective(net, batch, step())
    expected = reference(net, objective.projector, batch, step(), ("random",), PAPER, 0.2)
    assert losses.parts.keys() == {"ce", "mix_random"}
    torch.testing.assert_close(losses.parts["mix_random"], expected["mix_random"], rtol=1e-5, atol=1e-6)


# --- where gradients may go


@pytest.fixture
def passes(net, monkeypatch):
    """Returns the list of feature vectors of every pass through the backbone, as they come."""
    seen, encode = [], net.backbone.encode
    monkeypatch.setattr(net.backbone, "encode", lambda grid, side: seen.append(encode(grid, side)) or seen[-1])
    return seen


def test_in_the_paper_the_mixed_passes_leave_no_graph(net, batch, step, passes):
    losses = build(net)(net, batch, step())
    clean, *mixed = passes
    assert sum(map(len, mixed)) == 2 * len(batch.label)  # both axes
    assert not any(part.requires_grad for part in mixed)
    (grad,) = torch.autograd.grad(losses.parts["mix_time"], clean, retain_graph=True)
    assert grad.abs().max() > 0


def test_in_the_code_the_clean_pass_gets_exactly_nothing(net, batch, step, passes):
    losses = build(net, **CODE)(net, batch, step())
    clean, mixed = passes
    contrast = losses.parts["mix_time"] + losses.parts["mix_freq"]
    to_clean, to_mixed = torch.autograd.grad(contrast, (clean, mixed), allow_unused=True)
    assert to_clean is None
    assert to_mixed.abs().max() > 0


def test_in_the_paper_the_mixed_samples_do_not_train_the_backbone(net, batch, step, monkeypatch):
    """The gradient stays what it is when the mixed features are put in as bare numbers."""
    objective = build(net)
    objective(net, batch, step()).total.backward()
    expected = gradients(net, objective)
    encode, calls = net.backbone.encode, []

    def bare(grid, side):
        calls.append(grid)
        features = encode(grid, side)
        return features if len(calls) == 1 else torch.tensor(features.tolist())

    monkeypatch.setattr(net.backbone, "encode", bare)
    objective(net, batch, step()).total.backward()
    for name, value in gradients(net, objective).items():
        assert torch.equal(value, expected[name]), name


# --- the projector


@pytest.mark.parametrize(("options", "branches"), [(PAPER, 3), (CODE, 2)])
def test_the_projector_is_called_once_per_branch(net, batch, step, options, branches):
    objective, rows = build(net, **options), []
    objective.projector.register_forward_hook(lambda module, inputs, output: rows.append(len(inputs[0])))
    objective(net, batch, step())
    assert rows == [len(batch.label)] * branches
    assert objective.projector[1].num_batches_tracked == branches


@pytest.mark.parametrize(("options", "trained"), [(PAPER, True), (CODE, False)])
def test_the_projector_is_trained_or_only_keeps_statistics(net, batch, step, options, trained):
    objective = build(net, **options)
    before = objective.projector[1].running_mean.clone()
    objective(net, batch, step()).total.backward()
    for parameter in objective.projector.parameters():
        assert parameter.requires_grad == trained
        assert (parameter.grad is not None) == trained
    assert not torch.equal(objective.projector[1].running_mean, before)


def test_the_projector_has_the_width_of_the_backbone(net):
    shapes = [tuple(parameter.shape) for parameter in build(net).projector.parameters()]
    width = net.backbone.width
    assert shapes == [(width, width), (width,), (width,), (width,), (width, width), (width,)]


def test_the_contrast_runs_in_float32_under_bf16(net, batch, step):
    objective, kinds = build(net), []
    objective.projector.register_forward_hook(lambda module, inputs, output: kinds.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        losses = objective(net, batch, step())
    assert kinds == [torch.float32] * 3
    assert losses.logits.dtype == torch.float32  # the head is not rounded either
    assert all(part.dtype == torch.float32 and part.isfinite() for part in losses.parts.values())


# --- what is refused


class Words(Backbone):
    """A token model without a grid: tokens come from side input."""

    def __init__(self):
        super().__init__()
        self.width, self.grid_axes, self.frontend = 4, None, nn.Identity()
        self.embedding = nn.Linear(1, 4)

    def embed(self, features):
        return features

    def tokens(self, grid, side=None):
        return self.embedding(grid.flatten(1)[:, :, None])

    def pool(self, tokens):
        return tokens.mean(1)


@pytest.mark.parametrize(("axis", "named"), [("time", "time"), ("freq", "frequency"), ("random", "time")])
def test_a_backbone_without_a_grid_is_refused(batch, step, axis, named):
    net = Classifier(Words(), 3)
    with pytest.raises(ShapeError, match=f"Words: mixing along {named}; has no grid; choose another"):
        build(net, axes=[axis])(net, batch, step())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"axes": []}, r"objective.axes: \[\]; one or more of time, freq, random"),
        ({"axes": ["time", "time"]}, r"objective.axes: .*each once"),
        ({"temperature": 0.0}, r"objective.temperature: 0.0; greater than 0; the paper takes 0.2"),
        ({"beta": -1.0}, r"objective.beta: -1.0; greater than 0"),
        ({"beta": math.nan}, r"objective.beta: nan"),
    ],
)
def test_values_that_cannot_work_are_refused_at_once(net, options, words):
    with pytest.raises(ConfigError, match=words):
        build(net, **options)
