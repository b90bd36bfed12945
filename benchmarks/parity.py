"""Writes benchmarks/parity.md: exported graphs beside the models that they were made of, and how long both take.

python benchmarks/parity.py
"""

import argparse
import datetime
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from lung_srad.config import load_preset
from lung_srad.inference import Model, export_onnx, load
from lung_srad.portable import load_onnx
from lung_srad.runs import TrainedModel, build_model, machine_line, save_model
from lung_srad.runs.provenance import versions
from timing import say
from transfer_page import grid

CASES = {  # what is exported -> (source, or overrides of a preset for random weights; inputs)
    "demo (dass_tiny, 4 s)": ("demo", 1000),
    "dass_tiny with smoothing, 8 s, random weights": (("backbone.name=dass_tiny", "backbone.frames=256"), 1000),
    "DASS-medium with smoothing, 8 s, random weights": (("backbone.name=dass_medium",), 50),
}
HEAD = """\
# Exported graphs beside their models

Made {date} by `python benchmarks/parity.py` at {machine}; {versions}.

Inputs are waves of eleven kinds, made by `lung_srad.inference.parity` (noise, whistles, clicks, hum, offsets, clipping,
half digital silence, ...), in batches of 1, 3 and 8. Allowed are differences of logits of 1e-4 from features and of
1e-3 from waves, and answers that turn where the two greatest logits are closer than 2e-3; each of those is listed.
Milliseconds are those of one clip, wave to answer, the median of five, both on {threads} thread(s).

"""


def random_model(folder: Path, overrides: tuple[str, ...]) -> Model:
    """Returns a model that was never trained; its head is drawn wide, so that answers differ."""
    preset = load_preset("lung_srad", overrides=list(overrides))
    torch.manual_seed(0)
    net = build_model(preset, 4)
    torch.nn.init.normal_(net.head.weight, std=0.3)
    names = ("normal", "crackle", "wheeze", "both")
    save_model(folder / "weights.safetensors", TrainedModel(net, preset, names, 0))
    return load(folder / "weights.safetensors")


def milliseconds(answer: Callable[[], object]) -> float:
    """Returns the median time of a call after a first one."""
    answer()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        answer()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def measured(name: str, model: Model, inputs: int, folder: Path) -> tuple[list[tuple[str, ...]], list[str]]:
    """Returns a row per comparison, and a line for every answer that turned."""
    path = folder / "model.onnx"
    found = export_onnx(model, path, inputs=inputs)
    graph, front = load_onnx(path, threads=torch.get_num_threads()), model.frontend
    wave = (0.1 * np.random.default_rng(0).standard_normal((1, graph.samples))).astype(np.float32)
    with torch.inference_mode():
        own = milliseconds(lambda: model.net(front(torch.from_numpy(wave))))
    theirs, size = milliseconds(lambda: graph.probabilities(wave)), path.stat().st_size / 1e6
    same = (f"{size:.0f}", f"{own:.0f}", f"{theirs:.0f}")
    rows = []
    for each in found.comparisons:
        counts = str(each.inputs), str(each.silent), f"{each.difference:.1e}", str(len(each.turned))
        rows.append((name, each.given, *counts, *same))
    return rows, [line for each in found.comparisons for line in str(each).splitlines()[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("parity.md"))
    parser.add_argument("--share", type=float, default=1.0, help="of the inputs, for a first look")
    args = parser.parse_args()
    rows, turned = [], []
    for name, (source, inputs) in CASES.items():
        with TemporaryDirectory() as folder:
            model = load(source) if isinstance(source, str) else random_model(Path(folder), source)
            new, lines = measured(name, model, max(1, round(args.share * inputs)), Path(folder))
        rows, turned = rows + new, turned + lines
        say(f"compared {name}")
    heading = (
        "model",
        "from",
        "inputs",
        "silent",
        "largest difference",
        "turned",
        "MB",
        "torch, ms",
        "onnxruntime, ms",
    )
    page = HEAD.format(
        date=datetime.datetime.now(datetime.UTC).date(),
        machine=machine_line(),
        versions=", ".join(f"{key} {value}" for key, value in versions().items()),
        threads=torch.get_num_threads(),
    )
    page += (
        grid(heading, rows) + "\nTurned answers: " + ("none.\n" if not turned else "\n\n" + "\n".join(turned) + "\n")
    )
    args.out.write_text(page, encoding="utf-8")
    say(f"wrote {args.out}")


if __name__ == "__main__":
    main()
