"""Ensembles in tables: the seeds of a system, their answers averaged, as one more system."""

from collections.abc import Mapping
from dataclasses import replace

from lung_srad.errors import LungSradError
from lung_srad.evaluation import Row, average, measured
from lung_srad.literature import Ensemble, load_ensemble
from lung_srad.shipped import ensemble_names
from lung_srad.training.gather import Group


def ensembles_of(group: Group) -> list[Ensemble]:
    """Returns the shipped ensembles that some runs are members of."""
    name = group.preset.name
    return [each for each in map(load_ensemble, ensemble_names()) if each.members == name and len(group.runs) > 1]


def ensemble_title(ensemble: Ensemble, size: int) -> str:
    """Returns the name of an ensemble with its number of members, as the literature writes it."""
    return f"{ensemble.title} [k = {size}]"


def ensemble_rows(name: str, group: Group, notes: list[str]) -> Mapping[str, Row]:
    """Returns the ensemble of a system's seeds under each rule that names one epoch of each (DECISIONS: ensemble).

    Says in the notes why a row is missing: predictions that are gone, or not of the same cycles.
    """
    rows: dict[str, Row] = {}
    results = [run.result() for run in group.runs]
    for rule in group.scores():
        chosen = [next(each["epochs"] for each in result["rules"] if each["rule"] == rule) for result in results]
        if any(len(epochs) != 1 for epochs in chosen):
            continue
        try:
            members = [
                run.headline.read_predictions(epoch, "test") for run, (epoch,) in zip(group.runs, chosen, strict=True)
            ]
            scores = average(members).scores(normal=group.facts["normal"])
        except LungSradError as error:
            notes.append(f"{name}, no ensemble: {error}.")
            return {}
        row = measured(name, [scores], rule=rule, cycles=group.train_cycles, synthetic=group.synthetic)
        rows[rule] = replace(row, seeds=len(members))
    return rows
