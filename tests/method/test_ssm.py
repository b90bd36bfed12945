"""Eq. 1-3: the continuous model, its steps, and the four paths over a grid."""

import pytest
import torch

from lung_srad.errors import ConfigError, ShapeError
from lung_srad.method import cross_merge, cross_scan, derivative, discretize, recurrence

F64 = torch.float64


def random(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def model(states=3):
    return -random(states, seed=1).exp(), random(states, seed=2), random(states, seed=3)


def integrate(h, x, A, B, C, span, steps=1500):
    """Eq. 1 in many midpoint steps; x is a function of time."""
    dt = span / steps
    for t in torch.arange(steps, dtype=F64) * dt:
        half = h + dt / 2 * derivative(h, x(t), A, B, C)[0]
        h = h + dt * derivative(half, x(t + dt / 2), A, B, C)[0]
    return h


def test_eq1_state_and_output_by_hand():
    A, B, C = torch.tensor([-1.0, -2.0]), torch.tensor([3.0, 5.0]), torch.tensor([7.0, 11.0])
    rate, y = derivative(torch.tensor([1.0, 10.0]), torch.tensor(2.0), A, B, C)
    assert rate.tolist() == [-1 + 6, -20 + 10]
    assert y.item() == 7 + 110


def test_eq1_finely_integrated_is_one_zoh_step_of_any_length():
    (A, B, C), h, x = model(), random(3, seed=4), torch.tensor(0.7, dtype=F64)
    for span in (0.01, 0.5, 3.0):
        A_bar, B_bar = discretize(A, B, torch.tensor(span, dtype=F64), rule="zoh")
        held = integrate(h, lambda t: x, A, B, C, span)
        torch.testing.assert_close(A_bar * h + B_bar * x, held, rtol=0, atol=1e-5)


def test_eq2_meets_eq1_as_the_step_shrinks():
    """A sampled input: the error of Eq. 2 against fine integration falls in proportion to Δ."""
    A, B, C = model()

    def signal(t):
        return torch.cos(6 * t)

    def last_output(steps, rule):
        u = signal(torch.arange(steps, dtype=F64) / steps).view(1, 1, steps)
        b, c = (v.view(1, 1, 3, 1).expand(1, 1, 3, steps) for v in (B, C))
        return recurrence(u, torch.full_like(u, 1 / steps), A.view(1, 3), b, c, rule=rule)[0, 0, -1]

    end = integrate(torch.zeros(3, dtype=F64), signal, A, B, C, 1.0)
    y = derivative(end, torch.tensor(0.0, dtype=F64), A, B, C)[1]
    for rule in ("zoh", "euler"):
        errors = [abs(last_output(steps, rule) - y) for steps in (50, 100, 200)]
        assert (errors[0] / errors[1]).item() == pytest.approx(2, abs=0.1)
        assert (errors[1] / errors[2]).item() == pytest.approx(2, abs=0.1)


def test_zoh_meets_euler_to_second_order():
    A, B, _ = model()
    gaps = []
    for step in (1e-2, 1e-3):
        delta = torch.tensor(step, dtype=F64)
        (_, zoh), (_, euler) = (discretize(A, B, delta, rule=rule) for rule in ("zoh", "euler"))
        gaps.append((zoh - euler).abs().max())
    assert gaps[0] / gaps[1] == pytest.approx(100, rel=0.05)


def test_zoh_is_the_printed_formula_and_runs_through_zero():
    A, B = torch.tensor([-2.0, -1e-9, 0.0], dtype=F64), torch.tensor([1.5, 2.0, 2.0], dtype=F64)
    A.requires_grad_()
    A_bar, B_bar = discretize(A, B, torch.tensor(0.5, dtype=F64), rule="zoh")
    torch.testing.assert_close(A_bar, torch.exp(0.5 * A))
    assert B_bar[0].item() == pytest.approx((1 / (0.5 * -2)) * (torch.tensor(-1.0).exp().item() - 1) * 0.5 * 1.5)
    assert B_bar[1].item() == pytest.approx(1.0)
    assert B_bar[2].item() == 1.0
    (slope,) = torch.autograd.grad(B_bar[2], A)
    assert slope.tolist() == [0, 0, pytest.approx(0.5 * 0.5 * 0.5 * 2)]  # (Δ/2) ΔB


def test_eq2_two_steps_by_hand():
    u, delta = torch.tensor([[[2.0, 3.0]]], dtype=F64), torch.tensor([[[0.5, 0.25]]], dtype=F64)
    A, D = torch.tensor([[-1.0]], dtype=F64), torch.tensor([10.0], dtype=F64)
    B, C = torch.tensor([[[[4.0, 5.0]]]], dtype=F64), torch.tensor([[[[6.0, 7.0]]]], dtype=F64)
    h1 = 0.5 * 4 * 2
    h2 = torch.tensor(-0.25, dtype=F64).exp().item() * h1 + 0.25 * 5 * 3
    expected = torch.tensor([[[6 * h1 + 10 * 2, 7 * h2 + 10 * 3]]], dtype=F64)
    torch.testing.assert_close(recurrence(u, delta, A, B, C, D), expected)
    torch.testing.assert_close(recurrence(u, delta, A, B, C), expected - 10 * u)


def test_recurrence_is_the_sum_over_past_inputs_in_every_direction_and_state():
    batch, K, C, N, L = 2, 2, 3, 2, 5
    u, delta = random(batch, K * C, L, seed=1), random(batch, K * C, L, seed=2).exp()
    A, D = -random(K * C, N, seed=3).exp(), random(K * C, seed=4)
    B_, C_ = random(batch, K, N, L, seed=5), random(batch, K, N, L, seed=6)
    expected = u * D[:, None]
    for b in range(batch):
        for row in range(K * C):
            k = row // C  # direction by direction
            for i in range(L):
                for j in range(i + 1):
                    decay = torch.exp(delta[b, row, j + 1 : i + 1].sum() * A[row])
                    gain = (C_[b, k, :, i] * decay * B_[b, k, :, j]).sum()
                    expected[b, row, i] += gain * delta[b, row, j] * u[b, row, j]
    torch.testing.assert_close(recurrence(u, delta, A, B_, C_, D), expected)


def test_recurrence_is_differentiable_in_every_input():
    u, delta = random(1, 4, 3, seed=1), random(1, 4, 3, seed=2).exp()
    A, D = -random(4, 2, seed=3).exp(), random(4, seed=4)
    inputs = (u, delta, A, random(1, 2, 2, 3, seed=5), random(1, 2, 2, 3, seed=6), D)
    inputs = tuple(x.requires_grad_() for x in inputs)
    for rule in ("euler", "zoh"):
        assert torch.autograd.gradcheck(lambda *x, rule=rule: recurrence(*x, rule=rule), inputs)


def test_recurrence_is_causal():
    u, ones = random(1, 2, 6), torch.ones(1, 2, 6, dtype=F64)
    later = u.clone()
    later[..., 4:] += 1
    args = (ones, -torch.ones(2, 1, dtype=F64), ones[:, :1, None], ones[:, :1, None])
    first, second = recurrence(u, *args), recurrence(later, *args)
    assert torch.equal(first[..., :4], second[..., :4])
    assert not torch.equal(first[..., 4:], second[..., 4:])


def test_eq3_directions_are_rows_columns_and_their_reverses():
    x = random(2, 3, 4, 5)
    paths = cross_scan(x)
    assert paths.shape == (2, 4, 3, 20)
    for t in range(20):
        row, column = divmod(t, 5)
        assert torch.equal(paths[:, 0, :, t], x[:, :, row, column])
        assert torch.equal(paths[:, 2, :, 19 - t], x[:, :, row, column])
        column, row = divmod(t, 4)
        assert torch.equal(paths[:, 1, :, t], x[:, :, row, column])
        assert torch.equal(paths[:, 3, :, 19 - t], x[:, :, row, column])


def test_eq3_merge_undoes_scan_four_times_and_is_its_adjoint():
    x, ys = random(2, 3, 4, 5), random(2, 4, 3, 20, seed=1)
    assert torch.equal(cross_merge(cross_scan(x), (4, 5)), 4 * x)
    torch.testing.assert_close((cross_scan(x) * ys).sum(), (x * cross_merge(ys, (4, 5))).sum())


def test_wrong_arguments_say_what_is_wrong():
    ones = torch.ones(1, 6, 5)
    A, B = -torch.ones(6, 1), torch.ones(1, 2, 1, 5)
    with pytest.raises(ShapeError, match=r"recurrence: B: float32 \(1, 2, 1, 4\); needs Float \(B, K, N, L\)"):
        recurrence(ones, ones, A, B[..., :4], B)
    with pytest.raises(ShapeError, match="6 channels; needs a multiple of the 4 directions"):
        recurrence(ones, ones, A, B.repeat(1, 2, 1, 1), B.repeat(1, 2, 1, 1))
    with pytest.raises(ConfigError, match="discretize: rule: 'bilinear'; one of 'zoh', 'euler'"):
        discretize(A, A, A[:, 0], rule="bilinear")
    with pytest.raises(ShapeError, match=r"derivative: C: float32 \(3,\)"):
        derivative(torch.ones(2), torch.tensor(1.0), torch.ones(2), torch.ones(2), torch.ones(3))
    with pytest.raises(ShapeError, match="paths of 20 tokens; a grid of 4 × 4 has 16"):
        cross_merge(torch.ones(1, 4, 2, 20), (4, 4))
    with pytest.raises(ShapeError, match=r"cross_merge: ys: .*needs Float \(B, 4, C, L\)"):
        cross_merge(torch.ones(1, 2, 2, 20), (4, 5))
