"""Layers around the scan, compiled where that is at hand, else by torch; the numbers are the same."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lung_srad.kernels import compiled


def depthwise_silu(x: Tensor, weight: Tensor) -> Tensor:
    """Returns SiLU of a 3 × 3 depthwise convolution with zero padding, channels last.

    Shape: x (B, H, W, C); weight (C, 1, 3, 3) -> (B, H, W, C).
    """
    if weight.shape == (x.shape[-1], 1, 3, 3) and compiled(x):
        from lung_srad.kernels.cpu_layers import depthwise_silu as fused

        return fused(x, weight.float().flatten(1))
    with torch.autocast(x.device.type, enabled=False):
        y = F.conv2d(x.permute(0, 3, 1, 2), weight.to(x.dtype), padding=1, groups=len(weight))
    return F.silu(y).permute(0, 2, 3, 1)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
    """Returns the layer norm over the last axis, computed in the precision of its weights, in ``dtype``."""
    fits = weight.shape == bias.shape == x.shape[-1:] and weight.dtype == bias.dtype == torch.float32
    if fits and dtype in (torch.float32, torch.bfloat16) and compiled(x):
        from lung_srad.kernels.cpu_layers import layer_norm as fused

        return fused(x, weight.contiguous(), bias.contiguous(), epsilon, dtype == torch.bfloat16)
    return F.layer_norm(x.to(weight.dtype), weight.shape, weight, bias, epsilon).to(dtype)
