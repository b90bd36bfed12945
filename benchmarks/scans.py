"""The scan alone and SS2D, at the sizes of the four stages, with every back end; and how exact they are."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from baselines import LOOPS, register_loops
from lung_srad import kernels
from settings import BACKENDS, Settings
from timing import Times, on, say, take_turns

WIDTHS = (96, 192, 384, 768)
AGREEMENT = ((2, 5, 19, 96, 1), (1, 1, 37, 96, 1), (1, 23, 1, 40, 1), (1, 16, 128, 192, 1), (2, 3, 11, 20, 4))
"""Batch, height, width, channels, states."""


def scan_inputs(batch: int, channels: int, length: int, states: int = 1) -> list[Tensor]:
    """Returns u, delta, A, B, C, D and delta_bias of four groups; step sizes are those of a new model."""
    u, delta = torch.randn(2, batch, 4 * channels, length).unbind()
    B, C = torch.randn(2, batch, 4, states, length).unbind()
    A = -torch.arange(1.0, states + 1).repeat(4 * channels, 1)
    return [u, delta, A, B, C, torch.ones(4 * channels), torch.empty(4 * channels).uniform_(-7, -2)]


def ss2d_inputs(batch: int, height: int, width: int, channels: int, states: int = 1) -> list[Tensor]:
    """Returns x, projected, dt_weight, dt_bias, A and D."""
    rank = -(-channels // 16)
    x = torch.randn(batch, height, width, channels)
    projected = torch.randn(batch, height, width, 4 * (rank + 2 * states))
    dt_weight = torch.empty(4, channels, rank).uniform_(-1, 1) * rank**-0.5
    A = -torch.arange(1.0, states + 1).repeat(4 * channels, 1)
    return [x, projected, dt_weight, torch.empty(4, channels).uniform_(-7, -2), A, torch.ones(4 * channels)]


def forward(op: Callable[..., Tensor], inputs: list[Tensor], backend: str) -> Tensor:
    """Returns the output, without a graph."""
    with torch.inference_mode():
        return op(*inputs, backend=backend)


def both(op: Callable[..., Tensor], inputs: list[Tensor], backend: str, grad_y: Tensor) -> tuple[Tensor, ...]:
    """Returns the output and the gradient of every input."""
    y = op(*inputs, backend=backend)
    return y, *torch.autograd.grad(y, inputs, grad_y)


def measure(settings: Settings, threads: int) -> dict[str, Times]:
    """Returns, per operation and direction, the seconds of each back end at each stage, "torch 2" for example.

    The loop that indexes each step runs twice forward, and once backward, with the most threads only: its backward
    is quadratic in the length.
    """
    register_loops()
    torch.manual_seed(0)
    found, seconds = {}, {"forward": 8, "forward + backward": 14}
    grids = [(32 >> stage, settings.frames // 4 >> stage, width) for stage, width in enumerate(WIDTHS)]
    operations = {
        "scan": (kernels.selective_scan, [scan_inputs(1, c, h * w) for h, w, c in grids]),
        "SS2D": (kernels.ss2d, [ss2d_inputs(1, h, w, c) for h, w, c in grids]),
    }
    last = threads == settings.threads[-1]
    for name, (op, stages) in operations.items():
        leaves = [[x.clone().requires_grad_() for x in inputs] for inputs in stages]
        grads = [torch.randn_like(inputs[0]) for inputs in stages]
        calls = {
            "forward": lambda back, stage, op=op, stages=stages: partial(forward, op, stages[stage], back),
            "forward + backward": lambda back, stage, op=op, leaves=leaves, grads=grads: partial(
                both, op, leaves[stage], back, grads[stage]
            ),
        }
        for direction, call in calls.items():
            each = {f"{back} {stage}": call(back, stage) for stage in range(4) for back in BACKENDS}
            rare = {"indexed": 2, "unbound": 3} if direction == "forward" else {"indexed": int(last), "unbound": 2}
            limits = {f"{back} {stage}": most for stage in range(4) for back, most in rare.items()}
            title = f"{name}, {direction}, {on(threads)}"
            budget = settings.pace * seconds[direction]
            found[f"{name}, {direction}"] = take_turns(
                title, each, seconds=budget, least=settings.least, limits=limits, at_least=0.02
            )
    return found


def agreement() -> dict[str, dict[str, float]]:
    """Returns, per back end, the largest difference from float64 as a share of the largest value of that tensor.

    Odd sizes and grids of one row or column are among the shapes. "not finite" counts NaN and infinities at the edge
    of what is promised: |u|, |B|, |C| up to 1e3, A in [-1e3, 0], steps from 1e-6 to 1e3.
    """
    torch.manual_seed(1)
    found = {back: dict.fromkeys(("outputs", "gradients", "not finite"), 0.0) for back in BACKENDS if back not in LOOPS}
    cases = [(kernels.ss2d, ss2d_inputs(b, h, w, c, n)) for b, h, w, c, n in AGREEMENT]
    cases += [(kernels.selective_scan, scan_inputs(b, c, h * w, n)) for b, h, w, c, n in AGREEMENT]
    for op, inputs in cases:
        grad_y = torch.randn_like(inputs[0])
        exact = both(op, [x.double().requires_grad_() for x in inputs], "torch", grad_y.double())
        for back, errors in found.items():
            seen = both(op, [x.clone().requires_grad_() for x in inputs], back, grad_y)
            shares = [((a - b).abs().max() / b.abs().max()).item() for a, b in zip(seen, exact, strict=True)]
            errors["outputs"] = max(errors["outputs"], shares[0])
            errors["gradients"] = max(errors["gradients"], *shares[1:])
    for back, errors in found.items():
        inputs = [x.requires_grad_() for x in extreme()]
        op = partial(kernels.selective_scan, delta_softplus=False)
        seen = both(op, inputs, back, torch.ones_like(inputs[0]))
        errors["not finite"] = float(sum((~x.isfinite()).sum() for x in seen))
        say(f"agreement with float64, {back}: {errors}")
    return found


def extreme() -> list[Tensor]:
    """Returns inputs of the scan at the edge of what is promised."""
    u, _, A, B, C, D, _ = scan_inputs(1, 16, 301)
    edge = (torch.randint_like(x, -1, 2) * 1e3 for x in (u, B, C))
    u, B, C = edge
    delta = 10.0 ** torch.empty_like(u).uniform_(-6, 3)
    return [u, delta, torch.empty_like(A).uniform_(-1e3, 0), B, C, D]
