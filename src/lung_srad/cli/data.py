"""Verbs about recordings and annotations."""

from typing import Annotated

import typer


def check(
    source: Annotated[
        str, typer.Argument(metavar="PATH", help="A folder or a CSV; icbhi:PATH or table:PATH says which.")
    ],
    split: Annotated[str | None, typer.Option(help="official, official-clean or fold-0 to fold-4.")] = None,
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
