"""Verbs about recordings and a trained model."""

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lung_srad.inference import Classification, EventRule, Model
    from lung_srad.inference.bulk import Options, Row, Worker

Table = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a row per window or cycle; a new file.")]
Document = Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything, for programs; a new file.")]
Folder = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Write tables, JSON, Audacity and Raven files here; continues what is there."),
]
Given = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Cycles: ICBHI, Audacity, Raven, or .csv with start,end; or a folder."),
]
Who = Annotated[
    Path | None, typer.Option(metavar="FILE", help="With --out: a .csv with the columns recording,patient.")
]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help='With --out: a Ray cluster; "local" starts one here. Extra cluster.'),
]
_SHOWN = 20  # sentences about files that failed; the table has them all


def classify(
    paths: Annotated[list[str], typer.Argument(metavar="FILES...", help="Recordings, or folders of them.")],
    model: Annotated[str, typer.Option(help="A model that ships, a run's folder, or a weights file.")] = "demo",
    out: Folder = None,
    html: Annotated[bool, typer.Option(help="With --out: a page for each recording, too.")] = False,
    cycles: Given = None,
    hop: Annotated[float, typer.Option(help="Seconds from one window to the next.")] = 2.0,
    onset: Annotated[float, typer.Option(help="Probability from which on an event begins.")] = 0.5,
    offset: Annotated[float, typer.Option(help="Probability under which it ends.")] = 0.3,
    patients: Who = None,
    workers: Annotated[int, typer.Option(min=1, help="With --out: processes, each with a model.")] = 1,
    cluster: Cluster = None,
    timing: Annotated[bool, typer.Option(help="Say how many times faster than real time it went.")] = False,
    csv: Table = None,
    json: Document = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default torch's choice.")] = None,
) -> None:
    """Classifies recordings in windows of 8 s, or in given cycles; exit code 1 if one could not be used.

    Example: lung-srad classify ward/ --out answers
    """
    import torch

    from lung_srad.inference import EventRule, find_recordings, load

    for target in filter(None, (csv, json)):
        require_new(target)
    if out is None and (html or patients or workers > 1 or cluster):
        raise typer.BadParameter("--html, --patients, --workers and --cluster need --out DIR")
    if cluster is not None and html:
        raise typer.BadParameter("--cluster writes no page for each recording; leave --html out")
    if out is not None and (csv or json):
        raise typer.BadParameter("--csv and --json are files of their own; --out writes both kinds into its folder")
    if threads is not None:
        torch.set_num_threads(threads)
    rule = EventRule(onset=onset, offset=offset)
    one = cycles is not None and not cycles.is_dir()
    if one and (cluster or len(find_recordings(paths)) > 1):
        raise typer.BadParameter(f"--cycles {cycles} holds the cycles of one recording; for several name its folder")
    if out is not None:
        from lung_srad.inference.bulk import Options

        chosen = Options(None if cycles is None else str(cycles), hop, rule, html)
        known = _patients(patients)
        if cluster is not None:
            _over_cluster(paths, model, out, chosen, known, address=cluster, workers=workers)
        else:
            _into_folder(paths, model, Path(out), chosen, known, workers=workers, timing=timing)
        return
    _on_terminal(paths, load(model), cycles, hop, rule, files=(csv, json), timing=timing)


def _patients(table: Path | None) -> dict[str, str]:
    from lung_srad.inference.patients import read_patients

    return {} if table is None else read_patients(table)


def _on_terminal(
    paths: list[str],
    loaded: "Model",
    cycles: Path | None,
    hop: float,
    rule: "EventRule",
    *,
    files: tuple[Path | None, Path | None],
    timing: bool,
) -> None:
    """Prints what is found in each recording, and writes it into up to two files."""
    from lung_srad.cli.screen import progress
    from lung_srad.inference import as_csv, as_json, classify_files, find_recordings
    from lung_srad.inference.results import write_text

    recordings, outcomes, clock = find_recordings(paths), [], _Clock()
    with progress("classifying") as moved:
        for outcome in classify_files(loaded, recordings, cycles=cycles, hop=hop):
            outcomes.append(outcome)
            moved(len(outcomes), len(recordings))
    found = [outcome.found.with_rule(rule) for outcome in outcomes if outcome.found is not None]
    clock.stop(found)
    failed = {str(outcome.path): outcome.error for outcome in outcomes if outcome.error}
    csv, json = files
    if csv is not None:
        write_text(csv, as_csv(found))
    if json is not None:
        write_text(json, as_json(found, failed))
    for each in found:
        typer.echo(f"{each}\n")
    typer.echo(f"model {loaded.name}: {loaded.notice}")
    if timing:
        typer.echo(str(clock))
    _say_failed(list(failed.values()), len(recordings))


