"""Speed on a GPU: SS2D of each stage and the whole model, with every back end, beside what the hardware allows.

    python benchmarks/gpu.py

All times are medians of CUDA events. The two floors are those of the model's multiplications and of its memory
traffic, at the rates that this GPU reaches in the same run. Writes benchmarks/GPU.md. Without a GPU it ends at once.
"""

import argparse
import datetime
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from lung_srad import kernels
from lung_srad.models import create_model
from lung_srad.runs import machine_line

FRAMES, BINS, WIDTH = 1024, 128, 96
DEPTHS = {"dass_small": (2, 2, 8, 2), "dass_medium": (2, 2, 20, 2)}
GMACS = {"dass_small": 12.54, "dass_medium": 22.09}  # of one clip's forward
PASSES = {"forward": 24.0, "step": 78.4}  # over a block's activation: reads and writes, SS2D fused, MLP not
PRODUCTS = {"forward": 1, "step": 3}  # a step multiplies for the output, the input's and the weight's gradient
PUBLISHED = [
    "VMamba-S on an A100, 224 x 224, batch 128: 877 images/s forward, 314 in training.",
    "In tokens (3,136 per image, 8,192 per clip of 10 s) that is 48 ms per forward of 16 clips and 133 ms per step.",
    "By memory bandwidth, about 60 ms per step on an H200: an estimate, not a measurement.",
    "Floors of dass_medium on paper, H200 at 790 TFLOP/s and 4.3 TB/s: forward 0.89 and 1.15 ms, step 2.68 and 3.79.",
]


def milliseconds(call: Callable[[], object], runs: int) -> float:
    """Returns the median time of a call on the GPU, after three that do not count."""
    for _ in range(3):
        call()
    taken = []
    for _ in range(runs):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        taken.append(start.elapsed_time(end))
    return statistics.median(taken)


