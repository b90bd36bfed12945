"""The linear layer on oneDNN gives what F.linear and F.gelu give, with every gradient."""

from collections.abc import Callable, Iterator
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from kernel_cases import GRADIENT, assert_close, error, gradients, leaves, weights_like
from torch import Tensor

from lung_srad.kernels import linear as module
from lung_srad.kernels.linear import linear, multiplies_bfloat16, packed

CLOSE = 2e-6
SHAPES = [(7,), (5, 7), (3, 5, 7), (2, 3, 5, 7), (2, 1, 3, 5, 7), (1, 7), (1, 1, 1, 7), (2, 3, 5, 1), (130, 96)]
both_gelu = pytest.mark.parametrize("gelu", [False, True])


def inputs(*shape: int, out: int = 11, bias: bool = True, dtype: torch.dtype = torch.float32) -> list[Tensor | None]:
    """Returns x of a shape, the weight and the bias."""
    draw = torch.Generator().manual_seed(sum(shape) + out)
    x, weight, offset = (torch.randn(size, generator=draw, dtype=dtype) for size in (shape, (out, shape[-1]), (out,)))
    return [x, weight / shape[-1] ** 0.5, offset if bias else None]


def plain(x: Tensor, weight: Tensor, bias: Tensor | None, *, gelu: bool) -> Tensor:
    y = F.linear(x, weight, bias)
    return F.gelu(y) if gelu else y


def assert_is_the_plain_layer(given: list[Tensor | None], gelu: bool) -> None:
    """Compares output and gradients with float64, and the output with torch's own in float32."""
    asking = [x is not None and x.requires_grad for x in given]
    whole = [x if x is None else x.detach().double().requires_grad_(x.requires_grad) for x in given]
    y, expected = linear(*given, gelu=gelu), plain(*whole, gelu=gelu)
    assert y.shape == expected.shape
    assert y.requires_grad == any(asking)
    assert error(y.detach(), expected.detach()) <= CLOSE
    assert error(y.detach(), plain(*given, gelu=gelu).detach()) <= CLOSE
    if any(asking):
        for own, reference in zip(gradients(y, given), gradients(expected, whole), strict=True):
            assert error(own, reference) <= GRADIENT


