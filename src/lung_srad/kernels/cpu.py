"""The compiled CPU kernels (the distribution ``lung-srad-kernels``): float32 and bfloat16, states in float32.

They run on ``torch.get_num_threads()`` threads, and take sizes and addresses: that arrays are contiguous, of one
precision and of the shapes that belong together is seen to here and in the dispatch.
"""

import lung_srad_kernels as compiled
import torch
from torch import Tensor

API = 1
"""The calls that this file makes; the compiled module says which ones it answers."""
_answered = getattr(compiled, "API", 0)
if _answered != API:
    raise ImportError(
        f"lung-srad-kernels answers calls of version {_answered}, version {API} is needed: "
        "install both packages from the same release"
    )
CHUNK = compiled.STEPS


def addresses(*arrays: Tensor) -> list[int]:
    """Returns where the arrays' data begin."""
    return [array.data_ptr() for array in arrays]


def ss2d_forward(
    x: Tensor, projected: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, D: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns y (B, H, W, C) and the states before each chunk (B, 4, chunks, C, N)."""
    inputs = _contiguous(x, projected, dt_weight, dt_bias, A, D)
    return _ss2d(inputs, torch.empty_like(inputs[0]))


def ss2d_in_place(x: Tensor, projected: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, D: Tensor) -> Tensor:
    """Returns y in the memory of x: a block of channels is written once all four directions have read it."""
    inputs = _contiguous(x, projected, dt_weight, dt_bias, A, D)
    return _ss2d(inputs, inputs[0])[0]


def _ss2d(inputs: list[Tensor], y: Tensor) -> tuple[Tensor, Tensor]:
    x, _, dt_weight, _, A, _ = inputs
    states = A.new_empty(x.shape[0], 4, -(-x.shape[1] * x.shape[2] // CHUNK), x.shape[3], A.shape[1])
    compiled.ss2d(_ss2d_sizes(x, dt_weight, A), addresses(*inputs, states, y), x.dtype == torch.bfloat16)
    return y, states


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
    """Returns the gradients of all inputs but the states."""
    grad_y, *inputs = _contiguous(grad_y, x, projected, dt_weight, dt_bias, A, D)
    sizes, batch = _ss2d_sizes(x, dt_weight, A), x.shape[0]
    grad_x = torch.empty_like(inputs[0])
    grad_projected = A.new_zeros(sizes[-1], *projected.shape)
    per_sample = [A.new_empty(batch, *given.shape) for given in (dt_weight, dt_bias, A)]
    grad_D = A.new_empty(batch, x.shape[3])
    arrays = addresses(*inputs, states, grad_y, grad_x, grad_projected, *per_sample, grad_D)
    compiled.ss2d_backward(sizes, arrays, x.dtype == torch.bfloat16)
    weight, bias, rate = map(_total, per_sample)
    return grad_x, _total(grad_projected).to(projected.dtype), weight, bias, rate, _total(grad_D).repeat(4)


def scan_forward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    delta_softplus: bool,
) -> tuple[Tensor, Tensor]:
    """Returns y (B, K·C, L) and the states before each chunk (B, K·C, chunks, N)."""
    inputs = _contiguous(u, delta, A, B, C, D, delta_bias)
    y = torch.empty_like(inputs[0])
    states = A.new_empty(*u.shape[:2], -(-u.shape[2] // CHUNK), A.shape[1])
    compiled.scan(_scan_sizes(u, B, delta_softplus), addresses(*inputs, states, y), u.dtype == torch.bfloat16)
    return y, states


def scan_backward(
    grad_y: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    delta_softplus: bool,
    states: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of u, delta, A, B, C, D and the bias."""
    grad_y, *inputs = _contiguous(grad_y, u, delta, A, B, C, D, delta_bias)
    sizes, batch = _scan_sizes(u, B, delta_softplus), u.shape[0]
    activations = [torch.empty_like(given) for given in inputs[:2]]
    grad_A = A.new_empty(batch, *A.shape)
    shared = [A.new_zeros(sizes[-1], *B.shape) for _ in range(2)]
    vectors = [A.new_empty(batch, A.shape[0]) for _ in range(2)]
    arrays = addresses(*inputs, states, grad_y, *activations, grad_A, *shared, *vectors)
    compiled.scan_backward(sizes, arrays, u.dtype == torch.bfloat16)
    grad_B, grad_C = (_total(gradient).to(B.dtype) for gradient in shared)
    return *activations, _total(grad_A), grad_B, grad_C, *map(_total, vectors)


def _contiguous(*arrays: Tensor) -> list[Tensor]:
    return [array.contiguous() for array in arrays]


def _ss2d_sizes(x: Tensor, dt_weight: Tensor, A: Tensor) -> list[int]:
    """Returns batch, height, width, channels, rank, states, threads and groups of channels."""
    return [*x.shape, dt_weight.shape[2], A.shape[1], torch.get_num_threads(), _groups(x.shape[0], x.shape[3])]


def _scan_sizes(u: Tensor, B: Tensor, softplus: bool) -> list[int]:
    """Returns batch, scans, channels, length, states, softplus, threads and groups of channels."""
    batch, scans, states, length = B.shape
    channels = u.shape[1] // scans
    threads = torch.get_num_threads()
    return [batch, scans, channels, length, states, int(softplus), threads, _groups(batch * scans, channels)]


def _groups(sequences: int, channels: int) -> int:
    """Returns into how many groups to share the channels, so that all threads have the same work."""
    threads = torch.get_num_threads()
    blocks = -(-channels // compiled.LANES)
    for groups in range(1, blocks + 1):
        if sequences * groups % threads == 0 or sequences * groups >= 4 * threads:
            return groups
    return max(1, blocks)


def _total(partial: Tensor) -> Tensor:
    return partial[0] if len(partial) == 1 else partial.sum(0)