def stages() -> list[tuple[int, int, int]]:
    """Returns height, width and channels of each stage's grid."""
    return [(BINS // 4 // 2**i, FRAMES // 4 // 2**i, WIDTH * 2**i) for i in range(4)]


def activation_bytes(model: str, batch: int) -> int:
    """Returns the bytes of one activation in bfloat16, summed over the blocks of a model."""
    return sum(2 * batch * h * w * c * depth for (h, w, c), depth in zip(stages(), DEPTHS[model], strict=True))


def floors(model: str, part: str, batch: int, flops: float, bandwidth: float) -> tuple[float, float]:
    """Returns the floors in ms of the multiplications and of the memory traffic, at these rates per second."""
    products = 2e9 * GMACS[model] * batch * PRODUCTS[part]
    return 1e3 * products / flops, 1e3 * PASSES[part] * activation_bytes(model, batch) / bandwidth


def product_rate(runs: int) -> float:
    """Returns the FLOP/s of a large product of matrices in bfloat16."""
    size = 8192
    a, b = torch.randn(2, size, size, device="cuda", dtype=torch.bfloat16)
    return 2 * size**3 / (1e-3 * milliseconds(lambda: a @ b, runs))


def copy_rate(runs: int) -> float:
    """Returns the bytes per second, read and written, of a copy of 1 GiB."""
    a = torch.empty(2**30, device="cuda", dtype=torch.uint8)
    b = torch.empty_like(a)
    return 2 * a.numel() / (1e-3 * milliseconds(lambda: b.copy_(a), runs))


def ss2d_times(backend: str, grid: tuple[int, int, int], batch: int, runs: int) -> tuple[float, float]:
    """Returns the ms of SS2D of one stage, forward and backward, activations in bfloat16."""
    height, width, channels = grid
    rank, half = channels // 16, {"device": "cuda", "dtype": torch.bfloat16}
    given = [torch.randn(batch, height, width, channels, **half)]
    given.append(torch.randn(batch, height, width, 4 * (rank + 2), **half))
    given += [torch.randn(4, channels, rank, device="cuda") / rank**0.5, torch.randn(4, channels, device="cuda") - 4]
    given += [-torch.ones(4 * channels, 1, device="cuda"), torch.ones(4 * channels, device="cuda")]
    with torch.no_grad():
        forward = milliseconds(lambda: kernels.ss2d(*given, backend=backend), runs)
    given = [x.requires_grad_() for x in given]
    y = kernels.ss2d(*given, backend=backend)
    grad_y = torch.randn_like(y)
    return forward, milliseconds(lambda: torch.autograd.grad(y, given, grad_y, retain_graph=True), runs)


def model_times(backend: str, model: str, batch: int, runs: int) -> tuple[float, float]:
    """Returns the ms of a forward for inference and of a training step with AdamW, both in bfloat16 autocast.

    What stays in float32 there (DECISIONS: half-precision) uses the tensor cores too.
    """
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(0)
    net = create_model(model, 4).cuda()
    features = torch.randn(batch, 1, BINS, FRAMES, device="cuda")
    label = torch.arange(batch, device="cuda") % 4
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-5, fused=True)

    def forward() -> None:
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
            net(features)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = F.cross_entropy(net(features), label)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    with kernels.use(backend):
        net.eval()
        inference = milliseconds(forward, runs)
        net.train()
        return inference, milliseconds(step, runs)


def page(head: list[str], scans: list[list[str]], models: list[list[str]], flops: float, bandwidth: float) -> str:
    """Returns the result page."""
    rows = ["# On a GPU", "", *head, ""]
    rows += [f"Measured here: {flops / 1e12:.0f} TFLOP/s (bfloat16, 8192 x 8192), {bandwidth / 1e12:.2f} TB/s (copy)."]
    rows += ["", "## SS2D of one block", ""]
    rows += table(["stage", "grid", "back end", "forward, ms", "backward, ms"], scans)
    rows += ["", "## The model", ""]
    names = ["model", "part", "back end", "ms", "floor of products, ms", "floor of memory, ms", "over the higher floor"]
    rows += table(names, models)
    rows += ["", "## Published, not measured here", "", *(f"- {text}" for text in PUBLISHED), ""]
    return "\n".join(rows)


def table(names: list[str], rows: list[list[str]]) -> list[str]:
    """Returns the lines of a table."""
    return [f"| {' | '.join(row)} |" for row in (names, ["---"] * len(names), *rows)]


def model_rows(model: str, backend: str, times: tuple[float, float], rates: tuple[float, float], batch: int):
    """Returns the rows of one model and back end, beside its floors."""
    rows = []
    for part, taken in zip(PASSES, times, strict=True):
        products, memory = floors(model, part, batch, *rates)
        over = taken / max(products, memory)
        rows.append([model, part, backend, f"{taken:.2f}", f"{products:.2f}", f"{memory:.2f}", f"{over:.1f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("GPU.md"))
    args = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("No CUDA GPU is seen by torch here: run this where one is, nothing was measured.")
    backends = [name for name in ("torch", "triton") if name in kernels.available()]
    rates = product_rate(args.runs), copy_rate(args.runs)
    scans, models = [], []
    for stage, grid in enumerate(stages()):
        for backend in backends:
            times = ss2d_times(backend, grid, args.batch, args.runs)
            scans.append([str(stage), " x ".join(map(str, grid)), backend, *(f"{taken:.3f}" for taken in times)])
            print(*scans[-1], flush=True)
    for model in DEPTHS:
        for backend in backends:
            times = model_times(backend, model, args.batch, args.runs)
            models += model_rows(model, backend, times, rates, args.batch)
            print(model, backend, *times, flush=True)
    head = [f"{datetime.date.today()}, {machine_line()}", ""]
    head += [f"Batch {args.batch}, 10 s clips, bfloat16 autocast; medians of {args.runs} runs, by `benchmarks/gpu.py`."]
    args.out.write_text(page(head, scans, models, *rates), encoding="utf-8")


if __name__ == "__main__":
    main()
