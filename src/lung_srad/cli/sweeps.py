"""The verb that trains one preset at several values of a key: sweep."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lung_srad.cli.runs import Overrides, Profile, Reading, Refit, Split, Threads, Weights, changes, leads, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lung_srad.training.sweep import Sweep


def sweep(
    preset: Annotated[str | None, typer.Argument(metavar="[PRESET]", help="A shipped preset, or a .toml file.")] = None,
    over: Annotated[
        list[str] | None, typer.Option(metavar="KEY=V1,V2,...", help="A key and its values; each is a panel.")
    ] = None,
    paper: Annotated[str | None, typer.Option(metavar="FIGURE", help="Panels of the paper's figure: fig3.")] = None,
    panel: Annotated[list[str] | None, typer.Option(help="With --paper: only this panel; can be repeated.")] = None,
    data: Annotated[
        str | None, typer.Option(metavar="KIND:PATH", help="What to train on; without, only the figure is drawn.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="One seed, or several: 1-5 or 1,3,7.")] = "1",
    out: Annotated[Path, typer.Option(help="Folder for the runs, the figure and its values.")] = Path("sweep"),
    split: Split = None,
    profile: Profile = None,
    reading: Reading = None,
    overrides: Overrides = None,
    weights: Weights = None,
    refit: Refit = True,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue runs that were cut off; skip finished ones.")
    ] = False,
    threads: Threads = None,
) -> None:
    """Trains a preset at several values of a key, and draws the Score by value; exit code 1 if a run failed.

    Example: lung-srad sweep lung_srad --over objective.temperature=0.01,0.05,0.1,0.2,0.5 --data icbhi:PATH --seeds 1-5
    """
    from lung_srad.training.sweep import shipped_sweeps, sweep_over

    if (paper is None and not (preset and over)) or (paper is not None and (preset or over)) or (panel and not paper):
        raise typer.BadParameter("give a PRESET with --over KEY=V1,V2, or --paper fig3")
    how = {"profile": profile, "overrides": changes(overrides, reading, refit)}
    if paper is None:
        sweeps = [sweep_over(f"{preset}", each, **how) for each in over or ()]
    else:
        sweeps = shipped_sweeps(paper, panels=panel or (), **how)
    failed = data is not None and _train(sweeps, numbers(seeds), data, split, out, weights, resume, threads)
    if leads():
        _draw(sweeps, numbers(seeds), out, paper or "sweep")
    if failed:
        raise typer.Exit(1)


def _train(
    sweeps: "Sequence[Sweep]",
    seeds: list[int],
    data: str,
    split: str | None,
    out: Path,
    weights: str | None,
    resume: bool,
    threads: int | None,
) -> bool:
    """Trains what is missing of some sweeps, and returns whether any of it failed."""
    import torch

    from lung_srad.cli.runs import say
    from lung_srad.cli.screen import work
    from lung_srad.datasets import open_dataset
    from lung_srad.training import require_start
    from lung_srad.training.sweep import run_sweeps

    if threads is not None:
        torch.set_num_threads(threads)
    require_start([each.preset for each in sweeps], weights)
    dataset, failed = open_dataset(data, split=split), False
    with work() as report:
        told = report if leads() else None
        for outcome in run_sweeps(sweeps, seeds, dataset, out=out, start_from=weights, resume=resume, report=told):
            failed = failed or outcome.state == "failed"
            if leads():
                say(outcome)
    return failed


def _draw(sweeps: "Sequence[Sweep]", seeds: list[int], out: Path, name: str) -> None:
    """Draws what is finished, and prints it as a table."""
    from lung_srad.analysis import png, svg, sweep_figure
    from lung_srad.cli.screen import show
    from lung_srad.evaluation import Sheet
    from lung_srad.runs import write_files
    from lung_srad.training.sweep import panels_csv, sweep_panels

    panels = sweep_panels(sweeps, seeds, out)
    heading = f"Score of the epoch that validation patients chose; bars: 95 % over patients. Seeds: {len(seeds)}."
    figure = sweep_figure(panels, heading=heading)
    files = {
        f"{name}.svg": svg(figure).encode(),
        f"{name}.png": png(figure),
        f"{name}.csv": panels_csv(panels).encode(),
    }
    write_files(out, files)
    cells = tuple(
        (
            panel.system,
            panel.title,
            point.value + " (as shipped)" * point.shipped,
            str(len(point.scores)),
            f"{point.mean:.2f}" if point.scores else "-",
            f"{point.interval[0]:.1f} to {point.interval[1]:.1f}" if point.interval else "-",
        )
        for panel in panels
        for point in panel.points
    )
    header = ("system", "key", "value", "seeds", "Score, %", "95 % over patients")
    show(Sheet("", header, cells, (f"{heading} Figure and values: {out / name}.svg, .png, .csv",), texts=3))
