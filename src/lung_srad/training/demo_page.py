"""The page of a demonstration, section by section; a section is a function in :data:`SECTIONS`."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from lung_srad.analysis import Curve, Lane, Mark, Span, learning_curves, recording_figure, spectrogram, svg
from lung_srad.audio import read
from lung_srad.config import Preset
from lung_srad.datasets import Dataset
from lung_srad.datasets.simulated import Event, read_truth
from lung_srad.errors import LungSradError
from lung_srad.evaluation import Predictions, Table, confusion_matrix, paired_difference
from lung_srad.evaluation.page import (
    Html,
    Section,
    bullets,
    cards,
    code,
    confusion,
    page,
    paragraph,
    picture,
    results,
    side_by_side,
    term,
)
from lung_srad.evaluation.tables import SYNTHETIC, SYNTHETIC_NOTE
from lung_srad.runs import RunFolder, machine_line
from lung_srad.training.table import results_table

SMALL_FIGURES = (
    "are 95 % intervals over test patients, drawn again with replacement: how far a figure would move with other ones."
)
_SHOWN = 4  # recordings
SHIPPED_START = (
    "the weights that ship (trained on other simulated patients, as the paper's systems start from AudioSet)"
)
_REAL = """\
lung-srad check icbhi:ICBHI_final_database
lung-srad train dass_finetuning lung_srad --data icbhi:ICBHI_final_database --weights DASS_medium_v2.pth --seeds 1-5
lung-srad table runs"""
_SMALL = "lung-srad train dass_finetuning lung_srad --data icbhi:ICBHI_final_database --profile small"
_OWN = """\
lung-srad check table:cycles.csv
lung-srad train lung_srad --data table:cycles.csv --profile small
lung-srad evaluate runs/lung_srad-small/seed1 --data table:new.csv --part all"""


@dataclass(frozen=True)
class Story:
    """What the page tells of.

    Attributes:
        runs: system by system; of several seeds the first stands in the pictures, all are in the tables.
        table: the headlines.
        corpus: where test recordings and, if simulated, their true events come from.
        presets: of the systems, in the order in which they were trained.
    """

    runs: tuple[RunFolder, ...]
    table: Table
    corpus: Dataset
    presets: tuple[Preset, ...]

    @cached_property
    def answers(self) -> dict[str, list[Predictions]]:
        """The headline's test predictions of each system, by seed."""
        found: dict[str, list[Predictions]] = {preset.title: [] for preset in self.presets}
        for run in self.runs:
            found[run.config().title].append(run.headline.read_predictions(run.result()["selected_epoch"], "test"))
        return found

    @cached_property
    def first(self) -> dict[str, RunFolder]:
        """The run of the first seed of each system."""
        titles = {run.config().title: run for run in reversed(self.runs)}
        return {preset.title: titles[preset.title] for preset in self.presets}


def demo_page(story: Story) -> str:
    """Returns the whole page."""
    corpus = story.corpus
    counts = {part: len({cycle.patient for cycle in corpus.cycles(part)}) for part in ("train", "test")}
    lead = (
        paragraph(
            "Two systems for breathing sounds, trained on simulated recordings of "
            f"{counts['train']} patients and tested on {counts['test']} others. Each breathing cycle is called "
            f"{_either(corpus.class_names)}. This page was made by one command and needs nothing but itself.",
            kind="lead",
        ),
        paragraph(
            term(SYNTHETIC_NOTE, "Research use; not a medical device."),
            kind="warning",
        ),
    )
    sections = [section(story) for section in SECTIONS]
    return page("Lung-SRAD demo", sections, stamp=f"{SYNTHETIC}: simulated recordings, not patients", lead=lead)


