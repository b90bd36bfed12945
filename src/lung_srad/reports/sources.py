"""What is reported and compared: a system as its seeds' predictions, from runs or from anybody's files."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_srad.errors import DataError, LungSradError, RunError, message
from lung_srad.evaluation import Predictions, Scores, import_predictions, read_predictions

if TYPE_CHECKING:
    from lung_srad.datasets import Cycle, Dataset
    from lung_srad.runs import RunFolder


@dataclass(frozen=True)
class Source:
    """One system: what each of its seeds answered, and what is known of it.

    Attributes:
        name: of the system.
        predictions: of each seed, on the same cycles: of a run its headline's on the test part.
        normal: index of the normal class.
        validation: what the same seeds answered on validation patients, at the same epoch; empty where unknown.
        training: cycles that were trained on, for baselines that hear nothing; None where unknown.
        rules: the scores of each seed by rule of selection, the headline first; empty where there is no run.
        seeds: the number of each seed; empty where there is no run.
        split: name, hash and patients on both sides, as :meth:`Partition.facts` gives them; empty where unknown.
        facts: the provenance of the first run.
        runs: their folders.
        synthetic: the recordings are simulated.
        notes: what has to be known.
    """

    name: str
    predictions: tuple[Predictions, ...]
    normal: int = 0
    validation: tuple[Predictions, ...] = ()
    training: Predictions | None = None
    rules: Mapping[str, Sequence[Scores]] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    split: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    runs: tuple[Path, ...] = ()
    synthetic: bool = False
    notes: tuple[str, ...] = ()


def read_sources(paths: Sequence[str | Path]) -> list[Source]:
    """Returns the systems at some paths, each a predictions file, a run, or a folder of the seeds of one system.

    Raises:
        DataError: a file that is no predictions file.
        RunError: a folder without a finished run or a file, or with several systems.
    """
    return [read_source([path]) for path in paths]


def read_source(paths: Sequence[str | Path], *, name: str = "") -> Source:
    """Returns one system: the seeds in a folder, a run, or predictions files, one for each seed.

    Args:
        paths: one folder, several of one system on different folds, or one or more files.
        name: of the system; by default its preset's title, or the name of the file.

    Raises:
        DataError: a file that is no predictions file.
        RunError: a folder without a finished run or a file, or with several systems; folders that are no folds of one;
            or a folder among files.
    """
    first, *others = (Path(path) for path in paths)
    if not first.is_dir():
        files = [first, *others]
        if folders := [path for path in others if path.is_dir()]:
            remedy = "give one folder, or files alone"
            raise RunError(message(folders[0], "a folder among files", "one system", remedy))
        return _from_files(files, name or first.stem)
    if others:
        return pooled([read_source([path]) for path in (first, *others)], name)
    if any(first.rglob("config.toml")):
        return _from_runs(first, name)
    if files := sorted(first.glob("*.csv")):
        return _from_files(files, name or first.name)
    allowed = "a run, a folder above the seeds of one system, or a folder of predictions files"
    raise RunError(message(first, "no run and no predictions file here", allowed, "check the path"))


def imported_source(
    path: str | Path, dataset: "Dataset", part: str, *, name: str = ""
) -> tuple[Source, tuple[str, ...]]:
    """Returns the answers of somebody else's model for one part of a corpus, and what did not fit together.

    Args:
        path: a CSV as :func:`lung_srad.evaluation.import_predictions` reads it.
        dataset: whose cycles they are.
        part: of the corpus; "all" is every cycle, where there is no part of that name.
        name: of the model; by default that of the file.

    Raises:
        DataError: the file does not hold, or none of its ids is a cycle of the part.
    """
    every = part == "all" and part not in dataset.splits
    found = import_predictions(path, dataset.cycles(None if every else part), dataset.class_names)
    source = Source(
        name or Path(path).stem,
        (found.predictions,),
        dataset.normal,
        training=known_cycles(dataset),
        split=dataset.partition().facts(),
        synthetic=dataset.synthetic,
    )
    return source, found.remarks


def known_cycles(dataset: "Dataset") -> Predictions | None:
    """Returns the training cycles of a corpus without an answer, for baselines; None where there is no such part."""
    cycles: list[Cycle] = dataset.cycles("train") if "train" in dataset.splits else []
    blank = np.full((len(cycles), len(dataset.class_names)), np.nan)
    return Predictions.of(cycles, blank, class_names=dataset.class_names) if cycles else None


def pooled(folds: Sequence[Source], name: str = "") -> Source:
    """Returns folds of one system as one: every patient is answered by runs that never heard that patient.

    Validation predictions are left out: each fold has thresholds of its own. The split is the list of all of them.

    Raises:
        RunError: folders with cycles in common, other classes, or another number of seeds: no folds of one system.
    """
    first = folds[0]
    ids = [cycle for fold in folds for cycle in fold.predictions[0].id.tolist()]
    alike = {(len(fold.predictions), fold.predictions[0].class_names, fold.normal) for fold in folds}
    if len(set(ids)) < len(ids) or len(alike) > 1:
        common = len(ids) - len(set(ids))
        seen = f"{len(folds)} folders with {common} cycles in common, {len(alike)} kinds of seeds or classes"
        remedy = "give the folder above its seeds; lung-srad compare takes several systems"
        raise RunError(message(first.name, seen, "folds of one system: other test patients each", remedy))
    seeds = zip(*(fold.predictions for fold in folds), strict=True)
    names = ", ".join(str(fold.split.get("name") or fold.name) for fold in folds)
    return Source(
        name or f"{first.name.partition(' (')[0]}, {len(folds)} folds pooled",
        tuple(joined(each) for each in seeds),
        first.normal,
        seeds=first.seeds,
        synthetic=any(fold.synthetic for fold in folds),
        notes=(f"Folds pooled: {names}. Each cycle is answered by the runs of the fold that tests it.",),
    )


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Returns predictions one after the other."""
    columns = ([getattr(part, field.name) for part in parts] for field in fields(parts[0])[1:])
    return Predictions(parts[0].class_names, *(np.concatenate(column) for column in columns))


