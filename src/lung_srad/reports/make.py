"""From a system's predictions to its report: one call computes, one assembles, one writes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from lung_srad.evaluation import Predictions, Settings, evaluate_predictions, labels_only
from lung_srad.evaluation.tables import SYNTHETIC, SYNTHETIC_NOTE
from lung_srad.reports.blocks import Block, Commands, Lines, Part, Report, Words, stamped
from lung_srad.reports.parts import (
    Case,
    classes_part,
    data_part,
    result_part,
    rules_part,
    subgroups_part,
    two_class_part,
)
from lung_srad.reports.probabilities import calibration_part, operating_part
from lung_srad.reports.sources import Source
from lung_srad.runs import write_files

NOTICE = "Research use. Not a medical device; no diagnosis."
SEEDS = (
    "64.48 ± 0.25, as printed for Lung-SRAD, is a deviation over seeds, not an interval over patients, and the public "
    "code chooses its epoch on the test part."
)

COMMAND = """\
lung-srad report predictions.csv --validation validation.csv --train training.csv
lung-srad report RUN
lung-srad compare RUN ANOTHER_RUN predictions.csv"""


def make_case(
    source: Source,
    *,
    training: Predictions | None = None,
    facts: Mapping[str, Mapping[str, str]] | None = None,
    settings: Settings | None = None,
) -> Case:
    """Returns a system with everything that can be computed from its answers.

    Args:
        source: the system.
        training: cycles that it was trained on, where the source does not have them: for the baseline without audio.
        facts: patient -> fact -> group, for subgroups.
        settings: how intervals are made.

    Raises:
        DataError: no label is known, patients are unknown, or seeds, validation and test part do not fit together.
    """
    only = any(map(labels_only, source.predictions))
    known = training if training is not None else source.training
    columns = None
    if known is not None:
        rows = known.label >= 0
        columns = (known.device[rows], known.site[rows], known.label[rows])
    validation = () if only or any(map(labels_only, source.validation)) else source.validation
    validation, left_out = _untested(validation, source.predictions[0])
    if left_out:
        who = ", ".join(left_out)
        note = f"Validation patients who are tested too are left out of what is fitted on validation: {who}."
        source = replace(source, notes=(*source.notes, note))
    found = evaluate_predictions(
        source.predictions,
        normal=source.normal,
        validation=validation,
        train=columns,
        facts=facts,
        settings=settings,
    )
    return Case(source, found, only)


def _untested(validation: Sequence[Predictions], test: Predictions) -> tuple[tuple[Predictions, ...], list[str]]:
    """Returns validation predictions without patients of the test part, and who these are.

    ICBHI's official split has such patients, and runs that let them choose. Where nobody else is there, nobody is
    left out: then these are no validation predictions, and the evaluation says so.
    """
    tested = {who for each in validation for who in each.patient.tolist()} & set(test.patient.tolist())
    kept = []
    for each in validation:
        others = ~np.isin(each.patient, sorted(tested))
        if not others.any():
            return tuple(validation), []
        kept.append(Predictions(each.class_names, *(getattr(each, field.name)[others] for field in fields(each)[1:])))
    return tuple(kept), sorted(tested)


def make_report(case: Case, *, remarks: Sequence[str] = ()) -> Report:
    """Returns the report on a system; ``remarks`` say what has to be known of its predictions."""
    source = case.source
    lead: list[Block] = [
        Words(
            f"What {source.name} answered for {case.found.cycles:,} cycles of {case.found.patients:,} patients, and "
            "how far the figures would move with other patients. All of it is computed from the predictions.",
            "lead",
        ),
        Words(f"{SYNTHETIC_NOTE} {NOTICE}" if source.synthetic else NOTICE, "warning"),
        *(Words(remark, "warning") for remark in remarks),
    ]
    parts = (
        *figure_parts(case),
        data_part(case),
        _how_part(case),
    )
    stamp = f"{SYNTHETIC}: simulated recordings, not patients" if source.synthetic else ""
    shown = [part for part in parts if part is not None]
    shown = [stamped(part) for part in shown] if source.synthetic else shown
    return Report(f"Report: {source.name}", tuple(lead), tuple(shown), stamp)


def figure_parts(case: Case) -> tuple[Part | None, ...]:
    """Returns the parts that hold figures; None for what cannot be said of these predictions."""
    return (
        result_part(case),
        classes_part(case),
        two_class_part(case),
        rules_part(case),
        operating_part(case),
        calibration_part(case),
        subgroups_part(case),
    )


def _how_part(case: Case) -> Part:
    """Returns how the figures were made, so that somebody else can make them again."""
    settings = case.found.settings
    items = [
        (
            f"Intervals: 95 %, {settings.method} over {settings.resamples:,} resamples of patients "
            f"({settings.few_resamples:,} where every resample has to be sorted anew, and for subgroups), seed "
            f"{settings.seed}; figures of several seeds are averaged within each resample."
        ),
        f"lung-srad {version('lung-srad')}.",
    ]
    facts = case.source.facts
    if facts:
        start = facts["start"]
        begun = start["weights"] + (f", SHA-256 {start['sha256']}" if "sha256" in start else "")
        items += [f"Data: {facts['data']['name']}, fingerprint {facts['data']['fingerprint']}.", f"Start: {begun}."]
        items.append(
            f"Seeds: {', '.join(map(str, case.source.seeds))}. Trained at commit {facts.get('commit', 'unknown')}."
        )
    return Part(
        "how",
        "How this was made",
        (Lines(tuple(items)), Words(SEEDS, "note"), Words("The same from the predictions:"), Commands(COMMAND)),
    )


def write_report(report: Report, case: Case, out: str | Path) -> list[Path]:
    """Writes ``report.html``, ``report.md``, ``figures/``, and all numbers as ``report.json``; returns the first two.

    Raises:
        RunError: the folder cannot be written.
    """
    out = Path(out)
    numbers = {"system": case.source.name, "synthetic": case.source.synthetic, "split": dict(case.source.split)}
    numbers |= {"labels_only": case.labels_only, "notice": NOTICE, **case.found.json()}
    texts = {"report.html": report.html(), "report.md": report.markdown()}
    texts["report.json"] = json.dumps(numbers, indent=1, ensure_ascii=False) + "\n"
    texts |= {f"figures/{name}": svg for name, svg in report.drawings().items()}
    write_files(out, texts)
    return [out / "report.html", out / "report.md"]
