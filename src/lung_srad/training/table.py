"""The table of finished runs: every rule of selection, mean ± std over seeds, beside the printed figures."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lung_srad.config import Preset
from lung_srad.errors import LungSradError, RunError, message
from lung_srad.evaluation import Estimate, Row, Scores, Table, measured, patient_intervals, printed
from lung_srad.evaluation.selection import VALIDATION
from lung_srad.runs import RunFolder

PAPER_CYCLES, PAPER_SEEDS = 4142, 5  # the official training part; seeds behind every printed figure of ours
SAME_RESULT = {"workers", "tensorboard", "checkpoint_every"}  # keys of [training] that change no figure
TITLE = "Test scores in per cent; headline: the epoch that validation patients chose"


def find_runs(paths: Iterable[str | Path]) -> list[RunFolder]:
    """Returns the runs at or below some paths, sorted.

    Raises:
        RunError: a path holds no run.
    """
    found: set[Path] = set()
    for path in map(Path, paths):
        here = {config.parent for config in path.rglob("config.toml")} if path.is_dir() else set()
        if not here:
            text = message(path, "no run here", "run folders, or folders above them", "check the path, or train first")
            raise RunError(text)
        found |= here
    return [RunFolder(path) for path in sorted(found)]


def results_table(runs: Sequence[RunFolder]) -> Table:
    """Returns the table of finished runs, one group of rows per system; runs of one preset are its seeds.

    Raises:
        RunError: none is finished.
    """
    rows, notes = [], []
    done = [run for run in runs if run.finished and _whole(run, notes)]
    if not done:
        where = ", ".join(str(run.path) for run in runs)
        raise RunError(message(where, "no finished run", "a run with result.json", "train it, or --resume"))
    systems: dict[str, dict[int, RunFolder]] = {}
    for run in done:
        first = systems.setdefault(_identity(run), {}).setdefault(run.facts()["seed"], run)
        if first is not run:
            notes.append(f"Left out, the same run as {first.path}: {run.path}.")
    for seeds in sorted(systems.values(), key=lambda seeds: _order(next(iter(seeds.values())))):
        group = list(seeds.values())
        preset = group[0].config()
        rows += _rows(preset, group, notes)
        if preset.printed and _comparable(group[0]):
            rows.append(_printed(preset))
        if silent := [str(run.path) for run in group if _headline(run) is None]:
            notes.append(f"No validation Score, so the last epoch is the headline: {', '.join(silent)}.")
        if len({run.result()["train_cycles"] for run in group}) > 1:
            notes.append(f"{preset.title}: training cycles differ by seed, with the validation patients; their mean.")
        if preset.printed and preset.printed.note and _comparable(group[0]):
            notes.append(f"{preset.title}: {preset.printed.note}")
    if len(done) < len(runs):
        notes.append(f"Not finished and left out: {', '.join(str(r.path) for r in runs if not r.finished)}.")
    return Table(tuple(rows), title=TITLE, notes=tuple(dict.fromkeys(notes)))


def _whole(run: RunFolder, notes: list[str]) -> bool:
    """Whether a run's files can be read; says so in the notes where they cannot."""
    try:
        run.config(), run.facts(), run.result()
    except LungSradError as error:
        notes.append(f"Left out: {error}.")
        return False
    return True


def _identity(run: RunFolder) -> str:
    """Returns what runs must share to be seeds of one system: preset, data, starting weights, processes."""
    facts, leave_out = run.facts(), {"overrides": True, "training": SAME_RESULT}
    preset = run.config().model_dump(exclude=leave_out)
    return repr((preset, facts["data"]["fingerprint"], facts["start"].get("sha256"), facts["processes"]))


def _order(run: RunFolder) -> tuple[bool, float, str]:
    """Orders systems by the printed Score, unprinted ones last, which is the order of the paper's table."""
    printed = run.config().printed
    return printed is None, printed.four_class.score if printed else 0.0, run.path.parent.name


def _headline(run: RunFolder) -> dict[str, Any] | None:
    """Returns the scores of the rule by which systems are compared; None where it had nothing to go by."""
    return next(rule["scores"] for rule in run.result()["rules"] if rule["headline"])


def _rows(preset: Preset, group: Sequence[RunFolder], notes: list[str]) -> list[Row]:
    """Returns one row per rule, the headline first and with its intervals over patients."""
    extra = [f"reading {preset.reading}"] if preset.reading != "paper" else []
    extra += [f"profile {preset.profile}"] if preset.profile else []
    extra += [text for text in preset.overrides if not text.startswith(("reading=", "training.refit="))]
    start = group[0].facts()["start"]
    if start.get("weights") == "run":
        extra.append(f"from {'SYNTHETIC ' if start.get('synthetic') else ''}weights {start['sha256'][:8]}")
    name = f"{preset.title} ({', '.join(extra)})" if extra else preset.title
    rules: dict[str, list[Scores]] = {}
    results = [run.result() for run in group]
    for result in results:
        for choice in sorted(result["rules"], key=lambda choice: not choice["headline"]):
            if choice["scores"] is not None:
                recalls = tuple(choice["scores"]["recalls"])
                rules.setdefault(choice["rule"], []).append(Scores(**choice["scores"] | {"recalls": recalls}))
    cycles, synthetic = round(statistics.fmean(result["train_cycles"] for result in results)), group[0].synthetic
    intervals = {VALIDATION: _intervals(name, group, notes)} if len(rules.get(VALIDATION, [])) == len(group) else {}
    return [
        measured(name, scores, rule=rule, cycles=cycles, intervals=intervals.get(rule), synthetic=synthetic)
        for rule, scores in rules.items()
    ]


def _intervals(name: str, group: Sequence[RunFolder], notes: list[str]) -> dict[str, Estimate]:
    """Returns the headline's intervals over patients; says in the notes why there are none."""
    try:
        predictions = [run.headline.read_predictions(run.result()["selected_epoch"], "test") for run in group]
        return patient_intervals(predictions, normal=group[0].facts()["normal"])
    except LungSradError as error:
        notes.append(f"{name}, no interval: {error}.")
        return {}


def _comparable(run: RunFolder) -> bool:
    """Whether printed figures may stand beside a run: ICBHI itself, official split."""
    data = run.facts()["data"]
    return not run.synthetic and (data["name"], data.get("split", "official")) == ("icbhi", "official")


def _printed(preset: Preset) -> Row:
    four = preset.printed.four_class.model_dump()
    two = preset.printed.two_class.model_dump() if preset.printed.two_class else None
    return printed(preset.title, four, two, seeds=PAPER_SEEDS, cycles=PAPER_CYCLES)
