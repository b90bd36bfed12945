"""Checks an installed wheel beside an installed lung-srad: it loads, agrees with plain torch, shares torch's OpenMP."""

from pathlib import Path

import torch

from lung_srad import kernels

BATCH, CHANNELS, STATES, LENGTH = 2, 5, 3, 70


def scanned(backend: str) -> list[torch.Tensor]:
    """Returns y of a small scan and the gradients of its inputs."""
    draw = torch.Generator().manual_seed(0)
    shapes = [(BATCH, CHANNELS, LENGTH)] * 2 + [(CHANNELS, STATES)] + [(BATCH, 1, STATES, LENGTH)] * 2
    u, delta, A, B, C = (torch.randn(shape, generator=draw) for shape in shapes)
    inputs = [x.requires_grad_() for x in (u, delta, -A.abs(), B, C)]
    y = kernels.selective_scan(*inputs, backend=backend)
    return [y, *torch.autograd.grad(y.square().sum(), inputs)]


def own_runtimes() -> list[str]:
    """Returns the OpenMP runtimes in this process that came with the wheel; torch's is to serve both."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").split()
    return sorted({path for path in maps if "omp" in Path(path).name and "lung_srad_kernels" in path})


for compiled, plain in zip(scanned("cpu"), scanned("torch"), strict=True):
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-4)
if own_runtimes():
    raise RuntimeError(f"the wheel brings {own_runtimes()}; repair it with auditwheel's --exclude libgomp.so.1")
