"""The card of a trained model: what it is for, what it was made of, what it is worth and what it cost."""

import shlex
from collections.abc import Sequence
from typing import Any

from lung_srad.config import Preset
from lung_srad.evaluation.tables import SYNTHETIC, SYNTHETIC_NOTE
from lung_srad.files import sha256
from lung_srad.reports.blocks import Confusion, Part, Report, Rows, Words, stamped
from lung_srad.reports.make import NOTICE, figure_parts
from lung_srad.reports.parts import Case, split_words
from lung_srad.runs import RunFolder, network_size

INTENDED = (
    "For research on automatic classification of lung sounds: to compare methods, to study transfer and failure, to "
    "build and test software. It takes one breathing cycle (or a window of the model's length) of a recording at the "
    "chest wall and gives a probability for each class."
)
NOT_INTENDED = (
    "Not for diagnosis, triage, screening or monitoring of anybody, and not for recordings of other kinds (speech, "
    "cough, heart, other sites or devices than those below) without an evaluation of its own. Nobody has assessed it "
    "as a medical device."
)
LIMITS = (
    (
        "Annotations are those of the corpus: experts agree moderately at best on crackles and wheezes, so no score "
        "on them is a score against the truth."
    ),
    (
        "Patients come from few places; other places, devices and ages need an external validation "
        "(`lung-srad evaluate RUN --data KIND:PATH`)."
    ),
    "A group marked † in the tables (fewer than five patients) has not been evaluated.",
)


def model_card(case: Case, runs: Sequence[RunFolder]) -> str:
    """Returns the card of a system, as Markdown; of several seeds the figures are means, the hashes of each.

    Raises:
        RunError: a run that is not finished, or that lacks a file.
    """
    run, source = runs[0], case.source
    preset, facts = run.config(), run.facts()
    hashes = {each.path.name: sha256(each.weights) for each in runs if each.weights.is_file()}
    front = ["---", f"name: {source.name}", f"synthetic: {str(source.synthetic).lower()}"]
    front += [f"sha256: {each}" for each in hashes.values()] if len(hashes) == 1 else []
    front += ["---"]
    notice = f"{SYNTHETIC_NOTE} {NOTICE}" if source.synthetic else NOTICE
    parts = (
        Part("use", "Intended use", (Words(INTENDED), Words(NOT_INTENDED))),
        Part("what", "What it is", tuple(map(Words, _what(case, preset, facts)))),
        Part("data", "Data", tuple(map(Words, _data(case, facts)))),
        *_figures(case),
        Part("limits", "Limits", tuple(map(Words, LIMITS))),
        Part("cost", "Cost", tuple(map(Words, _cost(runs, preset, facts)))),
        Part("hashes", "How to make it again", tuple(map(Words, _again(runs, facts, hashes)))),
    )
    if source.synthetic:
        parts = tuple(map(stamped, parts))
    stamp = SYNTHETIC if source.synthetic else ""
    body = Report(f"Model card: {source.name}", (Words(notice),), parts, stamp).markdown()
    return "\n".join(front) + "\n\n" + body


def _what(case: Case, preset: Preset, facts: dict[str, Any]) -> list[str]:
    size = network_size(preset)
    start = facts["start"]
    begun = {"random": "random weights", "checkpoint": "an official checkpoint", "run": "the weights of another run"}
    extra = " (SYNTHETIC: simulated recordings)" if start.get("synthetic") else ""
    kind = "two classes" if len(case.found.class_names) == 2 else f"{len(case.found.class_names)} classes"
    return [
        (
            f"System: {preset.title} (preset `{preset.name}`, reading {preset.reading}, profile "
            f"{preset.profile or 'none'}). Backbone: {preset.backbone.name}, {size.parameters:,} parameters, trained: "
            f"{size.share}."
        ),
        f"Trained on {kind}: {', '.join(case.found.class_names)}.",
        f"Start: {begun.get(start['weights'], start['weights'])}{extra}"
        + (f", SHA-256 {start['sha256']}." if "sha256" in start else "."),
    ]


def _data(case: Case, facts: dict[str, Any]) -> list[str]:
    cycles = facts.get("cycles", {})
    counts = ", ".join(f"{part} {number:,}" for part, number in cycles.items())
    chosen = facts.get("validation_patients", [])
    lines = [
        (
            f"Corpus: {facts['data']['name']}, fingerprint (SHA-256 of ids, times, labels, sides and audio) "
            f"{facts['data']['fingerprint']}. Cycles: {counts or 'not kept by this run'}."
        ),
        split_words(case.source.split),
        (
            f"The epoch was chosen by {len(chosen)} patients of the training part, who are kept apart from the "
            "cycles that the choosing run was trained on. Test patients choose nothing."
        ),
    ]
    return lines + [
        f"Could not be had among validation patients: {text}." for text in facts.get("validation_unmet", [])
    ]


def _figures(case: Case) -> list[Part]:
    """Returns the parts of the report that hold figures, their tables alone."""
    return [
        Part(part.anchor, part.title, tuple(block for block in part.blocks if isinstance(block, Rows | Confusion)))
        for part in figure_parts(case)
        if part is not None
    ]


def _cost(runs: Sequence[RunFolder], preset: Preset, facts: dict[str, Any]) -> list[str]:
    seconds = []
    for run in runs:
        phases = [run.select, run.refit] if run.result()["headline"] == "refit" else [run.select]
        timing = [entry for phase in phases if (phase.path / "timing.jsonl").is_file() for entry in phase.read_timing()]
        seconds.append(sum(entry["train_s"] + entry["score_s"] for entry in timing))
    here = facts.get("machine", {})
    where = f"{here.get('gpu') or here.get('processor', 'unknown machine')}, {here.get('threads', '?')} threads"
    each = ", ".join(f"{time / 60:.1f}" for time in seconds)
    size = network_size(preset)
    return [
        (
            f"Training with the scoring of every epoch: {each} minutes"
            f"{' (one figure for each seed)' if len(seconds) > 1 else ''}, on {where}, {facts['processes']} "
            f"process(es). Parameters: {size.parameters:,}. Energy was not measured."
        ),
    ]


def _again(runs: Sequence[RunFolder], facts: dict[str, Any], hashes: dict[str, str]) -> list[str]:
    command = shlex.join(["lung-srad", *facts["command"][1:]]) if facts.get("command") else "not kept"
    versions = ", ".join(f"{name} {number}" for name, number in facts.get("versions", {}).items())
    lines = [f"Command: `{command}`, at commit {facts.get('commit', 'unknown')}; {versions or 'versions not kept'}."]
    for run in runs:
        result = run.result()
        predictions = run.headline.predictions_file(result["selected_epoch"], "test")
        weights = hashes.get(run.path.name, "not there")
        lines.append(
            f"{run.path.name}: epoch {result['selected_epoch']} ({result.get('selected_by', 'validation')}) of the "
            f"{result['headline']} run, {result['train_cycles']:,} training cycles; SHA-256 of the weights "
            f"{weights}, of the test predictions {sha256(predictions)}."
        )
    lines.append(
        "Items of TRIPOD+AI and CLAIM, and where they are answered: docs/reporting_checklists.md of the project."
    )
    return lines
