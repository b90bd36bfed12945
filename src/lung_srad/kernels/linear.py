"""A linear layer on a CPU through oneDNN, which torch's own ``F.linear`` does not take there in float32.

Measured on AMD processors, where the default library runs at less than half the speed; elsewhere they are on a par.
The operator belongs to torch but is not public: where it is missing, ``F.linear`` gives the same numbers
(DECISIONS: private-operator). It refuses bfloat16 on CPUs without AVX-512 or its like. There the product is computed
in float32 and rounded once, as it is elsewhere too; torch's own in bfloat16 takes ten times as long on such a CPU.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx

from lung_srad.kernels import compiled

_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, gelu: bool = False) -> Tensor:
    """Returns x Wᵀ + b, and its GELU on request: (..., C) -> (..., out).

    Under autocast, too, the precision is that of x. Where no gradient is asked for, the GELU is applied to results
    that are still in the cache. The weight may be one that :func:`packed` made.
    """
    if torch.is_autocast_enabled(x.device.type):
        weight, bias = weight.to(x.dtype), bias if bias is None else bias.to(x.dtype)
    if not _fast(x, weight):
        with torch.autocast(x.device.type, enabled=False):
            y = F.linear(x, weight, bias)
            return F.gelu(y) if gelu else y
    if torch.is_grad_enabled() and any(given is not None and given.requires_grad for given in (x, weight, bias)):
        y = _Linear.apply(x, weight, bias)
        return F.gelu(y) if gelu else y
    return _product(x, weight, bias, "gelu" if gelu else "none")


def packed(weight: Tensor, rows: int) -> Tensor:
    """Returns a weight in the layout that suits products with so many rows best, for passes without gradients.

    Whatever the layout, the numbers and the number of rows that it may meet stay the same.
    """
    if not _fast(weight, weight) or (weight.dtype == torch.bfloat16 and not multiplies_bfloat16()):
        return weight
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows)


def multiplies_bfloat16() -> bool:
    """Returns whether oneDNN multiplies in bfloat16 on this CPU; found out once, when it is first asked."""
    return _accepts_bfloat16()


# torch.compile calls it while tracing, for a constant; through a cached function it would trace, with a warning.
multiplies_bfloat16._dynamo_marked_constant = True


def product_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """Returns the precision of products where ``dtype`` is asked for: float32 where bfloat16 would gain nothing."""
    return torch.float32 if dtype == torch.bfloat16 and device.type == "cpu" and not multiplies_bfloat16() else dtype


@cache
def _accepts_bfloat16() -> bool:
    # What the CPU has is not enough: ONEDNN_MAX_CPU_ISA may forbid oneDNN to use it. Nor is a product: where a graph is
    # traced with tensors that hold nothing, any is accepted.
    if not _ONEDNN or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    x = torch.zeros(16, 16, dtype=torch.bfloat16, device="cpu")
    try:
        torch.ops.mkldnn._linear_pointwise(x, x, x[0], "gelu", [], "none")
    except RuntimeError:
        return False
    return True


def _fast(x: Tensor, weight: Tensor) -> bool:
    known = x.dtype == weight.dtype and x.dtype in (torch.float32, torch.bfloat16)
    return _ONEDNN and known and x.device.type == "cpu" and x.dim() > 1 and x.numel() > 0 and weight.shape[0] > 0


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, activation: str = "none") -> Tensor:
    if x.dtype == torch.bfloat16 and not multiplies_bfloat16():
        offset = bias if bias is None else bias.float()
        return _product(x.float(), weight.float(), offset, activation).bfloat16()
    if bias is not None:
        bias = bias.contiguous()  # the operator reads it as if it were
    algorithm = "none" if activation == "gelu" else ""  # the exact GELU, not its tanh approximation
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], algorithm)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: FunctionCtx, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        want_x, want_weight, want_bias = ctx.needs_input_grad  # type: ignore[attr-defined]
        rows = grad_y.flatten(0, -2)
        if torch.is_grad_enabled():  # somebody differentiates twice
            return grad_y @ weight, rows.t() @ x.flatten(0, -2), rows.sum(0) if want_bias else None
        grad_x = _product(grad_y, weight.t(), None) if want_x else None
        grad_weight = _outer(rows, x.flatten(0, -2)) if want_weight else None
        return grad_x, grad_weight, rows.sum(0) if want_bias else None


def _outer(grad: Tensor, x: Tensor) -> Tensor:
    """Returns gradᵀ x (out, C); without compiled kernels the way round in which the longer side comes second."""
    if grad.dtype == torch.bfloat16:
        return grad.t() @ x if multiplies_bfloat16() else _outer(grad.float(), x.float()).bfloat16()
    if compiled(grad):
        from lung_srad.kernels.cpu_layers import outer

        return outer(grad, x)
    if grad.shape[1] > x.shape[1]:
        return _product(x.t(), grad.t(), None).t()
    return _product(grad.t(), x.t(), None)
