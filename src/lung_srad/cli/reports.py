"""Verbs that judge: the report on a system, and systems compared."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lung_srad.cli.runs import Split

if TYPE_CHECKING:
    from lung_srad.datasets import Dataset
    from lung_srad.evaluation import Predictions
    from lung_srad.reports import Case, Source

_Systems = Annotated[
    list[Path], typer.Argument(metavar="A B...", help="Runs, folders of the seeds of one system, or predictions files.")
]


def report(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN|CSV...]", help="A run, the folder of its seeds, folds of one system, or a CSV per seed."
        ),
    ] = None,
    foreign: Annotated[
        Path | None, typer.Option("--import", metavar="CSV", help="Another model's ids and answers; needs --data.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="KIND:PATH", help="The corpus: its patients, training part and split.")
    ] = None,
    split: Split = None,
    part: Annotated[str, typer.Option(help="With --import: which part of the corpus.")] = "test",
    validation: Annotated[
        list[Path] | None, typer.Option(metavar="CSV", help="Predictions on validation patients, a file per seed.")
    ] = None,
    train: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Training cycles, for the baseline without audio.")
    ] = None,
    patients: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Column patient, and one for each fact: age group, sex ...")
    ] = None,
    name: Annotated[str, typer.Option(help="What to call the system.")] = "",
    prevalence: Annotated[str, typer.Option(help="In per cent, at which PPV and NPV are given.")] = "5,20,50",
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Simulated recordings: stamp everything so.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="By default the folder of the run or of its seeds, else ./report."),
    ] = None,
) -> None:
    """Recomputes every table, interval and figure from predictions: report.html, report.md, and the card of a run.

    Example: lung-srad report predictions.csv --validation validation.csv --data icbhi:ICBHI_final_database
    """
    from lung_srad.cli.screen import show
    from lung_srad.evaluation import Settings, read_facts, read_predictions
    from lung_srad.reports import make_case, tables
    from lung_srad.reports.parts import result_table

    if (foreign is None) == (not paths):
        raise typer.BadParameter("name a run or predictions, or another model's file with --import; one of the two")
    if foreign is not None and data is None:
        raise typer.BadParameter("--import needs --data: the corpus whose cycles the ids are")
    settings, dataset = Settings(prevalences=_shares(prevalence)), None if data is None else _opened(data, split)
    source, remarks = _source(paths or [], foreign, dataset, part, name)
    if validation:
        source = replace(source, validation=tuple(map(read_predictions, validation)))
    source = replace(source, synthetic=source.synthetic or synthetic or bool(dataset and dataset.synthetic))
    training = read_predictions(train) if train is not None else _training(source, dataset)
    facts = read_facts(patients) if patients is not None else _facts(source, dataset)
    case = make_case(source, training=training, facts=facts, settings=settings)
    written = _write(case, remarks, out or _place(source), joined=foreign is not None)
    for sheet in (result_table(case), *tables(case)[:2]):  # the other groups are in the report
        show(sheet)
        typer.echo()
    for line in (*remarks, *map(str, written)):
        typer.echo(line, err=True)


def compare(
    systems: _Systems,
    names: Annotated[str, typer.Option(help="What to call them, with commas between: base,ours.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the table there, as Markdown.")] = None,
) -> None:
    """Compares systems with the first one, on the same cycles: paired over patients, p, Holm, seeds apart.

    Example: lung-srad compare runs/dass_finetuning runs/lung_srad theirs.csv
    """
    from lung_srad.cli.screen import show
    from lung_srad.reports import comparison_sheet, read_sources
    from lung_srad.runs import write_files

    sources = read_sources(systems)
    if names:
        given = [each.strip() for each in names.split(",")]
        if len(given) != len(sources):
            raise typer.BadParameter(f"--names {names!r}: {len(given)} names for {len(sources)} systems")
        sources = [replace(source, name=each) for source, each in zip(sources, given, strict=True)]
    sheet = comparison_sheet(sources)
    show(sheet)
    if out is not None:
        write_files(out.parent, {out.name: sheet.markdown()})


def _source(
    paths: list[Path], foreign: Path | None, dataset: "Dataset | None", part: str, name: str
) -> "tuple[Source, tuple[str, ...]]":
    """Returns the system that is reported, and what did not fit together in another model's file."""
    from lung_srad.reports import imported_source, read_source

    if foreign is None or dataset is None:
        return read_source(paths, name=name), ()
    return imported_source(foreign, dataset, part, name=name)


def _write(case: "Case", remarks: tuple[str, ...], target: Path, *, joined: bool) -> list[Path]:
    """Writes the report, the card of a run, and what another model's file became; returns their places."""
    from lung_srad.evaluation import write_predictions
    from lung_srad.reports import make_report, write_report

    written = write_report(make_report(case, remarks=remarks), case, target)
    if joined:
        written.append(target / "predictions.csv")
        write_predictions(written[-1], case.source.predictions[0])
    if case.source.runs:
        written.append(_card(case, target))
    return written


def _opened(data: str, split: str | None) -> "Dataset":
    from lung_srad.datasets import open_dataset  # torch: predictions alone need not wait for it

    return open_dataset(data, split=split)


def _training(source: "Source", dataset: "Dataset | None") -> "Predictions | None":
    """Returns the training cycles of the corpus where the source has none of its own, under the same classes."""
    from lung_srad.reports import known_cycles

    if dataset is None or source.training is not None:
        return None
    known = known_cycles(dataset)
    return known if known is not None and known.class_names == source.predictions[0].class_names else None


def _facts(source: "Source", dataset: "Dataset | None") -> Mapping[str, Mapping[str, str]] | None:
    """Returns what is known of the patients: from the corpus, else from what the run kept."""
    from lung_srad.evaluation import read_facts

    kept = [path / "patients.csv" for path in source.runs if (path / "patients.csv").is_file()]
    if dataset is not None:
        return dataset.patient_facts()
    return read_facts(kept[0]) if kept else None


def _place(source: "Source") -> Path:
    """Returns where a report goes unless told: to the run, to the folder of its seeds, else to ./report."""
    if len(source.runs) == 1:
        return source.runs[0]
    parents = {path.parent for path in source.runs}
    return parents.pop() if len(parents) == 1 else Path("report")


def _card(case: "Case", target: Path) -> Path:
    from lung_srad.reports.card import model_card
    from lung_srad.runs import RunFolder, write_files

    write_files(target, {"card.md": model_card(case, [RunFolder(path) for path in case.source.runs])})
    return target / "card.md"


def _shares(text: str) -> tuple[float, ...]:
    """Returns the prevalences in "5,20,50"."""
    try:
        found = tuple(float(each) for each in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(0 < share < 100 for share in found):
        raise typer.BadParameter(f"--prevalence {text!r}: give per cents between 0 and 100, e.g. 5,20,50")
    return found
