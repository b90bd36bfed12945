"""What a Lung-SRAD step costs, in plain cross-entropy steps: both in turn, in one process, on the same batch.

    python benchmarks/step_cost.py --out benchmarks/step_cost.md

A step is what training takes: forward, backward and the optimiser, with stochastic depth. The paper's reading runs
both mixed passes without autograd; of three passes' work, Lung-SRAD should cost about 5/3 of one.
"""

import argparse
import datetime
import statistics
import time
from pathlib import Path
from types import SimpleNamespace

import torch

from lung_srad.config import load_preset
from lung_srad.datasets import Batch
from lung_srad.runs import PhaseFolder, build_model, build_objective, machine_line
from lung_srad.training.distributed import World
from lung_srad.training.phase import Job, Phase

LIMIT = 1.9  # Lung-SRAD, paper reading, in cross-entropy steps
SYSTEMS = {
    "cross-entropy": ("dass_finetuning", "paper"),
    "Lung-SRAD, paper reading": ("lung_srad", "paper"),
    "Lung-SRAD, code reading": ("lung_srad", "code"),
}


def phase(system: str, args: argparse.Namespace) -> Phase:
    """Returns a phase of training that is ready for its next step."""
    name, reading = SYSTEMS[system]
    overrides = [f"reading={reading}", f"backbone.name={args.model}", f"backbone.frames={args.frames}"]
    preset = load_preset(name, overrides=overrides)
    torch.manual_seed(0)
    net = build_model(preset, 4)
    objective = build_objective(preset, net, (1, 1, 1, 1))
    job = Job(preset, SimpleNamespace(steps=lambda *_: 1), 1, World(0, 1, torch.device("cpu")), lambda *_: None)
    return Phase(job, PhaseFolder(Path()), net, objective, part="train", scored=[])


def measure(args: argparse.Namespace) -> dict[str, list[float]]:
    """Returns the seconds of each step of each system; they take turns, and the first turn does not count."""
    phases = {system: phase(system, args) for system in list(SYSTEMS)[: 3 if args.code else 2]}
    features = torch.randn(args.batch, 1, 128, args.frames)
    label = torch.arange(args.batch) % 4
    batch = Batch(features, label, label, label, ())
    seconds = {system: [] for system in phases}
    for turn in range(args.runs + 1):
        for system, each in phases.items():
            start = time.perf_counter()
            each.step(batch, 1, turn)
            taken = time.perf_counter() - start
            print(f"turn {turn}: {system:26s} {taken:8.3f} s", flush=True)
            if turn:
                seconds[system].append(taken)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="dass_small")
    parser.add_argument("--frames", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--code", action="store_true", help="also the code reading, which keeps three passes' graphs")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    seconds = measure(args)
    plain = seconds["cross-entropy"]
    ratios = {
        system: statistics.median(own / other for own, other in zip(taken, plain, strict=True))
        for system, taken in seconds.items()
    }
    ratio = ratios["Lung-SRAD, paper reading"]
    rows = [f"| {name} | {statistics.median(taken):.3f} | {ratios[name]:.2f} |" for name, taken in seconds.items()]
    shape = f"batch {args.batch}, 1 x 128 x {args.frames}, float32, {args.threads} threads"
    command = f"--model {args.model} --frames {args.frames} --batch {args.batch} --threads {args.threads}"
    page = [
        f"# The cost of a step: {args.model}, {shape}",
        "",
        f"{datetime.date.today().isoformat()}, {machine_line()}",
        "",
        "| step | seconds, median | in cross-entropy steps, median of turns |",
        "|---|---|---|",
        *rows,
        "",
        f"At most {LIMIT} are allowed for the paper's reading: {'met' if ratio <= LIMIT else '**not met**'}.",
        f"{args.runs} turns after one that does not count. Made by `python benchmarks/step_cost.py {command}`.",
        "",
    ]
    print("\n".join(page))
    args.out.write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main()
