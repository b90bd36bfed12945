"""The compiled layers: depthwise convolution with SiLU, layer norm, the weight gradient of a linear layer.

Only :mod:`lung_srad.kernels.layers` and :mod:`lung_srad.kernels.linear` call these, where they apply.
"""

import lung_srad_kernels as compiled
import torch
from torch import Tensor

from lung_srad.kernels.cpu import addresses
from lung_srad.kernels.ops import like, register, traced


def _depthwise(x: Tensor, weight: Tensor) -> tuple[Tensor]:
    x, weight = x.contiguous(), weight.contiguous()
    y = torch.empty_like(x)
    compiled.depthwise([*x.shape, torch.get_num_threads()], addresses(x, weight, y), x.dtype == torch.bfloat16)
    return (y,)


def _depthwise_backward(grad_y: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    grad_y, x, weight = grad_y.contiguous(), x.contiguous(), weight.contiguous()
    grad_x, grad_weight = torch.empty_like(x), weight.new_empty(len(x), *weight.shape)
    arrays = addresses(x, weight, grad_y, grad_x, grad_weight)
    compiled.depthwise_backward([*x.shape, torch.get_num_threads()], arrays, x.dtype == torch.bfloat16)
    return grad_x, grad_weight.sum(0)


depthwise_silu = register("depthwise_silu", _depthwise, _depthwise_backward, lambda x, weight: (like(x),), 2)
"""SiLU of the 3 × 3 depthwise convolution: x (B, H, W, C), weight (C, 9) in float32 -> (B, H, W, C)."""


def _norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, half: bool) -> tuple[Tensor, Tensor]:
    x = x.contiguous()
    y = torch.empty_like(x, dtype=torch.bfloat16 if half else torch.float32)
    rows = x.numel() // x.shape[-1]
    statistics = weight.new_empty(rows, 2)  # each row's mean and inverse deviation
    arrays = addresses(x, weight, bias, statistics, y)
    compiled.norm([rows, x.shape[-1], torch.get_num_threads()], arrays, epsilon, x.dtype == torch.bfloat16, half)
    return y, statistics


def _norm_backward(
    grad_y: Tensor, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, half: bool, statistics: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    grad_y, x = grad_y.contiguous(), x.contiguous()
    grad_x = torch.empty_like(x)
    rows, channels = statistics.shape[0], x.shape[-1]
    partial = weight.new_empty(-(-rows // compiled.NORM_ROWS), 2, channels)
    arrays = addresses(x, weight, bias, statistics, grad_y, grad_x, partial)
    sizes, half_x = [rows, channels, torch.get_num_threads()], x.dtype == torch.bfloat16
    compiled.norm_backward(sizes, arrays, epsilon, half_x, half)
    grad_weight, grad_bias = partial.sum(0).unbind()
    return grad_x, grad_weight, grad_bias.clone()


def _norm_fake(x, weight, bias, epsilon, half):
    y = like(x).to(torch.bfloat16 if half else torch.float32)
    return y, weight.new_empty(x.numel() // x.shape[-1], 2)


layer_norm = register("layer_norm", _norm, _norm_backward, _norm_fake, 3)
"""Layer norm of x (..., C), weights in float32; the result in bfloat16 if ``half``, else in float32."""


def _outer(grad: Tensor, x: Tensor) -> Tensor:
    grad, x = grad.contiguous(), x.contiguous()
    weight = grad.new_empty(grad.shape[1], x.shape[1])
    compiled.outer([*grad.shape, x.shape[1], torch.get_num_threads()], addresses(grad, x, weight))
    return weight


_operator = torch.library.custom_op("lung_srad::outer", _outer, mutates_args=())
_operator.register_fake(lambda grad, x: grad.new_empty(grad.shape[1], x.shape[1]))


def outer(grad: Tensor, x: Tensor) -> Tensor:
    """Returns gradᵀ x, the gradient of a linear layer's weight: (rows, N), (rows, K) -> (N, K), in float32."""
    return _operator(grad, x) if traced(grad) else _outer(grad, x)
