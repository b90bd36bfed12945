"""Every back end against float64, forward and backward: shapes of DASS and odd ones, bfloat16, extremes, NaN."""

from functools import lru_cache

import pytest
import torch
from kernel_cases import (
    BACKENDS,
    GRADIENT,
    OUTPUT,
    as_scan,
    assert_close,
    assert_rounded,
    device,
    each_backend,
    error,
    gradients,
    leaves,
    needs_compiled,
    scan_by_definition,
    scan_inputs,
    ss2d_by_definition,
    ss2d_inputs,
    trained_inputs,
    weights_like,
)
from torch import Tensor

from lung_srad import kernels

STAGES = {"stage 0": ((32, 256), 96), "stage 1": ((16, 128), 192), "stage 2": ((8, 64), 384), "stage 3": ((4, 32), 768)}
ODD = [((5, 19), 24), ((1, 67), 33), ((67, 1), 20), ((1, 1), 5), ((2, 2), 1), ((1, 32), 48), ((33, 1), 100)]


def exact(function, given: list[Tensor | None], **options) -> tuple[Tensor, list[Tensor]]:
    """Returns the output in float64 and its gradients."""
    whole = leaves(given, dtype=torch.float64)
    y = function(*whole, **options)
    return y.detach(), gradients(y, whole)


def found(function, given: list[Tensor | None], backend: str, **options) -> tuple[Tensor, list[Tensor]]:
    own = leaves(given, on=device(backend))
    y = function(*own, backend=backend, **options)
    return y.detach(), gradients(y, own, weights_like(y.detach().cpu().double()))


def assert_agrees(actual: tuple[Tensor, list[Tensor]], expected: tuple[Tensor, list[Tensor]]) -> None:
    (y, grads), (y_exact, grads_exact) = actual, expected
    assert_near(y, y_exact, OUTPUT)
    for own, reference in zip(grads, grads_exact, strict=True):
        assert_near(own, reference, GRADIENT)


def assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    agrees = assert_close if actual.dtype == torch.float32 else assert_rounded
    agrees(actual, expected, tolerance)


# --- the shapes of DASS. In float64 the torch back end stands for the definition, which it meets to 1e-11


