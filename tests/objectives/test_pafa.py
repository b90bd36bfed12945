"""Alignment of patients: the two sums, the pooling, one pass."""

from dataclasses import replace

import by_hand
import pytest
import torch

from lung_srad.objectives import Facts, PatientAlignment
from lung_srad.objectives.pafa import patient_losses


def sums(z, patient):
    """W, Bt and GPAL, one cycle and one pair of patients at a time."""
    rows = {p: [row for row, q in zip(z, patient, strict=True) if q == p] for p in sorted(set(patient))}
    centroid = {p: sum(own) / len(own) for p, own in rows.items()}
    within = sum(((row - centroid[p]) ** 2).sum() for p, own in rows.items() for row in own)
    between = sum(((centroid[p] - centroid[q]) ** 2).sum() for p in rows for q in rows if p < q)
    middle = sum(centroid.values()) / len(centroid)
    return within, between, sum(((c - middle) ** 2).sum() for c in centroid.values()) / len(centroid)


def slow_with(pooling, pcsl, gpal):
    def slow(net, objective, batch, step):
        backbone = net.backbone
        tokens = backbone.tokens(backbone.embed(batch.features))
        pooled = []
        for own in tokens:
            if pooling == "mean":
                pooled.append((own[0] + own[1]) / 2)  # the two tokens in front: what the backbone pools
            else:
                odds = [(objective.attention.weight[0] @ t + objective.attention.bias[0]).exp() for t in own]
                pooled.append(sum(odd / sum(odds) * t for odd, t in zip(odds, own, strict=True)))
        first, norm, _, last = objective.projector
        z = []
        for row in pooled:
            hidden = first.weight @ row + first.bias
            spread = ((hidden - hidden.mean()) ** 2).mean()
            hidden = (hidden - hidden.mean()) / (spread + 1e-5).sqrt() * norm.weight + norm.bias
            z.append(last.weight @ hidden.clamp_min(0) + last.bias)
        within, between, apart = sums(z, batch.patient.tolist())
        logits = torch.stack(
            [(net.head.weight @ own[0] + net.head.weight @ own[1]) / 2 + net.head.bias for own in tokens]
        )
        parts = {"ce": by_hand.cross_entropy(logits, batch.label), "pcsl": within / (between + 1e-6), "gpal": apart}
        return parts | {"total": parts["ce"] + pcsl * parts["pcsl"] + gpal * parts["gpal"]}

    return slow


def test_losses_and_gradients_are_those_of_the_formula(agree):
    agree(PatientAlignment, slow_with("attention", 50, 0.0005))
    agree(PatientAlignment, slow_with("mean", 5, 0.005), pooling="mean", lambda_pcsl=5.0, lambda_gpal=0.005)
    agree(PatientAlignment, slow_with("attention", 1, 2), weight=0.5, lambda_pcsl=2.0, lambda_gpal=4.0)


@pytest.mark.parametrize("patient", [[3, 3, 1, 3, 0, 1], [0, 1, 2, 3, 4, 5], [0, 0, 0, 7, 7, 7]])
def test_the_sums_are_those_of_loops(patient):
    z = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    found = patient_losses(z, torch.tensor(patient))
    within, between, apart = sums(z, patient)
    torch.testing.assert_close(found, (within / (between + 1e-6) + 0 * apart, apart), rtol=1e-9, atol=1e-9)
    grads = (torch.autograd.grad(a + b, z)[0] for a, b in (found, (within / (between + 1e-6), apart)))
    torch.testing.assert_close(*grads, rtol=1e-9, atol=1e-9)


def test_three_patients_by_hand():
    """Centroids (1, 0), (4, 0), (1, 6); within 1 + 1 + 4 + 4; between 9 + 36 + 45; c̄ = (2, 2)."""
    z = torch.tensor([[0.0, 0.0], [2.0, 0.0], [4.0, 2.0], [4.0, -2.0], [1.0, 6.0]])
    pcsl, gpal = patient_losses(z, torch.tensor([5, 5, 2, 2, 8]))
    assert pcsl.item() == pytest.approx(10 / 90)
    assert gpal.item() == pytest.approx((5 + 8 + 17) / 3)


def test_projections_keep_their_length():
    """Twice as long: the ratio stays, the distance from the middle is four times as large."""
    z, patient = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 0, 1, 1, 2, 2])
    (pcsl, gpal), (pcsl2, gpal2) = patient_losses(z, patient), patient_losses(2 * z, patient)
    torch.testing.assert_close((pcsl2, gpal2), (pcsl, 4 * gpal))


def test_one_patient_has_no_others(net, batch, step):
    objective = PatientAlignment(Facts(net.backbone.width, (3, 2, 1)))
    losses = objective(net, replace(batch, patient=torch.full((6,), 3)), step())
    assert (losses.parts["pcsl"], losses.parts["gpal"]) == (0, 0)
    assert torch.equal(losses.total, losses.parts["ce"])
    losses.total.backward()


def test_random_directions_give_the_expected_sums():
    """Independent unit rows, 4 patients with n = 4 cycles: E‖c_p‖² = 1/n, so E[W] = 16 - 4, E[Bt] = 6 · 2/n = 3,
    E[GPAL] = (1 - 1/4) / n; in 768 dimensions both sums hardly vary, so the ratio is about 4.
    """
    draw, found = torch.Generator().manual_seed(0), []
    patient = torch.arange(4).repeat(4)
    for _ in range(20):
        rows = torch.nn.functional.normalize(torch.randn(16, 768, generator=draw), dim=1)
        found.append(torch.stack(patient_losses(rows, patient)))
    pcsl, gpal = torch.stack(found).mean(0).tolist()
    assert pcsl == pytest.approx(4, abs=0.1)
    assert gpal == pytest.approx(0.1875, abs=0.02)


@pytest.mark.parametrize("pooling", ["attention", "mean"])
def test_the_backbone_runs_once(net, batch, step, monkeypatch, pooling):
    calls, tokens = [], net.backbone.tokens
    monkeypatch.setattr(net.backbone, "tokens", lambda grid, side: calls.append(len(grid)) or tokens(grid, side))
    PatientAlignment(Facts(net.backbone.width, (3, 2, 1)), pooling=pooling)(net, batch, step())
    assert calls == [len(batch.label)]


def test_the_logits_are_the_mean_of_the_heads_answers_to_the_tokens(net, batch, step):
    """As published; for a head that is linear and a backbone that pools by the mean it is the same."""
    net.eval()
    losses = PatientAlignment(Facts(net.backbone.width, (3, 2, 1)))(net, batch, step())
    tokens = net.backbone.tokens(net.backbone.embed(batch.features))
    torch.testing.assert_close(losses.logits, net.head(tokens).mean(1))
    torch.testing.assert_close(losses.logits, net(batch.features))
