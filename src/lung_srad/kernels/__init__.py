"""The selective scan and the fused two-dimensional scan (SS2D): one dispatch, several back ends.

Every back end computes what :func:`lung_srad.method.ssm.recurrence` defines, faster, never differently.
"torch" needs nothing but torch. The best one available is taken; :func:`use` or ``backend=`` chooses.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lung_srad.errors import ConfigError, ShapeError, message, nearest
from lung_srad.kernels import torch_scan

__all__ = ["BACKENDS", "Backend", "available", "selective_scan", "ss2d", "use"]


@dataclass(frozen=True)
class Backend:
    """One implementation. ``selective_scan`` receives a positive delta; shapes as in this module."""

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

    K groups (scan directions) of C channels share B and C. Half-precision inputs are computed in float32.

    Raises:
        ShapeError: the shapes do not fit together.
        ConfigError: ``backend`` is not available.
    Reference: paper Eq. 2; mamba's ``selective_scan_ref`` (Euler's rule for B, DECISIONS: euler-for-b).
    """
    _check_scan(u, delta, A, B, C)
    dtype = u.dtype
    u, delta, A, B, C = (_at_least_float32(x) for x in (u, delta, A, B, C))
    if delta_bias is not None:
        delta = delta + _at_least_float32(delta_bias).unsqueeze(-1)
    if delta_softplus:
        delta = F.softplus(delta)
    D = D if D is None else _at_least_float32(D)
    return _named(backend).selective_scan(u, delta, A, B, C, D).to(dtype)


def ss2d(
    x: Float[Tensor, "B H W C"],
    projected: Float[Tensor, "B H W P"],
    dt_weight: Float[Tensor, "4 C R"],
    dt_bias: Float[Tensor, "4 C"],
    A: Float[Tensor, "4C N"],
    D: Float[Tensor, " 4C"],
    *,
    backend: str | None = None,
) -> Float[Tensor, "B H W C"]:
    """Returns the merged four-directional scan of a grid (Eq. 3), channels last.

    ``projected`` holds, per token and direction, the R low-rank step sizes, then B and C of N states each:
    P = 4·(R + 2N). It is computed once on the tokens in place, because a projection commutes with the order
    of a scan. Half-precision inputs are computed in float32.

    Raises:
        ShapeError: the shapes do not fit together.
    Reference: VMamba ``cross_selective_scan`` and its directions: rows, columns, rows back, columns back.
    """
    rank, states, channels = dt_weight.shape[-1], A.shape[-1], x.shape[-1]
    if projected.shape != (*x.shape[:-1], 4 * (rank + 2 * states)):
        wanted = (*x.shape[:-1], 4 * (rank + 2 * states))
        raise ShapeError(message("projected", f"{tuple(projected.shape)}", f"needs {wanted}", "project the tokens"))
    dtype = x.dtype
    x, projected, dt_weight, dt_bias, A, D = (_at_least_float32(t) for t in (x, projected, dt_weight, dt_bias, A, D))
    low, B, C = projected.unflatten(-1, (4, -1)).split([rank, states, states], dim=-1)
    A, D = A.view(4, channels, states), D.view(4, channels)
    return _named(backend).ss2d(x, low, B, C, dt_weight, dt_bias, A, D).to(dtype)


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.element_size() >= 4 else x.float()


def _check_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> None:
    batch, channels, length = u.shape
    groups = B.shape[1]
    wanted = {"delta": (delta, u.shape), "A": (A, (channels, A.shape[-1]))}
    wanted |= {name: (x, (batch, groups, A.shape[-1], length)) for name, x in (("B", B), ("C", C))}
    for name, (x, shape) in wanted.items():
        if x.shape != tuple(shape):
            raise ShapeError(message(name, f"shape {tuple(x.shape)}", f"needs {tuple(shape)}", "see selective_scan"))
    if channels % groups:
        raise ShapeError(message("u", f"{channels} channels", f"needs a multiple of B's {groups} groups", "reshape"))