def _result(story: Story) -> Section:
    names = [preset.title for preset in story.presets]
    rows = [row for row in story.table.rows if row.seeds and row.score]
    shown = [
        (row.system.partition(" (")[0], str(row.score), f"Score, %; 95 % interval {row.score.span}")
        for row in rows
        if row.score.span
    ]
    verdict = []
    with suppress(LungSradError):  # nothing to compare by: the notes of the table say why
        first, second = (story.answers[name] for name in names)
        apart = paired_difference(second, first, normal=story.corpus.normal)["score"]
        if apart.low is not None and apart.high is not None:
            about = f"points of Score; 95 % interval {_signed(apart.low)} to {_signed(apart.high)}"
            shown.append((f"{names[1]} minus {names[0]}", _signed(apart.value), about))
            verdict.append(paragraph(_verdict(apart.low, apart.high)))
    blocks = [cards(shown), *verdict]
    blocks += [
        results(story.table),
        bullets(
            (
                term("Sp", "is the share of normal cycles that are called normal."),
                term("Se", "is the share of abnormal cycles that are given their exact class."),
                term("Score", "is the mean of the two. Calling everything normal scores 50."),
                term("2-class", "figures count an abnormal cycle as found whichever abnormal class it is given."),
                term("The small figures", SMALL_FIGURES),
            )
        ),
    ]
    return Section("result", "The result", tuple(blocks))


def _verdict(low: float, high: float) -> str:
    if low <= 0 <= high:
        return "The interval of the difference holds zero: this demo cannot tell the two apart, and was not made to."
    return "One small simulated corpus and a tiny network: the difference says nothing about real recordings."


def _signed(number: float) -> str:
    return f"{number:+.1f}".replace("-", "−")


def _mistakes(story: Story) -> Section:
    names = story.corpus.class_names
    tables = []
    for system, answers in story.answers.items():
        known = answers[0].label >= 0
        counts = confusion_matrix(answers[0].label[known], answers[0].predicted[known], num_classes=len(names))
        seed = f", seed {story.first[system].facts()['seed']}" if len(answers) > 1 else ""
        tables.append(confusion(counts, names, caption=f"{SYNTHETIC} · {system}{seed}"))
    said = (
        "Each row holds the test cycles of one true class, each column those that were given one answer: their number, "
        "and their share of the row, which is also the shade. Outlined cells are right answers."
    )
    return Section("mistakes", "What is taken for what", (paragraph(said), side_by_side(tables)))


def _curves(story: Story) -> Section:
    curves = [_curve(system, run) for system, run in story.first.items()]
    best = "; ".join(f"{curve.name} {curve.chosen} of {len(curve.loss)}" for curve in curves)
    alt = "Training loss and validation Score after each epoch, for each system"
    caption = (
        f"{SYNTHETIC}. Left: the mean training loss of each epoch; the losses of the two systems have different parts, "
        "so each is divided by its first. Right: the Score on training patients who were set aside; the ring marks the "
        f"epoch that they chose ({best}), which is the one that is tested. Test patients choose nothing."
    )
    return Section("training", "How they learnt", (picture(svg(learning_curves(curves)), alt=alt, caption=caption),))


def _curve(system: str, run: RunFolder) -> Curve:
    losses: dict[int, list[float]] = {}
    scores: list[float | None] = []
    for entry in run.select.read_log():
        if "loss" in entry:
            losses.setdefault(entry["epoch"], []).append(entry["loss"])
        elif entry.get("part") == "validation":
            scores.append(entry["score"])
    return Curve(system, [statistics.fmean(each) for each in losses.values()], scores, run.result()["selected_epoch"])


def _recordings(story: Story) -> Section:
    said = (
        "One test recording for each class: the one with the most cycles of it. Above each spectrogram stand the "
        "class of each cycle and what each system called it (✗: wrong); below it, when the simulator put in which "
        "event. Crackles are short clicks over many pitches; wheezes last, at a pitch that the dashed line marks."
    )
    cycles = story.corpus.cycles("test")
    chosen: list[str] = []
    for index in range(len(story.corpus.class_names)):
        counts: dict[str, int] = {}
        for cycle in cycles:
            if cycle.recording not in chosen:
                counts[cycle.recording] = counts.get(cycle.recording, 0) + (cycle.label == index)
        if counts and len(chosen) < _SHOWN:
            chosen.append(max(sorted(counts), key=counts.__getitem__))
    figures = [_recording(story, name) for name in chosen]
    return Section("recordings", "Four recordings", (paragraph(said), *figures))


