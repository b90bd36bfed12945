"""The selective scan and the fused two-dimensional scan (SS2D): one dispatch, several back ends.

Every back end computes what :func:`lung_srad.method.ssm.recurrence` defines, faster, never differently.
"torch" needs nothing but torch. The best one available is taken; :func:`use` or ``backend=`` chooses.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import reduce

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lung_srad.errors import ConfigError, ShapeError, message, nearest
from lung_srad.kernels import torch_scan
from lung_srad.method._checked import checked

__all__ = ["BACKENDS", "Backend", "available", "selective_scan", "ss2d", "use"]


@dataclass(frozen=True)
class Backend:
    """One implementation of the two functions below; it receives tensors of one precision, and a positive delta."""

    selective_scan: Callable[..., Tensor]
    ss2d: Callable[..., Tensor]


BACKENDS: dict[str, Backend] = {"torch": Backend(torch_scan.selective_scan, torch_scan.ss2d)}  # best last
_chosen: ContextVar[str | None] = ContextVar("lung_srad_kernel", default=None)


def available() -> tuple[str, ...]:
    """Returns the names of the back ends that run here, the preferred one last."""
    return tuple(BACKENDS)


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


def _named(name: str | None) -> Backend:
    name = name or _chosen.get() or available()[-1]
    if name not in BACKENDS:
        allowed = f"available here: {', '.join(available())}"
        raise ConfigError(message("backend", repr(name), allowed, nearest(name, available())))
    return BACKENDS[name]


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
    scan, groups, dtype = _named(backend).selective_scan, B.shape[1], u.dtype
    if not groups or u.shape[1] % groups:
        allowed = f"needs a multiple of the {groups} groups of B"
        raise ShapeError(message("selective_scan: u", f"{u.shape[1]} channels", allowed, "give K groups of C channels"))
    u, delta, A, B, C = _promoted(u, delta, A, B, C)
    if delta_bias is not None:
        delta = delta + delta_bias.to(delta.dtype).unsqueeze(-1)
    if delta_softplus:
        delta = F.softplus(delta)
    with torch.autocast(u.device.type, enabled=False):
        return scan(u, delta, A, B, C, D if D is None else D.to(u.dtype)).to(dtype)


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
    scan, rank, states, dtype = _named(backend).ss2d, dt_weight.shape[-1], A.shape[-1], x.dtype
    if projected.shape[-1] != 4 * (rank + 2 * states):
        allowed = f"needs {4 * (rank + 2 * states)} = 4 (R + 2N), with R = {rank} and N = {states}"
        seen, remedy = f"{projected.shape[-1]} values per token", "project the tokens for these weights"
        raise ShapeError(message("ss2d: projected", seen, allowed, remedy))
    x, projected, dt_weight, dt_bias, A, D = _promoted(x, projected, dt_weight, dt_bias, A, D)
    low, B, C = projected.unflatten(-1, (4, -1)).split([rank, states, states], dim=-1)
    A, D = A.unflatten(0, (4, -1)), D.unflatten(0, (4, -1))
    with torch.autocast(x.device.type, enabled=False):
        return scan(x, low, B, C, dt_weight, dt_bias, A, D).to(dtype)


def _promoted(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Returns the tensors in their finest common precision, at least float32."""
    dtype = reduce(torch.promote_types, (x.dtype for x in tensors), torch.float32)
    return tuple(x.to(dtype) for x in tensors)
