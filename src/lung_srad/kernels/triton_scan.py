"""The selective scan in Triton, for NVIDIA GPUs; with :mod:`lung_srad.kernels.triton_ss2d` the back end "triton".

One program = (sample and group, chunk, block of channels), in the two passes of :mod:`lung_srad.kernels.triton_tiles`.
Inputs are of one precision, float32 or a half one; everything is computed in float32.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from lung_srad.kernels import triton_tiles as tiles
from lung_srad.kernels.triton_ss2d import ss2d_backward, ss2d_forward
from lung_srad.kernels.triton_tiles import as_one_step, exp, join, read, softplus, states_after, states_before

__all__ = ["CHUNK", "scan_backward", "scan_forward", "ss2d_backward", "ss2d_forward"]

CHUNK = tiles.CHUNK


@triton.jit
def _place(width, L, STEPS: tl.constexpr, CHANNELS: tl.constexpr):
    """Returns a program's block, chunk and group (of all samples), its steps and channels, and who of them is real."""
    blocks, chunks = tl.cdiv(width, CHANNELS), tl.cdiv(L, STEPS)
    program = tl.program_id(0)
    chunk, group = program // blocks % chunks, (program // blocks // chunks).to(tl.int64)
    step = chunk * STEPS + tl.arange(0, STEPS)
    channel = program % blocks * CHANNELS + tl.arange(0, CHANNELS)
    return program % blocks, chunk, group, step, channel, step < L, channel < width


@triton.jit
def _step_sizes(delta, bias, at, weight, mask, real, SOFTPLUS: tl.constexpr):
    """Returns a tile of step sizes and of their slope over what was given."""
    z = read(delta + at, mask) + read(bias + weight, real)[None, :]
    size, slope = z, tl.full(z.shape, 1, tl.float32)
    if SOFTPLUS:
        size, slope = softplus(z)
    return size, slope


