"""Which back end computes, in which precision, and what is refused."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch
from kernel_cases import (
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
)
from torch import Tensor

from lung_srad import kernels
from lung_srad.errors import ConfigError, ShapeError

BOTH = {"scan": (kernels.selective_scan, scan_inputs(2, 2, 3, 1, 20)), "ss2d": (kernels.ss2d, ss2d_inputs((3, 5)))}
both = pytest.mark.parametrize(("function", "given"), BOTH.values(), ids=BOTH)
HALVES = (torch.bfloat16, torch.float16)


def single(given: list[Tensor], on: str = "cpu") -> list[Tensor]:
    return [x.to(on, torch.float32) for x in given]


# --- choosing


@both
def test_an_unknown_backend_is_named(function: Callable, given: list[Tensor]):
    with pytest.raises(ConfigError, match=r"'tritn'; available here: torch"):
        function(*given, backend="tritn")
    with pytest.raises(ConfigError, match="'fast'; available here"), kernels.use("fast"):
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
            kernels.selective_scan(*given, backend="one")  # the argument is stronger
        default()
        with pytest.raises(KeyError), kernels.use("two"):
            raise KeyError
        default()
    default()
    assert called == ["two", "one", "two", "one", "one", "one", "two"]


@needs_compiled
@pytest.mark.parametrize("name", ["selective_scan", "ss2d"])
def test_the_compiled_kernels_are_preferred_on_a_cpu(name: str, monkeypatch: pytest.MonkeyPatch):
    function, given = BOTH["scan" if name == "selective_scan" else name]
    given, calls, own = single(given), [], getattr(kernels.BACKENDS["cpu"], name)
    counted = replace(kernels.BACKENDS["cpu"], **{name: lambda *x: calls.append(name) or own(*x)})
    monkeypatch.setitem(kernels.BACKENDS, "cpu", counted)
    assert kernels.compiled(given[0])
    y = function(*given)
    assert calls == [name]
    with kernels.use("torch"):
        assert not kernels.compiled(given[0])
        assert_close(function(*given), y, 1e-6)
    assert calls == [name]


@needs_compiled
@both
def test_a_device_that_the_backend_does_not_have_is_named(function: Callable, given: list[Tensor]):
    with pytest.raises(ConfigError, match=r"tensors on meta; 'cpu' runs on cpu; move the tensors"):
        function(*(x.to("meta") for x in single(given)), backend="cpu")


@each_backend
@both
def test_tensors_on_two_devices_are_refused(function: Callable, given: list[Tensor], backend: str):
    """Compiled code would take an address on one device for one on the other."""
    for place in range(1, len(given)):
        mixed = single(given, device(backend))
        mixed[place] = mixed[place].to("meta")
        with pytest.raises(ConfigError, match=r"tensors on .* and meta; needs all on one device"):
            function(*mixed, backend=backend)


def test_without_the_compiled_kernels_torch_computes(monkeypatch: pytest.MonkeyPatch):
    """Hides the distribution, as where it is not installed."""

    def no_triton() -> kernels.Backend:
        raise ImportError("torch sees no CUDA GPU")

    monkeypatch.setattr(kernels, "BACKENDS", {"torch": kernels.BACKENDS["torch"]})
    monkeypatch.setattr(kernels, "missing", cache(kernels.missing.__wrapped__))
    monkeypatch.setattr(kernels, "_triton", no_triton)
    monkeypatch.setitem(sys.modules, "lung_srad_kernels", None)
    monkeypatch.delitem(sys.modules, "lung_srad.kernels.cpu", raising=False)
    assert kernels.available() == ("torch",)
    assert kernels.missing().keys() == {"cpu", "triton"}
    function, given = BOTH["ss2d"]
    assert torch.equal(function(*given), function(*given, backend="torch"))
    assert not kernels.compiled(given[0].float())
    with pytest.raises(ConfigError, match=r"'cpu'; available here: torch; .*lung_srad_kernels.*lung-srad doctor"):
        function(*given, backend="cpu")


# --- precision


@each_backend
@both
def test_float64_is_computed_in_float64(function: Callable, given: list[Tensor], backend: str):
    own, plain = leaves(given, on=device(backend)), leaves(given, on=device(backend))
    y, expected = function(*own, backend=backend), function(*plain, backend="torch")
    assert y.dtype == torch.float64
    assert torch.equal(y, expected)
    assert all(map(torch.equal, gradients(y, own), gradients(expected, plain)))
    with kernels.use(backend):
        assert torch.equal(function(*own), expected)
    with torch.autocast(device(backend), torch.bfloat16):
        assert torch.equal(function(*own, backend=backend), expected)


@each_backend
@pytest.mark.parametrize("place", range(6))
def test_one_input_in_float64_is_enough(place: int, backend: str):
    for function, definition, given in (
        (kernels.selective_scan, scan_by_definition, BOTH["scan"][1]),
        (kernels.ss2d, ss2d_by_definition, BOTH["ss2d"][1]),
    ):
        mixed = [x if i == place else x.float() for i, x in enumerate(given)]
        y = function(*(x.to(device(backend)) for x in mixed), backend=backend)
        expected = definition(*(x.double() for x in mixed))
        assert y.dtype == mixed[0].dtype
        assert_close(y, expected.to(y.dtype), 1e-12 if place == 0 else 6e-8)


@each_backend
@both
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_precision_is_computed_in_float32(
    function: Callable, given: list[Tensor], dtype: torch.dtype, backend: str
):
    half = [x.to(device(backend), dtype) for x in given]
    expected = function(*single(half, device(backend)), backend=backend).to(dtype)
    y = function(*half, backend=backend)
    assert y.dtype == dtype
    assert torch.equal(y, expected)
    with torch.autocast(device(backend), torch.bfloat16):
        assert torch.equal(function(*half, backend=backend), expected)


@each_backend
@both
def test_the_default_dtype_changes_nothing(function: Callable, given: list[Tensor], backend: str):
    own = leaves(single(given, device(backend)))
    expected = function(*own, backend=backend)
    torch.set_default_dtype(torch.float64)
    try:
        y = function(*own, backend=backend)
        found = gradients(y, own)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(y, expected)
    assert all(map(torch.equal, found, gradients(expected, own)))


# --- shapes


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
def test_a_wrong_shape_of_the_scan_is_named(name: str, shape: tuple[int, ...]):
    names = ("u", "delta", "A", "B", "C", "D", "delta_bias")
    given = dict(zip(names, [*BOTH["scan"][1], torch.zeros(6).double()], strict=True))
    kernels.selective_scan(**given)
    with pytest.raises(ShapeError, match=r"selective_scan: \w+: float64 \(.*needs Float"):
        kernels.selective_scan(**given | {name: torch.ones(shape, dtype=torch.float64)})


@pytest.mark.parametrize("position", range(6))
def test_a_wrong_shape_of_ss2d_is_named(position: int):
    given = ss2d_inputs((3, 5))
    given[position] = given[position][..., :-1] if position != 4 else given[4][:-1]
    with pytest.raises(ShapeError, match=r"ss2d: \w+: "):
        kernels.ss2d(*given)


@both
def test_whole_numbers_are_refused(function: Callable, given: list[Tensor]):
    with pytest.raises(ShapeError, match="int64"):
        function(given[0].long(), *given[1:])


def test_projected_values_must_be_those_of_the_weights():
    x, projected, *weights = ss2d_inputs((3, 5))
    with pytest.raises(ShapeError, match=r"15 values per token; needs 16 = 4 \(R \+ 2N\), with R = 2 and N = 1"):
        kernels.ss2d(x, projected[..., :15], *weights)


def test_channels_that_are_no_multiple_of_the_groups():
    u, delta, A, _, _, _ = scan_inputs(1, 1, 5, 1, 8)
    B = torch.ones(1, 2, 1, 8)
    with pytest.raises(ShapeError, match="5 channels; needs a multiple of the 2 groups of B"):
        kernels.selective_scan(u, delta, A, B, B)
    with pytest.raises(ShapeError, match="5 channels; needs a multiple of the 0 groups"):
        kernels.selective_scan(u, delta, A, B[:, :0], B[:, :0])


@each_backend
def test_no_states_are_refused(backend: str):
    u, delta, A, B, C, D = scan_inputs(1, 2, 3, 0, 8)
    with pytest.raises(ShapeError, match=r"selective_scan: A: shape \(6, 0\); needs one state or more"):
        kernels.selective_scan(u, delta, A, B, C, D, backend=backend)
    with pytest.raises(ShapeError, match=r"ss2d: A: shape \(12, 0\); needs one state or more"):
        kernels.ss2d(*ss2d_inputs((3, 5), states=0), backend=backend)


EMPTY_GRIDS = {
    "batch": {"batch": 0},
    "channels": {"channels": 0},
    "rows": {"grid": (0, 5)},
    "columns": {"grid": (3, 0)},
}
EMPTY_SCANS = {"batch": {"batch": 0}, "channels": {"channels": 0}, "length": {"length": 0}}


@each_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("empty", EMPTY_GRIDS)
def test_an_empty_grid_gives_an_empty_grid(empty: str, dtype: torch.dtype, backend: str):
    given = [x.to(dtype) for x in ss2d_inputs(**({"grid": (3, 5)} | EMPTY_GRIDS[empty]))]
    assert_empty(kernels.ss2d, given, backend)


@each_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("empty", EMPTY_SCANS)
def test_an_empty_scan_gives_an_empty_scan(empty: str, dtype: torch.dtype, backend: str):
    sizes = {"batch": 2, "groups": 2, "channels": 3, "states": 2, "length": 20} | EMPTY_SCANS[empty]
    assert_empty(kernels.selective_scan, [x.to(dtype) for x in scan_inputs(**sizes)], backend)


def assert_empty(function: Callable, given: list[Tensor], backend: str) -> None:
    own = leaves(given, on=device(backend))
    y = function(*own, backend=backend)
    assert y.shape == own[0].shape
    assert not y.numel()
    for x, gradient in zip(own, gradients(y, own), strict=True):
        assert gradient.shape == x.shape
        assert not gradient.any()
