"""The back ends as torch operators: autograd, tracing, autocast, threads, and inputs that stay as they are."""

import pytest
import torch
from kernel_cases import (
    BACKENDS,
    GRADIENT,
    assert_close,
    device,
    each_backend,
    gradients,
    leaves,
    needs_compiled,
    scan_by_definition,
    scan_inputs,
    ss2d_by_definition,
    ss2d_inputs,
    weights_like,
)
from torch import Tensor

from lung_srad import kernels
from lung_srad.models import create_model
from lung_srad.models.vmamba import VSSBlock

REGISTERED = [name for name in BACKENDS if name != "torch"] or [pytest.param("cpu", marks=needs_compiled)]
single = torch.float32


def both_functions(backend: str, dtype: torch.dtype = single) -> list[tuple]:
    """Returns the two functions, each with its definition and inputs."""
    on = device(backend)
    u, delta, A, B, C, D = (x.to(on) for x in scan_inputs(2, 2, 20, 2, 70, dtype))
    scan = (kernels.selective_scan, scan_by_definition, [u, delta, A, B, C, D, torch.linspace(-1, 1, 40).to(D)])
    return [scan, (kernels.ss2d, ss2d_by_definition, [x.to(on) for x in ss2d_inputs((5, 13), 2, 2, 20, 3, dtype)])]


# --- gradients


@each_backend
def test_a_gradient_comes_to_those_that_ask(backend: str):
    for function, _, given in both_functions(backend):
        whole = leaves(given)
        everything = gradients(function(*whole, backend=backend), whole)
        for asking in range(len(given)):
            own = [x.clone().requires_grad_(i == asking) for i, x in enumerate(given)]
            y = function(*own, backend=backend)
            assert y.requires_grad
            y.backward(weights_like(y))
            assert [x.grad is not None for x in own] == [i == asking for i in range(len(own))]
            assert torch.equal(own[asking].grad, everything[asking])


@each_backend
def test_no_gradient_without_a_question(backend: str):
    for function, _, given in both_functions(backend):
        assert not function(*given, backend=backend).requires_grad
        own = leaves(given)
        expected = function(*own, backend=backend).detach()
        with torch.no_grad():
            y = function(*own, backend=backend)
        assert not y.requires_grad
        assert torch.equal(y, expected)
        with torch.inference_mode():
            assert torch.equal(function(*given, backend=backend), expected)


@each_backend
def test_a_graph_can_be_gone_through_twice_and_an_output_be_used_twice(backend: str):
    for function, _, given in both_functions(backend):
        own = leaves(given)
        y = function(*own, backend=backend)
        weight = weights_like(y)
        once = torch.autograd.grad(y, own, weight, retain_graph=True)
        again = torch.autograd.grad(y, own, weight, retain_graph=True)
        assert all(torch.equal(*pair) for pair in zip(once, again, strict=True))
        together = torch.autograd.grad((y * weight).sum() + (y * weight).sum(), own)
        for double, gradient in zip(together, once, strict=True):
            assert_close(double, 2 * gradient, 1e-6)


@each_backend
def test_one_tensor_can_be_several_inputs(backend: str):
    """The gradients of a tensor's places add up."""
    u, _, A, B, _, D = (x.to(device(backend)) for x in scan_inputs(2, 2, 5, 2, 40, single))
    u, B, D = leaves([u, B, D])
    y = kernels.selective_scan(u, u, A, B, B, D, D, backend=backend)
    whole = leaves([x.cpu() for x in (u, B, D)], dtype=torch.float64)
    expected = scan_by_definition(whole[0], whole[0], A.double().cpu(), whole[1], whole[1], whole[2], whole[2])
    grad_y = weights_like(expected.detach())
    for own, reference in zip(gradients(y, [u, B, D], grad_y), gradients(expected, whole, grad_y), strict=True):
        assert_close(own, reference, GRADIENT)


@each_backend
def test_an_input_that_changes_before_the_backward_is_noticed(backend: str):
    for function, _, given in both_functions(backend):
        own = leaves(given)
        x = own[0] * 1
        y = function(x, *own[1:], backend=backend)
        x.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def second_derivative(y: Tensor, given: list[Tensor]) -> None:
    first = torch.autograd.grad(y.square().sum(), given, create_graph=True)
    torch.autograd.grad(sum(x.square().sum() for x in first), given, allow_unused=True)


@each_backend
def test_a_second_derivative_is_refused_not_wrong(backend: str):
    for function, _, given in both_functions(backend):
        own = leaves(given)
        with pytest.raises(RuntimeError, match="backward"):
            second_derivative(function(*own, backend=backend), own)


@each_backend
def test_inputs_stay_as_they_are(backend: str):
    for function, _, given in both_functions(backend):
        own = leaves(given)
        y = function(*own, backend=backend)
        grad_y = weights_like(y)
        before = [x.detach().clone() for x in (*own, grad_y)]
        torch.autograd.grad(y, own, grad_y)
        assert all(torch.equal(x, old) for x, old in zip((*own, grad_y), before, strict=True))


@each_backend
def test_any_strides_come_back_with_the_gradient(backend: str):
    for function, definition, given in both_functions(backend):
        views = [torch.stack([x, x], dim=-1)[..., 1].requires_grad_() for x in given]
        y = function(*views, backend=backend)
        whole = leaves([x.cpu() for x in given], dtype=torch.float64)
        expected = definition(*whole)
        grad_y = weights_like(expected.detach()).to(y).mT.contiguous().mT
        for own, reference in zip(
            torch.autograd.grad(y, views, grad_y), gradients(expected, whole, grad_y), strict=True
        ):
            assert_close(own, reference, GRADIENT)


# --- threads

COUNTS = (1, 2, 5)


