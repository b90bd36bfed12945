"""The Triton kernels against float64, outputs and all gradients. Not collected: test_triton.py runs it.

Without a GPU the kernels are interpreted, operation by operation, hence the small shapes; a tile is then 8 steps × 2
channels, so that a few tokens already make several chunks and blocks, the last of each incomplete.
"""

import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from triton.runtime.interpreter import ScanOps

from lung_srad.kernels import triton_scan, triton_tiles
from lung_srad.method import cross_merge, cross_scan, recurrence

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
TILES = [(8, 2)] if INTERPRETED else [(16, 16), (triton_tiles.CHUNK, triton_tiles.CHANNELS)]
OUTPUT, GRADIENT = 1e-6, 5e-6
LONG, LARGE = ([], []) if INTERPRETED else ([(2, 300, 2, True)], [((20, 30), 20, 1)])
WIDTH = 3 if INTERPRETED else 50  # channels, no multiple of a tile's


if INTERPRETED:

    def by_rows(self: ScanOps, tensors: list) -> list:
        """Returns what the interpreter's own scan does, for all channels at once instead of value by value."""
        assert self.axis == 0
        kinds = [x.dtype for x in tensors]
        rows = list(zip(*(x.handle.data for x in tensors), strict=True))
        done = [rows[0]]
        for row in rows[1:]:
            now = self.combine_fn.fn(*map(self.to_tensor, done[-1], kinds), *map(self.to_tensor, row, kinds))
            done.append(tuple(x.handle.data for x in now))
        return [
            self.to_tensor(np.stack(column), kind) for column, kind in zip(zip(*done, strict=True), kinds, strict=True)
        ]

    @pytest.fixture(autouse=True)
    def quicker(monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(ScanOps, "generic_scan", by_rows, raising=False)


@pytest.fixture(autouse=True, params=TILES, ids=str)
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    chunk, channels = request.param
    sizes = {"CHUNK": chunk, "CHANNELS": channels, "LANES": channels, "RANK": 2 if INTERPRETED else 16}
    for name, size in sizes.items():
        monkeypatch.setattr(triton_tiles, name, size)


def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    draw = torch.Generator().manual_seed(sum(sum(shape) for shape in shapes))
    return [torch.randn(shape, generator=draw).to(DEVICE) for shape in shapes]


def assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert actual.isfinite().all()
    assert actual.shape == expected.shape
    scale = expected.abs().max().item() or 1.0
    torch.testing.assert_close(actual.double() / scale, expected / scale, rtol=0, atol=tolerance)


def assert_rounded(actual: Tensor, expected: Tensor) -> None:
    """Holds equal but for one step of bfloat16: the interpreter cuts, and another order of sums rounds otherwise."""
    scale = expected.abs().max().item()
    torch.testing.assert_close(actual, expected, rtol=2.0**-7, atol=1e-6 * scale)


# --- the plain scan


def scan_inputs(states: int, length: int, batch: int = 2, groups: int = 2, channels: int = WIDTH) -> list[Tensor]:
    """Returns u, Δ, A, B, C, D, bias."""
    wide, shared = (batch, groups * channels, length), (batch, groups, states, length)
    width = groups * channels
    u, delta, A, B, C, D, bias = drawn(wide, wide, (width, states), shared, shared, (width,), (width,))
    return [u, delta, -A.abs(), B, C, D, bias]


def scan_by_definition(u, delta, A, B, C, D, bias, softplus: bool) -> Tensor:
    delta = delta if bias is None else delta + bias.unsqueeze(-1)
    return recurrence(u, F.softplus(delta) if softplus else delta, A, B, C, D)


def assert_is_the_recurrence(given: list[Tensor | None], softplus: bool) -> None:
    exact = [x if x is None else x.double().requires_grad_() for x in given]
    expected = scan_by_definition(*exact, softplus)
    y, states = triton_scan.scan_forward(*given, softplus)
    assert states.shape == (*y.shape[:2], -(-y.shape[2] // triton_tiles.CHUNK), given[2].shape[1])
    assert_close(y, expected.detach(), OUTPUT)
    (grad_y,) = drawn(tuple(y.shape))
    found = triton_scan.scan_backward(grad_y, *given, softplus, states)
    present = [x for x in exact if x is not None]
    wanted = torch.autograd.grad(expected, present, grad_y.double())
    ours = [x for x, own in zip(found, exact, strict=True) if own is not None]
    for own, definition in zip(ours, wanted, strict=True):
        assert_close(own, definition, GRADIENT)


@pytest.mark.parametrize(
    ("states", "length", "batch", "softplus"),
    [(1, 1, 1, True), (1, 23, 2, True), (1, 23, 1, False), (3, 9, 2, True), (16, 9, 1, False), *LONG],
)
def test_scan_is_the_recurrence(states: int, length: int, batch: int, softplus: bool):
    u, delta, *rest, bias = scan_inputs(states, length, batch)
    delta, bias = (delta, bias) if softplus else (delta.abs(), bias.abs())
    assert_is_the_recurrence([u, delta, *rest, bias], softplus)


@pytest.mark.parametrize("absent", [(5,), (6,), (5, 6)])
def test_scan_without_skip_or_bias(absent: tuple[int, ...]):
    given = scan_inputs(2, 9, batch=1)
    assert_is_the_recurrence([None if i in absent else x for i, x in enumerate(given)], True)


def test_scan_of_strong_decays():
    """States before a step that forgets almost everything: h - b would have no digit of them left."""
    u, delta, A, B, C, D, _ = scan_inputs(1, 20, batch=1)
    assert_is_the_recurrence([u, 10 + delta.abs(), -torch.ones_like(A), B, C, D, None], False)


@pytest.mark.parametrize(("step", "rate"), [(1e3, -1e3), (1e3, -1e-3), (1e3, 0.0), (1e-6, -1e3), (1e-6, 0.0)])
def test_scan_of_extreme_values(step: float, rate: float):
    u, delta, A, B, C, D, _ = scan_inputs(1, 9, batch=1)
    u, B, C = (1e3 * x.sign() for x in (u, B, C))
    delta = torch.full_like(delta, step)
    delta[:, :, 3] = 1e-3
    given = [u, delta, torch.full_like(A, rate), B, C, D, None]
    assert_is_the_recurrence(given, False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_scan_of_half_precision_is_that_of_its_values(dtype: torch.dtype):
    u, delta, A, B, C, D, bias = scan_inputs(2, 9, batch=1)
    half = [u.to(dtype), delta.to(dtype), A, B.to(dtype), C.to(dtype), D, bias]
    whole = [x.float() for x in half]
    (y, states), (wide, wide_states) = (triton_scan.scan_forward(*given, True) for given in (half, whole))
    assert_rounded(y, wide.to(dtype))
    grad_y = torch.ones_like(y)
    gradients = triton_scan.scan_backward(grad_y, *half, True, states)
    wanted = triton_scan.scan_backward(grad_y.float(), *whole, True, wide_states)
    for own, other, given in zip(gradients, wanted, half, strict=True):
        assert own.dtype == given.dtype
        assert_rounded(own, other.to(given.dtype))


def test_scan_inputs_need_not_be_contiguous():
    u, delta, A, B, C, D, bias = scan_inputs(2, 9)
    views = [u.mT.contiguous().mT, delta[..., :1].expand_as(delta), A.mT.contiguous().mT, B.flip(-1)]
    views += [torch.stack([C, C], dim=-1)[..., 1], torch.stack([D, D], dim=-1)[:, 0], bias]
    assert_is_the_recurrence(views, True)


def test_softplus_and_its_slope_are_exact_for_small_values_too():
    z = torch.cat([torch.linspace(-80, -1, 20), torch.linspace(-0.99, 40, 20), torch.tensor([1e3])]).to(DEVICE)
    one = torch.ones(1, 1, 1, 1, device=DEVICE)
    given = [torch.ones_like(z)[None, :, None], z[None, :, None], -torch.ones_like(z)[:, None], one, one, None, None]
    y, states = triton_scan.scan_forward(*given, True)  # one step from rest: y is the step size
    slope = triton_scan.scan_backward(torch.ones_like(y), *given, True, states)[1]
    w = z.double().exp()
    torch.testing.assert_close(y.flatten().double(), torch.where(z > 30, z.double(), w.log1p()), rtol=1e-6, atol=0)
    torch.testing.assert_close(slope.flatten().double(), z.double().sigmoid(), rtol=1e-6, atol=0)


# --- SS2D


def ss2d_inputs(grid: tuple[int, int], rank: int = 2, states: int = 1, batch: int = 1, channels: int = WIDTH):
    """Returns x, projected, dt weight, dt bias, A, D."""
    shapes = [(batch, *grid, channels), (batch, *grid, 4 * (rank + 2 * states)), (4, channels, rank), (4, channels)]
    x, projected, weight, bias, A, D = drawn(*shapes, (4 * channels, states), (4 * channels,))
    return [x, projected, weight / rank**0.5, bias, -A.abs(), D]


def ss2d_by_definition(x, projected, dt_weight, dt_bias, A, D) -> Tensor:
    """Returns SS2D in the order of the paper: four paths, each projected and scanned, then merged."""
    states, grid = A.shape[1], x.shape[1:3]
    paths = cross_scan(x.permute(0, 3, 1, 2))
    values = projected.unflatten(-1, (4, -1))
    each = [cross_scan(values[..., k, :].permute(0, 3, 1, 2))[:, k] for k in range(4)]
    low, B, C = torch.stack(each, dim=1).split([dt_weight.shape[2], states, states], dim=2)
    delta = F.softplus(torch.einsum("bkrl,kcr->bkcl", low, dt_weight) + dt_bias.unsqueeze(-1))
    y = recurrence(paths.flatten(1, 2), delta.flatten(1, 2), A, B, C, D)
    return cross_merge(y.unflatten(1, (4, -1)), grid).permute(0, 2, 3, 1)


def assert_is_the_merged_scan(given: list[Tensor]) -> None:
    exact = [x.double().requires_grad_() for x in given]
    expected = ss2d_by_definition(*exact)
    y, states = triton_scan.ss2d_forward(*given)
    tokens, width = y.shape[1] * y.shape[2], y.shape[3]
    assert states.shape == (len(y), 4, -(-tokens // triton_tiles.CHUNK), width, given[4].shape[1])
    assert_close(y, expected.detach(), OUTPUT)
    (grad_y,) = drawn(tuple(y.shape))
    wanted = torch.autograd.grad(expected, exact, grad_y.double())
    for own, definition in zip(triton_scan.ss2d_backward(grad_y, *given, states), wanted, strict=True):
        assert_close(own, definition, GRADIENT)


@pytest.mark.parametrize(
    ("grid", "rank", "states"),
    [((1, 1), 1, 1), ((1, 13), 2, 2), ((13, 1), 18, 1), ((3, 5), 3, 2), ((5, 19), 2, 1), *LARGE],
)
def test_ss2d_is_the_merged_scan_of_four_paths(grid: tuple[int, int], rank: int, states: int):
    assert_is_the_merged_scan(ss2d_inputs(grid, rank, states))


def test_ss2d_of_a_batch_is_that_of_its_samples():
    x, projected, *weights = ss2d_inputs((1, 5), batch=2)
    both, _ = triton_scan.ss2d_forward(x, projected, *weights)
    alone = [triton_scan.ss2d_forward(x[i : i + 1], projected[i : i + 1], *weights)[0] for i in range(2)]
    assert torch.equal(both, torch.cat(alone))


def test_ss2d_of_half_precision_is_that_of_its_values():
    x, projected, *weights = ss2d_inputs((2, 5))
    half = [x.bfloat16(), projected.bfloat16(), *weights]
    whole = [x.float() for x in half]
    (y, states), (wide, wide_states) = (triton_scan.ss2d_forward(*given) for given in (half, whole))
    assert_rounded(y, wide.bfloat16())
    grad_y = torch.ones_like(y)
    gradients = triton_scan.ss2d_backward(grad_y, *half, states)
    wanted = triton_scan.ss2d_backward(grad_y.float(), *whole, wide_states)
    for own, other, given in zip(gradients, wanted, half, strict=True):
        assert own.dtype == given.dtype
        assert_rounded(own, other.to(given.dtype))


def test_ss2d_inputs_need_not_be_contiguous():
    x, projected, *weights = ss2d_inputs((3, 4))
    views = [x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1), projected.mT.contiguous().mT]
    assert not any(view.is_contiguous() for view in views)
    assert_is_the_merged_scan([*views, *weights])


@pytest.mark.parametrize(("step", "rate"), [(1e3, -1e3), (1e3, 0.0), (-13.8, -1e3)])
def test_ss2d_of_extreme_values(step: float, rate: float):
    x, projected, weight, bias, A, D = ss2d_inputs((1, 9))
    given = [1e3 * x.sign(), projected, weight, torch.full_like(bias, step), torch.full_like(A, rate), D]
    given[1].unflatten(-1, (4, -1))[..., 2:].sign_().mul_(1e3)
    y, states = triton_scan.ss2d_forward(*given)
    assert_close(y, ss2d_by_definition(*(x.double() for x in given)), OUTPUT)
    assert all(x.isfinite().all() for x in triton_scan.ss2d_backward(torch.ones_like(y), *given, states))


@pytest.mark.skipif(INTERPRETED, reason="the interpreter has one thread")
def test_ss2d_gives_the_same_bits_twice():
    given = ss2d_inputs((20, 30))
    (y, states), (again, _) = (triton_scan.ss2d_forward(*given) for _ in range(2))
    assert torch.equal(y, again)
    gradients = (triton_scan.ss2d_backward(torch.ones_like(y), *given, states) for _ in range(2))
    assert all(torch.equal(first, second) for first, second in zip(*gradients, strict=True))


def test_ss2d_and_scan_of_an_empty_batch_are_empty():
    x, projected, *weights = ss2d_inputs((2, 3))
    assert triton_scan.ss2d_forward(x[:0], projected[:0], *weights)[0].shape == (0, 2, 3, WIDTH)
    u, delta, A, B, C, D, bias = scan_inputs(1, 5)
    assert triton_scan.scan_forward(u[:0], delta[:0], A, B[:0], C[:0], D, bias, True)[0].shape == (0, 2 * WIDTH, 5)
