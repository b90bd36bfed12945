"""The verb that shows everything at once, without data."""

from pathlib import Path
from typing import Annotated

import typer

from lung_srad.cli.runs import Overrides, numbers


def demo(
    out: Annotated[Path, typer.Argument(metavar="[OUT]", help="A new folder, or that of an earlier demo.")] = Path(
        "lung-srad-demo"
    ),
    seeds: Annotated[str, typer.Option(help="One seed of the training, or several: 1-3.")] = "1",
    overrides: Overrides = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default torch's choice.")] = None,
) -> None:
    """Simulates a small corpus, trains DASS fine-tuning and Lung-SRAD on it, and writes report.html; in ten minutes.

    A second call goes on where the first was stopped.

    Example: lung-srad demo
    """
    import torch

    from lung_srad.cli.screen import show, work
    from lung_srad.training.demo import demo as run_demo

    if threads is not None:
        torch.set_num_threads(threads)
    with work() as report:
        made = run_demo(out, seeds=numbers(seeds), overrides=overrides or (), report=report)
    show(made.table)
    typer.echo(f"{made.page} shows it all and says what to run next", err=True)
