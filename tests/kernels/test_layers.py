"""The layers around the scan against torch in float64, with and without the compiled kernels."""

import pytest
import torch
import torch.nn.functional as F
from kernel_cases import GRADIENT, OUTPUT, error
from torch import Tensor

from lung_srad import kernels
from lung_srad.kernels.layers import depthwise_silu, layer_norm

BACKENDS = [name for name in kernels.available() if name != "triton"]
each_backend = pytest.mark.parametrize("backend", BACKENDS)
ONE_ROUNDING = 2.0**-8


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def plain_depthwise(x: Tensor, weight: Tensor) -> Tensor:
    y = F.conv2d(x.permute(0, 3, 1, 2), weight, padding=1, groups=len(weight))
    return F.silu(y).permute(0, 2, 3, 1)


def plain_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(x, weight.shape, weight, bias, 1e-5)


def own_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return layer_norm(x, weight, bias, 1e-5, x.dtype)


def assert_agrees(function, plain, given: list[Tensor], backend: str) -> None:
    own = [x.detach().requires_grad_() for x in given]
    whole = [x.detach().double().requires_grad_() for x in given]
    with kernels.use(backend):
        y = function(*own)
    expected = plain(*whole)
    grad = drawn(*y.shape)
    found = torch.autograd.grad(y, own, grad.to(y.dtype))
    reference = torch.autograd.grad(expected, whole, grad.to(y.dtype).double())
    half = y.dtype == torch.bfloat16
    assert error(y.detach(), expected.detach()) <= (ONE_ROUNDING if half else OUTPUT)
    for gradient, exact in zip(found, reference, strict=True):
        assert error(gradient, exact) <= (2 * ONE_ROUNDING if half else GRADIENT)


@each_backend
@pytest.mark.parametrize("grid", [(5, 19), (1, 40), (33, 1), (1, 1), (2, 2), (8, 64)])
@pytest.mark.parametrize("channels", [1, 16, 21, 96])
def test_depthwise(grid: tuple[int, int], channels: int, backend: str):
    assert_agrees(depthwise_silu, plain_depthwise, [drawn(2, *grid, channels), drawn(channels, 1, 3, 3) / 3], backend)


@each_backend
def test_depthwise_of_a_grid_wider_than_a_tile(backend: str):
    assert_agrees(depthwise_silu, plain_depthwise, [drawn(2, 3, 1000, 70), drawn(70, 1, 3, 3) / 3], backend)


@each_backend
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (70, 16), (2, 3, 5, 21), (1, 130, 96), (2, 65, 384)])
def test_norm(shape: tuple[int, ...], backend: str):
    given = [drawn(*shape) + 3, drawn(shape[-1]) + 1, drawn(shape[-1] + 1)[1:]]
    if shape[-1] > 1:  # one channel has no deviation, and no gradient
        assert_agrees(own_norm, plain_norm, given, backend)
    with kernels.use(backend):
        assert error(own_norm(*given), plain_norm(*(x.double() for x in given))) <= OUTPUT


@each_backend
def test_bfloat16(backend: str):
    weights = [drawn(40) + 1, drawn(40)]
    x = drawn(2, 5, 7, 40).bfloat16()
    with kernels.use(backend):
        for dtype in (torch.float32, torch.bfloat16):
            y = layer_norm(x, *weights, 1e-5, dtype)
            assert y.dtype == dtype
            exact = plain_norm(x.double(), *(w.double() for w in weights))
            assert error(y, exact) <= (ONE_ROUNDING if dtype == torch.bfloat16 else OUTPUT)
        y = depthwise_silu(x, drawn(40, 1, 3, 3) / 3)
        assert y.dtype == torch.bfloat16
        exact = plain_depthwise(x.double(), drawn(40, 1, 3, 3).double() / 3)
        assert error(y, exact) <= 3 * ONE_ROUNDING  # torch's own rounds before the SiLU too


@each_backend
def test_views_are_read_as_they_lie(backend: str):
    x, weight = drawn(2, 40, 9, 6).permute(0, 2, 3, 1), torch.stack([drawn(40, 1, 3, 3)] * 2, dim=-1)[..., 1] / 3
    assert_agrees(depthwise_silu, plain_depthwise, [x, weight], backend)
    vectors = [torch.stack([drawn(40), drawn(40)], dim=-1)[:, i] for i in range(2)]
    assert_agrees(own_norm, plain_norm, [x, *vectors], backend)


@each_backend
def test_weights_that_do_not_fit_are_refused(backend: str):
    x = drawn(1, 4, 4, 8)
    with kernels.use(backend):
        for function in (lambda: depthwise_silu(x, drawn(7, 1, 3, 3)), lambda: own_norm(x, drawn(7), drawn(7))):
            with pytest.raises(RuntimeError):
                function()


@each_backend
def test_norm_of_a_large_offset_keeps_its_digits(backend: str):
    given = [drawn(9, 96) + 1000, torch.ones(96), torch.zeros(96)]
    exact = plain_norm(*(x.double() for x in given))
    with kernels.use(backend):
        assert error(own_norm(*given), exact) <= 1e-4  # the inputs themselves have 6e-5