@both_gelu
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("asking", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_takes_any_number_of_axes(shape: tuple[int, ...], asking: bool, bias: bool, gelu: bool):
    given = inputs(*shape, bias=bias)
    assert_is_the_plain_layer(leaves(given) if asking else given, gelu)


@both_gelu
@pytest.mark.parametrize("asking", list(product([False, True], repeat=3)), ids=str)
def test_a_gradient_comes_to_those_that_ask(asking: tuple[bool, bool, bool], gelu: bool):
    given = [x.requires_grad_(wanted) for x, wanted in zip(inputs(3, 5, 7), asking, strict=True)]
    assert_is_the_plain_layer(given, gelu)


@both_gelu
@pytest.mark.parametrize(("channels", "out"), [(96, 384), (384, 96), (768, 768), (6, 100), (1, 1), (3, 1), (1, 3)])
def test_takes_any_width(channels: int, out: int, gelu: bool):
    assert_is_the_plain_layer(leaves(inputs(2, 9, channels, out=out)), gelu)


VIEWS = {
    "transposed": lambda x: x.mT.contiguous().mT,
    "channels first": lambda x: x.movedim(-1, 1).contiguous().movedim(1, -1),
    "every second": lambda x: torch.stack([x, x], dim=-1)[..., 0],
    "sliced": lambda x: torch.cat([x, x], dim=1)[:, 1 : x.shape[1] + 1],
    "expanded": lambda x: x[:1].expand_as(x),
    "one number": lambda x: x[:1, :1, :1, :1].expand_as(x),
}


@both_gelu
@pytest.mark.parametrize("asking", [True, False])
@pytest.mark.parametrize("view", VIEWS)
def test_inputs_need_not_be_contiguous(view: str, asking: bool, gelu: bool):
    x, weight, bias = inputs(3, 4, 5, 7)
    x = VIEWS[view](x).detach()
    assert not x.is_contiguous() or view == "sliced"
    given = [x, weight.t().contiguous().t(), bias]
    assert_is_the_plain_layer([x.requires_grad_(asking) for x in given], gelu)


@both_gelu
@pytest.mark.parametrize("asking", [True, False])
@pytest.mark.parametrize("view", ["every second", "expanded"])
def test_nor_need_the_bias(view: str, asking: bool, gelu: bool):
    x, weight, bias = inputs(3, 4, 5, 7)
    bias = VIEWS[view](bias)
    assert not bias.is_contiguous()
    assert_is_the_plain_layer([x.requires_grad_(asking) for x in (x, weight, bias)], gelu)


def test_what_comes_back_need_not_be_contiguous():
    given = leaves(inputs(4, 6, 7))
    whole = leaves(given, dtype=torch.float64)
    for grad in (torch.ones(()).expand(4, 6, 11), torch.randn(6, 4, 11).transpose(0, 1), torch.randn(4, 11, 6).mT):
        found = torch.autograd.grad(linear(*given, gelu=True), given, grad)
        expected = torch.autograd.grad(plain(*whole, gelu=True), whole, grad.double())
        for own, reference in zip(found, expected, strict=True):
            assert_close(own, reference, GRADIENT)


@both_gelu
@pytest.mark.parametrize("shape", [(0, 7), (3, 0, 7), (0,), (4, 0)], ids=str)
def test_no_rows_or_no_columns(shape: tuple[int, ...], gelu: bool):
    assert_is_the_plain_layer(leaves(inputs_without(shape)), gelu)
    assert_is_the_plain_layer(inputs_without(shape), gelu)


def inputs_without(shape: tuple[int, ...]) -> list[Tensor]:
    return [torch.randn(shape), torch.randn(11, shape[-1]), torch.randn(11)]


@both_gelu
def test_no_outputs(gelu: bool):
    assert_is_the_plain_layer(leaves([torch.randn(3, 5), torch.randn(0, 5), torch.randn(0)]), gelu)


@both_gelu
def test_float64_is_computed_in_float64(gelu: bool):
    given = leaves(inputs(3, 5, 7, dtype=torch.float64))
    y, expected = linear(*given, gelu=gelu), plain(*given, gelu=gelu)
    assert y.dtype == torch.float64
    assert torch.equal(y, expected)
    assert all(map(torch.equal, gradients(y, given), gradients(expected, given)))
    with torch.autocast("cpu", torch.bfloat16):  # torch's autocast leaves float64 alone
        assert torch.equal(linear(*given, gelu=gelu), expected)


def refusing(operator: Callable) -> Callable:
    """Returns an operator of oneDNN as it is on a CPU without products in bfloat16."""

    def operate(x: Tensor, *rest: object) -> Tensor:
        if x.dtype == torch.bfloat16:
            raise RuntimeError("could not create a primitive descriptor")
        return operator(x, *rest)

    return operate


@pytest.fixture
def unasked() -> Iterator[None]:
    """Has the CPU asked anew whether it multiplies in bfloat16, in the test and after it."""
    module._accepts_bfloat16.cache_clear()
    yield
    module._accepts_bfloat16.cache_clear()


@pytest.fixture(params=["this CPU", "a CPU without"])
def either_cpu(unasked: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test run on this CPU as it is, and as on one whose oneDNN refuses products in bfloat16."""
    if request.param == "a CPU without":
        for name in ("_linear_pointwise", "_reorder_linear_weight"):
            monkeypatch.setattr(torch.ops.mkldnn, name, refusing(getattr(torch.ops.mkldnn, name)))
        monkeypatch.setattr(
            torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True
        )  # so the operator has to be tried
        assert not multiplies_bfloat16()


def assert_of_bfloat16(found: Tensor, expected: Tensor) -> None:
    assert found.dtype == torch.bfloat16
    assert error(found.detach(), expected.detach()) <= 2.0**-7


@both_gelu
@pytest.mark.parametrize("asking", [True, False])
@pytest.mark.parametrize("shape", SHAPES[1:4], ids=str)
@pytest.mark.usefixtures("either_cpu")
def test_bfloat16(shape: tuple[int, ...], asking: bool, gelu: bool):
    half = inputs(*shape, dtype=torch.bfloat16)
    half = leaves(half) if asking else half
    whole = leaves(half, dtype=torch.float64)
    y, expected = linear(*half, gelu=gelu), plain(*whole, gelu=gelu)
    assert_of_bfloat16(y, expected)
    if asking:
        for own, reference in zip(gradients(y, half), gradients(expected, whole), strict=True):
            assert_of_bfloat16(own, reference)


@both_gelu
@pytest.mark.parametrize("asking", [True, False])
def test_bfloat16_reaches_the_operator_where_that_takes_it(asking: bool, gelu: bool, monkeypatch: pytest.MonkeyPatch):
    """With a stand-in for the operator, so that any CPU will do."""
    seen = []

    def operator(x: Tensor, weight: Tensor, bias: Tensor | None, activation: str, *rest: object) -> Tensor:
        seen.append(x.dtype)
        return plain(x, weight, bias, gelu=activation == "gelu")

    monkeypatch.setattr(module, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", operator)
    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", lambda weight, rows: weight.clone())
    half = inputs(3, 5, 7, dtype=torch.bfloat16)
    half = leaves(half) if asking else half
    y = linear(*half, gelu=gelu)
    assert torch.equal(y, plain(*half, gelu=gelu))
    if asking:
        assert all(own.dtype == torch.bfloat16 for own in gradients(y, half))
    assert seen == [torch.bfloat16] * (2 if asking else 1)  # forward, and the gradient of x
    assert packed(half[1], 5) is not half[1]


def test_the_cpu_is_asked_once(unasked: None, monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: asked.append(1) or False)
    linear(*inputs(3, 5))
    assert not asked  # only by who has bfloat16
    for _ in range(2):
        linear(*inputs(3, 5, dtype=torch.bfloat16))
    assert asked == [1]


@both_gelu
@pytest.mark.parametrize("asking", [True, False])
@pytest.mark.usefixtures("either_cpu")
def test_under_autocast_the_precision_is_that_of_the_input(asking: bool, gelu: bool):
    x, weight, bias = leaves(inputs(3, 5, 7)) if asking else inputs(3, 5, 7)
    expected = linear(x, weight, bias, gelu=gelu)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(linear(x, weight, bias, gelu=gelu), expected)
        y = linear(x.bfloat16(), weight, bias, gelu=gelu)
        half = plain(x, weight, bias, gelu=gelu)
    assert_of_bfloat16(y, half)
    if asking:
        given = (x, weight, bias)
        for own, reference in zip(gradients(y, given), gradients(half, given), strict=True):
            assert own.dtype == torch.float32
            assert error(own, reference) <= 2.0**-7


def test_dtypes_that_differ_are_torchs_error():
    x, weight, bias = inputs(3, 5)
    with pytest.raises(RuntimeError, match="dtype"):
        linear(x, weight.double(), bias)
    with pytest.raises(RuntimeError, match="dtype"):
        linear(x.bfloat16(), weight, bias)


@pytest.mark.parametrize("asking", [True, False])
def test_shapes_that_do_not_fit_are_an_error(asking: bool):
    x, weight, bias = leaves(inputs(3, 5)) if asking else inputs(3, 5)
    for wrong in ((x[:, :4], weight, bias), (x, weight[:, :4], bias), (x, weight, bias[:4])):
        with pytest.raises(RuntimeError):
            linear(*wrong)


@both_gelu
def test_nan_stays_nan(gelu: bool):
    x, weight, bias = inputs(3, 5)
    x[1, 2] = torch.nan
    assert torch.equal(linear(x, weight, bias, gelu=gelu).isnan(), plain(x, weight, bias, gelu=gelu).isnan())


def test_a_graph_can_be_gone_through_twice():
    given = leaves(inputs(3, 5, 7))
    y = linear(*given, gelu=True)
    once, again = (torch.autograd.grad(y, given, weights_like(y), retain_graph=True) for _ in range(2))
    assert all(map(torch.equal, once, again))


def test_the_second_derivative_is_right():
    given = leaves(inputs(3, 5))
    whole = leaves(given, dtype=torch.float64)

    def second(function, own: list[Tensor]) -> tuple[Tensor, ...]:
        first = torch.autograd.grad(function(*own).pow(3).sum(), own, create_graph=True)
        return torch.autograd.grad(sum(x.square().sum() for x in first), own)

    for own, reference in zip(second(linear, given), second(F.linear, whole), strict=True):
        assert_close(own, reference, GRADIENT)


def test_inputs_stay_as_they_are():
    given = leaves(inputs(3, 5, 7))
    before = [x.detach().clone() for x in given]
    gradients(linear(*given, gelu=True), given)
    assert all(map(torch.equal, given, before))


def test_an_input_that_changes_before_the_backward_is_noticed():
    x, weight, bias = leaves(inputs(3, 5))
    x = x * 1
    y = linear(x, weight, bias)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@both_gelu
def test_without_the_private_operator_the_numbers_are_the_same(gelu: bool, monkeypatch: pytest.MonkeyPatch):
    given = inputs(3, 5, 7)
    fast = linear(*given, gelu=gelu)
    monkeypatch.setattr(module, "_ONEDNN", False)
    own = leaves(given)
    assert_close(linear(*given, gelu=gelu), fast, CLOSE)
    assert torch.equal(linear(*own, gelu=gelu), plain(*own, gelu=gelu))
    assert packed(given[1], 5) is given[1]


@both_gelu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("rows", [1, 15, 300])
@pytest.mark.usefixtures("either_cpu")
def test_a_packed_weight_gives_the_same_numbers(rows: int, dtype: torch.dtype, gelu: bool):
    x, weight, bias = inputs(15, 96, out=40, dtype=dtype)
    expected = plain(x.double(), weight.double(), bias.double(), gelu=gelu)
    with torch.inference_mode():
        y = linear(x, packed(weight, rows), bias, gelu=gelu)
    assert y.dtype == dtype
    assert error(y, expected) <= (CLOSE if dtype == torch.float32 else 2.0**-7)


@both_gelu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of torch's own tracer
def test_a_compiled_function_holds_it_in_one_graph(
    refused: bool, dtype: torch.dtype, gelu: bool, unasked: None, monkeypatch: pytest.MonkeyPatch
):
    if refused:
        monkeypatch.setattr(module, "multiplies_bfloat16", lambda: False)
    torch.compiler.reset()
    compiled = torch.compile(lambda *given: linear(*given, gelu=gelu), fullgraph=True, backend="aot_eager")
    given, close = leaves(inputs(3, 5, 7, dtype=dtype)), CLOSE if dtype == torch.float32 else 2.0**-7
    y, expected = compiled(*given), linear(*given, gelu=gelu)
    assert torch.equal(y, expected)
    for own, reference in zip(gradients(y, given), gradients(expected, given), strict=True):
        assert_close(own, reference, close)
    with torch.no_grad():
        assert torch.equal(compiled(*given), linear(*given, gelu=gelu))
