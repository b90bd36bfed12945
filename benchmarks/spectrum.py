"""Writes benchmarks/spectrum.md: what the spectral analysis of DASS-medium costs, in time and memory.

    python benchmarks/spectrum.py --data icbhi:PATH

Random weights; features of real or simulated recordings. Wall-clock time is that of this machine as busy as it is;
CPU time and the peak of memory are the process's own.
"""

import argparse
import datetime
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

import lung_srad as ls
from lung_srad.analysis import choose_recordings, layer_spectrum, network_spectrum
from lung_srad.datasets import open_dataset
from lung_srad.models import mixing_maps, mixing_places
from lung_srad.runs import machine_line
from page import table

PAGE = Path(__file__).with_suffix(".md")
GOALS = {"one block": (15.0, 3.0), "whole network": (600.0, None)}  # seconds, GB


@dataclass(frozen=True)
class Cost:
    """Wall-clock and CPU seconds of a call, and the peak memory of the process up to its end, in GB."""

    wall: float
    cpu: float
    peak: float


def cost(call: Callable[[], object]) -> Cost:
    """Returns what a call costs."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def stage_zero(net: torch.nn.Module, features: torch.Tensor) -> None:
    """Makes the map of the first block of stage 0, and both of its responses."""
    (one,) = mixing_maps(net, features, places=[(0, 0)])
    layer_spectrum(one)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--recordings", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=PAGE)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    net = ls.create_model("dass_medium").eval()
    recordings, _ = choose_recordings(net, open_dataset(args.data), part="test", count=args.recordings)
    load = os.getloadavg()[0]
    found = {
        "stage 0, block 0 (8,192 tokens): map, both responses": cost(lambda: stage_zero(net, recordings[0])),
        f"all {len(mixing_places(net))} blocks, {len(recordings)} recordings": cost(
            lambda: network_spectrum(net, recordings, name="DASS-medium", note="random weights")
        ),
    }
    lines = [[name, f"{each.wall:.1f}", f"{each.cpu:.1f}", f"{each.peak:.2f}"] for name, each in found.items()]
    goals = "Asked: a block of stage 0 in under 15 s and 3 GB, all blocks of 16 recordings in under 10 minutes."
    args.out.write_text(
        "# What the spectral analysis costs\n\n"
        f"Made {datetime.date.today().isoformat()} by `{' '.join(['python', *map(shown, sys.argv)])}`, "
        f"at {machine_line()}, {args.threads} threads; load of the machine before it began: {load:.2f}.\n\n"
        f"DASS-medium at random weights, float32. {goals}\n\n"
        + table(["", "wall-clock s", "CPU s", "peak GB of the process"], lines),
        encoding="utf-8",
    )


def shown(word: str) -> str:
    """Returns a word of the command without where things lie on this machine."""
    kind, colon, path = word.partition(":")
    return f"{kind}:PATH" if colon else Path(path or kind).name if os.path.isabs(kind) else word


if __name__ == "__main__":
    main()