@triton.jit
def _ends(
    source, factor, delta, bias, A, decay, end, K, width, L, N,
    SOFTPLUS: tl.constexpr, ADJOINT: tl.constexpr, STEPS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Writes each chunk as one step. Source and factor: u and B or, for the adjoint, the gradient of y and C."""
    _, chunk, group, step, channel, inside, real = _place(width, L, STEPS, CHANNELS)
    row, weight = group * width + channel, group % K * width + channel
    at, mask = row[None, :] * L + step[:, None], inside[:, None] & real[None, :]
    size, _ = _step_sizes(delta, bias, at, weight, mask, real, SOFTPLUS)
    value = read(source + at, mask)
    saved = (row * tl.cdiv(L, STEPS) + chunk) * N
    for n in range(N):
        a = exp(size * read(A + weight * N + n, real)[None, :])
        share = read(factor + (group * N + n) * L + step, inside)[:, None]
        b = (a if ADJOINT else size) * value * share
        chunk_decay, chunk_end = as_one_step(a, b, STEPS, ADJOINT)
        tl.store(decay + saved + n, chunk_decay, real)
        tl.store(end + saved + n, chunk_end, real)


@triton.jit
def _outputs(
    u, delta, bias, A, B, C, D, before, y, K, width, L, N,
    SOFTPLUS: tl.constexpr, STEPS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    _, chunk, group, step, channel, inside, real = _place(width, L, STEPS, CHANNELS)
    row, weight = group * width + channel, group % K * width + channel
    at, mask = row[None, :] * L + step[:, None], inside[:, None] & real[None, :]
    size, _ = _step_sizes(delta, bias, at, weight, mask, real, SOFTPLUS)
    value = read(u + at, mask)
    out = value * read(D + weight, real)[None, :]
    saved = (row * tl.cdiv(L, STEPS) + chunk) * N
    for n in range(N):
        a = exp(size * read(A + weight * N + n, real)[None, :])
        shared = (group * N + n) * L + step
        b = size * value * read(B + shared, inside)[:, None]
        h = states_after(a, b, read(before + saved + n, real), False)
        out += h * read(C + shared, inside)[:, None]
    tl.store(y + at, out, mask)


@triton.jit
def _gradients(
    grad_y, u, delta, bias, A, B, C, D, before, after,
    grad_u, grad_delta, grad_bias, grad_A, grad_B, grad_C, grad_D, K, width, L, N, groups,
    SOFTPLUS: tl.constexpr, STEPS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Writes the gradients: of A, D, bias per sample and chunk, of B and C per block of channels."""
    block, chunk, group, step, channel, inside, real = _place(width, L, STEPS, CHANNELS)
    row, weight = group * width + channel, group % K * width + channel
    at, mask = row[None, :] * L + step[:, None], inside[:, None] & real[None, :]
    size, slope = _step_sizes(delta, bias, at, weight, mask, real, SOFTPLUS)
    value, grad = read(u + at, mask), read(grad_y + at, mask)
    out = grad * read(D + weight, real)[None, :]
    grad_size = tl.zeros(out.shape, tl.float32)
    saved = row * tl.cdiv(L, STEPS) + chunk
    for n in range(N):
        rate = read(A + weight * N + n, real)[None, :]
        shared = (group * N + n) * L + step
        b_n, c_n = read(B + shared, inside)[:, None], read(C + shared, inside)[:, None]
        a = exp(size * rate)
        drive = size * value
        h = states_before(a, drive * b_n, read(before + saved * N + n, real), False)
        adjoint = grad * c_n + states_before(a, a * grad * c_n, read(after + saved * N + n, real), True)
        through = a * adjoint * h  # the gradient of size · A
        partial = (block * groups * N).to(tl.int64) * L + shared
        tl.store(grad_B + partial, tl.sum(adjoint * drive, 1), inside)
        tl.store(grad_C + partial, tl.sum(grad * (a * h + drive * b_n), 1), inside)
        tl.store(grad_A + saved * N + n, tl.sum(through * size, 0), real)
        grad_size += through * rate + adjoint * b_n * value
        out += adjoint * b_n * size
    grad_size *= slope
    tl.store(grad_u + at, out, mask)
    tl.store(grad_delta + at, grad_size, mask)
    tl.store(grad_bias + saved, tl.sum(grad_size, 0), real)
    tl.store(grad_D + saved, tl.sum(grad * value, 0), real)


def scan_forward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> tuple[Tensor, Tensor]:
    """Returns y and the state before every chunk.

    Shape: u, delta (B, KC, L); A (KC, N); B, C (B, K, N, L); D, delta_bias (KC,) -> (B, KC, L), (B, KC, chunks, N).
    """
    u, delta, bias, A, B, C, D = _plain(u, delta, delta_bias, A, B, C, D)
    y = torch.empty_like(u)
    with torch.cuda.device_of(u):
        before = _join_chunks(u, B, delta, bias, A, delta_softplus, adjoint=False)
        options = (*_sizes(u, B), delta_softplus, tiles.CHUNK, tiles.CHANNELS)
        _outputs[_grid(u, B)](u, delta, bias, A, B, C, D, before, y, *options, **tiles.LAUNCH)
    return y, before


def scan_backward(
    grad_y: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    states: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of u, delta, A, B, C, D and delta_bias; of the last two also where they are None."""
    u, delta, bias, A, B, C, D = _plain(u, delta, delta_bias, A, B, C, D)
    grad_y, blocks = grad_y.contiguous(), triton.cdiv(u.shape[1] // B.shape[1], tiles.CHANNELS)
    grad_u, grad_delta = torch.empty_like(u), torch.empty_like(u)
    grad_A = torch.empty_like(states)
    grad_B, grad_C = torch.empty((2, blocks, *B.shape), dtype=torch.float32, device=u.device)
    grad_D, grad_bias = torch.empty((2, *states.shape[:3]), dtype=torch.float32, device=u.device)
    with torch.cuda.device_of(u):
        after = _join_chunks(grad_y, C, delta, bias, A, delta_softplus, adjoint=True)
        given = (grad_y, u, delta, bias, A, B, C, D, states, after)
        found = (grad_u, grad_delta, grad_bias, grad_A, grad_B, grad_C, grad_D)
        options = (*_sizes(u, B), B.shape[0] * B.shape[1], delta_softplus, tiles.CHUNK, tiles.CHANNELS)
        _gradients[_grid(u, B)](*given, *found, *options, **tiles.LAUNCH)
    grad_B, grad_C = grad_B.sum(0).to(B.dtype), grad_C.sum(0).to(C.dtype)
    return grad_u, grad_delta, grad_A.sum((0, 2)), grad_B, grad_C, grad_D.sum((0, 2)), grad_bias.sum((0, 2))


def _plain(
    u: Tensor, delta: Tensor, bias: Tensor | None, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None
) -> tuple[Tensor, ...]:
    """Returns all of them contiguous, zeros for None."""
    bias, D = (A.new_zeros(len(A)) if x is None else x for x in (bias, D))
    return tuple(x.contiguous() for x in (u, delta, bias, A, B, C, D))


def _sizes(u: Tensor, B: Tensor) -> tuple[int, int, int, int]:
    """Returns groups, channels of a group, length, states."""
    return B.shape[1], u.shape[1] // B.shape[1], u.shape[2], B.shape[2]


def _grid(u: Tensor, B: Tensor) -> tuple[int]:
    groups, channels, length, _ = _sizes(u, B)
    return (len(u) * groups * triton.cdiv(channels, tiles.CHANNELS) * triton.cdiv(length, tiles.CHUNK),)


def _join_chunks(
    source: Tensor, factor: Tensor, delta: Tensor, bias: Tensor, A: Tensor, delta_softplus: bool, *, adjoint: bool
) -> Tensor:
    """Returns what enters every chunk: the state or, for the adjoint, its gradient."""
    *_, length, states = sizes = _sizes(source, factor)
    shape = (2, *source.shape[:2], triton.cdiv(length, tiles.CHUNK), states)
    decay, end = torch.empty(shape, dtype=torch.float32, device=source.device)
    options = (*sizes, delta_softplus, adjoint, tiles.CHUNK, tiles.CHANNELS)
    _ends[_grid(source, factor)](source, factor, delta, bias, A, decay, end, *options, **tiles.LAUNCH)
    return join(decay, end, four=False, adjoint=adjoint)
