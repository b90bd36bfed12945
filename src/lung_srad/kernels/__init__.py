"""The selective scan and the fused two-dimensional scan (SS2D): one dispatch, several back ends.

Every back end computes what :func:`lung_srad.method.ssm.recurrence` defines, faster, never differently.
"torch" needs nothing but torch; "cpu" is compiled (the distribution ``lung-srad-kernels``); "triton" is for GPUs.
The best one that runs on the tensors' device is taken; :func:`use` or ``backend=`` chooses. float64 is always
computed in float64, by "torch" (DECISIONS: precision-of-kernels).
"""

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from lung_srad.errors import ConfigError, ShapeError, message, nearest
from lung_srad.kernels import ops, torch_scan
from lung_srad.method._checked import checked

__all__ = ["BACKENDS", "Backend", "available", "compiled", "missing", "selective_scan", "ss2d", "use"]


@dataclass(frozen=True)
class Backend:
    """One implementation of the two functions below; it receives activations of one of its dtypes.

    Parameters come in float32, or in float64 with activations in float64.
    """

    selective_scan: Callable[..., Tensor]
    ss2d: Callable[..., Tensor]
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64)
    devices: tuple[str, ...] | None = None  # None: any
    ss2d_in_place: Callable[..., Tensor] | None = None  # the same without a gradient, in the memory of x

    def runs_on(self, device: str) -> bool:
        """Returns whether it computes on tensors of this kind of device."""
        return self.devices is None or device in self.devices


BACKENDS: dict[str, Backend] = {"torch": Backend(torch_scan.selective_scan, torch_scan.ss2d)}  # best last
_chosen: ContextVar[str | None] = ContextVar("lung_srad_kernel", default=None)


def available() -> tuple[str, ...]:
    """Returns the names of the back ends that run here, the preferred one last."""
    missing()
    return tuple(BACKENDS)


@cache
def missing() -> dict[str, str]:
    """Returns why each back end that does not run here does not; the others are loaded by this."""
    reasons = {}
    for name, load in (("cpu", _compiled), ("triton", _triton)):
        try:
            BACKENDS[name] = load()
        except (ImportError, OSError) as error:
            reasons[name] = str(error)
    return reasons


def _compiled() -> Backend:
    return _registered("cpu", "cpu", (torch.float32, torch.bfloat16), ("cpu",))


def _triton() -> Backend:
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if not (torch.cuda.is_available() or interpreted):
        raise ImportError("torch sees no CUDA GPU")
    devices = ("cuda", "cpu") if interpreted else ("cuda",)
    return _registered("triton", "triton_scan", (torch.float32, torch.bfloat16, torch.float16), devices)


def _registered(name: str, module: str, dtypes: tuple[torch.dtype, ...], devices: tuple[str, ...]) -> Backend:
    kernel = importlib.import_module(f"lung_srad.kernels.{module}")
    in_place = getattr(kernel, "ss2d_in_place", None)
    return Backend(*ops.register_scans(name, kernel), dtypes, devices, in_place)


@contextmanager
def use(name: str) -> Iterator[None]:
    """Runs every scan inside the ``with`` block on one back end.

    Raises:
        ConfigError: no such back end here.
    """
    _named(name)
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def _named(name: str) -> Backend:
    if name not in available():
        allowed = f"available here: {', '.join(available())}"
        remedy = f"{missing()[name]}; lung-srad doctor tells more" if name in missing() else nearest(name, available())
        raise ConfigError(message("backend", repr(name), allowed, remedy))
    return BACKENDS[name]


def _backend(name: str | None, given: Tensor, dtype: torch.dtype) -> Backend:
    """Returns the back end asked for, or the best one for this device; "torch" for what is not in its precision."""
    backend = BACKENDS[_pick(name, given.device.type)]
    return BACKENDS["torch"] if dtype == torch.float64 and dtype not in backend.dtypes else backend


def _pick(name: str | None, device: str) -> str:
    name = name or _chosen.get()
    if name is None:
        return next(name for name in reversed(available()) if BACKENDS[name].runs_on(device))
    if not _named(name).runs_on(device):
        seen, allowed = f"tensors on {device}", f"{name!r} runs on {' and '.join(BACKENDS[name].devices)}"
        raise ConfigError(message("backend", seen, allowed, "move the tensors, or leave the back end out"))
    return name


# torch.compile calls it while tracing, for a constant. torch.compiler.assume_constant_result would import the compiler.
_pick._dynamo_marked_constant = True


def compiled(x: Tensor) -> bool:
    """Returns whether the compiled CPU kernels, here and now, compute what is like x; layers ask this."""
    return x.dtype in (torch.float32, torch.bfloat16) and _backend(None, x, x.dtype) is BACKENDS.get("cpu")


