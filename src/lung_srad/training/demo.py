"""The demonstration: a simulated corpus, two systems trained on it, their table and a report page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path

from lung_srad.config import Preset, load_preset
from lung_srad.datasets.simulated import simulate
from lung_srad.errors import RunError, message
from lung_srad.evaluation import Table, always_normal, measured, score_predictions
from lung_srad.evaluation.selection import VALIDATION
from lung_srad.files import replacing
from lung_srad.runs import RunFolder
from lung_srad.runs.folder import write_json
from lung_srad.runs.shipped import DEFAULT
from lung_srad.training.fit import fit, run_name
from lung_srad.training.mishaps import written
from lung_srad.training.phase import Report
from lung_srad.training.table import results_table

SYSTEMS = ("dass_finetuning", "lung_srad")
PROFILE, SIZE, DIFFICULTY = "demo", "demo", "easy"
SEED = 1  # of the corpus: none of its patients were among those that the weights that ship were trained on
START = DEFAULT  # both systems begin with the weights that ship
_MARK = "demo.json"  # says that a folder is a demonstration's


@dataclass(frozen=True)
class Demo:
    """What a demonstration made.

    Attributes:
        runs: the run folders, system by system.
        table: the headline of each system, and of always answering "normal".
        page: the report.
    """

    runs: tuple[RunFolder, ...]
    table: Table
    page: Path


def demo(
    out: str | Path = "lung-srad-demo",
    *,
    seeds: Sequence[int] = (1,),
    overrides: Sequence[str] = (),
    report: Report | None = None,
) -> Demo:
    """Simulates a corpus, trains fine-tuning and Lung-SRAD on it for equal epochs, and writes ``report.html``.

    Both start from the weights that ship, which were trained on simulated recordings of other patients.

    A second call with the same folder goes on where the first was stopped, and makes nothing twice.

    Args:
        out: a new folder, or that of an earlier call.
        seeds: of the training; the corpus is the same for all.
        overrides: ``key=value`` changes of both presets.
        report: called with (what is being done, steps done, steps in all).

    Raises:
        ConfigError: an override that does not hold.
        RunError: the folder holds something else, or the disk is full.
        DataError: the corpus cannot be written or used.
    """
    from lung_srad.training.demo_page import Story, demo_page  # matplotlib: a second that other verbs need not wait

    out = Path(out)
    presets = [load_preset(name, profile=PROFILE, overrides=overrides) for name in SYSTEMS]
    with written(out):
        _claim(out)
    corpus = simulate(out / "corpus", size=SIZE, difficulty=DIFFICULTY, seed=SEED, report=report)
    runs = []
    for seed, preset in product(seeds, presets):
        said = report and _named(report, preset, seed)
        runs.append(fit(preset, corpus, seed=seed, out=out / "runs", start_from=START, resume=True, report=said))
    table = headlines(runs)
    page = out / "report.html"
    with written(page):
        text = demo_page(Story(tuple(runs), table, corpus, tuple(presets)))
        with replacing(page) as file:
            file.write(text.encode())
        with replacing(out / "table.csv") as file:
            file.write(results_table(runs).csv().encode())
    return Demo(tuple(runs), table, page)


def headlines(runs: Sequence[RunFolder]) -> Table:
    """Returns the headline of each system in a table of runs, and of always answering "normal"."""
    full = results_table(runs)
    run = runs[0]
    predictions = run.headline.read_predictions(run.result()["selected_epoch"], "test")
    labels, normal = predictions.label[predictions.label >= 0], run.facts()["normal"]
    silent = score_predictions(
        labels, always_normal(len(labels), normal=normal), num_classes=len(predictions.class_names), normal=normal
    )
    floor = measured("always normal", [silent], rule="-", synthetic=run.synthetic)
    return Table((floor, *(row for row in full.rows if row.rule == VALIDATION)), title=full.title, notes=full.notes)


def _claim(out: Path) -> None:
    """Makes the folder, or finds in it that it is a demonstration's.

    Raises:
        RunError: it holds something else.
    """
    mark, facts = out / _MARK, {"lung-srad": "demo", "size": SIZE}
    if mark.exists():
        try:
            found = json.loads(mark.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict) or {key: found.get(key) for key in facts} != facts:
            remedy = "choose another folder, or remove this one"
            raise RunError(message(mark, "is of another demonstration", f"one of size {SIZE}", remedy))
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        seen = "holds something else" if out.is_dir() else "is a file"
        raise RunError(message(out, seen, "a new folder, or that of an earlier demo", "choose another folder"))
    out.mkdir(parents=True, exist_ok=True)
    write_json(mark, facts | {"version": version("lung-srad")})


def _named(report: Report, preset: Preset, seed: int) -> Report:
    return lambda what, done, total: report(f"{run_name(preset)} seed {seed}: {what}", done, total)