def normal_class(class_names: Sequence[str]) -> int:
    """Returns the index of the class called "normal" in any case, 0 where there is none."""
    return next((index for index, name in enumerate(class_names) if name.casefold() == "normal"), 0)


def _from_files(paths: Sequence[Path], name: str) -> Source:
    predictions = tuple(read_predictions(path) for path in paths)
    normal = normal_class(predictions[0].class_names)
    said = predictions[0].class_names[normal]
    notes = () if said.casefold() == "normal" else (f"No class is called normal: {said!r} counts as the normal one.",)
    return Source(name, predictions, normal, notes=notes, synthetic=any(map(_made_by_simulated_run, paths)))


def _made_by_simulated_run(path: Path) -> bool:
    """Whether a file lies in the folder of a run on simulated recordings."""
    from lung_srad.runs import RunFolder  # torch: other files need not wait for it

    folder = next((parent for parent in path.resolve().parents[:4] if (parent / "provenance.json").is_file()), None)
    with suppress(LungSradError):
        return folder is not None and RunFolder(folder).synthetic
    return False


def _from_runs(folder: Path, name: str) -> Source:
    from lung_srad.training import find_runs
    from lung_srad.training.gather import group_runs
    from lung_srad.training.table import group_name

    notes: list[str] = []
    groups = group_runs(find_runs([folder]), notes)
    if not groups:
        raise RunError(message(folder, "no finished run", "a run with result.json", "train it, or --resume"))
    if len(groups) > 1:
        names = "; ".join(f"{group_name(group)} in {group.runs[0].path}" for group in groups)
        allowed = "the seeds of one system"
        raise RunError(message(folder, f"{len(groups)} systems: {names}", allowed, "give the folder of one of them"))
    (group,) = groups
    facts, runs = group.facts, group.runs
    return Source(
        name or group_name(group),
        tuple(headline(run) for run in runs),
        facts["normal"],
        _validation(runs),
        _training(runs[0]),
        group.scores(),
        tuple(run.facts()["seed"] for run in runs),
        group.split,
        facts,
        tuple(run.path for run in runs),
        group.synthetic,
        tuple(notes),
    )


def external_source(run: "RunFolder", predictions: Predictions, dataset: "Dataset") -> Source:
    """Returns a run's answers for other data than it was tested on, with the notes that belong beside them."""
    facts, notes = run.facts(), []
    if facts["data"]["name"] == dataset.name and set(predictions.split.tolist()) - {"test"}:
        notes.append("The run may have been trained on some of these cycles: they are of a corpus of the same kind.")
    elif facts["data"]["name"] != dataset.name:
        notes.append(
            f"External validation: trained on {facts['data']['name']}, scored on {dataset.name}, not retrained."
        )
    if run.synthetic:
        notes.append("The weights were trained on SYNTHETIC recordings.")
    return Source(
        f"{run.config().title} on {dataset.name}",
        (predictions,),
        facts["normal"],
        training=_training(run) if facts["data"]["name"] == dataset.name else None,
        facts=facts,
        runs=(run.path,),
        seeds=(facts["seed"],),
        synthetic=dataset.synthetic,
        notes=tuple(notes),
    )


def headline(run: "RunFolder") -> Predictions:
    """Returns what a finished run answers on the test part, at the epoch that validation patients chose."""
    return run.headline.read_predictions(run.result()["selected_epoch"], "test")


def _validation(runs: "Sequence[RunFolder]") -> tuple[Predictions, ...]:
    """Returns run A's answers at the chosen epoch on the patients whom it did not train on; nothing if one is gone."""
    try:
        return tuple(run.select.read_predictions(run.result()["selected_epoch"], "validation") for run in runs)
    except DataError:
        return ()


def _training(run: "RunFolder") -> Predictions | None:
    """Returns the cycles that the headline was trained on, as it answered them after its last epoch."""
    part = "train" if run.result()["headline"] == "refit" else "fit"
    with suppress(DataError):
        return run.headline.read_predictions(run.config().training.epochs, part)
    return None
