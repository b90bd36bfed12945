"""What the tests of the kernels share: inputs, definitions in float64, and the measure of agreement."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lung_srad import kernels
from lung_srad.method import cross_merge, cross_scan, recurrence
from lung_srad.models.vmamba import SS2D

BACKENDS = kernels.available()
OUTPUT, GRADIENT = 1e-6, 5e-6  # of max|x - ref| / max|ref|, in float32

each_backend = pytest.mark.parametrize("backend", BACKENDS)
needs_compiled = pytest.mark.skipif("cpu" not in BACKENDS, reason=kernels.missing().get("cpu", ""))


def device(backend: str) -> str:
    """Returns where a back end's tensors have to be."""
    return "cpu" if kernels.BACKENDS[backend].runs_on("cpu") else "cuda"


def scan_inputs(
    batch: int, groups: int, channels: int, states: int, length: int, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """Returns u, Δ, A, B, C, D of a scan with steps and decays of about one."""
    draw = torch.Generator().manual_seed(1000 * states + length)
    u, delta = torch.randn(2, batch, groups * channels, length, generator=draw, dtype=dtype).unbind()
    A = -0.1 - torch.rand(groups * channels, states, generator=draw, dtype=dtype)
    B, C = torch.randn(2, batch, groups, states, length, generator=draw, dtype=dtype).unbind()
    return [u, F.softplus(delta), A, B, C, torch.randn(groups * channels, generator=draw, dtype=dtype)]


def ss2d_inputs(
    grid: tuple[int, int],
    states: int = 1,
    batch: int = 2,
    channels: int = 3,
    rank: int = 2,
    dtype: torch.dtype = torch.float64,
) -> list[Tensor]:
    """Returns x, projected, dt weight, dt bias, A, D of a scan with steps and decays of about one."""
    draw = torch.Generator().manual_seed(100 * grid[0] + grid[1])
    shapes = [(batch, *grid, channels), (batch, *grid, 4 * (rank + 2 * states)), (4, channels, rank), (4, channels)]
    x, projected, weight, bias = (torch.randn(shape, generator=draw, dtype=dtype) for shape in shapes)
    A = -0.1 - torch.rand(4 * channels, states, generator=draw, dtype=dtype)
    D = torch.randn(4 * channels, generator=draw, dtype=dtype)
    return [x, projected, weight / math.sqrt(max(1, rank)), bias, A, D]


@torch.no_grad()
def trained_inputs(grid: tuple[int, int], channels: int, states: int = 1, batch: int = 1) -> list[Tensor]:
    """Returns the inputs of :func:`ss2d_inputs` as a block of DASS makes them: steps in [0.001, 0.1], in float32."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(channels)
        block = SS2D(channels, states)
        x = F.silu(torch.randn(batch, *grid, channels))
    return [x, block.project(x), *(given.clone() for given in block.scan_parameters())]


def as_scan(
    x: Tensor, projected: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, D: Tensor
) -> tuple[Tensor, ...]:
    """Returns u, raw Δ, A, B, C, D and bias of the plain scan along the four paths of a grid."""
    states = A.shape[1]
    paths = cross_scan(x.permute(0, 3, 1, 2))  # (B, 4, C, L)
    values = projected.unflatten(-1, (4, -1))  # (B, H, W, 4, R + 2N)
    each = [cross_scan(values[..., k, :].permute(0, 3, 1, 2))[:, k] for k in range(4)]
    low, B, C = torch.stack(each, dim=1).split([dt_weight.shape[2], states, states], dim=2)  # (B, 4, ., L)
    delta = torch.einsum("bkrl,kcr->bkcl", low, dt_weight)
    return paths.flatten(1, 2), delta.flatten(1, 2), A, B, C, D, dt_bias.flatten()


def ss2d_by_definition(*given: Tensor) -> Tensor:
    """Returns SS2D in the order of the paper: four paths, each projected and scanned, then merged."""
    y = scan_by_definition(*as_scan(*given))
    return cross_merge(y.unflatten(1, (4, -1)), given[0].shape[1:3]).permute(0, 2, 3, 1)


def scan_by_definition(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = True,
) -> Tensor:
    if delta_bias is not None:
        delta = delta + delta_bias.unsqueeze(-1)
    return recurrence(u, F.softplus(delta) if delta_softplus else delta, A, B, C, D)


def leaves(given: list[Tensor | None], *, on: str = "cpu", dtype: torch.dtype | None = None) -> list[Tensor | None]:
    """Returns copies for a device, in another dtype on request, that ask for gradients."""
    return [x if x is None else x.detach().to(on, dtype or x.dtype).clone().requires_grad_() for x in given]


def weights_like(y: Tensor) -> Tensor:
    """Returns the gradient that the tests send back."""
    return torch.randn(y.shape, generator=torch.Generator().manual_seed(y.numel()), dtype=torch.float64).to(y)


def gradients(y: Tensor, given: list[Tensor | None], grad_y: Tensor | None = None) -> list[Tensor]:
    """Returns the gradients of the inputs that ask for one."""
    asked = [x for x in given if x is not None and x.requires_grad]
    return list(torch.autograd.grad(y, asked, (weights_like(y) if grad_y is None else grad_y).to(y)))


def error(actual: Tensor, expected: Tensor) -> float:
    """Returns max|x - ref| / max|ref|; the absolute error of what should be zero."""
    assert actual.shape == expected.shape
    if not expected.numel():
        return 0.0
    off = (actual.double().cpu() - expected.double().cpu()).abs().max().item()
    return off / (expected.abs().max().item() or 1.0)


def assert_close(actual: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    assert error(actual, expected) <= tolerance


def assert_rounded(actual: Tensor, expected: Tensor, tolerance: float, scale: float | None = None) -> None:
    """Asserts that each number is its reference, rounded once to its own dtype, up to a share of the whole's scale."""
    expected, kind = expected.cpu(), torch.finfo(actual.dtype)
    scale = scale or expected.abs().max().item() or 1.0
    allowed = 0.51 * kind.eps * (expected.abs() + kind.smallest_normal) + tolerance * scale
    assert actual.shape == expected.shape
    assert ((actual.double().cpu() - expected).abs() <= allowed).all()
