"""The fused two-dimensional scan (SS2D) in Triton: step sizes, four directions and their sum, channels last.

One program = (sample, pair of directions, chunk of tokens, block of channels). A pair is rows and rows back, or
columns and columns back: both run over the same tile of tokens, one from each end, and columns are only a stride, so
nothing is copied or turned. The step sizes of a tile are one small product of the low-rank values with their weights.
Rows leave their sum in float32, columns add theirs to it.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from lung_srad.kernels import triton_tiles as tiles
from lung_srad.kernels.triton_tiles import as_one_step, exp, join, read, softplus, states_after, states_before


@triton.jit
def _place(pair, H, W, width, STEPS: tl.constexpr, CHANNELS: tl.constexpr):
    """Returns a program's block, chunk and sample, its tokens in the sample and channels, and who of them is real."""
    blocks, chunks = tl.cdiv(width, CHANNELS), tl.cdiv(H * W, STEPS)
    program = tl.program_id(0)
    chunk, sample = program // blocks % chunks, (program // blocks // chunks).to(tl.int64)
    step = chunk * STEPS + tl.arange(0, STEPS)
    token = tl.where(pair == 0, step, step % H * W + step // H)
    channel = program % blocks * CHANNELS + tl.arange(0, CHANNELS)
    return program % blocks, chunk, sample, token, channel, step < H * W, channel < width


@triton.jit
def _low_rank(values, weight, own, inside, real, first, R, RANK: tl.constexpr):
    """Returns RANK of the low-rank values (steps, RANK), their weights (RANK, channels), their numbers."""
    r = first + tl.arange(0, RANK)
    low = read(values[:, None] + r[None, :], inside[:, None] & (r < R)[None, :])
    weights = read(weight + own[None, :] * R + r[:, None], real[None, :] & (r < R)[:, None])
    return low, weights, r


@triton.jit
def _step_sizes(values, weight, bias, own, inside, real, R, RANK: tl.constexpr, STEPS: tl.constexpr):
    """Returns a tile of step sizes and of their slope over the product of the low-rank values and their weights."""
    z = tl.zeros((STEPS, own.shape[0]), tl.float32) + read(bias + own, real)[None, :]
    for first in range(0, R, RANK):
        low, weights, _ = _low_rank(values, weight, own, inside, real, first, R, RANK)
        z = tl.dot(low, weights, z, input_precision="ieee")
    return softplus(z)


@triton.jit
def _skip(D, channel, width, real):
    """Returns the skip of all four directions together."""
    total = read(D + channel, real)
    for k in tl.static_range(1, 4):
        total += read(D + k * width + channel, real)
    return total[None, :]


@triton.jit
def _ends(
    source, projected, weight, bias, A, decay, end, H, W, width, R, N,
    ADJOINT: tl.constexpr, RANK: tl.constexpr, STEPS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Writes each chunk as one step of its path; source is x or, for the adjoint, the gradient of y."""
    pair, chunks = tl.program_id(1), tl.cdiv(H * W, STEPS)
    _, chunk, sample, token, channel, inside, real = _place(pair, H, W, width, STEPS, CHANNELS)
    at, mask = token[:, None] * width + channel[None, :], inside[:, None] & real[None, :]
    value = read(source + sample * H * W * width + at, mask)
    projected += sample * H * W * 4 * (R + 2 * N)
    for back in tl.static_range(2):
        k = pair + 2 * back
        own, values = k * width + channel, projected + (token * 4 + k) * (R + 2 * N)
        size, _ = _step_sizes(values, weight, bias, own, inside, real, R, RANK, STEPS)
        saved = ((sample * 4 + k) * chunks + chunk) * width + channel
        for n in range(N):
            a = exp(size * read(A + own * N + n, real)[None, :])
            factor = read(values + R + n + (N if ADJOINT else 0), inside)[:, None]  # B or, for the adjoint, C
            b = (a if ADJOINT else size) * value * factor
            chunk_decay, chunk_end = as_one_step(a, b, STEPS, (back == 1) != ADJOINT)
            tl.store(decay + saved * N + n, chunk_decay, real)
            tl.store(end + saved * N + n, chunk_end, real)


@triton.jit
def _outputs(
    x, projected, weight, bias, A, D, before, rows, y, H, W, width, R, N,
    PAIR: tl.constexpr, RANK: tl.constexpr, STEPS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Writes the sum of the rows or, with the rows' sum added, y."""
    chunks = tl.cdiv(H * W, STEPS)
    _, chunk, sample, token, channel, inside, real = _place(PAIR, H, W, width, STEPS, CHANNELS)
    at, mask = token[:, None] * width + channel[None, :], inside[:, None] & real[None, :]
    origin = sample * H * W * width
    projected += sample * H * W * 4 * (R + 2 * N)
    value = read(x + origin + at, mask)
    out = read(rows + origin + at, mask) if PAIR else value * _skip(D, channel, width, real)
    for back in tl.static_range(2):
        k = PAIR + 2 * back
        own, values = k * width + channel, projected + (token * 4 + k) * (R + 2 * N)
        size, _ = _step_sizes(values, weight, bias, own, inside, real, R, RANK, STEPS)
        saved = ((sample * 4 + k) * chunks + chunk) * width + channel
        for n in range(N):
            a = exp(size * read(A + own * N + n, real)[None, :])
            b = size * value * read(values + R + n, inside)[:, None]
            h = states_after(a, b, read(before + saved * N + n, real), back == 1)
            out += h * read(values + R + N + n, inside)[:, None]
    tl.store((y if PAIR else rows) + origin + at, out, mask)


@triton.jit
def _gradients(
    grad_y, x, projected, weight, bias, A, D, before, after,
    rows, grad_x, grad_projected, grad_weight, grad_bias, grad_A, grad_D, samples, H, W, width, R, N,
    PAIR: tl.constexpr, RANK: tl.constexpr, STEPS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Writes the gradients: of the weights per sample and chunk, of ``projected`` per block of channels."""
    chunks = tl.cdiv(H * W, STEPS)
    block, chunk, sample, token, channel, inside, real = _place(PAIR, H, W, width, STEPS, CHANNELS)
    at, mask = token[:, None] * width + channel[None, :], inside[:, None] & real[None, :]
    origin = sample * H * W * width
    projected += sample * H * W * 4 * (R + 2 * N)
    grad_projected += (block * samples + sample) * H * W * 4 * (R + 2 * N)
    value, grad = read(x + origin + at, mask), read(grad_y + origin + at, mask)
    if PAIR:
        out = read(rows + origin + at, mask)
    else:
        out = grad * _skip(D, channel, width, real)
        tl.store(grad_D + (sample * chunks + chunk) * width + channel, tl.sum(grad * value, 0), real)
    for back in tl.static_range(2):
        k = PAIR + 2 * back
        own, place = k * width + channel, (token * 4 + k) * (R + 2 * N)
        values, grad_values = projected + place, grad_projected + place
        size, slope = _step_sizes(values, weight, bias, own, inside, real, R, RANK, STEPS)
        grad_size = tl.zeros(size.shape, tl.float32)
        saved = ((sample * 4 + k) * chunks + chunk) * width + channel
        for n in range(N):
            rate = read(A + own * N + n, real)[None, :]
            b_n, c_n = read(values + R + n, inside)[:, None], read(values + R + N + n, inside)[:, None]
            a = exp(size * rate)
            drive = size * value
            h = states_before(a, drive * b_n, read(before + saved * N + n, real), back == 1)
            adjoint = grad * c_n + states_before(a, a * grad * c_n, read(after + saved * N + n, real), back == 0)
            through = a * adjoint * h  # the gradient of size · A
            tl.store(grad_values + R + n, tl.sum(adjoint * drive, 1), inside)
            tl.store(grad_values + R + N + n, tl.sum(grad * (a * h + drive * b_n), 1), inside)
            tl.store(grad_A + saved * N + n, tl.sum(through * size, 0), real)
            grad_size += through * rate + adjoint * b_n * value
            out += adjoint * b_n * size
        grad_z = grad_size * slope
        for first in range(0, R, RANK):
            low, weights, r = _low_rank(values, weight, own, inside, real, first, R, RANK)
            grad_low = tl.dot(grad_z, tl.trans(weights), input_precision="ieee")
            grad_weights = tl.dot(tl.trans(low), grad_z, input_precision="ieee")
            tl.store(grad_values[:, None] + r[None, :], grad_low, inside[:, None] & (r < R)[None, :])
            tl.store(grad_weight + saved[None, :] * R + r[:, None], grad_weights, real[None, :] & (r < R)[:, None])
        tl.store(grad_bias + saved, tl.sum(grad_z, 0), real)
    tl.store((grad_x if PAIR else rows) + origin + at, out, mask)


def ss2d_forward(
    x: Tensor, projected: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, D: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns y and the state before every chunk of every direction.

    Chunks are counted along rows or columns, from the first token, in all four directions.

    Shape: x (B, H, W, C); projected (B, H, W, 4(R + 2N)); dt_weight (4, C, R); dt_bias (4, C); A (4C, N); D (4C,)
        -> (B, H, W, C), (B, 4, chunks, C, N).
    """
    x, projected = x.contiguous(), projected.contiguous()
    y, rows = torch.empty_like(x), torch.empty(x.shape, dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        before = _join_chunks(x, projected, dt_weight, dt_bias, A, adjoint=False)
        for pair in range(2):
            given = (x, projected, dt_weight, dt_bias, A, D, before)
            sizes = _sizes(x, dt_weight, A)
            _outputs[_grid(x)](*given, rows, y, *sizes, pair, tiles.RANK, tiles.CHUNK, tiles.CHANNELS, **tiles.LAUNCH)
    return y, before


def ss2d_backward(
    grad_y: Tensor,
    x: Tensor,
    projected: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    states: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of x, projected, dt_weight, dt_bias, A and D."""
    grad_y, x, projected = grad_y.contiguous(), x.contiguous(), projected.contiguous()
    blocks, chunks = triton.cdiv(x.shape[3], tiles.CHANNELS), states.shape[2]

    def partial(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float32, device=x.device)

    rows, grad_x = partial(*x.shape), torch.empty_like(x)
    grad_projected = partial(blocks, *projected.shape)
    grad_weight, grad_bias = partial(*states.shape[:4], dt_weight.shape[2]), partial(*states.shape[:4])
    grad_A, grad_D = partial(*states.shape), partial(len(x), chunks, x.shape[3])
    with torch.cuda.device_of(x):
        after = _join_chunks(grad_y, projected, dt_weight, dt_bias, A, adjoint=True)
        for pair in range(2):
            given = (grad_y, x, projected, dt_weight, dt_bias, A, D, states, after)
            found = (rows, grad_x, grad_projected, grad_weight, grad_bias, grad_A, grad_D)
            sizes = (len(x), *_sizes(x, dt_weight, A))
            _gradients[_grid(x)](*given, *found, *sizes, pair, tiles.RANK, tiles.CHUNK, tiles.CHANNELS, **tiles.LAUNCH)
    grad_projected = grad_projected.sum(0).to(projected.dtype)
    grad_weight, grad_bias = grad_weight.sum((0, 2)), grad_bias.sum((0, 2))
    return (
        grad_x,
        grad_projected,
        grad_weight,
        grad_bias,
        grad_A.sum((0, 2)).flatten(0, 1),
        grad_D.sum((0, 1)).repeat(4),
    )


def _sizes(x: Tensor, dt_weight: Tensor, A: Tensor) -> tuple[int, ...]:
    """Returns height, width, channels, rank, states."""
    return (*x.shape[1:], dt_weight.shape[2], A.shape[1])


def _grid(x: Tensor) -> tuple[int, ...]:
    samples, height, width, channels = x.shape
    return (samples * triton.cdiv(channels, tiles.CHANNELS) * triton.cdiv(height * width, tiles.CHUNK),)


def _join_chunks(
    source: Tensor, projected: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, *, adjoint: bool
) -> Tensor:
    """Returns what enters every chunk: the state or, for the adjoint, its gradient."""
    samples, height, width, channels = source.shape
    shape = (2, samples, 4, triton.cdiv(height * width, tiles.CHUNK), channels, A.shape[1])
    decay, end = torch.empty(shape, dtype=torch.float32, device=source.device)
    given = (source, projected, dt_weight, dt_bias, A, decay, end)
    options = (*_sizes(source, dt_weight, A), adjoint, tiles.RANK, tiles.CHUNK, tiles.CHANNELS)
    _ends[(*_grid(source), 2)](*given, *options, **tiles.LAUNCH)
    return join(decay, end, four=True, adjoint=adjoint)
