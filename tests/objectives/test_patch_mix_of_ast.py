"""Patch-Mix as published for AST: the options that make it, against a slow form of its own formula."""

import math

import by_hand
import pytest
import torch

from lung_srad.method import draw_mix, patch_mix_info_nce
from lung_srad.objectives import PatchMix

PUBLISHED = {
    "axes": ["random"],
    "temperature": 0.06,
    "stop_gradient": "original",
    "project_on": "mixed",
    "train_projector": True,
    "form": "mean_of_logs",
    "anchor": "mixed",
    "positive": "holds_anchor",
    "reduction": "mean",
    "lam": "true",
}


def slow(net, objective, batch, step):
    """L = CE(f) - mean_i [λ log softmax_j(s)_ii + (1 - λ) log softmax_j(s)_iπ(i)], s_ij = q̃_i·t_j / τ."""
    backbone = net.backbone
    grid = backbone.embed(batch.features)
    mix = draw_mix("random", grid.shape, 1.0, step.shared, perm_generator=step.own[0])
    mixed, lam = by_hand.mixed_cells(grid, mix)
    features, mixed = backbone.encode(grid), backbone.encode(mixed)
    target = by_hand.unit(features.detach())
    query = by_hand.unit(by_hand.projected(objective.projector, mixed))
    losses = []
    for i, other in enumerate(mix.perm.tolist()):
        odds = [((query[i] * row).sum() / 0.06).exp() for row in target]
        p = [each / sum(odds) for each in odds]
        losses.append(-(lam * p[i].log() + (1 - lam) * p[other].log()))
    ce, contrast = by_hand.cross_entropy(net.head(features), batch.label), sum(losses) / len(losses)
    return {"ce": ce, "mix_random": contrast, "total": ce + contrast}


def test_losses_and_gradients_are_those_of_the_published_formula(agree):
    agree(PatchMix, slow, **PUBLISHED)


def test_both_targets_of_two_samples_by_hand():
    """q̃ = t = e_1, e_2 and π the swap: every row has log p = 1/τ - log(e^(1/τ) + 1) and -log(e^(1/τ) + 1)."""
    mix = draw_mix("random", (2, 1, 4, 4), 1.0, torch.Generator().manual_seed(0))
    mix = type(mix)(mix.positions, torch.tensor([1, 0]), lam=0.25, lam_drawn=0.2)
    options = {key: PUBLISHED[key] for key in ("temperature", "form", "anchor", "positive", "reduction", "lam")}
    loss = patch_mix_info_nce(torch.eye(2), torch.eye(2), mix, **options)
    assert loss.item() == pytest.approx(math.log(math.exp(1 / 0.06) + 1) - 0.25 / 0.06, rel=1e-6)


def test_random_directions_give_the_logarithm_of_the_batch():
    """Similarities are about N(0, 1/768): the targets' is zero on average, and log Σ_j e^(s_j / τ) about
    log B + σ²/2 - (e^σ² - 1) / 2B with σ² = 1 / (768 τ²): 2.94 at B = 16, τ = 0.06.
    """
    draw, size, variance = torch.Generator().manual_seed(0), 16, 1 / (768 * 0.06**2)
    expected = math.log(size) + variance / 2 - (math.exp(variance) - 1) / (2 * size)
    assert expected == pytest.approx(2.94, abs=0.01)
    options = {key: PUBLISHED[key] for key in ("temperature", "form", "anchor", "positive", "reduction", "lam")}
    losses = []
    for _ in range(50):
        rows = torch.nn.functional.normalize(torch.randn(2, size, 768, generator=draw), dim=2)
        losses.append(patch_mix_info_nce(*rows, draw_mix("random", (size, 1, 12, 79), 1.0, draw), **options))
    assert torch.stack(losses).mean().item() == pytest.approx(expected, abs=0.1)