def _recording(story: Story, name: str) -> Html:
    cycles = [cycle for cycle in story.corpus.cycles("test") if cycle.recording == name]
    classes, path = story.corpus.class_names, cycles[0].path
    lanes = [Lane("true", [Span(c.start, c.end, c.label, classes[c.label]) for c in cycles if c.label is not None])]
    right = []
    for system, answers in story.answers.items():
        given = dict(zip(answers[0].id.tolist(), answers[0].predicted.tolist(), strict=True))
        spans = [
            Span(c.start, c.end, given[c.id], classes[given[c.id]], given[c.id] == c.label)
            for c in cycles
            if given.get(c.id, -1) >= 0
        ]
        lanes.append(Lane(system, spans))
        right.append(f"{system} has {sum(bool(span.right) for span in spans)} of {len(cycles)} cycles right")
    with suppress(LungSradError):  # a recording that nobody simulated has no truth beside it
        lanes.append(Lane("events", marks=[_mark(event) for event in read_truth(path)]))
    sound = read(path)
    seconds = len(sound.samples) / sound.rate
    figure = recording_figure(spectrogram(sound.samples, sound.rate), seconds, lanes)
    caption = f"{SYNTHETIC} · {name} ({cycles[0].device}, {cycles[0].site}). {'; '.join(right)}."
    return picture(svg(figure), alt=f"Spectrogram of {name} with its cycles and events", caption=caption)


def _mark(event: Event) -> Mark:
    """Returns an event for a drawing: what is short has no pitch to follow."""
    return Mark(event.start, event.end, event.kind, event.frequency_hz if event.kind == "wheeze" else None)


def _rules(story: Story) -> Section:
    said = (
        "The same runs under every rule that is in use for choosing the epoch. “Best on test” is the convention of "
        "much of the literature; it lets the test patients choose, so it flatters."
    )
    return Section("rules", "Which epoch?", (paragraph(said), results(results_table(story.runs))))


def _next(story: Story) -> Section:
    return Section(
        "next",
        "Next: real recordings",
        (
            paragraph(
                "ICBHI 2017 is free for research (bhichallenge.med.auth.gr). With it, and with the official weights of "
                "DASS-medium, this trains the paper's systems; it wants a GPU:"
            ),
            code(_REAL),
            paragraph("Without a GPU, a functional check with the network of this demo, in about an hour:"),
            code(_SMALL),
            paragraph("Your own recordings, listed in a CSV (path, start, end, label, patient, split):"),
            code(_OWN),
        ),
    )


def _made(story: Story) -> Section:
    rows = []
    for run in story.runs:
        minutes = sum(entry["train_s"] + entry["score_s"] for entry in run.headline.read_timing()) / 60
        rows.append(f"{run.config().title}, seed {run.facts()['seed']}: {minutes:.1f} minutes of training, {run.path}")
    preset, start = story.presets[0], story.runs[0].facts()["start"]
    begun = "random weights" if start["weights"] == "random" else SHIPPED_START
    said = (
        f"Both systems: {preset.backbone.name}, from {begun}, profile {preset.profile}, {preset.training.epochs} "
        "epochs over the same cycles. The corpus, every run with its log, weights and predictions, and the table as "
        "CSV lie beside this page."
    )
    return Section(
        "made", "How this was made", (paragraph(said), bullets(rows), paragraph(machine_line(), kind="note"))
    )


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


# Found events and the spectral response are further functions of this kind.
SECTIONS: tuple[Callable[[Story], Section], ...] = (_result, _mistakes, _curves, _recordings, _rules, _next, _made)
