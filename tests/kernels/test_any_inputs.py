"""Drawn shapes, strides, dtypes and options: on each, every back end is held against float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import (
    BACKENDS,
    GRADIENT,
    OUTPUT,
    assert_rounded,
    device,
    gradients,
    leaves,
    scan_by_definition,
    ss2d_by_definition,
    weights_like,
)
from torch import Tensor

from lung_srad import kernels

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
LAYOUTS = ["contiguous", "reversed dimensions", "last two swapped", "every second", "inside a larger one", "expanded"]
CHANNELS = [1, 2, 3, 7, 15, 16, 17, 31, 33, 40]


def laid_out(x: Tensor, layout: str) -> Tensor:
    """Returns the same numbers in other strides; an expanded one has the numbers of its first row everywhere."""
    if layout == "reversed dimensions":
        order = list(range(x.dim()))[::-1]
        return x.permute(order).contiguous().permute(order)
    if layout == "last two swapped" and x.dim() > 1:
        return x.mT.contiguous().mT
    if layout == "every second":
        return torch.stack([x, torch.full_like(x, torch.nan)], dim=-1)[..., 0]
    if layout == "inside a larger one":
        larger = x.new_full([n + 2 for n in x.shape], torch.nan)
        inner = larger[(slice(1, -1),) * x.dim()]
        inner.copy_(x)
        return inner
    if layout == "expanded":
        return x[:1].expand_as(x)
    return x.contiguous()


class Drawn:
    """Inputs whose gradients are asked for where ``wanted`` says so."""

    def __init__(self, inputs: tuple[Tensor | None, ...], wanted: list[bool]) -> None:
        self.inputs, self.wanted = inputs, wanted[: len(inputs)]

    def __repr__(self) -> str:
        seen = (None if x is None else (x.dtype, (*x.shape,), x.stride()) for x in self.inputs)
        return "\n".join(f"{x}, wanted: {wanted}" for x, wanted in zip(seen, self.wanted, strict=True))

    def leaves(self, on: str) -> list[Tensor | None]:
        """Returns the inputs on a device, in the drawn strides."""
        pairs = zip(self.inputs, self.wanted, strict=True)
        return [x if x is None else x.to(on).detach().requires_grad_(wanted) for x, wanted in pairs]


@st.composite
def inputs(draw: st.DrawFn, shapes: list[tuple[int, ...]], activations: int, signed: tuple[int, ...]) -> list[Tensor]:
    """Returns tensors of about unit size in drawn dtypes and strides, the last of them negative: A.

    Most are positive, so that sums do not cancel: what is left of such a sum has no digits to compare.
    """
    seed = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    common = draw(st.sampled_from([*DTYPES, None]))  # None: each its own
    made = []
    for place, shape in enumerate(shapes):
        parameter = common is not None and place >= activations  # those stay in float32, as in a model
        dtype = torch.float32 if parameter else common or draw(st.sampled_from(DTYPES))
        x = torch.randn(shape, generator=seed, dtype=torch.float64)
        x = -0.1 - x.abs() if place == len(shapes) - 1 else x if place in signed else x.abs()
        made.append(laid_out(x.to(dtype), draw(st.sampled_from(LAYOUTS))))
    return made


wanted = st.lists(st.booleans(), min_size=7, max_size=7)


@st.composite
def scans(draw: st.DrawFn) -> tuple[Drawn, bool]:
    """Returns u, raw Δ, A, B, C, D, bias and whether the softplus is taken."""
    batch, groups, states = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 3, 16]))
    width, length = groups * draw(st.sampled_from(CHANNELS)), draw(st.integers(1, 70))
    wide, shared = (batch, width, length), (batch, groups, states, length)
    shapes = [wide, wide, shared, shared, (width,), (width,), (width, states)]
    u, delta, B, C, D, bias, A = draw(inputs(shapes, activations=4, signed=(1, 5)))
    softplus = draw(st.booleans())
    if not softplus:
        delta, bias = delta.abs(), bias.abs()
    D, bias = (x if draw(st.booleans()) else None for x in (D, bias))
    return Drawn((u, delta, A, B, C, D, bias), draw(wanted)), softplus


@st.composite
def grids(draw: st.DrawFn) -> Drawn:
    """Returns x, projected, dt weight, dt bias, A, D."""
    batch, height, width = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    channels, states, rank = draw(st.sampled_from(CHANNELS)), draw(st.sampled_from([1, 2, 3])), draw(st.integers(1, 20))
    grid, four = (batch, height, width), 4 * channels
    shapes = [(*grid, channels), (*grid, 4 * (rank + 2 * states)), (4, channels, rank), (4, channels), (four,)]
    x, projected, weight, bias, D, A = draw(inputs([*shapes, (four, states)], activations=2, signed=(2, 3)))
    return Drawn((x, projected, weight, bias, A, D), draw(wanted))


def assert_all_agree(function, definition, drawn: Drawn, **options) -> None:
    """Compares outputs and gradients; each is rounded once, to its own dtype."""
    before = [x if x is None else x.clone() for x in drawn.inputs]
    whole = leaves(list(drawn.inputs), dtype=torch.float64)
    expected = definition(*whole, **options)
    grad_y = weights_like(expected.detach()).abs().to(drawn.inputs[0].dtype)
    references = dict(zip((id(x) for x in whole if x is not None), gradients(expected, whole, grad_y), strict=True))
    # step sizes pull both ways, and their gradient may cancel: so each is measured against the largest
    largest = max(x.abs().max().item() for x in references.values())
    single = all(x is None or x.dtype != torch.float64 for x in drawn.inputs)
    for backend in BACKENDS:
        own = drawn.leaves(device(backend))
        y = function(*own, backend=backend, **options)
        assert y.dtype == own[0].dtype
        assert_rounded(y, expected, OUTPUT if single else 1e-12)
        pairs = [(x, references[id(w)]) for x, w in zip(own, whole, strict=True) if x is not None and x.requires_grad]
        assert y.requires_grad == bool(pairs)
        found = gradients(y, own, grad_y) if pairs else []
        for gradient, (x, reference) in zip(found, pairs, strict=True):
            assert gradient.dtype == x.dtype
            assert_rounded(gradient, reference, GRADIENT if single else 1e-11, largest)
    for x, old in zip(drawn.inputs, before, strict=True):
        assert x is old or torch.equal(x, old)


@settings(max_examples=60, deadline=None)
@given(scans())
def test_scan(drawn: tuple[Drawn, bool]):
    scan, softplus = drawn
    assert_all_agree(kernels.selective_scan, scan_by_definition, scan, delta_softplus=softplus)


@settings(max_examples=60, deadline=None)
@given(grids())
def test_ss2d(drawn: Drawn):
    assert_all_agree(kernels.ss2d, ss2d_by_definition, drawn)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_the_layouts_are_not_contiguous(layout: str):
    x = torch.randn(3, 4, 5)
    view = laid_out(x, layout)
    assert not view.is_contiguous()
    assert torch.equal(view, x) or layout == "expanded"