def _prepared(
    name: str | None, activations: tuple[Tensor, ...], parameters: tuple[Tensor, ...]
) -> tuple[Backend, list[Tensor], list[Tensor]]:
    """Returns the back end and its inputs, in float64 if one of them is, else parameters in float32."""
    where = {x.device for x in (*activations, *parameters)}
    if len(where) > 1:  # compiled code would read an address of another device
        seen = f"tensors on {' and '.join(sorted(map(str, where)))}"
        raise ConfigError(message("backend", seen, "needs all on one device", "move the module and its input together"))
    dtype = activations[0].dtype
    for x in activations[1:]:
        dtype = torch.promote_types(dtype, x.dtype)
    if any(x.dtype == torch.float64 for x in parameters):
        dtype = torch.float64
    backend = _backend(name, activations[0], dtype)
    dtype = dtype if dtype in backend.dtypes else torch.float32
    whole = torch.float64 if dtype == torch.float64 else torch.float32
    return backend, [x.to(dtype) for x in activations], [x.to(whole) for x in parameters]


def _some_states(function: str, A: Tensor) -> None:
    if not A.shape[-1]:
        seen, remedy = f"shape {tuple(A.shape)}", "give a decay rate for each channel and state"
        raise ShapeError(message(f"{function}: A", seen, "needs one state or more", remedy))


@checked
def selective_scan(
    u: Float[Tensor, "B KC L"],
    delta: Float[Tensor, "B KC L"],
    A: Float[Tensor, "KC N"],
    B: Float[Tensor, "B K N L"],
    C: Float[Tensor, "B K N L"],
    D: Float[Tensor, " KC"] | None = None,
    delta_bias: Float[Tensor, " KC"] | None = None,
    delta_softplus: bool = True,
    backend: str | None = None,
) -> Float[Tensor, "B KC L"]:
    """Returns y_t = C_t h_t + D u_t with h_t = exp(Δ_t A) h_{t-1} + Δ_t B_t u_t, differentiable in every input.

    K groups (scan directions) of C channels share B and C. Everything is computed in the finest precision of
    the inputs, at least float32, also under autocast; y has that of u.

    Raises:
        ShapeError: the shapes do not fit together.
        ConfigError: ``backend`` is not available.
    Reference: paper Eq. 2; mamba's ``selective_scan_ref`` (Euler's rule for B, DECISIONS: euler-for-b).
    """
    groups = B.shape[1]
    _some_states("selective_scan", A)
    if not groups or u.shape[1] % groups:
        allowed = f"needs a multiple of the {groups} groups of B"
        raise ShapeError(message("selective_scan: u", f"{u.shape[1]} channels", allowed, "give K groups of C channels"))
    D, delta_bias = (A.new_zeros(len(A)) if x is None else x for x in (D, delta_bias))
    one, tokens, parameters = _prepared(backend, (u, delta, B, C), (A, D, delta_bias))
    with torch.autocast(u.device.type, enabled=False):
        y = one.selective_scan(*tokens[:2], parameters[0], *tokens[2:], *parameters[1:], delta_softplus)
    return y.to(u.dtype)


@checked
def ss2d(
    x: Float[Tensor, "B H W C"],
    projected: Float[Tensor, "B H W P"],
    dt_weight: Float[Tensor, "4 C R"],
    dt_bias: Float[Tensor, "4 C"],
    A: Float[Tensor, "4*C N"],
    D: Float[Tensor, " 4*C"],
    *,
    backend: str | None = None,
) -> Float[Tensor, "B H W C"]:
    """Returns the merged four-directional scan of a grid (Eq. 3), channels last.

    ``projected`` holds, per token and direction, the R low-rank step sizes, then B and C of N states each:
    P = 4·(R + 2N). It is computed once on the tokens in place, because a projection commutes with the order
    of a scan. Precision as in :func:`selective_scan`.

    Raises:
        ShapeError: the shapes do not fit together.
        ConfigError: ``backend`` is not available.
    Reference: VMamba ``cross_selective_scan`` and its directions: rows, columns, rows back, columns back.
    """
    rank, states = dt_weight.shape[-1], A.shape[-1]
    _some_states("ss2d", A)
    if projected.shape[-1] != 4 * (rank + 2 * states):
        allowed = f"needs {4 * (rank + 2 * states)} = 4 (R + 2N), with R = {rank} and N = {states}"
        seen, remedy = f"{projected.shape[-1]} values per token", "project the tokens for these weights"
        raise ShapeError(message("ss2d: projected", seen, allowed, remedy))
    return merged_scan(x, projected, dt_weight, dt_bias, A, D, backend=backend)


def merged_scan(
    x: Tensor,
    projected: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    *,
    own: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Returns :func:`ss2d` of arrays that fit together, as a layer's do: a check costs as much as a small scan.

    Where no gradient is kept, the result may take the place of x if that is the caller's ``own``.
    """
    one, tokens, parameters = _prepared(backend, (x, projected), (dt_weight, dt_bias, A, D))
    if own and one.ss2d_in_place is not None and not torch.is_grad_enabled() and not ops.traced(x):
        return one.ss2d_in_place(*tokens, *parameters).to(x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        return one.ss2d(*tokens, *parameters).to(x.dtype)
