"""One key of a preset at several values, everything else as it is: the panels of Fig. 3, or anybody's own.

A point whose settings are the preset's own is the same run in every panel: it is trained once, in the folder
``as_shipped``. Every other point has a folder of its name; below it, runs lie as ``train`` leaves them.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from lung_srad.analysis import Panel, PanelPoint
from lung_srad.config import Preset, load_preset
from lung_srad.datasets import Dataset
from lung_srad.errors import ConfigError, LungSradError, message
from lung_srad.evaluation import Estimate, patient_intervals
from lung_srad.literature import Strict
from lung_srad.preset_files import read_sweep, sweep_names
from lung_srad.runs import RunFolder
from lung_srad.training.fit import run_name
from lung_srad.training.gather import Group, what
from lung_srad.training.grid import Outcome, run_grid
from lung_srad.training.phase import Report

SHARED = "as_shipped"


class _PointFile(Strict):
    """A point of a sweep's file: its name on the axis, and what it sets, at last under a profile."""

    value: str
    set: list[str]
    under: dict[str, list[str]] = Field({})


class _SweepFile(Strict):
    """A sweep's file."""

    title: str
    preset: str
    points: list[_PointFile] = Field(min_length=2)


@dataclass(frozen=True)
class SweepPoint:
    """One value, the preset that has it, and the folder of its runs below the sweep's."""

    value: str
    preset: Preset
    folder: str

    def run(self, out: Path, seed: int) -> RunFolder:
        """Returns where the run of a seed is."""
        return RunFolder(out / self.folder / run_name(self.preset) / f"seed{seed}")


@dataclass(frozen=True)
class Sweep:
    """A key and the values that it takes; ``title`` names the axis."""

    name: str
    title: str
    preset: Preset
    points: tuple[SweepPoint, ...]


def shipped_sweeps(
    figure: str, *, panels: Sequence[str] = (), profile: str | None = None, overrides: Sequence[str] = ()
) -> list[Sweep]:
    """Returns the sweeps of a figure of the paper ("fig3"), all or some ``panels``.

    Raises:
        ConfigError: no such figure or panel, or a key or value that does not fit the preset.
    """
    names = [name for name in sweep_names() if name.startswith(f"{figure}_")]
    if not names:
        known = sorted({name.partition("_")[0] for name in sweep_names()})
        raise ConfigError(message("--paper", repr(figure), f"one of {', '.join(known)}", "the figures that ship"))
    sweeps = []
    for name in panels or names:
        file = _SweepFile.model_validate(read_sweep(name))
        points = [(point.value, [*point.set, *point.under.get(profile or "", ())]) for point in file.points]
        sweeps.append(_sweep(name, file.title, file.preset, points, profile, overrides))
    return sweeps


def sweep_over(preset: str, over: str, *, profile: str | None = None, overrides: Sequence[str] = ()) -> Sweep:
    """Returns the sweep of ``"key=value,value,..."``; a list is one value: ``smoothing.blocks=[2,3],[0,1]``.

    Raises:
        ConfigError: fewer than two values, or a key or value that does not fit the preset.
    """
    key, equals, text = over.partition("=")
    values = [value.strip() for value in re.split(r",(?![^\[]*\])", text)]
    key = key.strip()
    if not (key and equals and all(values)) or len(set(values)) != len(values) or len(values) < 2:
        remedy = "e.g. objective.temperature=0.01,0.2"
        raise ConfigError(message("--over", repr(over), "a key and two values or more, each once", remedy))
    points = [(value, [f"{key}={value}"]) for value in values]
    return _sweep(key.rpartition(".")[2], key, preset, points, profile, overrides)


def _sweep(
    name: str,
    title: str,
    preset: str,
    points: Sequence[tuple[str, list[str]]],
    profile: str | None,
    overrides: Sequence[str],
) -> Sweep:
    base = load_preset(preset, profile=profile, overrides=overrides)
    made = []
    for value, sets in points:
        own = load_preset(preset, profile=profile, overrides=[*overrides, *sets])
        shared = what(own) == what(base)
        folder = (
            SHARED if shared else f"{name.removeprefix('fig3_')}_{re.sub(r'[^A-Za-z0-9.]+', '-', value).strip('-')}"
        )
        made.append(SweepPoint(value, base if shared else own, folder))
    return Sweep(name, title, base, tuple(made))


def run_sweeps(
    sweeps: Sequence[Sweep],
    seeds: Sequence[int],
    dataset: Dataset,
    *,
    out: str | Path = "sweep",
    start_from: str | Path | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> Iterator[Outcome]:
    """Trains every point with every seed, seed by seed, and yields what became of each run; arguments as in run_grid.

    What several panels share is trained once.

    Raises:
        ConfigError: two points that differ would write into the same folder.
    """
    points: dict[tuple[str, str], SweepPoint] = {}
    for point in (point for sweep in sweeps for point in sweep.points):
        first = points.setdefault((point.folder, run_name(point.preset)), point)
        if what(first.preset) != what(point.preset):
            remedy = "name the sweeps apart, or give each an --out"
            raise ConfigError(message("sweep", f"two systems for {point.folder}", "one each", remedy))
    for seed in seeds:
        for point in points.values():
            told = report and _named(report, point.folder)
            how = {"start_from": start_from, "resume": resume, "report": told}
            yield from run_grid([point.preset], [seed], dataset, out=Path(out) / point.folder, **how)


def _named(report: Report, folder: str) -> Report:
    return lambda text, done, total: report(f"{folder}, {text}", done, total)


def sweep_panels(sweeps: Sequence[Sweep], seeds: Sequence[int], out: str | Path = "sweep") -> list[Panel]:
    """Returns what is finished of some sweeps as panels of a figure, with 95 % intervals over patients.

    The Score is that of the epoch that validation patients chose. A point without a finished run is left empty.
    """
    panels = []
    for sweep in sweeps:
        points = tuple(_point(point, seeds, Path(out)) for point in sweep.points)
        panels.append(Panel(sweep.title, sweep.preset.title, points))
    return panels


def _point(point: SweepPoint, seeds: Sequence[int], out: Path) -> PanelPoint:
    runs = tuple(run for run in (point.run(out, seed) for seed in seeds) if run.finished)
    empty = PanelPoint(point.value, shipped=point.folder == SHARED)
    if not runs:
        return empty
    scores = [each.score for each in next(iter(Group(runs).scores().values()))]
    found: Estimate | None = None
    try:
        predictions = [run.headline.read_predictions(run.result()["selected_epoch"], "test") for run in runs]
        found = patient_intervals(predictions, normal=runs[0].facts()["normal"]).get("score")
    except LungSradError:
        found = None  # patients are not known: the seeds stand alone
    interval = None
    if found is not None and found.low is not None and found.high is not None:  # too few patients say nothing
        interval = found.low, found.high
    return replace(empty, scores=tuple(scores), interval=interval, synthetic=runs[0].synthetic)


def panels_csv(panels: Sequence[Panel]) -> str:
    """Returns the points of all panels as a table: the mean over seeds, their number, the interval over patients."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["panel", "system", "value", "as_shipped", "seeds", "score", "low", "high", "scores", "synthetic"])
    for panel in panels:
        for point in panel.points:
            mean = f"{point.mean:.4f}" if point.scores else ""
            low, high = (f"{end:.4f}" for end in point.interval) if point.interval else ("", "")
            each = " ".join(f"{score:.4f}" for score in point.scores)
            row = [panel.title, panel.system, point.value, point.shipped, len(point.scores), mean, low, high, each]
            writer.writerow([*row, point.synthetic])
    return file.getvalue()
