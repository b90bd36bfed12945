"""Verbs that list: the systems that ship, and the tables of their runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lung_srad.cli.runs import (
    Overrides,
    Profile,
    Reading,
    Refit,
    Split,
    Threads,
    Weights,
    changes,
    leads,
    numbers,
    run_all,
)

if TYPE_CHECKING:
    from lung_srad.config import Preset


def presets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print this preset or ensemble.")] = None,
    long: Annotated[
        bool, typer.Option("--long", help="List them with their size and the weights they start from.")
    ] = False,
    profile: Profile = None,
    reading: Reading = None,
    overrides: Overrides = None,
) -> None:
    """Lists the shipped presets, or prints one: as it ships, or resolved with a profile, a reading or overrides.

    Example: lung-srad presets lung_srad --reading code
    """
    from lung_srad.cli.screen import show
    from lung_srad.config import dump_preset, load_preset
    from lung_srad.literature import load_ensemble
    from lung_srad.runs import check_preset, printed_score, systems_sheet
    from lung_srad.shipped import ensemble_names, ensemble_text, preset_names, preset_text

    changed = changes(overrides, reading)
    if long and name is not None:
        raise typer.BadParameter("--long is for the list; leave out the name")
    if long:
        show(systems_sheet(profile=profile, overrides=changed))
    elif name is None:
        titles = {each: load_preset(each).title for each in preset_names()}
        titles |= {each: load_ensemble(each).title for each in ensemble_names()}
        for each, title in titles.items():
            typer.echo(f"{each:<18} {title:<34} printed Score {printed_score(each)}")
    elif name in ensemble_names():
        typer.echo(ensemble_text(name), nl=False)
    elif profile is None and not changed and not name.endswith(".toml"):
        typer.echo(preset_text(name), nl=False)
    else:
        preset = load_preset(name, profile=profile, overrides=changed)
        check_preset(preset)
        typer.echo(dump_preset(preset), nl=False)


def table(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUNS...]", help="Run folders, or folders above them.")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="The paper's Tables 1 and 2: our runs beside the printed figures.")
    ] = False,
    run: Annotated[bool, typer.Option("--run", help="With --paper: train what is missing, into --out.")] = False,
    data: Annotated[str | None, typer.Option(metavar="KIND:PATH", help="With --run: what to train on.")] = None,
    seeds: Annotated[str, typer.Option(help="With --paper: the seeds that count, 1-5 or 1,3,7.")] = "1-5",
    out: Annotated[Path, typer.Option(help="With --paper: where the runs are, and are made.")] = Path("runs"),
    split: Split = None,
    profile: Profile = None,
    reading: Reading = None,
    overrides: Overrides = None,
    weights: Weights = None,
    refit: Refit = True,
    threads: Threads = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write it as CSV, at full precision.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="With --paper: also write it as a page.")] = None,
) -> None:
    """Prints the scores of finished runs under every rule, mean ± std over seeds, beside the printed figures.

    With --paper: the tables of the paper; where there is no run yet, a dash, and how to make it.

    Example: lung-srad table --paper --run --data icbhi:ICBHI_final_database --weights WEIGHTS_FOLDER --html table.html
    """
    changed = changes(overrides, reading, refit)
    if not paper:
        if any((run, data, split, profile, changed, weights, threads, html)):
            raise typer.BadParameter("only RUNS and --csv go without --paper")
        _results(runs or [], csv)
    elif run and data is None:
        raise typer.BadParameter("--run needs --data")
    else:
        from lung_srad.training import paper_presets

        systems, wanted, failed = paper_presets(profile=profile, overrides=changed), numbers(seeds), False
        if run:
            failed = _train(list(systems.values()), wanted, f"{data}", split, out, weights, threads)
        if leads():
            default = [out] if (run or not runs) and any(out.rglob("config.toml")) else []
            _paper([*(runs or []), *default], systems, wanted, csv, html)
        if failed:
            raise typer.Exit(1)


def _results(runs: list[Path], csv: Path | None) -> None:
    from lung_srad.cli.screen import show
    from lung_srad.training import find_runs, results_table

    if not runs:
        raise typer.BadParameter("RUNS: name run folders or folders above them, or ask for --paper")
    result = results_table(find_runs(runs))
    show(result)
    if csv is not None:
        _write(csv, result.csv())


def _train(
    presets: "list[Preset]",
    seeds: list[int],
    data: str,
    split: str | None,
    out: Path,
    weights: str | None,
    threads: int | None,
) -> bool:
    """Trains what is missing of the paper's systems, and returns whether any of it failed."""
    from lung_srad.datasets import open_dataset
    from lung_srad.training import require_start

    require_start(presets, weights)
    dataset = open_dataset(data, split=split)
    ended = run_all(presets, seeds, dataset, out=out, start=weights, resume=True, threads=threads)
    return any(outcome.state == "failed" for outcome in ended)


def _paper(
    paths: list[Path], systems: "dict[str, Preset]", seeds: list[int], csv: Path | None, html: Path | None
) -> None:
    """Prints and writes the paper's tables from the runs below some paths."""
    from lung_srad.cli.screen import show
    from lung_srad.evaluation import paper_csv
    from lung_srad.training import find_runs, paper_page, paper_tables

    tables = paper_tables(find_runs(paths), systems, seeds)
    for each in tables:
        show(each.sheet)
        typer.echo()
    if csv is not None:
        _write(csv, paper_csv(tables))
    if html is not None:
        _write(html, paper_page(tables))


def _write(path: Path, text: str) -> None:
    from lung_srad.errors import RunError, message
    from lung_srad.files import replacing

    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise RunError(message(path, str(error), "a file that can be written", "choose another path")) from error
