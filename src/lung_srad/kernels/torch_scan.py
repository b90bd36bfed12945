"""The selective scan in plain torch: no compiler, any device, float32 and float64.

The recurrence h_t = a_t h_{t-1} + b_t is solved in chunks: all chunks advance together, one time step per
operation, first to find the state at the end of each, then, once these states are joined by the same
procedure one level up, to write every state. A sequence of L steps takes about 3·16 operations per level
instead of L. Nothing is ever divided by a decay, so no step size overflows it.

Arrays are channels-last here, (S, L, C, N): S sequences (sample × direction), L steps, C channels, N states.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

CHUNK = 16  # steps per chunk; 8 and 32 are within 10 % of it
GROUP = 2**21  # states held at once: 8 MB in float32; larger batches gain nothing and leave the cache
SHORT = 64  # sequences up to this length are walked step by step


def recurrence(a: Float[Tensor, "S L M"], b: Float[Tensor, "S L M"], *, reverse: bool = False) -> Tensor:
    """Returns h with h_t = a_t h_{t-1} + b_t (Eq. 2), or h_t = a_t h_{t+1} + b_t if ``reverse``.

    Shape: a, b (S, L, M) -> (S, L, M); the state before the first step is zero.
    """
    sequences, length, width = b.shape
    if length <= SHORT:
        return _walk(a.unsqueeze(1), b.unsqueeze(1), None, reverse).squeeze(1)
    if missing := -length % CHUNK:  # zeros decay to zero: harmless at the end, in both directions
        a, b = F.pad(a, (0, 0, 0, missing)), F.pad(b, (0, 0, 0, missing))
    a, b = (x.view(sequences, -1, CHUNK, width) for x in (a, b))
    decay, end = _chunk_ends(a, b, reverse)
    ends = recurrence(decay, end, reverse=reverse)
    start = torch.zeros_like(ends)
    if reverse:
        start[:, :-1] = ends[:, 1:]
    else:
        start[:, 1:] = ends[:, :-1]
    return _walk(a, b, start, reverse).view(sequences, -1, width)[:, :length]


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _chunk_ends(a: Tensor, b: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """Returns each chunk's total decay and its last state when it starts from zero: 2 × (S, chunks, M)."""
    first, *rest = _order(a.shape[2], reverse)
    decay, state = a[:, :, first].clone(), b[:, :, first].clone()
    for t in rest:
        decay.mul_(a[:, :, t])
        torch.addcmul(b[:, :, t], a[:, :, t], state, out=state)
    return decay, state


def _walk(a: Tensor, b: Tensor, start: Tensor | None, reverse: bool) -> Tensor:
    """Returns every state of chunks (S, chunks, steps, M) that start from the states ``start`` (S, chunks, M)."""
    states = torch.empty_like(b)
    state = start
    for t in _order(a.shape[2], reverse):
        if state is None:
            states[:, :, t] = b[:, :, t]
        else:
            torch.addcmul(b[:, :, t], a[:, :, t], state, out=states[:, :, t])
        state = states[:, :, t]
    return states


