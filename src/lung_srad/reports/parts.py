"""The parts of a report that hold figures: blocks from an assessment, every table with its baselines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lung_srad.evaluation import Assessment, Estimate, Scores, Sheet, figure
from lung_srad.evaluation.tables import SYNTHETIC, SYNTHETIC_NOTE
from lung_srad.reports.blocks import (
    FEW_MARK,
    Block,
    Cards,
    Confusion,
    Lines,
    Part,
    Rows,
    Words,
    confusion_sheet,
)
from lung_srad.reports.sources import Source

DASH = "–"
COLUMNS = {  # of every table of scores: the figure, its heading
    "sp": "Sp",
    "se": "Se, strict",
    "score": "Score, strict",
    "se2": "Se, lenient",
    "score2": "Score, lenient",
    "balanced_accuracy": "balanced accuracy",
}
STRICT = (
    "Strict Se counts an abnormal cycle only where it is given its exact class; lenient Se wherever it is called "
    "abnormal."
)
FLOOR = "always normal"


@dataclass(frozen=True)
class Case:
    """What a report is of: a system, everything that was computed from its answers, and how.

    ``labels_only``: the answers are labels, so that nothing can be said of probabilities.
    """

    source: Source
    found: Assessment
    labels_only: bool = False

    @property
    def four_class(self) -> bool:
        """Returns whether there are several abnormal classes."""
        return len(self.found.class_names) > 2


def shown(estimate: Estimate | None) -> str:
    """Returns a figure, its deviation over seeds, its interval over patients: ``79.53 ± 0.95 (76.0 to 83.1)``."""
    if estimate is None:
        return DASH
    spread = "" if estimate.spread is None else f" ± {estimate.spread:.2f}"
    ends = "" if estimate.low is None or estimate.high is None else f" ({estimate.low:.1f} to {estimate.high:.1f})"
    return f"{estimate.value:.2f}{spread}{ends}"


def figure_cells(figures: Mapping[str, Estimate]) -> tuple[str, ...]:
    """Returns the figures of a row of scores."""
    return tuple(shown(figures.get(name)) for name in COLUMNS)


def score_cells(scores: Scores) -> tuple[str, ...]:
    """Returns the same of scores without an interval."""
    return tuple(_or_dash(getattr(scores, name)) for name in COLUMNS)


def _or_dash(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def baseline_rows(found: Assessment) -> list[tuple[str, ...]]:
    """Returns the rows of what can be scored without hearing anything."""
    return [(f"baseline: {each.name}", *score_cells(each.scores)) for each in found.baselines]


def tables(case: Case) -> list[Sheet]:
    """Returns what a terminal shows of a report: counts by class and answer, then the tables of subgroups."""
    counts = confusion_sheet(np.array(case.found.confusion), case.found.class_names, _counts(case))
    return [counts, *(block.sheet for block in subgroups_part(case).blocks if isinstance(block, Rows))]


def result_part(case: Case) -> Part:
    """Returns the headline: large figures, the table of scores, what the words mean."""
    found, figures = case.found, case.found.figures
    cards = [
        (name, f"{figures[key].value:.1f}", _interval_words(figures[key]))
        for key, name in (("score", "Score, strict"), ("sp", "Sp"), ("se", "Se, strict"), ("se2", "Se, lenient"))
        if key in figures
    ]
    meaning = (
        "Sp is the share of normal cycles that are called normal; Score is the mean of Sp and Se, in per cent.",
        STRICT,
        "Intervals are 95 % and over patients, as cycles of one patient resemble each other. "
        + ("± is the deviation over seeds; it says nothing about other patients." if found.seeds > 1 else ""),
        "A cycle without an answer counts as a miss in every figure.",
    )
    return Part(
        "result",
        "The result",
        (
            Cards(tuple(cards)),
            Rows(result_table(case)),
            *_tuned_words(case),
            Lines(meaning),
        ),
    )


def result_table(case: Case) -> Sheet:
    """Returns the scores of the system, of the rule tuned on validation, and of the baselines."""
    found = case.found
    rows = [(case.source.name, *figure_cells(found.figures))]
    if found.tuned:
        rows.append(("decision rule tuned on validation", *figure_cells(found.tuned.figures)))
    rows += baseline_rows(found)
    heading = f"{SYNTHETIC} · Scores in per cent" if case.source.synthetic else "Scores in per cent"
    remarks = (SYNTHETIC_NOTE,) if case.source.synthetic else ()
    return Sheet(heading, ("", *COLUMNS.values()), tuple(rows), remarks, texts=1)


def _interval_words(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "per cent; no interval"
    return f"per cent; 95 % interval {estimate.low:.1f} to {estimate.high:.1f}"


def _tuned_words(case: Case) -> Iterable[Block]:
    if case.found.tuned:
        tuned = case.found.tuned
        biases = ", ".join(f"{bias:+.2f}" for bias in tuned.biases)
        gain = shown(tuned.gain.get("score"))
        yield Words(
            f"The tuned rule adds {biases} to the log-probability of normal, which validation patients chose for their "
            f"Score; on the test part that gains {gain} points of Score.",
            "note",
        )


def classes_part(case: Case) -> Part:
    """Returns the recall of each class and the confusion matrix with counts."""
    found = case.found
    counts = np.array(found.confusion)
    rows = [
        (
            name,
            f"{counts[index].sum():,.0f}",
            shown(found.figures.get(f"recall {name}")),
            *(_or_dash(each.scores.recalls[index]) for each in found.baselines),
        )
        for index, name in enumerate(found.class_names)
    ]
    header = ("class", "cycles", "recall", *(f"baseline: {each.name}" for each in found.baselines))
    return Part(
        "classes",
        "Class by class",
        (
            Rows(Sheet("Recall of each class, in per cent", header, tuple(rows), texts=1)),
            Words("Each row holds the cycles of one true class, each column those that were given one answer."),
            Confusion(counts, found.class_names, _counts(case)),
        ),
    )


def _counts(case: Case) -> str:
    return f"Confusion matrix, {'mean counts over seeds' if case.found.seeds > 1 else 'counts'}"


def two_class_part(case: Case) -> Part:
    """Returns what is said of normal against abnormal, and where it comes from."""
    found = case.found
    if case.four_class:
        origin = (
            f"Read off the answers of a system with {len(found.class_names)} classes: a cycle is abnormal where its "
            "likeliest class is any but normal. A system that is trained on two classes is another one, with another "
            "Sp; it has a report of its own and is never mixed into this table."
        )
    else:
        origin = (
            f"The system was trained on two classes, {found.class_names[0]} and {found.class_names[1]}. These figures "
            "are not those that are read off a system with four classes; the two do not belong in one column."
        )
    names = {"sp": "Sp", "se2": "Se", "score2": "Score"}
    rows = [(case.source.name, *(shown(found.figures.get(name)) for name in names))]
    for each in found.baselines:
        rows.append((f"baseline: {each.name}", *(_or_dash(getattr(each.scores, name)) for name in names)))
    table = Sheet("Normal against abnormal, in per cent", ("", *names.values()), tuple(rows), texts=1)
    return Part("two-classes", "Normal or not", (Words(origin), Rows(table)))


def rules_part(case: Case) -> Part | None:
    """Returns the four rules of selection side by side; nothing where there is no run."""
    if not case.source.rules:
        return None
    rows = []
    for rule, scores in case.source.rules.items():
        figures = [figure([getattr(each, name) for each in scores]) for name in COLUMNS]
        rows.append((rule, f"{len(scores)}", *(DASH if each is None else str(each) for each in figures)))
    header = ("epoch", "seeds", *COLUMNS.values())
    rows += [(f"baseline: {each.name}", DASH, *score_cells(each.scores)) for each in case.found.baselines]
    said = (
        "The same runs under every rule that is in use for choosing the epoch. Patients who were set aside choose the "
        "headline. “Best on test” is the convention of much of the literature: it lets the test patients choose, so it "
        "flatters, and it is here only to be compared with that."
    )
    title = "Scores in per cent; mean and deviation over seeds" if case.found.seeds > 1 else "Scores in per cent"
    return Part("rules", "Which epoch?", (Words(said), Rows(Sheet(title, header, tuple(rows), texts=1))))


def subgroups_part(case: Case) -> Part:
    """Returns a table for each kind of subgroup, groups of few patients grey, and how recordings differ."""
    said = (
        f"Groups of fewer than five patients are grey and marked {FEW_MARK}: read nothing into them. The worst group "
        "is that of the least Score among the others. Always normal scores 50 in each group with both kinds of cycles."
    )
    blocks: list[Block] = [Words(said)]
    for kind in case.found.subgroups:
        rows = [
            (
                f"{group.name} {FEW_MARK}" if group.few else group.name,
                f"{group.cycles:,}",
                f"{group.patients:,}",
                *figure_cells(group.figures)[:-1],
            )
            for group in kind.groups
        ]
        quiet = frozenset(place for place, group in enumerate(kind.groups) if group.few)
        for each in case.found.baselines:  # of always normal they hold in every group, of a lookup for all together
            whose = "" if each.name == FLOOR else ", all cycles"
            rows.append((f"baseline: {each.name}{whose}", DASH, DASH, *score_cells(each.scores)[:-1]))
        remarks = (
            [f"Worst group: {kind.worst}."] if kind.worst else ["Too few groups of five patients to name a worst."]
        )
        remarks += [f"{kind.unknown:,} cycles of no known {kind.by}."] if kind.unknown else []
        header = (kind.by, "cycles", "patients", *list(COLUMNS.values())[:-1])
        blocks.append(Rows(Sheet(f"By {kind.by}, in per cent", header, tuple(rows), tuple(remarks), texts=1), quiet))
    for spread in case.found.spreads:
        names = ("least", "10 %", "25 %", "half", "75 %", "90 %", "most")
        cells = (f"{spread.by} ({spread.units:,})", *(f"{value:.0f}" for value in spread.quantiles))
        worst = ", ".join(f"{unit.name} {unit.correct:.0f} of {unit.cycles} cycles" for unit in spread.worst[:5])
        remarks = (f"Least, of those with five cycles or more (per cent of their number): {worst}.",) if worst else ()
        title = f"Cycles given their exact class, in per cent of each {spread.by}'s: quantiles"
        blocks.append(Rows(Sheet(title, ("", *names), (cells,), remarks, texts=1)))
    return Part("subgroups", "Who it works for", tuple(blocks))


def data_part(case: Case) -> Part:
    """Returns what was tested on: sizes, the split and its hash, who is on both sides, what could not be said."""
    found, split = case.found, case.source.split
    items = [
        (
            f"{found.cycles:,} labelled cycles of {found.patients:,} patients, who are worth "
            f"{found.effective_patients:.0f} of equal numbers of cycles"
        ),
        f"{found.recordings:,} recordings" if found.recordings else "recordings are not named in the file",
    ]
    items += [f"{found.unlabelled:,} cycles without a label, not looked at"] if found.unlabelled else []
    if any(found.silent):
        items.append(f"without an answer, a miss in every figure: {', '.join(map(str, found.silent))} cycles")
    blocks: list[Block] = [Lines(tuple(items)), Words(split_words(split), "" if split else "note")]
    blocks += [Words(note, "note") for note in (*case.source.notes, *found.notes)]
    return Part("data", "Cycles, patients, split", tuple(blocks))


def split_words(split: Mapping[str, object]) -> str:
    """Returns what is known of the split, in sentences; who is on both sides only where the run kept it."""
    if not split:
        return "The split is not known: who is in training has to be stated by whoever made these predictions."
    name, hashed, shared = (split.get(key) for key in ("name", "sha256", "shared_patients"))
    words = f"Split {name or 'as the table gives it'}"
    words += (
        f", SHA-256 {hashed} of its sorted (cycle id, part) list."
        if hashed
        else "; this run kept neither its hash nor who is on both sides."
    )
    if isinstance(shared, Sequence) and shared:
        words += (
            f" It is NOT disjoint by patients: {', '.join(map(str, shared))} are in training and in the test part, so "
            "figures flatter; the split official-clean leaves them out of training."
        )
    elif shared is not None:
        words += " No patient is on two sides of it; this was checked."
    return words
