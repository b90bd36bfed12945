"""Several processes as one: gathered features, averaged gradients. Start them with torchrun.

Gradients are averaged over processes by hand, after the backward pass, so that a step may run the backbone as
often as it likes. Every process computes the losses of the gathered batch; the gather's backward hands each process
the gradient of its own rows times the number of processes, so the mean over processes is exactly the gradient of one
process with the whole batch.
"""

import atexit
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from lung_srad.errors import ConfigError, LungSradError, message

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process among all: its rank, their number, and the device it computes on."""

    rank: int
    size: int
    device: torch.device

    @property
    def leader(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def gather(self, x: Tensor) -> Tensor:
        """Returns the rows of all processes in order of rank, differentiable: (B, ...) -> (size·B, ...)."""
        return x if self.size == 1 else _Gather.apply(x, self.rank)

    def collect(self, value: Any) -> list[Any]:
        """Returns every process's value, in order of rank."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def lead(self, action: Callable[[], T]) -> T | None:
        """Calls ``action`` on the leader while the others wait; returns what it returned there, None elsewhere.

        Its error is raised on every process, so that none goes on alone.
        """
        value = error = None
        if self.leader:
            try:
                value = action()
            except (LungSradError, OSError) as caught:
                error = caught
        error = self.collect(error)[0]
        if error is not None:
            raise error
        return value

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by its mean over processes; a parameter that saw no sample has gradient zero."""
        parameters = list(parameters)
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if self.size == 1:
            return
        flat = torch.cat([parameter.grad.flatten() for parameter in parameters])
        dist.all_reduce(flat)
        parts = (flat / self.size).split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad.copy_(part.view_as(parameter))

    def share_buffers(self, module: nn.Module) -> None:
        """Gives every process the leader's buffers; until then the statistics of a batch norm are of its own batches.

        Buffers on other devices than this process's are left alone.
        """
        for buffer in module.buffers() if self.size > 1 else ():
            if buffer.device == self.device:
                dist.broadcast(buffer, 0)

    def wait(self) -> None:
        """Returns when every process is here."""
        if self.size > 1:
            dist.barrier()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, rank: int) -> Tensor:
        ctx.rank, ctx.rows = rank, len(x)
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        return grad[ctx.rank * ctx.rows : (ctx.rank + 1) * ctx.rows] * dist.get_world_size(), None


@contextmanager
def join() -> Iterator[World]:
    """Yields this process's place: alone, or among those that torchrun started (NCCL on GPUs, gloo on CPUs).

    The first call meets the other processes; they part when the program ends (torchrun's can meet only once), so
    that one program can train many runs.
    """
    size, rank, local, neighbours = (
        int(os.environ.get(name, default))
        for name, default in (("WORLD_SIZE", 1), ("RANK", 0), ("LOCAL_RANK", 0), ("LOCAL_WORLD_SIZE", 1))
    )
    cuda = torch.cuda.is_available()
    if cuda and torch.cuda.device_count() < neighbours:
        seen, allowed = f"{neighbours} processes", f"at most {torch.cuda.device_count()}, the GPUs of this machine"
        remedy = "start fewer, or hide the GPUs with CUDA_VISIBLE_DEVICES="
        raise ConfigError(message("torchrun --nproc_per_node", seen, allowed, remedy))
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:  # the same bits each time, and float32 where float32 is asked for
        torch.cuda.set_device(device)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
    if size > 1 and not dist.is_initialized():
        patience = timedelta(hours=4)  # of those who wait while the first reads every recording
        dist.init_process_group("nccl" if cuda else "gloo", timeout=patience)
        atexit.register(dist.destroy_process_group)
    yield World(rank, size, device)
