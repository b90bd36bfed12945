"""What the Triton kernels share: the arithmetic of one tile of steps × channels, and the joining of chunks.

A sequence is cut into chunks of CHUNK steps. All chunks of all sequences run at once, which fills a GPU at batch 1
too: one pass leaves what each chunk does to a state, h -> decay · h + end; :func:`join` turns that into the state
before every chunk; a second pass walks the chunks again from there. The gradient's reverse recurrence goes the same
way. Nothing is added atomically: two runs give the same bits.

Tiles are (steps, channels) in float32. Needs Triton >= 3.4; imported only when this back end is asked for.
"""

from math import prod

import torch
import triton
import triton.language as tl
from torch import Tensor

CHUNK = 32  # steps per tile, and per saved state
CHANNELS = 32  # channels per tile: 64 bytes of a token's row in bfloat16, 128 in float32
RANK = 16  # low-rank values per product of tiles, the least that one takes
LANES = 32  # sequences × states that one program of the join takes, CHUNK chunks at a time

# 32 × 32 values over 4 warps are 8 registers of a thread per array. Compiled for sm_90, no kernel spills: SS2D takes 96
# registers for the chunks' ends (5 blocks on a multiprocessor), 168 for the outputs (3), 255 for the gradients (2);
# twice the steps spill there. Products this short gain nothing from loads in stages, which would cost registers.
# Fusing products and sums is the default up to Triton 3.9.
LAUNCH = {"num_warps": 4, "num_stages": 1, "enable_fp_fusion": True}

LOG2E = tl.constexpr(1.4426950216293335)  # in float32 ...
LOG2E_REST = tl.constexpr(1.925963033500e-8)  # ... and what float32 leaves out
LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def read(pointers, mask):
    """Returns what stands there in float32, zero outside the mask."""
    return tl.load(pointers, mask, other=0).to(tl.float32)


@triton.jit
def exp(x):
    """Returns e^x: the rounding of x · log2(e), which grows with x, is carried along."""
    high = x * LOG2E
    rest = tl.fma(x, LOG2E, -high) + x * LOG2E_REST
    return tl.exp2(high) * (1 + rest * LN2)


@triton.jit
def softplus(z):
    """Returns log(1 + e^z), exact for small values too, and its slope.

    With w = e^-|z| <= 1: log(1 + w) = 2 artanh(s), s = w / (2 + w) <= 1/3; the series ends below float32's last bit.
    """
    w = exp(-tl.abs(z))
    s = w / (2 + w)
    q = s * s
    series = 1 + q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13 + q / 15))))))
    return tl.maximum(z, 0) + 2 * s * series, tl.where(z >= 0, 1, w) / (1 + w)


@triton.jit
def _then(a, b, next_a, next_b):
    """Returns two steps h -> a h + b as one."""
    return next_a * a, next_a * b + next_b


@triton.jit
def _then_before(a, b, p, e, next_a, next_b, next_p, next_e):
    """Returns two runs of steps as one: h -> a h + b after all of them, h -> p h + e before the last."""
    return next_a * a, next_a * b + next_b, next_p * a, next_p * b + next_e


@triton.jit
def states_after(a, b, start, REVERSE: tl.constexpr):
    """Returns the state after each step of a tile that is entered with ``start`` (channels)."""
    a, b = tl.associative_scan((a, b), 0, _then, reverse=REVERSE)
    return a * start[None, :] + b


@triton.jit
def states_before(a, b, start, REVERSE: tl.constexpr):
    """Returns the state before each step. It is not (h - b) / a: that is inexact where a is small."""
    one = tl.full(a.shape, 1, tl.float32)
    _, _, p, e = tl.associative_scan((a, b, one, one - one), 0, _then_before, reverse=REVERSE)
    return p * start[None, :] + e


@triton.jit
def as_one_step(a, b, STEPS: tl.constexpr, REVERSE: tl.constexpr):
    """Returns the decay and the end of a whole tile, 2 × (channels)."""
    a, b = tl.associative_scan((a, b), 0, _then, reverse=REVERSE)
    last = (tl.arange(0, STEPS) == (0 if REVERSE else STEPS - 1))[:, None]
    return tl.sum(tl.where(last, a, 0), 0), tl.sum(tl.where(last, b, 0), 0)


@triton.jit
def _join(
    decay, end, before, count, chunks, inner, FOUR: tl.constexpr, ADJOINT: tl.constexpr,
    STEPS: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Writes the state before every chunk; decay, end, before (sequences, chunks, inner), count = sequences · inner."""
    lane = tl.program_id(0) * LANES + tl.arange(0, LANES)
    sequence, inside = lane // inner, lane < count
    backward = (sequence % 4 // 2 * FOUR + ADJOINT) % 2 == 1  # of four directions, two run backward
    base = sequence.to(tl.int64) * chunks * inner + lane % inner
    start = tl.zeros((LANES,), tl.float32)
    for first in range(0, chunks, STEPS):
        nth = first + tl.arange(0, STEPS)[:, None]
        at = base[None, :] + tl.where(backward[None, :], chunks - 1 - nth, nth) * inner
        mask = inside[None, :] & (nth < chunks)
        a, b = tl.load(decay + at, mask, other=1), tl.load(end + at, mask, other=0)
        here = states_before(a, b, start, False)
        tl.store(before + at, here, mask)
        start = tl.sum(tl.where(nth == first + STEPS - 1, a * here + b, 0), 0)


def join(decay: Tensor, end: Tensor, *, four: bool, adjoint: bool) -> Tensor:
    """Returns the state before every chunk along the path, or for the ``adjoint`` against it.

    Shape: decay, end (B, K, chunks, ...) -> the same; with ``four`` directions the last two of K run backward.
    """
    before, chunks, inner = torch.empty_like(decay), decay.shape[2], prod(decay.shape[3:])
    count = prod(decay.shape[:2]) * inner
    grid = (triton.cdiv(count, LANES),)
    _join[grid](decay, end, before, count, chunks, inner, int(four), int(adjoint), CHUNK, LANES, **LAUNCH)
    return before
