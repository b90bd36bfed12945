"""The fused two-dimensional scan against the method's own steps: cross scan, recurrence, cross merge."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lung_srad import kernels
from lung_srad.errors import ConfigError, ShapeError
from lung_srad.method import cross_merge, cross_scan, recurrence

BACKENDS = kernels.available()
RANK = 2


def ss2d_inputs(grid: tuple[int, int], states: int = 1, batch: int = 2, channels: int = 3) -> list[Tensor]:
    """Returns x, projected, dt weight, dt bias, A, D in float64."""
    draw = torch.Generator().manual_seed(100 * grid[0] + grid[1])
    shapes = [(batch, *grid, channels), (batch, *grid, 4 * (RANK + 2 * states)), (4, channels, RANK), (4, channels)]
    given = [torch.randn(shape, generator=draw, dtype=torch.float64) for shape in shapes]
    A = -torch.rand(4 * channels, states, generator=draw, dtype=torch.float64)
    return [*given, A, torch.randn(4 * channels, generator=draw, dtype=torch.float64)]


def by_definition(x: Tensor, projected: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, D: Tensor) -> Tensor:
    """Returns SS2D in the order of the paper: four paths, each projected and scanned, then merged."""
    states, grid = A.shape[1], x.shape[1:3]
    paths = cross_scan(x.permute(0, 3, 1, 2))  # (B, 4, C, L)
    values = projected.unflatten(-1, (4, -1))  # (B, H, W, 4, R + 2N)
    each = [cross_scan(values[..., k, :].permute(0, 3, 1, 2))[:, k] for k in range(4)]
    low, B, C = torch.stack(each, dim=1).split([RANK, states, states], dim=2)  # (B, 4, ., L)
    delta = F.softplus(torch.einsum("bkrl,kcr->bkcl", low, dt_weight) + dt_bias.unsqueeze(-1))
    y = recurrence(paths.flatten(1, 2), delta.flatten(1, 2), A, B, C, D)
    return cross_merge(y.unflatten(1, (4, -1)), grid).permute(0, 2, 3, 1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("states", [1, 3])
@pytest.mark.parametrize("grid", [(1, 1), (1, 7), (7, 1), (3, 5), (4, 4), (5, 19), (1, 100), (100, 1)])
def test_is_the_merged_scan_of_four_paths(backend: str, grid: tuple[int, int], states: int):
    given = [x.requires_grad_() for x in ss2d_inputs(grid, states)]
    actual, expected = kernels.ss2d(*given, backend=backend), by_definition(*given)
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-11)
    weight = torch.randn(actual.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = [torch.autograd.grad((weight * y).sum(), given) for y in (actual, expected)]
    for ours, definition in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, definition, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_is_its_samples(backend: str):
    x, projected, *weights = ss2d_inputs((6, 11))
    both = kernels.ss2d(x, projected, *weights, backend=backend)
    for i in range(2):
        alone = kernels.ss2d(x[i : i + 1], projected[i : i + 1], *weights, backend=backend)
        torch.testing.assert_close(both[i : i + 1], alone, rtol=0, atol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_precision_is_computed_in_float32_also_under_autocast(backend: str):
    half = [x.bfloat16() for x in ss2d_inputs((5, 9))]
    expected = kernels.ss2d(*(x.float() for x in half), backend=backend).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        actual = kernels.ss2d(*half, backend=backend)
    assert actual.dtype == torch.bfloat16
    assert torch.equal(actual, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_need_not_be_contiguous(backend: str):
    x, projected, dt_weight, dt_bias, A, D = ss2d_inputs((4, 6))
    views = [x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1), projected.mT.contiguous().mT]
    views += [dt_weight.mT.contiguous().mT, dt_bias.mT.contiguous().mT, torch.stack([A, A], -1)[..., 0]]
    views.append(torch.stack([D, D], -1)[:, 1])
    assert not any(view.is_contiguous() for view in views)
    given = (x, projected, dt_weight, dt_bias, A, D)
    torch.testing.assert_close(kernels.ss2d(*views, backend=backend), by_definition(*given), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("position", range(6))
def test_a_wrong_shape_is_named(position: int):
    given = ss2d_inputs((3, 5))
    given[position] = given[position][..., :-1] if position != 4 else given[4][:-1]
    with pytest.raises(ShapeError, match=r"ss2d: \w+: "):
        kernels.ss2d(*given)


def test_projected_values_must_be_those_of_the_weights():
    x, projected, *weights = ss2d_inputs((3, 5))
    with pytest.raises(ShapeError, match=r"15 values per token; needs 16 = 4 \(R \+ 2N\), with R = 2 and N = 1"):
        kernels.ss2d(x, projected[..., :15], *weights)


def test_an_unknown_backend_is_named():
    with pytest.raises(ConfigError, match="'fast'; available here"):
        kernels.ss2d(*ss2d_inputs((2, 2)), backend="fast")