@lru_cache(maxsize=1)
def stage_case(name: str, batch: int, kind: str) -> tuple[list[Tensor], tuple[Tensor, list[Tensor]]]:
    grid, channels = STAGES[name]
    if kind == "as trained":
        given = trained_inputs(grid, channels, batch=batch)
    else:
        given = ss2d_inputs(grid, 1, batch, channels, channels // 16, torch.float32)
    return given, exact(kernels.ss2d, given)


CASES = [(stage, 1, kind) for stage in STAGES for kind in ("as trained", "of unit scale")]
CASES += [(stage, 3, "as trained") for stage in STAGES if stage != "stage 0"]  # its reference alone takes two seconds


@pytest.mark.parametrize("backend", BACKENDS)  # the innermost: one reference serves all back ends
@pytest.mark.parametrize(("stage", "batch", "kind"), CASES)
def test_ss2d_of_a_stage(stage: str, batch: int, kind: str, backend: str):
    given, expected = stage_case(stage, batch, kind)
    assert_agrees(found(kernels.ss2d, given, backend), expected)


@each_backend
@pytest.mark.parametrize("stage", ["stage 1", "stage 3"])
def test_scan_of_a_stage(stage: str, backend: str):
    grid, channels = STAGES[stage]
    given = [x.contiguous() for x in as_scan(*trained_inputs(grid, channels))]
    assert_agrees(found(kernels.selective_scan, given, backend), exact(kernels.selective_scan, given))


@each_backend
@pytest.mark.parametrize(("stage", "batch"), [("stage 1", 1), ("stage 2", 3), ("stage 3", 1)])
def test_ss2d_of_bfloat16(stage: str, batch: int, backend: str):
    grid, channels = STAGES[stage]
    x, projected, *weights = trained_inputs(grid, channels, batch=batch)
    given = [x.bfloat16(), projected.bfloat16(), *weights]
    assert_agrees(found(kernels.ss2d, given, backend), bfloat16_answer(kernels.ss2d, given))


def bfloat16_answer(function, given: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Returns what float64 makes of the rounded inputs and of the rounded gradient that comes back."""
    whole = leaves(given, dtype=torch.float64)
    y = function(*whole)
    return y.detach(), gradients(y, whole, weights_like(y.detach()).bfloat16())


@needs_compiled
def test_ss2d_of_a_grid_larger_than_a_cache():
    given = ss2d_inputs((3, 7300), 1, 1, 96, 1, torch.float32)  # 2^21 values and more are fetched ahead of time
    assert_agrees(found(kernels.ss2d, given, "cpu"), exact(kernels.ss2d, given))


@needs_compiled
@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("batch", "channels"), [(1, 3), (1, 33), (3, 40)])
def test_ss2d_in_the_memory_of_its_input(batch: int, channels: int, dtype: torch.dtype):
    x, projected, *weights = ss2d_inputs((5, 29), 1, batch, channels, 2, torch.float32)
    x, projected = x.to(dtype), projected.to(dtype)
    expected = kernels.ss2d(x, projected, *weights)
    y = kernels.merged_scan(x, projected, *weights, own=True)
    assert torch.equal(y, expected)
    assert y.data_ptr() == x.data_ptr()


# --- odd shapes, against the definition itself


@each_backend
@pytest.mark.parametrize("states", [1, 3, 16])
@pytest.mark.parametrize(("grid", "channels"), ODD, ids=str)
def test_ss2d_of_an_odd_shape(grid: tuple[int, int], channels: int, states: int, backend: str):
    given = ss2d_inputs(grid, states, 1 + states % 2, channels, 1 + channels // 16, torch.float32)
    assert_agrees(found(kernels.ss2d, given, backend), exact(ss2d_by_definition, given))


@each_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("rank", [0, 1, 16, 17, 50])
def test_ss2d_of_any_rank(rank: int, dtype: torch.dtype, backend: str):
    x, projected, *weights = ss2d_inputs((3, 13), 2, 2, 19, rank, torch.float32)
    given = [x.to(dtype), projected.to(dtype), *weights]
    expected = bfloat16_answer if dtype == torch.bfloat16 else exact
    assert_agrees(found(kernels.ss2d, given, backend), expected(ss2d_by_definition, given))


@each_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("states", [1, 3, 16])
@pytest.mark.parametrize(
    ("groups", "channels", "length"), [(1, 1, 1), (2, 17, 31), (4, 5, 32), (3, 40, 33), (1, 3, 100)]
)
def test_scan_of_an_odd_shape(groups: int, channels: int, length: int, states: int, dtype: torch.dtype, backend: str):
    u, delta, A, B, C, D = scan_inputs(2, groups, channels, states, length, torch.float32)
    bias = torch.linspace(-1, 1, len(D))
    given = [u.to(dtype), delta.to(dtype), A, B.to(dtype), C.to(dtype), D, bias]
    expected = bfloat16_answer if dtype == torch.bfloat16 else exact
    assert_agrees(found(kernels.selective_scan, given, backend), expected(scan_by_definition, given))


@each_backend
@pytest.mark.parametrize("softplus", [True, False])
@pytest.mark.parametrize("absent", [("D",), ("delta_bias",), ("D", "delta_bias")])
def test_scan_without_skip_or_bias(absent: tuple[str, ...], softplus: bool, backend: str):
    u, delta, A, B, C, D = scan_inputs(2, 2, 9, 2, 40, torch.float32)
    given = [u, delta, A, B, C, None if "D" in absent else D, None if "delta_bias" in absent else D.abs()]
    options = {"delta_softplus": softplus}
    actual = found(kernels.selective_scan, given, backend, **options)
    assert_agrees(actual, exact(scan_by_definition, given, **options))


@each_backend
@pytest.mark.parametrize("rate", [0.0, -1e-4, -1e-2])
def test_a_long_memory_costs_no_more_digits_than_the_definition_in_float32(rate: float, backend: str):
    """What thousands of steps add up to in float32 is not good to 1e-6, whoever adds."""
    u, delta, A, B, C, _ = scan_inputs(1, 1, 24, 1, 1500, torch.float32)
    given = [u.abs(), delta, torch.full_like(A, rate), B.abs(), C]
    expected, grads = exact(kernels.selective_scan, given, delta_softplus=False)
    own, own_grads = found(kernels.selective_scan, given, backend, delta_softplus=False)
    whole = leaves(given)
    y = scan_by_definition(*whole, delta_softplus=False)
    assert error(own, expected) <= max(OUTPUT, 2 * error(y.detach(), expected))
    for gradient, plain, reference in zip(own_grads, gradients(y, whole), grads, strict=True):
        assert error(gradient, reference) <= max(GRADIENT, 2 * error(plain, reference))


# --- extremes


@each_backend
@pytest.mark.parametrize("rate", [-1e3, -1.0, -1e-3, 0.0])
@pytest.mark.parametrize("step", [1e-6, 1e-3, 1.0, 1e3])
def test_scan_of_extreme_values(step: float, rate: float, backend: str):
    u, delta, A, B, C, D = scan_inputs(1, 2, 18, 2, 70, torch.float32)
    given = [1e3 * u.sign(), torch.full_like(delta, step), torch.full_like(A, rate), 1e3 * B.sign(), 1e3 * C.sign(), D]
    given[1][:, :, 40] = 1e-3  # one other step, where a quotient of decays would be 0 / 0
    y, grads = found(kernels.selective_scan, given, backend, delta_softplus=False)
    expected, _ = exact(scan_by_definition, given, delta_softplus=False)
    assert y.isfinite().all()
    assert all(x.isfinite().all() for x in grads)
    assert_close(y, expected, 2 * OUTPUT)


@each_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_scan_over_all_steps_and_decays_at_once(dtype: torch.dtype, backend: str):
    draw = torch.Generator().manual_seed(3)
    u, _, A, B, C, D = scan_inputs(2, 2, 40, 3, 300, torch.float32)
    delta = 10 ** (9 * torch.rand(u.shape, generator=draw) - 6)
    A = -(10 ** (6 * torch.rand(A.shape, generator=draw) - 3))
    A[::5] = 0
    given = [(1e3 * x.sign()).to(dtype) for x in (u, B, C)]
    given = [given[0], delta.to(dtype), A, *given[1:], D]
    y, grads = found(kernels.selective_scan, given, backend, delta_softplus=False)
    assert y.isfinite().all()
    assert all(x.isfinite().all() for x in grads)
    assert_near(y, exact(scan_by_definition, given, delta_softplus=False)[0], OUTPUT)


@each_backend
@pytest.mark.parametrize("raw", [-1e30, -1e3, -104.0, -88.0, -20.0, 0.0, 20.0, 89.0, 1e3])
def test_scan_of_extreme_raw_steps(raw: float, backend: str):
    u, delta, A, B, C, D = scan_inputs(1, 1, 18, 1, 40, torch.float32)
    given = [1e3 * u.sign(), torch.full_like(delta, raw), 1e3 * A, B, C, D]
    actual = found(kernels.selective_scan, given, backend)
    assert all(x.isfinite().all() for x in (actual[0], *actual[1]))
    assert_close(actual[0], exact(scan_by_definition, given)[0], OUTPUT)


@each_backend
@pytest.mark.parametrize("step", [-1e4, -13.8, 1e3, 1e4])
@pytest.mark.parametrize("rate", [-1e3, 0.0])
def test_ss2d_of_extreme_values(step: float, rate: float, backend: str):
    x, projected, weight, bias, A, D = ss2d_inputs((3, 21), 1, 2, 20, 2, torch.float32)
    given = [1e3 * x.sign(), projected, weight, torch.full_like(bias, step), torch.full_like(A, rate), D]
    given[1].unflatten(-1, (4, -1))[..., 2:].sign_().mul_(1e3)
    y, grads = found(kernels.ss2d, given, backend)
    assert y.isfinite().all()
    assert all(x.isfinite().all() for x in grads)
    assert_close(y, exact(ss2d_by_definition, given)[0], 2 * OUTPUT)


@each_backend
@pytest.mark.parametrize(
    ("lowest", "highest", "relative"), [(-14, -1, 1e-6), (-1, 1, 1e-6), (1, 1e3, 1e-6), (-80, -14, 5e-6)]
)
def test_softplus_and_its_slope_are_exact_for_small_values_too(
    lowest: float, highest: float, relative: float, backend: str
):
    """A step of 1e-6 is the softplus of -13.8; smaller ones lose a few digits to the exponent."""
    raw = torch.linspace(lowest, highest, 1000)
    one = torch.ones(1, 1, 1, 1)
    given = [torch.ones_like(raw)[None, :, None], raw[None, :, None], -torch.ones_like(raw)[:, None], one, one]
    y, grads = found(kernels.selective_scan, given, backend)  # one step from rest: y is the step size
    steps = raw.double().exp().log1p().where(raw < 30, raw.double())
    torch.testing.assert_close(y.flatten().double().cpu(), steps, rtol=relative, atol=0)
    slope = raw.double().sigmoid() * weights_like(y.double().cpu()).float().double().flatten()
    torch.testing.assert_close(grads[1].flatten().double().cpu(), slope, rtol=relative, atol=0)


# --- NaN: the same numbers are lost as in the definition, in the output and in every gradient

NAN = {"quiet": 0x7FC00000, "negative": -0x400000, "with a payload": 0x7FC00001}


def with_nan(x: Tensor, kind: str) -> Tensor:
    x = x.clone()
    x.view(-1)[x.numel() // 2 + 3] = torch.tensor(NAN[kind], dtype=torch.int32).view(torch.float32)
    return x


def assert_the_same_are_nan(function, definition, given: list[Tensor], backend: str) -> None:
    y, grads = found(function, given, backend)
    expected, lost = exact(definition, given)
    assert expected.isnan().any()
    assert torch.equal(y.isnan().cpu(), expected.isnan())
    for own, reference in zip(grads, lost, strict=True):
        assert torch.equal(own.isnan().cpu(), reference.isnan())


@each_backend
@pytest.mark.parametrize("kind", ["quiet", "negative"])
@pytest.mark.parametrize("position", range(7))
def test_a_nan_in_the_scan(position: int, kind: str, backend: str):
    u, delta, A, B, C, D = scan_inputs(2, 2, 20, 2, 70, torch.float32)
    given = [u, delta, A, B, C, D, D.clone()]
    given[position] = with_nan(given[position], kind)
    assert_the_same_are_nan(kernels.selective_scan, scan_by_definition, given, backend)


@each_backend
@pytest.mark.parametrize("kind", ["quiet", "negative"])
@pytest.mark.parametrize("position", range(6))
def test_a_nan_in_ss2d(position: int, kind: str, backend: str):
    given = ss2d_inputs((5, 13), 2, 2, 20, 3, torch.float32)
    given[position] = with_nan(given[position], kind)
    assert_the_same_are_nan(kernels.ss2d, ss2d_by_definition, given, backend)


@each_backend
def test_a_nan_with_a_payload(backend: str):
    given = ss2d_inputs((5, 13), 2, 2, 20, 3, torch.float32)
    given[4] = with_nan(given[4], "with a payload")
    assert_the_same_are_nan(kernels.ss2d, ss2d_by_definition, given, backend)


@each_backend
@pytest.mark.parametrize("position", [0, 1])
def test_a_nan_in_bfloat16(position: int, backend: str):
    x, projected, *weights = ss2d_inputs((5, 13), 2, 2, 20, 3, torch.float32)
    given = [x.bfloat16(), projected.bfloat16(), *weights]
    given[position] = with_nan(given[position].float(), "negative").bfloat16()
    assert_the_same_are_nan(kernels.ss2d, ss2d_by_definition, given, backend)


@each_backend
def test_a_nan_that_comes_back(backend: str):
    given = leaves(ss2d_inputs((5, 13), 1, 1, 20, 3, torch.float32), on=device(backend))
    y = kernels.ss2d(*given, backend=backend)
    assert all(x.isnan().any() for x in gradients(y, given, with_nan(torch.ones_like(y), "quiet")))
