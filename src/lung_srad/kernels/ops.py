"""Makes torch operators of kernels: schema, fake implementation for tracing, autograd.

A kernel is a pair of plain functions that know nothing of autograd. ``forward(*tensors, *settings)`` returns the
result and what else the gradient needs; ``backward(grad, *tensors, *settings, *saved)`` returns a gradient for each
of the tensors. Their annotations are the operators' schema. A traced program holds the operator; an eager call goes
to the functions directly, because an operator's own dispatch costs more than a small kernel.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn


def register(
    name: str, forward: Callable[..., Any], backward: Callable[..., Any], fake: Callable[..., Any], tensors: int
) -> Callable[..., Tensor]:
    """Returns the differentiable function of a kernel; the operator is ``lung_srad::{name}``.

    ``fake`` returns empty results like those of ``forward``, whose first ``tensors`` arguments are tensors.
    """
    operator = torch.library.custom_op(f"lung_srad::{name}", forward, mutates_args=())
    gradient = torch.library.custom_op(f"lung_srad::{name}_backward", backward, mutates_args=())
    operator.register_fake(fake)
    gradient.register_fake(lambda grad, *given: tuple(map(like, given[:tensors])))

    def keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(*inputs[:tensors], *output[1:])
        ctx.settings = inputs[tensors:]
        ctx.set_materialize_grads(False)

    def gradients(ctx: Any, run: Callable[..., Any], grad: Tensor | None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * (tensors + len(ctx.settings))
        given = ctx.saved_tensors
        own = run(grad, *given[:tensors], *ctx.settings, *given[tensors:])
        return *own, *(None for _ in ctx.settings)

    operator.register_autograd(lambda ctx, grad, *_: gradients(ctx, gradient, grad), setup_context=keep)

    class Direct(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Tensor:
            output = forward(*inputs)
            keep(ctx, inputs, output)
            return output[0]

        @staticmethod
        def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
            # torch.autograd.grad passes by once_differentiable; the operator refuses a second derivative
            return gradients(ctx, gradient if torch.is_grad_enabled() else backward, grad)

    def call(*inputs: Any) -> Tensor:
        if traced(inputs[0]):
            return operator(*inputs)[0]
        return Direct.apply(*inputs) if torch.is_grad_enabled() else forward(*inputs)[0]

    return call


def register_scans(name: str, kernel: ModuleType) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """Returns the plain and the fused two-dimensional scan of a kernel module.

    The module has ``CHUNK``, the steps per saved state, and ``scan_forward``, ``scan_backward``, ``ss2d_forward``
    and ``ss2d_backward``; a forward also returns the states before each chunk.
    """

    def scan_fake(u, delta, A, B, C, D, delta_bias, delta_softplus):
        chunks = -(-u.shape[2] // kernel.CHUNK)
        return like(u), u.new_empty((*u.shape[:2], chunks, A.shape[1]), dtype=torch.float32)

    def ss2d_fake(x, projected, dt_weight, dt_bias, A, D):
        chunks = -(-x.shape[1] * x.shape[2] // kernel.CHUNK)
        states = x.new_empty((x.shape[0], 4, chunks, x.shape[3], A.shape[1]), dtype=torch.float32)
        return like(x), states

    scan = register(f"{name}_scan", kernel.scan_forward, kernel.scan_backward, scan_fake, 7)
    return scan, register(f"{name}_ss2d", kernel.ss2d_forward, kernel.ss2d_backward, ss2d_fake, 6)


def traced(x: Tensor) -> bool:
    """Returns whether somebody records operators: x stands for a tensor in a program, or a profiler listens."""
    return torch.compiler.is_compiling() or type(x) not in (Tensor, nn.Parameter) or torch.autograd._profiler_enabled()


def like(x: Tensor) -> Tensor:
    """Returns an empty contiguous tensor of the same shape and kind."""
    return torch.empty_like(x, memory_format=torch.contiguous_format)
