"""Predictions and scores of a finished run, on its own data or on other."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from lung_srad.datasets import Cycle, Dataset, FeatureCache, open_dataset
from lung_srad.errors import DataError, message
from lung_srad.evaluation import Predictions, Scores
from lung_srad.runs import RunFolder, build_dataset, build_prompt, load_model
from lung_srad.training.data import Corpus, cache_folder
from lung_srad.training.distributed import World
from lung_srad.training.mishaps import reported
from lung_srad.training.phase import Report, predict


def evaluate(
    run: str | Path | RunFolder, dataset: Dataset | str | Path, *, split: str = "test", report: Report | None = None
) -> Predictions:
    """Returns the predictions of a run's headline weights on a split; cycles without a label are predicted too.

    The split "all" is every cycle, where the data have no split of that name.

    Classes are matched by name; their order in the predictions is the run's.

    Raises:
        RunError: the run has no weights yet, memory is full, or a process that makes batches was lost.
        DataError: there is nothing in the split, or a label that the run does not know.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder(Path(run))
    with reported(folder.require()):
        return _evaluate(folder, open_dataset(dataset), split, report)


def _evaluate(folder: RunFolder, dataset: Dataset, split: str, report: Report | None) -> Predictions:
    model = load_model(folder.weights)
    dataset = build_dataset(model.preset, dataset)
    every = split == "all" and split not in dataset.splits
    cycles = _with_labels_of(model.class_names, dataset, dataset.cycles(None if every else split))
    if not cycles:
        raise DataError(message(dataset.location, f"no cycle in {split!r}", "one or more", "choose another split"))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = model.net.to(device)
    frontend = net.backbone.frontend.cpu()
    cache = FeatureCache(cache_folder(), frontend)
    silent = cache.prepare(cycles, report and partial(report, "reading recordings"))
    return predict(
        net,
        Corpus(dataset, {split: cycles}, frozenset(silent), (), cache, frontend, build_prompt(net)),
        split,
        preset=model.preset,
        world=World(0, 1, device),
        class_names=model.class_names,
        progress=report and partial(report, "classifying"),
    )


def score(run: str | Path | RunFolder, dataset: Dataset | str | Path, *, split: str = "test") -> Scores:
    """Returns the scores of a run's headline on a split, from the predictions on disk where they are there.

    Raises:
        RunError: the run is not finished.
        DataError: the labels are not those of the run, or no label is known.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder(Path(run))
    dataset = build_dataset(folder.config(), open_dataset(dataset))
    result, facts = folder.result(), folder.facts()
    if split == "test" and facts["data"]["fingerprint"] == dataset.fingerprint():
        predictions = folder.headline.read_predictions(result["selected_epoch"], split)
    else:
        predictions = evaluate(folder, dataset, split=split)
    return predictions.scores(normal=facts["normal"])


def _with_labels_of(class_names: tuple[str, ...], dataset: Dataset, cycles: list[Cycle]) -> list[Cycle]:
    """Returns the cycles with labels that are indices into ``class_names``."""
    occurring = {cycle.label for cycle in cycles} - {None}
    index = {label: dataset.class_names[label] for label in occurring}
    if unknown := sorted(set(index.values()) - set(class_names)):
        seen, allowed = f"label {', '.join(map(repr, unknown))}", f"the run knows {', '.join(class_names)}"
        raise DataError(message(dataset.location, seen, allowed, "rename these labels, or leave them empty"))
    places = {None: None} | {label: class_names.index(name) for label, name in index.items()}
    return [replace(cycle, label=places[cycle.label]) for cycle in cycles]
