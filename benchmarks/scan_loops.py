"""DASS with the pure-torch scan against the same network with a loop over time, in turn in one process.

Two loops: over unbound time steps, and indexing each step (the form of the upstream code). Both use the upstream
data flow: four copies of the tokens, a scan, a merge. The projections come in already made, which favours the loops.

    python benchmarks/scan_loops.py        # writes scan_loops.md beside this file
"""

import argparse
import datetime
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from lung_srad import kernels
from lung_srad.method import cross_merge, cross_scan, recurrence
from lung_srad.models import Classifier, create_model
from lung_srad.runs.provenance import machine_line

LOOPS = ("unbound", "indexed")


def scan_unbound(decay: Tensor, drive: Tensor, C: Tensor) -> Tensor:
    """Returns y (B, K, C, L); decay, drive (B, K, C, L, N); C (B, K, N, L)."""
    state, ys = torch.zeros_like(decay[:, :, :, 0]), []
    for a, b, c in zip(decay.unbind(3), drive.unbind(3), C.unbind(3), strict=True):
        state = a * state + b
        ys.append((state * c.unsqueeze(2)).sum(-1))
    return torch.stack(ys, dim=-1)


def scan_indexed(decay: Tensor, drive: Tensor, C: Tensor) -> Tensor:
    """Returns the same, indexing each step; its backward allocates a full-size tensor for every one."""
    state, ys = torch.zeros_like(decay[:, :, :, 0]), []
    for t in range(decay.shape[3]):
        state = decay[:, :, :, t] * state + drive[:, :, :, t]
        ys.append((state * C[:, :, :, t].unsqueeze(2)).sum(-1))
    return torch.stack(ys, dim=-1)


def backend(scan: Callable[[Tensor, Tensor, Tensor], Tensor]) -> kernels.Backend:
    """Returns a back end with the upstream data flow around a scan."""

    def ss2d(x, low, B, C, dt_weight, dt_bias, A, D):
        delta = F.softplus(torch.einsum("bkrl,kcr->bkcl", paths(low), dt_weight) + dt_bias.unsqueeze(-1))
        tokens, B, C = cross_scan(x.permute(0, 3, 1, 2)), paths(B), paths(C)
        decay = torch.exp(torch.einsum("bkcl,kcn->bkcln", delta, A))
        drive = torch.einsum("bkcl,bknl->bkcln", delta * tokens, B)
        ys = scan(decay, drive, C) + tokens * D.unsqueeze(-1)
        return cross_merge(ys, x.shape[1:3]).permute(0, 2, 3, 1)

    return kernels.Backend(selective_scan=recurrence, ss2d=ss2d)


def paths(x: Tensor) -> Tensor:
    """Returns each direction's own values along its path: (B, H, W, 4, X) -> (B, 4, X, H*W)."""
    return torch.stack([cross_scan(x[..., k, :].permute(0, 3, 1, 2))[:, k] for k in range(4)], dim=1)


def seconds(net: Classifier, x: Tensor, name: str, *, backward: bool) -> float:
    """Returns the time of one pass with one back end."""
    start = time.perf_counter()
    with kernels.use(name):
        if backward:
            F.cross_entropy(net(x), torch.zeros(len(x), dtype=torch.long)).backward()
            net.zero_grad()
        else:
            with torch.inference_mode():
                net(x)
    taken = time.perf_counter() - start
    print(f"{name:8s} {'step' if backward else 'forward':8s} {taken:8.3f} s", flush=True)
    return taken


def measure(net: Classifier, x: Tensor, names: tuple[str, ...], *, backward: bool, runs: int) -> dict[str, float]:
    """Returns median seconds per back end; the back ends take turns, after one warm-up each."""
    turns = [{name: seconds(net, x, name, backward=backward) for name in names} for _ in range(runs + 1)]
    return {name: statistics.median(turn[name] for turn in turns[1:]) for name in names}


@torch.inference_mode()
def differences(net: Classifier, x: Tensor) -> dict[str, float]:
    """Returns each loop's largest difference from the pure-torch scan, as a share of the largest logit."""
    logits = {}
    for name in ("torch", *LOOPS):
        with kernels.use(name):
            logits[name] = net(x)
    exact = logits["torch"]
    return {name: ((logits[name] - exact).abs().max() / exact.abs().max()).item() for name in LOOPS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="dass_medium")
    parser.add_argument("--frames", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    kernels.BACKENDS.update(unbound=backend(scan_unbound), indexed=backend(scan_indexed))
    net, x = create_model(args.model).eval(), torch.randn(1, 1, 128, args.frames)
    apart = differences(net, x)
    forward = measure(net, x, ("torch", *LOOPS), backward=False, runs=args.runs)
    step = measure(net, x, ("torch", "unbound"), backward=True, runs=args.runs)
    step["indexed"] = seconds(net, x, "indexed", backward=True)  # minutes at full size: once

    rows = [f"# The scan against loops over time: {args.model}, 1 x 128 x {args.frames}, float32", ""]
    rows += [f"{datetime.date.today()}, {machine_line()}", ""]
    rows += ["| scan | forward, s | over torch | forward + backward, s | over torch |", "|---|---|---|---|---|"]
    for name in ("torch", *LOOPS):
        cells = [f"{times[name]:.3f} | {times[name] / times['torch']:.2f}" for times in (forward, step)]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    asked = {"forward over unbound": (forward["unbound"] / forward["torch"], 1.7)}
    asked["forward + backward over unbound"] = (step["unbound"] / step["torch"], 2.0)
    asked["forward + backward over indexed"] = (step["indexed"] / step["torch"], 15.0)
    rows += ["", *(f"- {name}: {got:.1f}, at least {least:g} asked for" for name, (got, least) in asked.items())]
    rows += ["", f"Medians of {args.runs} runs in turn after one to warm up; forward + backward of `indexed`: one run."]
    agree = ", ".join(f"{name} {share:.0e}" for name, share in apart.items())
    rows += [f"Largest difference of a logit, as a share of the largest: {agree}.", ""]
    command = f"python benchmarks/scan_loops.py --model {args.model} --frames {args.frames}"
    rows += [f"Made by `{command} --threads {args.threads} --runs {args.runs}`.", ""]
    print("\n".join(rows))
    args.out.write_text("\n".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
