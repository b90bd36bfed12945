"""Draws the figures of docs/spectrum.md from the matrices that the paper's authors published, and fills its numbers.

    python docs/spectrum.py --matrices FOLDER

FOLDER holds attention_ast_layer4.npy (514 tokens, two of them class and distillation), mixing_dass_stage2_block2.npy
and mixing_dass_stage2_block2_onedir.npy (512 tokens); all on a grid of 8 × 64.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from lung_srad.analysis import authors_response, png, smoothed_responses, smoothing_figure, svg
from lung_srad.analysis.spectra import scaled
from lung_srad.drawing import INK, SYSTEM_COLOURS, drawing_style
from lung_srad.files import replacing
from lung_srad.method import gaussian_kernel, smoothing_response, spectral_response
from lung_srad.runs import machine_line

GRID = (8, 64)
CYCLES = "cycles per token"
FOLDER = Path(__file__).parent
BEGIN, END = "<!-- numbers: python docs/spectrum.py -->", "<!-- end of numbers -->"


@dataclass(frozen=True)
class Case:
    """A matrix on the grid, and the whole one where it has tokens in front."""

    name: str
    colour: str
    whole: Tensor
    attention: bool = False

    @property
    def matrix(self) -> Tensor:
        return self.whole[-GRID[0] * GRID[1] :, -GRID[0] * GRID[1] :]

    @property
    def line(self) -> Tensor:
        curve = spectral_response(self.matrix)
        return curve / curve[0]

    @property
    def plane(self) -> Tensor:
        plane = spectral_response(self.matrix, GRID)
        return plane / plane[0, 0]


def cases(folder: Path) -> list[Case]:
    """Returns the three matrices: DASS, AST, and one direction of DASS."""
    names = ("mixing_dass_stage2_block2", "attention_ast_layer4", "mixing_dass_stage2_block2_onedir")
    dass, ast, one = (torch.from_numpy(np.load(folder / f"{name}.npy")).double() for name in names)
    return [
        Case("DASS, stage 2, block 2", SYSTEM_COLOURS[0], dass),
        Case("AST, layer 4", SYSTEM_COLOURS[1], ast, attention=True),
        Case("DASS, one direction", SYSTEM_COLOURS[0], one),
    ]


def two_views(dass: Case, ast: Case) -> Figure:
    """Returns the flattened response beside the response over the grid."""
    with drawing_style():
        figure = Figure(figsize=(10.4, 5.6), layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=[1.1, 1])
        axes, along = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
        for case in (dass, ast):
            curve, time, short = case.line[:257], case.plane[0, :33], case.name.partition(",")[0]
            axes.plot(np.arange(257) / 512, curve, color=case.colour, linewidth=1, label=case.name)
            along.plot(np.arange(33) / 64, time, "o-", color=case.colour, ms=3, lw=1.2, label=f"{short}, along time")
            freq = case.plane[:5, 0]
            along.plot(
                np.arange(5) / 8, freq, "s--", color=case.colour, ms=3.5, lw=1, label=f"{short}, along frequency"
            )
        axes.plot(np.arange(8, 64, 8) / 512, dass.line[8:64:8], "v", color=INK, ms=5, label="bins 8, 16, ..., 56")
        axes.set(title="512 flattened tokens (the paper's view)", ylabel="share of DC")
        along.set(title="8 × 64 grid: what changes along one axis alone")
        for each in (axes, along):
            each.set(yscale="log", ylim=(2e-3, 1.5), xlabel=CYCLES, xlim=(-0.005, 0.505))
            each.legend(fontsize=8)
        panels = [figure.add_subplot(grid[1, column]) for column in range(2)]
        for panel, case in zip(panels, (dass, ast), strict=True):
            picture = draw_plane(panel, case)
        figure.colorbar(picture, ax=panels, label="share of DC", fraction=0.04, pad=0.01)
    return figure


def draw_plane(axes: Axes, case: Case):
    """Draws the response over the grid with DC in the middle of the left edge."""
    half = torch.cat([case.plane[-3:], case.plane[:5]])[:, :33]
    extent = (-0.5 / 64, 32.5 / 64, -3.5 / 8, 4.5 / 8)
    norm = LogNorm(5e-3, 1)
    picture = axes.imshow(half, origin="lower", extent=extent, aspect="auto", norm=norm, cmap="viridis")
    axes.set(
        title=f"{case.name}, over the grid",
        xlabel=f"time, {CYCLES}",
        ylabel=f"frequency,\n{CYCLES}",
        yticks=[-0.25, 0, 0.25, 0.5],
    )
    return picture


def three_scalings(dass: Case, ast: Case) -> Figure:
    """Returns the same two matrices as shares of DC, scaled from 0 to 1, and in the authors' way."""
    with drawing_style():
        figure = Figure(figsize=(10.4, 3.0), layout="constrained")
        panels = figure.subplots(1, 3)
        for case in (dass, ast):
            raw = spectral_response(case.matrix)
            theirs = authors_response(case.whole, attention=case.attention)
            for axes, curve in zip(panels, (raw / raw[0], scaled(raw), theirs), strict=True):
                curve = curve[: len(curve) // 2 + 1][:126]
                axes.plot(np.arange(len(curve)), curve, color=case.colour, linewidth=1.1, label=case.name)
        titles = ("shares of DC", "curve scaled from 0 to 1", "the authors' way (log for AST, 0 to 1)")
        for axes, title in zip(panels, titles, strict=True):
            axes.set(title=title, xlabel="bin of the flattened tokens", ylim=(0, 0.5))
        panels[0].set_ylabel("response (DC = 1, above the figure)")
        panels[0].legend(fontsize=8)
    return figure


def numbers(found: list[Case]) -> str:
    """Returns the table of what stands in the text."""
    band = smoothing_response(GRID, gaussian_kernel(5, 3.0).double()).abs() <= 0.5
    rows: list[tuple[str, list[str]]] = []

    def add(name: str, values: list[float | str]) -> None:
        rows.append((name, [value if isinstance(value, str) else f"{value:.4f}" for value in values]))

    planes, lines = [case.plane for case in found], [case.line for case in found]
    wholes = [spectral_response(case.whole) for case in found]
    add("flattened, all tokens: largest outside DC", [max_of((whole / whole[0])[1:]) for whole in wholes])
    add("flattened, tokens of the grid: largest outside DC", [max_of(line[1:]) for line in lines])
    add("  at bin", [str(int(line[1:257].argmax()) + 1) for line in lines])
    add(
        "  next bins", [", ".join(str(int(k) + 1) for k in line[1:257].argsort(descending=True)[1:5]) for line in lines]
    )
    add("  median", [line.median().item() for line in lines])
    add("  DC, of the sum over all bins", [(1 / line.sum()).item() for line in lines])
    add("flattened, curve scaled to 0-1: largest outside DC", [max_of(scaled(line)[1:]) for line in lines])
    add("  median", [scaled(line).median().item() for line in lines])
    add("  DC, of the sum over all bins", [(1 / scaled(line).sum()).item() for line in lines])
    theirs = [authors_response(case.whole, attention=case.attention) for case in found]
    add("the authors' way: largest outside DC", [max_of(curve[1:]) for curve in theirs])
    add("  median", [curve.median().item() for curve in theirs])
    add("grid, along time alone: (0, 1) to (0, 4)", [listed(plane[0, 1:5]) for plane in planes])
    add("  mean of 0.25 to 0.5 cycles per token", [plane[0, 16:33].mean().item() for plane in planes])
    add("grid, along frequency alone: (1, 0) to (4, 0)", [listed(plane[1:5, 0]) for plane in planes])
    add("grid, along both: largest", [max_of(plane[1:, 1:]) for plane in planes])
    add("  mean", [plane[1:, 1:].mean().item() for plane in planes])
    add("grid, what the smoothing halves or more (score `band`)", [plane[band].mean().item() for plane in planes])
    low = [(plane[0, 1:5].sum() / (plane[0, 1:33].sum())).item() for plane in planes]
    add("grid: (0, 1) to (0, 4), of all along time alone", low)
    head = ["", *(case.name for case in found), "DASS / AST"]
    lines_of_table = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for name, values in rows:
        lines_of_table.append(f"| {name} | {' | '.join(values)} | {ratio(values)} |")
    return "\n".join(lines_of_table).replace("|   ", "| … ")


def max_of(values: Tensor) -> float:
    return values.max().item()


def listed(values: Tensor) -> str:
    return " ".join(f"{value:.3f}" for value in values.tolist())


def ratio(values: list[str]) -> str:
    """Returns how many times as much the first system has as the second, where they are single numbers."""
    try:
        return f"{float(values[0]) / float(values[1]):.1f}" if "." in values[0] else ""
    except ValueError:
        return ""


def departures(case: Case) -> str:
    """Returns how far smoothing is from theory, as a table: the spread of seen over expected."""
    found = smoothed_responses([case.matrix], GRID, gaussian_kernel(5, 3.0).double())
    seen = found.departures()
    names = {
        "circular": "grid, circular",
        "zeros": "grid, zeros beyond the border",
        "flattened": "flattened tokens, zeros",
    }
    lines = ["| factor seen over factor by theory | median | 5 % | 95 % |", "|---|---:|---:|---:|"]
    for key, values in seen.items():
        low, middle, high = np.percentile(values.numpy(), (5, 50, 95))
        lines.append(f"| {names[key]} | {middle:.3f} | {low:.3f} | {high:.3f} |")
    places = [(0, m) for m in (0, 1, 2, 3, 4, 8, 16, 32)] + [(1, 0), (2, 0), (4, 0)]
    kept = found.plane_zeros / found.plane
    lines += ["", "| frequency of the grid | " + " | ".join(map(str, places)) + " |", "|---|" + "---:|" * len(places)]
    for name, values in (("factor by theory", found.factor.abs()), ("factor seen, zeros beyond the border", kept)):
        lines.append(f"| {name} | " + " | ".join(f"{values[place]:.3f}" for place in places) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrices", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=FOLDER)
    args = parser.parse_args()
    dass, ast, one = cases(args.matrices)
    smoothed = smoothed_responses([dass.matrix], GRID, gaussian_kernel(5, 3.0).double())
    figures = {
        "spectrum_views": two_views(dass, ast),
        "spectrum_scaling": three_scalings(dass, ast),
        "spectrum_smoothing": smoothing_figure([smoothed], f"{dass.name} (the authors' matrix): K = 5, σ = 3."),
    }
    for name, figure in figures.items():
        for ending, content in (("svg", svg(figure).encode()), ("png", png(figure))):
            with replacing(args.out / f"{name}.{ending}") as file:
                file.write(content)
    page = FOLDER / "spectrum.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    made = f"Made by `python docs/spectrum.py --matrices FOLDER` at {machine_line()}."
    body = f"{made}\n\n{numbers([dass, ast, one])}\n\n{departures(dass)}"
    page.write_text(f"{before}{BEGIN}\n{body}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
