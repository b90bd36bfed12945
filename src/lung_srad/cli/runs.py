"""Verbs that train and score: train, evaluate."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lung_srad.config import Preset
    from lung_srad.datasets import Dataset
    from lung_srad.evaluation import Predictions, Table
    from lung_srad.runs import RunFolder
    from lung_srad.training import Outcome

Data = Annotated[str, typer.Option(metavar="KIND:PATH", help="icbhi:FOLDER, sprsound:FOLDER or table:FILE.csv")]
Split = Annotated[
    str | None, typer.Option(help="official, official-clean, fold-0 to fold-4, lodo-DEVICE (docs/data.md).")
]
Profile = Annotated[str | None, typer.Option(help="A shipped set of overrides: small (CPUs, from scratch), demo.")]
Reading = Annotated[
    str | None, typer.Option(help="paper or code (the public pre-release), for systems that have both.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any key; can be repeated.")
]


Weights = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Official file, a folder of such files (or LUNG_SRAD_WEIGHTS), or: random."),
]
Refit = Annotated[bool, typer.Option(help="Train again on all training patients for the chosen epoch.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; by default torch's choice.")]


def changes(given: list[str] | None, reading: str | None, refit: bool = True) -> list[str]:
    """Returns all that changes a preset, as ``key=value``."""
    first = [f"reading={reading}"] if reading else []
    return [*first, *(given or []), *([] if refit else ["training.refit=false"])]


def train(
    names: Annotated[
        list[str], typer.Argument(metavar="PRESET...", help="Shipped presets or ensembles, or .toml files.")
    ],
    data: Data,
    seeds: Annotated[str, typer.Option(help="One seed, or several: 1-5 or 1,3,7.")] = "1",
    out: Annotated[Path, typer.Option(help="Folder for the runs.")] = Path("runs"),
    split: Split = None,
    profile: Profile = None,
    reading: Reading = None,
    overrides: Overrides = None,
    weights: Weights = None,
    init_from: Annotated[Path | None, typer.Option(metavar="RUN", help="Run whose weights to start from.")] = None,
    refit: Refit = True,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue runs that were cut off; skip finished ones.")
    ] = False,
    threads: Threads = None,
) -> None:
    """Trains systems, one run per preset and seed, and prints their table; exit code 1 if a run failed.

    Example: lung-srad train lung_srad --data icbhi:ICBHI_final_database --weights DASS_medium_v2.pth --seeds 1-5
    """
    from lung_srad.cli.screen import show
    from lung_srad.config import load_preset
    from lung_srad.datasets import open_dataset
    from lung_srad.errors import RunError, message
    from lung_srad.training import require_start, results_table

    if weights is not None and init_from is not None:
        raise typer.BadParameter("--weights and --init-from are two starts; give one")
    if init_from is not None and not init_from.is_dir():
        raise RunError(message(init_from, "no such folder", "--init-from takes a run", "--weights takes a file"))
    overridden, start = changes(overrides, reading, refit), weights or init_from
    chosen = [load_preset(name, profile=profile, overrides=overridden) for name in _members(names)]
    require_start(chosen, start)
    dataset, wanted = open_dataset(data, split=split), numbers(seeds)
    if leads():
        typer.echo(str(dataset.partition()), err=True)
    ended = run_all(chosen, wanted, dataset, out=out, start=start, resume=resume, threads=threads)
    if finished := [outcome.folder for outcome in ended if outcome.folder.finished]:
        show(results_table(finished))
    if any(outcome.state == "failed" for outcome in ended):
        raise typer.Exit(1)


def run_all(
    presets: "Sequence[Preset]",
    seeds: "Sequence[int]",
    dataset: "Dataset",
    *,
    out: Path,
    start: str | Path | None,
    resume: bool,
    threads: int | None,
) -> "list[Outcome]":
    """Trains systems × seeds, says what became of each run and returns it; nothing, where another process speaks."""
    import torch

    from lung_srad.cli.screen import work
    from lung_srad.training import run_grid

    if threads is not None:
        torch.set_num_threads(threads)
    with work() as report:
        told = report if leads() else None
        ended = list(run_grid(presets, seeds, dataset, out=out, start_from=start, resume=resume, report=told))
    if not leads():
        return []
    for outcome in ended:
        say(outcome)
    return ended


def leads() -> bool:
    """Returns whether this process speaks, as one of several does."""
    return os.environ.get("RANK", "0") == "0"


def _members(names: list[str]) -> list[str]:
    """Returns what is trained: presets, and the members of ensembles, each once."""
    from lung_srad.literature import load_ensemble
    from lung_srad.preset_files import ensemble_names

    ensembles = ensemble_names()
    return list(dict.fromkeys(load_ensemble(name).members if name in ensembles else name for name in names))


def say(outcome: "Outcome") -> None:
    """Prints what became of a run, and which weights it started from."""
    typer.echo(f"{outcome.folder.path}: {outcome.state}", err=True)
    if outcome.error:
        typer.echo(f"error: {outcome.error}", err=True)
    if outcome.state == "trained" and (start := outcome.folder.facts()["start"]).get("loaded"):
        notes = "".join(f", {note}" for note in start.get("notes", ()))
        typer.echo(f"  weights: {start['loaded']} tensors loaded, head {start['head']}{notes}", err=True)


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    data: Data,
    part: Annotated[str, typer.Option(help="train, test, all, or what the table calls it.")] = "test",
    split: Split = None,
    out: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Where the predictions go; by default ./predictions_PART.csv.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write the whole report there, as report.html and .md.")
    ] = None,
) -> None:
    """Predicts one part of some data with a run's weights; prints scores where labels are known, also on other corpora.

    Example: lung-srad evaluate runs/lung_srad/seed1 --data sprsound:BioCAS2022 --part all --report external
    """
    from lung_srad.cli.screen import show, work
    from lung_srad.datasets import open_dataset
    from lung_srad.errors import RunError, message
    from lung_srad.evaluation import write_predictions
    from lung_srad.runs import RunFolder
    from lung_srad.training import evaluate as predict

    target = out or Path(f"predictions_{part}.csv")
    if out is None and target.exists():
        raise RunError(message(target, "is there already", "a new file", "name one with --out"))
    dataset = open_dataset(data, split=split)
    with work() as doing:
        predictions = predict(run, dataset, split=part, report=doing)
    write_predictions(target, predictions)
    typer.echo(f"classes of run and data, matched by name: {', '.join(predictions.class_names)}", err=True)
    if (predictions.label >= 0).any():
        scored = _scored(RunFolder(run), predictions, dataset.synthetic, f"{data}, {part}, in per cent")
        show(scored)
        _by_group(RunFolder(run), predictions, dataset, report)
    typer.echo(f"{len(predictions)} predictions in {target}", err=True)


def _by_group(run: "RunFolder", predictions: "Predictions", dataset: "Dataset", out: Path | None) -> None:
    """Prints counts by class and scores by group, and writes the report if one is asked for."""
    from lung_srad.cli.screen import show
    from lung_srad.errors import DataError
    from lung_srad.reports import external_source, make_case, make_report, tables, write_report

    source = external_source(run, predictions, dataset)
    try:
        case = make_case(source, facts=dataset.patient_facts())
    except DataError as error:  # one patient, or none that is known: there are counts, but no intervals
        typer.echo(f"no report by group: {error}", err=True)
        return
    for sheet in tables(case)[:2]:  # by class and by device; the other groups are in the report
        typer.echo()
        show(sheet)
    if out is not None:
        for path in write_report(make_report(case), case, out):
            typer.echo(f"{path}", err=True)


def _scored(run: "RunFolder", predictions: "Predictions", synthetic: bool, title: str) -> "Table":
    """Returns the table of one run's predictions, with intervals where patients are known."""
    from lung_srad.errors import DataError
    from lung_srad.evaluation import Table, measured, patient_intervals

    normal, notes = run.facts()["normal"], []
    try:
        intervals = patient_intervals([predictions], normal=normal)
    except DataError as error:
        intervals = {}
        notes.append(f"No interval: {error}.")
    if run.synthetic and not synthetic:
        notes.append("The weights were trained on SYNTHETIC recordings alone.")
    scores = [predictions.scores(normal=normal)]
    row = measured(str(run.path), scores, rule="headline weights", intervals=intervals, synthetic=synthetic)
    return Table((row,), title=title, notes=tuple(notes))


def numbers(text: str) -> list[int]:
    """Returns the seeds in "1-5" or "1,3,7"."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdigit() and last.isdigit() and int(first) <= int(last) < int(first) + 1000):
            raise typer.BadParameter(f"--seeds {text!r}: give whole numbers, e.g. 1-5 or 1,3,7")
        found += range(int(first), int(last) + 1)
    return list(dict.fromkeys(found))