@pytest.mark.parametrize("backend", REGISTERED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("states", "batch", "channels"), [(1, 1, 96), (3, 2, 21), (1, 3, 100)])
def test_ss2d_does_not_depend_on_the_threads(
    threads: None, states: int, batch: int, channels: int, dtype: torch.dtype, backend: str
):
    x, projected, *weights = (x.to(device(backend)) for x in ss2d_inputs((5, 9), states, batch, channels, 2, single))
    first, *others = on_each(COUNTS, kernels.ss2d, [x.to(dtype), projected.to(dtype), *weights], backend)
    for run in others:
        for own, reference in zip(run, first, strict=True):
            assert_close(own, reference, 1e-6 if own.dtype == single else 2.0**-7)


@pytest.mark.parametrize("backend", REGISTERED)
@pytest.mark.parametrize(("batch", "groups", "channels", "states"), [(2, 2, 21, 1), (1, 4, 96, 1), (3, 1, 40, 3)])
def test_scan_does_not_depend_on_the_threads(
    threads: None, batch: int, groups: int, channels: int, states: int, backend: str
):
    given = [x.to(device(backend)) for x in scan_inputs(batch, groups, channels, states, 70, single)]
    (y, *first), *others = on_each(COUNTS, kernels.selective_scan, given, backend)
    for again, *run in others:
        assert torch.equal(again, y)
        for own, reference in zip(run, first, strict=True):
            assert_close(own, reference, 1e-6)


def on_each(counts: tuple[int, ...], function, given: list[Tensor], backend: str) -> list[list[Tensor]]:
    """Returns output and gradients on each number of threads, all of which give the same bits when asked again."""
    found = []
    for count in counts:
        torch.set_num_threads(count)
        runs = []
        for _ in range(2):
            own = leaves(given)
            y = function(*own, backend=backend)
            runs.append([y.detach(), *gradients(y, own)])
        assert all(map(torch.equal, *runs)), f"not repeatable on {count} threads"
        found.append(runs[0])
    return found


# --- tracing


@pytest.mark.parametrize("backend", REGISTERED)
def test_the_operators_keep_what_they_promise_torch(backend: str):
    on = device(backend)
    u, delta, A, B, C, D = (x.to(on) for x in scan_inputs(2, 2, 3, 2, 40, single))
    x, projected, *weights = (x.to(on) for x in ss2d_inputs((3, 5), dtype=single))
    scan = [*leaves([u, delta, A, B, C, D, D]), True]
    fused = leaves([x.bfloat16(), projected.bfloat16(), *weights])
    for name, given in (("scan", scan), ("ss2d", fused)):
        torch.library.opcheck(getattr(torch.ops.lung_srad, f"{backend}_{name}").default, tuple(given))


def traced(function) -> object:
    torch.compiler.reset()
    return torch.compile(function, fullgraph=True, backend="aot_eager")


@pytest.mark.parametrize("backend", REGISTERED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_compiled_function_holds_the_scan_in_one_graph(backend: str, dtype: torch.dtype):
    for function, _, given in both_functions(backend):
        activations = (0, 1) if function is kernels.ss2d else (0, 1, 3, 4)
        own = leaves([x.to(dtype) if i in activations else x for i, x in enumerate(given)])

        def twice(*inputs: Tensor, function=function) -> Tensor:
            return 2 * function(*inputs, backend=backend)

        compiled = traced(twice)
        y, expected = compiled(*own), twice(*own)
        assert torch.equal(y, expected)
        for gradient, reference in zip(gradients(y, own), gradients(expected, own), strict=True):
            assert torch.equal(gradient, reference)


@needs_compiled
def test_a_compiled_function_takes_other_shapes():
    compiled = torch.compile(
        lambda *given: kernels.ss2d(*given).sum(), fullgraph=True, backend="aot_eager", dynamic=True
    )
    for grid, batch in (((3, 5), 2), ((4, 7), 3), ((9, 9), 4)):
        own = leaves(ss2d_inputs(grid, batch=batch, dtype=single))
        y, expected = compiled(*own), kernels.ss2d(*own).sum()
        assert_close(y, expected, 1e-6)
        for gradient, reference in zip(torch.autograd.grad(y, own), torch.autograd.grad(expected, own), strict=True):
            assert_close(gradient, reference, 1e-6)


@needs_compiled
def test_the_best_back_end_is_also_taken_in_a_compiled_function():
    seen = []

    def look(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    torch.compiler.reset()
    torch.compile(kernels.ss2d, fullgraph=True, backend=look)(*ss2d_inputs((3, 5), dtype=single))
    assert any("cpu_ss2d" in target for target in seen)


@needs_compiled
def test_a_whole_network_is_one_graph():
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        net = create_model("dass_tiny").eval()
        features = torch.randn(2, 1, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(traced(net)(features), net(features), rtol=1e-5, atol=1e-6)


@needs_compiled
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of torch's own tracer
def test_a_block_trains_in_one_graph():
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        block, x = VSSBlock(32, drop_path=0.0), torch.randn(2, 5, 7, 32)
    given = [x.requires_grad_(), *block.parameters()]
    y, expected = traced(block)(x), block(x)
    assert_close(y, expected, 1e-6)
    for own, reference in zip(gradients(y, given), gradients(expected, given), strict=True):
        assert_close(own, reference, GRADIENT)


# --- autocast


@each_backend
def test_autocast_does_not_touch_the_precision(backend: str):
    for function, _, given in both_functions(backend):
        own = leaves(given)
        expected = function(*own, backend=backend)
        with torch.autocast(device(backend), torch.bfloat16):
            y = function(*own, backend=backend)
        assert y.dtype == single
        assert torch.equal(y, expected)
        pairs = zip(gradients(y, own), gradients(expected, own), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)