def _into_folder(
    paths: list[str],
    source: str,
    out: Path,
    options: "Options",
    patients: dict[str, str],
    *,
    workers: int,
    timing: bool,
) -> None:
    """Classifies into a folder what is not in it yet, and writes its tables."""
    import torch

    from lung_srad.cli.screen import progress
    from lung_srad.inference import find_recordings, load
    from lung_srad.inference.bulk import OutFolder, classify_all, plan, require_usable, settings_of
    from lung_srad.inference.processes import in_processes
    from lung_srad.inference.tables import tables_of_folder
    from lung_srad.runs import RunFolder

    loaded = load(source)
    tasks = plan(paths, find_recordings)
    require_usable(out)
    with RunFolder(out).lock() as alive:
        folder = OutFolder(out, settings_of(loaded, options) | {"patients": patients})
        build, clock = partial(_worker, source, options, out, patients), _Clock()
        threads = max(1, torch.get_num_threads() // workers)
        work = partial(in_processes, build, workers, threads=threads) if workers > 1 else partial(map, build(loaded))
        new = []
        with progress("classifying") as moved:
            for row in classify_all(work, tasks, folder, moved):
                new.append(row)
                alive()
        clock.stop(new)
        written = tables_of_folder(folder, tasks, loaded.class_names)
        rows = folder.rows(tasks)
    _say_counts(rows)
    if len(new) < len(rows):
        typer.echo(f"{len(rows) - len(new)} of them were done before")
    typer.echo(f"written: {', '.join(path.name for path in written)}, recordings/ in {out}")
    typer.echo(f"model {loaded.name}: {loaded.notice}")
    if timing:
        typer.echo(str(clock))
    _say_failed([row["error"] for row in rows if row["status"] == "failed"], len(rows))


def _over_cluster(
    paths: list[str],
    source: str,
    out: str,
    options: "Options",
    patients: dict[str, str],
    *,
    address: str,
    workers: int,
) -> None:
    """Classifies on a Ray cluster, in parts."""
    from lung_srad.inference import load
    from lung_srad.inference.bulk import settings_of
    from lung_srad.inference.cluster import classify_on_cluster, plan_anywhere

    loaded = load(source)
    settings = settings_of(loaded, options) | {"patients": patients}
    build = partial(_worker, source, options, Path(), patients)
    rows = classify_on_cluster(build, plan_anywhere(paths), out, settings, address=address, workers=workers)
    _say_counts(rows)
    typer.echo(f"written: tables, manifest.json and parts/ in {out}")
    typer.echo(f"model {loaded.name}: {loaded.notice}")
    _say_failed([row["error"] for row in rows if row["status"] == "failed"], len(rows))


def _say_counts(rows: "list[Row]") -> None:
    counts = {name: sum(row["status"] == name for row in rows) for name in ("accept", "warn", "reject", "failed")}
    typer.echo(f"{len(rows)} recordings: " + ", ".join(f"{number} {name}" for name, number in counts.items()))


def _worker(
    source: str, options: "Options", out: Path, patients: dict[str, str], model: "Model | None" = None
) -> "Worker":
    """Returns what answers in one process; each loads the model for itself."""
    from lung_srad.inference import load
    from lung_srad.inference.bulk import Worker

    return Worker(load(source) if model is None else model, options, out, patients)


class _Clock:
    """Seconds of sound by seconds of waiting, loading the model aside."""

    def __init__(self) -> None:
        self._start, self._heard, self._taken = time.perf_counter(), 0.0, 0.0

    def stop(self, answered: "Iterable[Classification | Row]") -> None:
        """Ends the waiting; what failed has no sound."""
        self._taken = time.perf_counter() - self._start
        each = (row.get("seconds", 0.0) if isinstance(row, dict) else row.seconds for row in answered)
        self._heard = sum(each)

    def __str__(self) -> str:
        if not self._heard:
            return "timing: nothing was heard"
        factor = self._heard / max(self._taken, 1e-9)
        return f"timing: {self._heard:.1f} s of sound in {self._taken:.2f} s, {factor:.1f} times faster than real time"


def _say_failed(errors: list[str], number: int) -> None:
    """Prints why files failed and leaves with 1, if any did."""
    for error in errors[:_SHOWN]:
        typer.echo(f"error: {error}", err=True)
    if len(errors) > _SHOWN:
        typer.echo(f"and {len(errors) - _SHOWN} more", err=True)
    if errors:
        if number > 1:
            typer.echo(f"{len(errors)} of {number} recordings could not be used", err=True)
        raise typer.Exit(1)


def require_new(target: Path) -> None:
    """Raises a RunError unless a file can be made here, and none is."""
    from lung_srad.errors import RunError, message

    if target.exists():
        raise RunError(message(target, "is there already", "a new file", "name another, or remove it"))
    if not target.absolute().parent.is_dir():
        raise RunError(message(target, "there is no such folder", "a file in a folder that is there", "make it first"))
