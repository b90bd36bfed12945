"""The table of finished runs: every rule of selection, mean ± std over seeds, beside the printed figures."""

from collections.abc import Sequence
from typing import Any

from lung_srad.config import Preset
from lung_srad.errors import LungSradError, RunError, message
from lung_srad.evaluation import Estimate, Row, Table, measured, patient_intervals, printed
from lung_srad.evaluation.selection import VALIDATION
from lung_srad.literature import Printed
from lung_srad.models import CATALOGUE
from lung_srad.runs import RunFolder
from lung_srad.training.ensembles import ensemble_rows, ensemble_title, ensembles_of
from lung_srad.training.gather import Group, group_runs

PAPER_CYCLES, PAPER_SEEDS = 4142, 5  # the official training part; seeds behind every printed mean
TITLE = "Test scores in per cent; headline: the epoch that validation patients chose"


def results_table(runs: Sequence[RunFolder]) -> Table:
    """Returns the table of finished runs, one group of rows per system; runs of one preset are its seeds.

    Raises:
        RunError: none is finished.
    """
    rows, notes = [], []
    groups = group_runs(runs, notes)
    if not groups:
        where = ", ".join(str(run.path) for run in runs)
        raise RunError(message(where, "no finished run", "a run with result.json", "train it, or --resume"))
    for group in sorted(groups, key=_order):
        rows += _rows(group, notes)
        if group.comparable and group.preset.printed:
            rows.append(printed_row(group.preset.title, group.preset.printed))
        rows += _ensembles(group, notes)
        notes += _notes(group)
    notes += _splits(groups)
    if unfinished := [str(run.path) for run in runs if not run.finished]:
        notes.append(f"Not finished and left out: {', '.join(unfinished)}.")
    return Table(tuple(rows), title=TITLE, notes=tuple(dict.fromkeys(notes)))


def printed_row(title: str, figures: Printed, seeds: int = PAPER_SEEDS) -> Row:
    """Returns the row of what is printed of a system."""
    two = figures.two_class.model_dump() if figures.two_class else {}
    four = figures.four_class.model_dump() if figures.four_class else {key: two.get(key) for key in ("sp", "sp_std")}
    return printed(title, four, two, seeds=seeds, cycles=PAPER_CYCLES)


def changed(preset: Preset, start: dict[str, Any]) -> list[str]:
    """Returns in words what a run's preset and start are beside those of the shipped system."""
    extra = ["reading code"] if preset.reading == "code" else []
    extra += [f"profile {preset.profile}"] if preset.profile else []
    extra += [text for text in preset.overrides if not text.startswith(("reading=", "training.refit="))]
    if start.get("weights") == "run":
        extra.append(f"from {'SYNTHETIC ' if start.get('synthetic') else ''}weights {start['sha256'][:8]}")
    if start.get("weights") == "random" and preset.backbone.name in CATALOGUE:
        extra.append("from random weights")
    return extra


def _order(group: Group) -> tuple[bool, float, str]:
    """Orders systems by the printed Score, unprinted ones last, which is the order of the paper's table."""
    figures = group.preset.printed and group.preset.printed.figures
    return figures is None, figures.score if figures else 0.0, group.runs[0].path.parent.name


def _rows(group: Group, notes: list[str]) -> list[Row]:
    """Returns one row per rule, the headline first and with its intervals over patients."""
    name, rules = group_name(group), group.scores()
    known = len(rules.get(VALIDATION, [])) == len(group.runs)
    intervals = {VALIDATION: _intervals(name, group, notes)} if known else {}
    shared = {"cycles": group.train_cycles, "synthetic": group.synthetic, "split": split_words(group)}
    return [
        measured(name, scores, rule=rule, intervals=intervals.get(rule), **shared) for rule, scores in rules.items()
    ]


def split_words(group: Group) -> tuple[str, str]:
    """Returns the split's name and its hash, "" where it is not known."""
    return group.split["name"], group.split.get("sha256", "")


def group_name(group: Group) -> str:
    """Returns a system's title, with what its runs are beside the system as it ships."""
    extra = changed(group.preset, group.facts["start"])
    extra += [f"split {group.other_split}"] if group.other_split else []
    return f"{group.preset.title} ({', '.join(extra)})" if extra else group.preset.title


def _ensembles(group: Group, notes: list[str]) -> list[Row]:
    """Returns the rows of the ensembles that a system's seeds are members of."""
    rows: list[Row] = []
    for ensemble in ensembles_of(group):
        name = ensemble_title(ensemble, len(group.runs)) + group_name(group).removeprefix(group.preset.title)
        rows += ensemble_rows(name, group, notes).values()
        if group.comparable:
            title = ensemble_title(ensemble, ensemble.size)
            rows.append(printed_row(title, ensemble.printed, ensemble.size))
        notes.append(ensemble.printed.note)
    return rows


def _notes(group: Group) -> list[str]:
    """Returns what has to be known of a system's runs, and of what is printed beside them."""
    notes, title, printed = [], group.preset.title, group.preset.printed
    if silent := [str(run.path) for run in group.runs if _headline(run) is None]:
        notes.append(f"No validation Score, so the last epoch is the headline: {', '.join(silent)}.")
    if len({run.result()["train_cycles"] for run in group.runs}) > 1:
        notes.append(f"{title}: training cycles differ by seed, with the validation patients; their mean.")
    if printed and group.comparable:
        notes += [f"{title}: {note}" for note in (printed.note, printed.two_class_note) if note]
    return notes


def _splits(groups: Sequence[Group]) -> list[str]:
    """Returns each split with its hash, and who is on both sides of it; nothing of runs that did not keep it."""
    found = []
    for split in (group.split for group in groups):
        if "sha256" in split:
            who = ", ".join(split["shared_patients"])
            verdict = f"patients {who} on both sides" if who else "no patient on two sides"
            found.append(f"Split {split['name'] or 'as given'}: {verdict}; sha256 {split['sha256'][:12]}.")
    return found


def _headline(run: RunFolder) -> dict[str, Any] | None:
    """Returns the scores of the rule by which systems are compared; None where it had nothing to go by."""
    return next(rule["scores"] for rule in run.result()["rules"] if rule["headline"])


def _intervals(name: str, group: Group, notes: list[str]) -> dict[str, Estimate]:
    """Returns the headline's intervals over patients; says in the notes why there are none."""
    try:
        predictions = [run.headline.read_predictions(run.result()["selected_epoch"], "test") for run in group.runs]
        return patient_intervals(predictions, normal=group.facts["normal"])
    except LungSradError as error:
        notes.append(f"{name}, no interval: {error}.")
        return {}
