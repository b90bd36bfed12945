"""Muon, an optimiser for weights that are matrices; what is left goes through AdamW.

Reference: Jordan et al. 2024 (Muon: an optimizer for hidden layers); the scale that makes its steps as large as
    AdamW's: Liu et al. 2025 (Muon is scalable for LLM training).
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

MOMENTUM, SCALE = 0.95, 0.2
QUINTIC = (3.4445, -4.7750, 2.0315)  # of the iteration that takes every singular value to about one
ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Steps along the orthogonal factor of the gradient's running mean, where a parameter is a matrix.

    A convolution counts as the matrix (out, in · height · width), a stack of matrices as several. Everything else
    (norms, biases, depthwise filters, the head, what belongs to the scan) takes a step of AdamW at the same rate.

    Args:
        net: whose weights; an objective's projector may be given beside it.
        lr: the learning rate of both kinds.
        weight_decay: of the matrices, decoupled; the rest has none.
    """

    def __init__(self, modules: Iterable[nn.Module], lr: float, weight_decay: float) -> None:
        modules = list(modules)
        wanted = [p for module in modules for p in module.parameters() if p.requires_grad]
        matrices = {id(p) for module in modules for p in _matrices(module)}
        groups = [
            {"params": [p for p in wanted if id(p) in matrices], "weight_decay": weight_decay, "matrix": True},
            {"params": [p for p in wanted if id(p) not in matrices], "weight_decay": 0.0, "matrix": False},
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Takes one step of every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    change = self._orthogonal(parameter) if group["matrix"] else self._adam(parameter)
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(change, alpha=-group["lr"])

    def _orthogonal(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        mean = state.setdefault("momentum", torch.zeros_like(parameter))
        mean.lerp_(parameter.grad, 1 - MOMENTUM)
        ahead = parameter.grad.lerp(mean, MOMENTUM)
        matrix = ahead if ahead.ndim == 3 else ahead.flatten(1)
        scale = SCALE * max(matrix.shape[-2:]) ** 0.5
        return scale * orthogonal_factor(matrix).view_as(parameter)

    def _adam(self, parameter: Tensor, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        state["mean"].lerp_(parameter.grad, 1 - betas[0])
        state["square"].lerp_(parameter.grad.square(), 1 - betas[1])
        first, second = (1 - beta ** state["step"].item() for beta in betas)
        return (state["mean"] / first) / ((state["square"] / second).sqrt() + eps)


def orthogonal_factor(matrix: Tensor) -> Tensor:
    """Returns U Vᵀ of the singular value decomposition U S Vᵀ, with singular values between about 0.7 and 1.2.

    Shape:
        (..., rows, columns) -> (..., rows, columns)
    """
    wide = matrix.shape[-2] <= matrix.shape[-1]
    x = matrix if wide else matrix.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    stack = x if x.ndim == 3 else x[None]  # (n, rows, columns)
    stack = _through_gram(stack) if stack.shape[-1] >= 2 * stack.shape[-2] else _step_by_step(stack)
    return (stack if wide else stack.mT).reshape(matrix.shape)


def _step_by_step(x: Tensor) -> Tensor:
    a, b, c = QUINTIC
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _through_gram(x: Tensor) -> Tensor:
    """Returns the same with two products of the long matrix instead of ten: the iteration runs on its Gram matrix."""
    a, b, c = QUINTIC
    gram, factor = x @ x.mT, None
    for round_ in range(ROUNDS):
        step = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        step.diagonal(dim1=-2, dim2=-1).add_(a)
        factor = step if factor is None else step @ factor
        if round_ < ROUNDS - 1:
            gram = step @ gram @ step
    return factor @ x


def _matrices(module: nn.Module) -> Iterable[nn.Parameter]:
    """Yields the weights that are products' matrices: of linear layers and dense convolutions, but for the head."""
    for name, layer in module.named_modules():
        dense = isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
        if dense and name.partition(".")[0] != "head" and layer.weight.requires_grad:
            yield layer.weight
        stacked = getattr(layer, "x_proj_weight", None)  # of SS2D: a matrix per direction
        if isinstance(stacked, nn.Parameter) and stacked.requires_grad:
            yield stacked
