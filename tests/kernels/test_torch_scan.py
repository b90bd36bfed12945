"""The torch back end in float64 is the definition, :mod:`lung_srad.method.ssm`; the others are held against it."""

import pytest
import torch
import torch.nn.functional as F
from kernel_cases import (
    assert_close,
    gradients,
    leaves,
    scan_by_definition,
    scan_inputs,
    ss2d_by_definition,
    ss2d_inputs,
)
from torch import Tensor

from lung_srad import kernels
from lung_srad.kernels import torch_scan
from lung_srad.method import recurrence

LENGTHS = (1, 2, 15, 16, 17, 64, 65, 80, 129, 1024)


def scan(*given: Tensor) -> Tensor:
    return kernels.selective_scan(*given, delta_softplus=False, backend="torch")


@pytest.mark.parametrize("states", [1, 3, 16])
@pytest.mark.parametrize("length", LENGTHS)
def test_is_the_recurrence(length: int, states: int):
    given = scan_inputs(2, 2, 3, states, length)
    assert_close(scan(*given), recurrence(*given))


def test_is_the_recurrence_over_many_levels_of_chunks():
    given = scan_inputs(1, 1, 1, 1, 16 * 16 * 64 + 33)  # chunks of chunks of chunks
    assert_close(scan(*given), recurrence(*given))


@pytest.mark.parametrize(("states", "length"), [(1, 1), (3, 17), (1, 64), (16, 65), (1, 300), (3, 1100)])
def test_gradients_are_those_of_the_recurrence(states: int, length: int):
    given = leaves(scan_inputs(2, 2, 2, states, length))
    pairs = zip(gradients(scan(*given), given), gradients(recurrence(*given), given), strict=True)
    for own, definition in pairs:
        assert_close(own, definition, 1e-11)


@pytest.mark.parametrize(("states", "length"), [(1, 1), (2, 7), (1, 70)])
def test_gradients_are_those_of_finite_differences(states: int, length: int):
    bias = torch.tensor([0.3, -0.2], dtype=torch.float64)
    given = leaves([*scan_inputs(1, 2, 1, states, length), bias])
    assert torch.autograd.gradcheck(lambda *x: kernels.selective_scan(*x, backend="torch"), given, fast_mode=True)


def test_bias_and_softplus_make_the_step_size():
    u, delta, A, B, C, D = scan_inputs(2, 2, 3, 1, 20)
    bias = torch.linspace(-1, 1, 6, dtype=torch.float64)
    expected = recurrence(u, F.softplus(delta - 1 + bias[:, None]), A, B, C, D)
    assert_close(kernels.selective_scan(u, delta - 1, A, B, C, D, bias), expected)
    assert_close(scan_by_definition(u, delta - 1, A, B, C, D, bias), expected)
    assert_close(scan(u, delta, A, B, C, None), recurrence(u, delta, A, B, C))


@pytest.mark.parametrize("size", [1, 300 * 6, 3 * 300 * 6])
def test_a_few_sequences_at_a_time_give_what_all_at_once_give(monkeypatch: pytest.MonkeyPatch, size: int):
    given = leaves(scan_inputs(3, 2, 3, 2, 300))
    whole = scan(*given)
    expected = gradients(whole, given)
    monkeypatch.setattr(torch_scan, "GROUP", size)
    parts = scan(*given)
    assert_close(parts, whole)
    for own, reference in zip(gradients(parts, given), expected, strict=True):
        assert_close(own, reference)


@pytest.mark.parametrize("states", [1, 3])
@pytest.mark.parametrize("grid", [(1, 1), (1, 7), (7, 1), (3, 5), (4, 4), (5, 19), (1, 100), (100, 1)])
def test_ss2d_is_the_merged_scan_of_four_paths(grid: tuple[int, int], states: int):
    given = leaves(ss2d_inputs(grid, states))
    y, expected = kernels.ss2d(*given, backend="torch"), ss2d_by_definition(*given)
    assert_close(y, expected)
    for own, definition in zip(gradients(y, given), gradients(expected, given), strict=True):
        assert_close(own, definition, 1e-11)


def test_a_batch_is_its_samples():
    x, projected, *weights = ss2d_inputs((6, 11))
    both = kernels.ss2d(x, projected, *weights, backend="torch")
    for i in range(2):
        alone = kernels.ss2d(x[i : i + 1], projected[i : i + 1], *weights, backend="torch")
        assert_close(both[i : i + 1], alone, 1e-13)
