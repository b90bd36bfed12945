"""Verbs about recordings and annotations."""

from pathlib import Path
from typing import Annotated

import typer

from lung_srad.cli.runs import Split


def check(
    source: Annotated[
        str, typer.Argument(metavar="PATH", help="A folder or CSV; icbhi:PATH, sprsound:PATH or table:PATH says which.")
    ],
    split: Split = None,
    split_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="official_split.txt, where it lies elsewhere.")
    ] = None,
    audio: Annotated[bool, typer.Option(help="Decode every recording too: finds truncated and silent ones.")] = True,
) -> None:
    """Counts recordings, patients and cycles, and lists every defect by file; exit code 1 where there is one.

    Example: lung-srad check icbhi:ICBHI_final_database
    """
    from lung_srad.cli.screen import progress
    from lung_srad.datasets import open_dataset, report_text

    dataset = open_dataset(source, split=split, split_file=split_file)
    with progress("decoding") as moved:
        report = dataset.validate(audio=audio, progress=moved)
    typer.echo(report_text(report), nl=False)
    if not report.ok:
        raise typer.Exit(1)


def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, or one where this command was stopped.")],
    size: Annotated[
        str, typer.Option(help="tiny (12 patients), demo (40, 3 recordings each), small (40) or full (126).")
    ] = "small",
    difficulty: Annotated[
        str, typer.Option(help="easy, medium or hard: how loud events are, how labels err.")
    ] = "medium",
    confound: Annotated[
        float, typer.Option(help="0: devices independent of what patients have, to 1: tied as in ICBHI.")
    ] = 0.5,
    leak: Annotated[str | None, typer.Option(help="icbhi: two test patients are also trained on, as there.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives another corpus.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes; by default one per core.")] = None,
) -> None:
    """Simulates a corpus of lung sounds in the layout of ICBHI 2017, with the truth of every event.

    Where it was stopped, the same command goes on: finished recordings are kept.

    Example: lung-srad simulate sounds --size tiny
    """
    from lung_srad.cli.screen import work
    from lung_srad.datasets import simulate as make

    with work() as report:
        corpus = make(
            out,
            size=size,
            difficulty=difficulty,
            confound=confound,
            leak=leak,
            seed=seed,
            workers=workers,
            report=report,
        )
    cycles = corpus.cycles()
    recordings, patients = (len({getattr(cycle, what) for cycle in cycles}) for what in ("recording", "patient"))
    typer.echo(
        f"{out}: {recordings} recordings and {len(cycles):,} cycles of {patients} simulated patients (SYNTHETIC)"
    )
    typer.echo(f"next: lung-srad check icbhi:{out}")
    typer.echo(f"      lung-srad train lung_srad --data icbhi:{out} --profile small")
