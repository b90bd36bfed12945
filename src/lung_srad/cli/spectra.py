"""The verb that looks into networks: spectrum."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lung_srad.cli.runs import Data, Overrides, Profile, Split, Threads, Weights

if TYPE_CHECKING:
    from lung_srad.inference.spectra import Analysis


def spectrum(
    system: Annotated[str, typer.Argument(metavar="RUN_OR_PRESET", help="A run's folder, a preset, or: demo.")],
    data: Data,
    compare: Annotated[str | None, typer.Option(metavar="RUN_OR_PRESET", help="Another, in the same figures.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for figures and values.")] = Path("spectrum"),
    part: Annotated[str, typer.Option(help="train, test, all, or what the table calls it.")] = "test",
    recordings: Annotated[int, typer.Option(min=1, help="Cycles, of all classes in turn.")] = 16,
    delta: Annotated[bool, typer.Option("--delta", help="The operator with step sizes, not the authors' map.")] = False,
    authors: Annotated[
        int | None, typer.Option(metavar="BINS", help="The authors' way: log, 0 to 1, the first 126 or 250 bins.")
    ] = None,
    suggest: Annotated[bool, typer.Option("--suggest", help="Score every block, and name those to smooth.")] = False,
    score: Annotated[str, typer.Option(help="band (over the grid), or paper (over flattened tokens).")] = "band",
    stage: Annotated[int | None, typer.Option(help="With --suggest: only blocks of this stage.")] = None,
    split: Split = None,
    profile: Profile = None,
    overrides: Overrides = None,
    weights: Weights = None,
    threads: Threads = None,
) -> None:
    """Draws what each layer lets through, by spatial frequency: figures as SVG and PNG, values as CSV.

    Presets are looked into at random weights, or at published ones (--weights); the figures say which. --set is for
    the first system.

    Example: lung-srad spectrum runs/lung_srad/seed1 --data icbhi:ICBHI_final_database --compare ast_finetuning
    """
    import torch

    from lung_srad.analysis import require_score
    from lung_srad.cli.screen import work
    from lung_srad.datasets import open_dataset
    from lung_srad.inference.spectra import analyse, open_system, write_analysis

    if authors is not None and (authors < 2 or suggest):
        raise typer.BadParameter("--authors takes 2 bins or more, 126 or 250 in their figures, and no --suggest")
    require_score(score)
    if threads is not None:
        torch.set_num_threads(threads)
    dataset, how = open_dataset(data, split=split), {"profile": profile, "weights": weights}
    systems = [open_system(system, **how, overrides=overrides or [])]
    systems += [open_system(compare, **how)] if compare else []
    options = {"count": recordings, "delta": delta, "way": "alike" if authors is None else "authors"}
    with work() as report:
        found = analyse(systems, dataset, part=None if part == "all" else part, **options, report=report)
    for path in write_analysis(out, found, bins=authors, synthetic=dataset.synthetic):
        typer.echo(str(path), err=True)
    if suggest:
        _suggest(found, score, stage)


def _suggest(found: "Analysis", score: str, stage: int | None) -> None:
    """Prints the score of every layer, and the blocks to smooth."""
    from lung_srad.analysis import place_name, suggest
    from lung_srad.cli.screen import show
    from lung_srad.evaluation import Sheet

    for system, each in zip(found.systems, found.spectra, strict=True):
        size, sigma = system.kernel
        within = stage if len(each.layers[0].place) > 1 else None
        named = suggest(each, score=score, stage=within, kernel_size=size, sigma=sigma)
        cells = tuple(
            (place_name(one.place), f"{one.mean:.4f}", f"{one.deviation:.4f}", "smooth" * (one.place in named.places))
            for one in named.scores
        )
        switch = named.overrides or "this backbone has no smoothing slots"
        remarks = (f"Score {score}, K = {size}, σ = {sigma:g}: {named}. {switch}",)
        head = ("layer", "score, share of DC", "deviation", "")
        show(Sheet(f"{each.name} ({each.note})", head, cells, remarks, texts=1))
