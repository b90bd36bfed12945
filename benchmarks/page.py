"""The page of results, from what the parts measured."""

import datetime
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from goals import DEPTHS, Results, per_clip, rows
from lung_srad.runs import machine_line
from lung_srad.runs.provenance import versions
from timing import Times, known, on

REMARKS = Path(__file__).with_name("remarks.md")
SHOWN = ("lung-srad", "lung-srad-kernels", "transformers", "numpy")  # the others stand in the machine's line
HEAD = """\
# Speed

Made {date} by `{command}` in {minutes:.0f} minutes, at {machine}; {versions}.
The scan's back end is "{best}". Load of the machine before it began: {load:.2f}.

Every ratio is of things that took turns in one process of one run: the median over turns, and the least and the
greatest. Absolute times are medians over the same turns. Inputs are noise of 1 x 128 x {frames} per clip, weights are
random. A forward is one in inference mode; a step is forward, cross-entropy and backward, in bf16 under autocast,
without stochastic depth but where it says so. Golden values, odd strides and types are held by the tests, not here.
"""
CONTESTANTS = """\
- *published layers* is the network as published around the loop: channels first, linear layers as 1x1 convolutions,
  eager, four copies of the tokens, the same weights. The *indexed loop* indexes each time step as upstream does; the
  *unbound loop* is the same over unbound steps. *medium fp32, indexed loop* has this package's layers, and the loop.
- *pure-torch scan* is the back end "torch": chunked, with its own backward. A work-efficient odd-even (Blelloch) scan
  with the same backward was tried in its place and is neither faster nor slower beyond the spread.
- *AST* is `ASTForAudioClassification` of transformers: 12 layers, width 768, {frames} frames, sdpa; in bf16
  all weights are rounded for the forward, and autocast is used for the step.
- *floor* is the sum over the model's matrix products of the fastest of oneDNN's packed linear, a 1x1 convolution with
  channels last and F.linear, operands in the cache where they fit; for a step with both gradients' products.
- Run once: the indexed loop backward (a minute and more), AST at batch 8 (most threads only) and the pure-torch scan
  at batch 8, forward. They are not warmed up.
"""


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    body = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *body]) + "\n"


def spread(times: list[float | None], unit: float) -> str:
    """Returns the median with least and greatest, or nothing where it did not run."""
    seen = [unit * taken for taken in known(times)]
    if not seen:
        return ""
    digits = 1 if unit > 1 else 3
    low, middle, high = (f"{value:.{digits}f}" for value in (min(seen), statistics.median(seen), max(seen)))
    return middle if len(seen) == 1 else f"{middle} ({low} to {high})"


def by_threads(results: dict[str, Times], unit: float) -> str:
    """Returns a table of contestants, a column for each number of threads."""
    names = dict.fromkeys(name for times in results.values() for name in times)
    lines = [[name, *(spread(times.get(name, []), unit) for times in results.values())] for name in names]
    return table(["", *map(on, results)], lines)


def scan_section(results: Results) -> str:
    """Returns the scan and SS2D per stage."""
    text = ["## The scan and SS2D per stage\n"]
    text.append(f"DASS-medium, batch 1, milliseconds; per clip: summed with depths {DEPTHS}.\n")
    for group in next(iter(results["scans"].values())):
        lines = []
        for threads, found in results["scans"].items():
            for backend in results["backends"]:
                stages = [spread(found[group][f"{backend} {stage}"], 1e3) for stage in range(4)]
                lines.append([backend, threads, *stages, spread(per_clip(found[group], backend), 1e3)])
        head = ["back end", "threads", *(f"stage {stage}" for stage in range(4)), "per clip"]
        text.append(f"**{group}**\n\n{table(head, lines)}")
    return "\n".join(text)


def network_section(results: Results) -> str:
    """Returns the networks' times, and the floors' tables."""
    text = ["## Whole networks\n\nSeconds per call, of the whole batch.\n"]
    text.append(CONTESTANTS.format(frames=results["frames"]))
    networks = results["networks"]
    for group in next(iter(networks.values()))["times"]:
        chosen = {threads: found["times"][group] for threads, found in networks.items()}
        text.append(f"### {group[0].upper()}{group[1:]}\n\n{by_threads(chosen, 1)}")
    head = ["product", "m", "k", "n", "times", "fastest way", "µs", "GFLOP/s"]
    for threads, found in networks.items():
        for group, floors in found["floors"].items():
            for label, lines in floors.items():
                title = f"Floor of DASS-medium: {group}, {label}, {on(threads)}"
                text.append(f"<details><summary>{title}</summary>\n\n{table(head, lines)}\n</details>\n")
    return "\n".join(text)


def growth_section(results: Results) -> str:
    """Returns time and memory by duration."""
    unit, lines = results["unit"], []
    for each in results["growth"]:
        times = [taken and taken * unit / each["seconds"] for taken in each["times"]["whole"]]
        beside = spread(each["times"].get("yardstick", []), 1)
        lines.append([each["model"], str(each["seconds"]), spread(times, 1), beside, f"{each['peak']:.2f}"])
    head = ["model", "seconds of audio", f"s per {unit} s", f"{unit} s alone, in the same process", "peak GB"]
    note = "One forward of the whole recording, batch 1, most threads, a fresh process for each line."
    return f"## Growth with duration\n\n{note}\n\n{table(head, lines)}"


def system_section(results: Results) -> str:
    """Returns the cost of a Lung-SRAD step."""
    lines = [[name, spread(times, 1)] for name, times in results["systems"].items()]
    note = "The small network and the largest batch; forward, backward and optimiser, with stochastic depth; seconds."
    return f"## A Lung-SRAD step beside a plain one\n\n{note}\n\n{table(['step', 'seconds'], lines)}"


def profile_section(results: Results) -> str:
    """Returns which operations take the time."""
    text = ["## Where the time goes\n\nDASS-medium fp32, batch 1, most threads; time in the operation itself.\n"]
    profile = next(each["profile"] for each in results["networks"].values() if "profile" in each)
    for name, lines in profile.items():
        lines = [[f"`{key}`", *rest] for key, *rest in lines]
        text.append(f"**{name}**\n\n{table(['operation', 'calls', 'ms', '%'], lines)}")
    return "\n".join(text)


def page(results: Results, command: str, minutes: float) -> str:
    """Returns the whole page."""
    head = HEAD.format(
        date=datetime.date.today().isoformat(),
        command=command,
        minutes=minutes,
        machine=machine_line(),
        versions=", ".join(f"{name} {version}" for name, version in versions().items() if name in SHOWN),
        best=results["best"],
        load=results["load"],
        frames=results["frames"],
    )
    goals = table(["goal", "asked", "reached", "spread", ""], [row.cells() for row in rows(results)])
    sections = (scan_section, network_section, growth_section, system_section, profile_section)
    text = [head, f"## Goals\n\nDASS-medium, batch 1, where nothing else is said.\n\n{goals}"]
    if REMARKS.is_file():
        text.append(REMARKS.read_text(encoding="utf-8"))
    return "\n".join([*text, *(section(results) for section in sections)])
