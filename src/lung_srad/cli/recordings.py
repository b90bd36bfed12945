"""Verbs about recordings and a trained model."""

from pathlib import Path
from typing import Annotated

import typer

Table = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a row per window or cycle; a new file.")]
Document = Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything, for programs; a new file.")]


def classify(
    paths: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Recordings, or folders of them.")],
    model: Annotated[str, typer.Option(help="A model that ships, a run's folder, or a weights file.")] = "demo",
    cycles: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Cycles (ICBHI .txt, or .csv with start,end), or a folder of such files."),
    ] = None,
    hop: Annotated[float, typer.Option(help="Seconds from one window to the next.")] = 2.0,
    csv: Table = None,
    json: Document = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default torch's choice.")] = None,
) -> None:
    """Classifies recordings in windows of 8 s, or in given cycles; exit code 1 if one could not be used.

    Example: lung-srad classify recording.wav --csv answers.csv
    """
    import torch

    from lung_srad.cli.screen import progress
    from lung_srad.inference import as_csv, as_json, classify_files, find_recordings, load
    from lung_srad.inference.results import write_text

    for target in filter(None, (csv, json)):
        require_new(target)
    if threads is not None:
        torch.set_num_threads(threads)
    files = find_recordings(paths)
    if cycles is not None and len(files) > 1 and not cycles.is_dir():
        raise typer.BadParameter(f"--cycles {cycles} holds the cycles of one recording; for several name its folder")
    loaded, outcomes = load(model), []
    with progress("classifying") as moved:
        for outcome in classify_files(loaded, files, cycles=cycles, hop=hop):
            outcomes.append(outcome)
            moved(len(outcomes), len(files))
    found = [outcome.found for outcome in outcomes if outcome.found is not None]
    failed = {str(outcome.path): outcome.error for outcome in outcomes if outcome.error}
    if csv is not None:
        write_text(csv, as_csv(found))
    if json is not None:
        write_text(json, as_json(found, failed))
    for each in found:
        typer.echo(f"{each}\n")
    typer.echo(f"model {loaded.name}: {loaded.notice}")
    for error in failed.values():
        typer.echo(f"error: {error}", err=True)
    if failed:
        if len(files) > 1:
            typer.echo(f"{len(failed)} of {len(files)} recordings could not be used", err=True)
        raise typer.Exit(1)


def require_new(target: Path) -> None:
    """Raises a RunError unless a file can be made here, and none is."""
    from lung_srad.errors import RunError, message

    if target.exists():
        raise RunError(message(target, "is there already", "a new file", "name another, or remove it"))
    if not target.absolute().parent.is_dir():
        raise RunError(message(target, "there is no such folder", "a file in a folder that is there", "make it first"))