class _Scan(torch.autograd.Function):
    """y_t = C_t h_t with h_t = exp(Δ_t A) h_{t-1} + Δ_t B_t u_t; backward recomputes the states.

    Sequences go through in groups whose arrays stay in the cache.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        """Shape: u, delta (S, L, C); A (S, C, N); B, C (S, L, N) -> (S, L, C)."""
        ctx.save_for_backward(u, delta, A, B, C)
        parts = [_outputs(*group) for group in _grouped(u, delta, A, B, C)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    @staticmethod
    def backward(ctx: FunctionCtx, grad_y: Tensor) -> tuple[Tensor, ...]:
        """Returns the gradients of all inputs."""
        if torch.is_grad_enabled():  # once_differentiable would let a wrong second derivative through
            raise RuntimeError("the scan's backward is not differentiable; lung_srad.method.recurrence is")
        inputs = ctx.saved_tensors  # type: ignore[attr-defined]
        parts = [_gradients(*group) for group in _grouped(*inputs, grad_y)]
        return parts[0] if len(parts) == 1 else tuple(map(torch.cat, zip(*parts, strict=True)))


def _grouped(u: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yields all tensors for some sequences at a time, GROUP states at most (or one sequence)."""
    states = others[1].shape[-1]
    size = max(1, GROUP // max(1, u.shape[1] * u.shape[2] * states))
    yield from zip(*(x.split(size) for x in (u, *others)), strict=True)


def _outputs(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Returns y (S, L, C)."""
    states = _states(u, delta, A, B)[1]
    return (states * C.unsqueeze(2)).sum(-1) if C.shape[-1] > 1 else states.squeeze(-1) * C


def _gradients(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, grad_y: Tensor) -> tuple[Tensor, ...]:
    """Returns the gradients of all inputs. With g = ∂L/∂h and μ_t = a_t (g_t + μ_{t+1}): ∂L/∂b = g + μ_{+1}."""
    decay, states = _states(u, delta, A, B)
    grad_C = (states * grad_y.unsqueeze(-1)).sum(2)
    grad_b = grad_y.unsqueeze(-1) * C.unsqueeze(2)  # (S, L, C, N), becomes g + μ_{+1} below
    carried = recurrence(decay.flatten(2), (decay * grad_b).flatten(2), reverse=True).view_as(decay)
    grad_b[:, :-1] += carried[:, 1:]
    carried[:, 1:] *= states[:, :-1]  # μ_t h_{t-1} = ∂L/∂(Δ_t A)
    carried[:, :1] = 0
    grad_A = torch.einsum("slcn,slc->scn", carried, delta)
    weighted = (grad_b * B.unsqueeze(2)).sum(-1)  # (S, L, C)
    grad_B = torch.einsum("slcn,slc->sln", grad_b, delta * u)
    grad_delta = (carried * A.unsqueeze(1)).sum(-1) + weighted * u
    return weighted * delta, grad_delta, grad_A, grad_B, grad_C


def _states(u: Tensor, delta: Tensor, A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the decays exp(ΔA) and the states h, both (S, L, C, N)."""
    decay = (delta.unsqueeze(-1) * A.unsqueeze(1)).exp_()
    drive = (delta * u).unsqueeze(-1) * B.unsqueeze(2)
    return decay, recurrence(decay.flatten(2), drive.flatten(2)).view_as(decay)


def scan_channels_last(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Returns y of the scan for K directions at once; ``delta`` is already positive.

    Shape: u, delta (B, K, L, C); A (K, C, N); B, C (B, K, L, N) -> (B, K, L, C).
    """
    batch, directions = u.shape[:2]
    A = A.unsqueeze(0).expand(batch, -1, -1, -1).reshape(batch * directions, *A.shape[1:])
    y = _Scan.apply(u.flatten(0, 1), delta.flatten(0, 1), A, B.flatten(0, 1), C.flatten(0, 1))
    return y.view(u.shape)


def selective_scan(
    u: Float[Tensor, "B KC L"],
    delta: Float[Tensor, "B KC L"],
    A: Float[Tensor, "KC N"],
    B: Float[Tensor, "B K N L"],
    C: Float[Tensor, "B K N L"],
    D: Float[Tensor, " KC"],
    delta_bias: Float[Tensor, " KC"],
    delta_softplus: bool,
) -> Float[Tensor, "B KC L"]:
    """Returns y of Eq. 2 with Euler's rule for B."""
    delta = delta + delta_bias.unsqueeze(-1)
    if delta_softplus:
        delta = F.softplus(delta)
    directions = B.shape[1]
    tokens, steps = (x.unflatten(1, (directions, -1)).transpose(2, 3) for x in (u, delta))  # (B, K, L, C)
    y = scan_channels_last(tokens, steps, A.unflatten(0, (directions, -1)), B.transpose(2, 3), C.transpose(2, 3))
    return y.transpose(2, 3).flatten(1, 2) + u * D.unsqueeze(-1)


def ss2d(
    x: Float[Tensor, "B H W C"],
    projected: Float[Tensor, "B H W P"],
    dt_weight: Float[Tensor, "4 C R"],
    dt_bias: Float[Tensor, "4 C"],
    A: Float[Tensor, "4*C N"],
    D: Float[Tensor, " 4*C"],
) -> Float[Tensor, "B H W C"]:
    """Returns the four directional scans of a grid, merged (Eq. 3)."""
    (height, width), states = x.shape[1:3], A.shape[1]
    low, B, C = projected.unflatten(-1, (4, -1)).split([dt_weight.shape[2], states, states], dim=-1)
    delta = torch.einsum("bkld,kcd->bklc", _scan_order(low), dt_weight) + dt_bias.unsqueeze(1)
    tokens = _scan_order(x.unsqueeze(3).expand(-1, -1, -1, 4, -1))
    y = scan_channels_last(tokens, F.softplus(delta), A.unflatten(0, (4, -1)), _scan_order(B), _scan_order(C))
    rows = y[:, 0] + y[:, 2].flip(1)  # (B, H*W, C)
    columns = y[:, 1] + y[:, 3].flip(1)
    columns = columns.unflatten(1, (width, height)).transpose(1, 2)
    return rows.unflatten(1, (height, width)) + columns + x * D.unflatten(0, (4, -1)).sum(0)


def _scan_order(x: Tensor) -> Tensor:
    """Returns each direction's own values along its path: (B, H, W, 4, X) -> (B, 4, H*W, X)."""
    rows, columns, rows_back, columns_back = x.unbind(3)
    paths = [rows.flatten(1, 2), columns.transpose(1, 2).flatten(1, 2)]
    paths += [rows_back.flatten(1, 2).flip(1), columns_back.transpose(1, 2).flatten(1, 2).flip(1)]
    return torch.stack(paths, dim=1)
