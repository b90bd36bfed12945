"""The selective scan against its definition, :func:`lung_srad.method.recurrence`, on every back end that runs here."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lung_srad import kernels
from lung_srad.errors import ConfigError, ShapeError
from lung_srad.kernels import torch_scan
from lung_srad.method import recurrence

BACKENDS = kernels.available()
LENGTHS = (1, 2, 15, 16, 17, 64, 65, 80, 129, 1024)


def scan_inputs(batch: int, groups: int, channels: int, states: int, length: int, dtype=torch.float64) -> list[Tensor]:
    """Returns u, Δ, A, B, C, D of a stable scan."""
    draw = torch.Generator().manual_seed(1000 * states + length)
    u, delta = torch.randn(2, batch, groups * channels, length, generator=draw, dtype=dtype).unbind()
    A = -torch.rand(groups * channels, states, generator=draw, dtype=dtype)
    B, C = torch.randn(2, batch, groups, states, length, generator=draw, dtype=dtype).unbind()
    return [u, F.softplus(delta), A, B, C, torch.randn(groups * channels, generator=draw, dtype=dtype)]


def scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, backend: str = "torch") -> Tensor:
    return kernels.selective_scan(u, delta, A, B, C, D, delta_softplus=False, backend=backend)


def assert_close(actual: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    scale = expected.abs().max().item() or 1.0
    torch.testing.assert_close(actual / scale, expected / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("states", [1, 3, 16])
@pytest.mark.parametrize("length", LENGTHS)
def test_is_the_recurrence(backend: str, length: int, states: int):
    given = scan_inputs(2, 2, 3, states, length)
    assert_close(scan(*given, backend=backend), recurrence(*given))


@pytest.mark.parametrize("backend", BACKENDS)
def test_is_the_recurrence_over_many_levels_of_chunks(backend: str):
    given = scan_inputs(1, 1, 1, 1, 16 * 16 * 64 + 33)  # chunks of chunks of chunks
    assert_close(scan(*given, backend=backend), recurrence(*given))


@pytest.mark.parametrize("backend", BACKENDS)
def test_float32_is_as_close_as_the_definition_in_float32(backend: str):
    given = scan_inputs(2, 4, 8, 1, 1000)
    exact, single = recurrence(*given), [x.float() for x in given]
    assert_close(scan(*single, backend=backend).double(), exact, 2e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("states", "length"), [(1, 1), (3, 17), (1, 64), (16, 65), (1, 300), (3, 1100)])
def test_gradients_are_those_of_the_recurrence(backend: str, states: int, length: int):
    given = [x.requires_grad_() for x in scan_inputs(2, 2, 2, states, length)]
    weight = torch.randn(2, 4, length, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.autograd.grad((weight * recurrence(*given)).sum(), given)
    actual = torch.autograd.grad((weight * scan(*given, backend=backend)).sum(), given)
    for ours, definition in zip(actual, expected, strict=True):
        assert_close(ours, definition, 1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("states", "length"), [(1, 1), (2, 7), (1, 70)])
def test_gradients_are_those_of_finite_differences(backend: str, states: int, length: int):
    u, delta, A, B, C, D = (x.requires_grad_() for x in scan_inputs(1, 2, 1, states, length))
    bias = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)

    def whole(*given: Tensor) -> Tensor:
        return kernels.selective_scan(*given, delta_softplus=True, backend=backend)

    assert torch.autograd.gradcheck(whole, (u, delta, A, B, C, D, bias), fast_mode=True)


def test_bias_and_softplus_make_the_step_size():
    u, delta, A, B, C, D = scan_inputs(2, 2, 3, 1, 20)
    bias = torch.linspace(-1, 1, 6, dtype=torch.float64)
    raw = delta - 1
    expected = recurrence(u, F.softplus(raw + bias[:, None]), A, B, C, D)
    assert_close(kernels.selective_scan(u, raw, A, B, C, D, bias), expected)
    assert_close(kernels.selective_scan(u, delta, A, B, C, None, delta_softplus=False), recurrence(u, delta, A, B, C))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("step", "rate"), [(1e3, -1e3), (1e3, -1e-3), (1e-8, -1e3), (30.0, -1.0)])
def test_no_step_size_overflows(backend: str, step: float, rate: float):
    u, delta, A, B, C, D = (x.float() for x in scan_inputs(1, 2, 2, 1, 200))
    delta, A = torch.full_like(delta, step), torch.full_like(A, rate)
    delta[:, :, 100] = 1e-3  # a small step among large ones, where a quotient of decays would be 0 / 0
    given = [x.requires_grad_() for x in (u, delta, A, B, C, D)]
    y = scan(*given, backend=backend)
    assert y.isfinite().all()
    assert_close(y.double(), recurrence(*(x.detach().double() for x in given)), 2e-6)
    for gradient in torch.autograd.grad(y.sum(), given):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(backend: str, dtype: torch.dtype):
    half = [x.to(dtype) for x in scan_inputs(2, 2, 3, 1, 500)]
    y = scan(*half, backend=backend)
    assert y.dtype == dtype
    assert torch.equal(y, scan(*(x.float() for x in half), backend=backend).to(dtype))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(scan(*half, backend=backend), y)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_finest_precision_of_the_inputs_counts(backend: str):
    u, delta, A, B, C, D = scan_inputs(1, 2, 2, 1, 100)
    mixed = [u.float(), delta, A, B.float(), C, D.bfloat16()]
    y = scan(*mixed, backend=backend)
    assert y.dtype == torch.float32
    assert torch.equal(y, recurrence(*(x.double() for x in mixed)).float())


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_need_not_be_contiguous(backend: str):
    u, delta, A, B, C, D = scan_inputs(2, 2, 3, 3, 200)
    views = [u.mT.contiguous().mT, delta[..., :1].expand_as(delta), A.mT.contiguous().mT, B.flip(-1).contiguous()]
    views += [torch.stack([C, C], dim=-1)[..., 1], torch.stack([D, D], dim=-1)[:, 0]]
    assert not any(x.is_contiguous() for x in (views[0], views[1], views[2], views[4], views[5]))
    views = [x.detach().requires_grad_() for x in views]
    copies = [x.detach().contiguous().requires_grad_() for x in views]
    y, expected = scan(*views, backend=backend), recurrence(*copies)
    assert_close(y, expected)
    gradients = zip(torch.autograd.grad(y.sum(), views), torch.autograd.grad(expected.sum(), copies), strict=True)
    for ours, definition in gradients:
        assert_close(ours, definition, 1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_stay_as_they_are(backend: str):
    given = [x.requires_grad_() for x in scan_inputs(2, 2, 2, 1, 90)]
    before = [x.detach().clone() for x in given]
    scan(*given, backend=backend).sum().backward()
    assert all(torch.equal(x, old) for x, old in zip(given, before, strict=True))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("u", (2, 5, 20)),
        ("u", (2, 4, 5, 20)),
        ("delta", (2, 6, 19)),
        ("delta", (6, 20)),
        ("A", (5, 1)),
        ("A", (6,)),
        ("B", (2, 2, 3, 20)),
        ("B", (2, 4, 20)),
        ("C", (2, 3, 1, 20)),
        ("C", (1, 2, 1, 20)),
        ("D", (5,)),
        ("delta_bias", (6, 1)),
    ],
)
def test_a_wrong_shape_is_named(name: str, shape: tuple[int, ...]):
    names = ("u", "delta", "A", "B", "C", "D", "delta_bias")
    given = dict(zip(names, [*scan_inputs(2, 2, 3, 1, 20), torch.zeros(6).double()], strict=True))
    kernels.selective_scan(**given)
    with pytest.raises(ShapeError, match=r"selective_scan: \w+: float64 \(.*needs Float"):
        kernels.selective_scan(**given | {name: torch.ones(shape, dtype=torch.float64)})


def test_channels_that_are_no_multiple_of_the_groups():
    u, delta, A, _, _, _ = scan_inputs(1, 1, 5, 1, 8)
    B = torch.ones(1, 2, 1, 8)
    with pytest.raises(ShapeError, match="5 channels; needs a multiple of the 2 groups of B"):
        kernels.selective_scan(u, delta, A, B, B)
    with pytest.raises(ShapeError, match="5 channels; needs a multiple of the 0 groups"):
        kernels.selective_scan(u, delta, A, B[:, :0], B[:, :0])


def test_an_unknown_backend_is_named():
    given = scan_inputs(1, 1, 1, 1, 4)
    with pytest.raises(ConfigError, match=r"'tritn'; available here: .*torch"):
        scan(*given, backend="tritn")
    with pytest.raises(ConfigError, match="'cuda'; available here"), kernels.use("cuda"):
        pass


def test_use_chooses_inside_its_block_only(monkeypatch: pytest.MonkeyPatch):
    given = scan_inputs(1, 1, 1, 1, 4)
    called = []

    def marked(name: str) -> kernels.Backend:
        own = kernels.BACKENDS["torch"].selective_scan
        return replace(kernels.BACKENDS["torch"], selective_scan=lambda *x: called.append(name) or own(*x))

    for name in ("one", "two"):
        monkeypatch.setitem(kernels.BACKENDS, name, marked(name))

    def default() -> Tensor:
        return kernels.selective_scan(*given)

    default()  # the last one is preferred
    with kernels.use("one"):
        default()
        with kernels.use("two"):
            default()
            scan(*given, backend="one")  # the argument is stronger
        default()
        with pytest.raises(KeyError), kernels.use("two"):
            raise KeyError
        default()
    default()
    assert called == ["two", "one", "two", "one", "one", "one", "two"]


@pytest.mark.parametrize("size", [1, 300 * 6, 3 * 300 * 6])
def test_a_few_sequences_at_a_time_give_what_all_at_once_give(monkeypatch: pytest.MonkeyPatch, size: int):
    given = [x.requires_grad_() for x in scan_inputs(3, 2, 3, 2, 300)]
    weight = torch.rand_like(given[0])
    whole = scan(*given)
    gradients = torch.autograd.grad(whole, given, weight)
    monkeypatch.setattr(torch_scan, "GROUP", size)
    parts = scan(*given)
    assert_close(parts, whole)
    for own, expected in zip(torch.autograd.grad(parts, given, weight), gradients, strict=True):
        assert_close(own, expected)


def test_an_empty_batch_gives_an_empty_batch():
    assert scan(*[x[:0] if x.dim() > 2 else x for x in scan_inputs(1, 2, 3, 1, 20)]).shape == (0, 6, 20)
