"""Writes benchmarks/statistics.md: whether the intervals cover, the test errs as often as it says, and how fast it is.

    python benchmarks/intervals.py [--files N] [--pairs N] [--seed N]

Nothing but numpy and simulated answers, see simulated_answers.py; `make statistics` does it.
"""

import argparse
import datetime
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lung_srad.evaluation import Predictions, evaluate_predictions, patient_intervals, score_predictions
from lung_srad.evaluation.calibration import ece_interval, expected_calibration_error
from lung_srad.evaluation.compare import patient_differences, sign_flip
from lung_srad.evaluation.intervals import DEFAULT, METHODS, PERCENTILE, Statistic, drawn, interval, sample
from lung_srad.evaluation.patients import FIGURES, Labelled, rates, ratio
from lung_srad.evaluation.ranking import Ranked, auroc, average_precision, sensitivity_at
from simulated_answers import COUNTS, TRUTH, Patients, answered, scored, true_ranking
from timing import say

DEVIATIONS = (0.5, 1.0)  # of patients' effects, in logits
RESAMPLES, CURVE_RESAMPLES = 2_000, 500
FEW = 10  # patients, as in a subgroup
CURVE_FILES = 5  # one of so many files has its curves resampled, which takes the most time
CYCLES = "cycles, not patients"
Hits = dict[tuple[str, str], list[tuple[bool, float]]]  # method, figure -> covered, half-width
PAGE = """\
# Intervals and tests over patients

Made {date} by `{command}` in {minutes:.1f} minutes, at {machine}. Seed {seed}.

Simulated answers, no audio: {files} files for each deviation of the patients' effects. Each file holds 49 patients
drawn with replacement, with their cycles, from the 49 of ICBHI's official test part; a patient has one effect on the
logit of getting a normal cycle right, and one for abnormal cycles. The truth is that of infinitely many such patients:
Sp 79.5, Se 49.4, Score 64.45. An interval that covers 95 times of 100 is seen within {margin:.1f} points of that in so
many files, 19 times of 20.

## Coverage

How often the 95 % interval holds the truth, in per cent, and its mean half-width in points. {resamples} resamples per
file. **{default}** is the default.

{coverage}
Asked: 92 to 97 for the default, Score. {verdict}

As many as in a subgroup, {few} patients drawn in the same way:

{subgroups}
## Areas, calibration, points of a curve

The same patients, another kind of answer: the probability of *abnormal* is a function of the patient's effect plus
noise, and the truth is a sum over a fine grid. Curves (AUPRC, Se at Sp 90) were resampled in every {curve_files}th
file, {curve_resamples} times.

{ranking}
ECE is an absolute value and so is too high in any sample, and higher in a resample: its interval in the lower rows is
not bootstrap-t but one of its own, see `evaluation/calibration.py` and DECISIONS: ece.

## The permutation test

Two systems of equal skill on the same patients, {pairs} pairs for each deviation of what a patient does to one system
alone (the effect that both share has deviation 1.0); how often p < 0.05, in per cent. Asked: 3.5 to 6.5.

{permutation}
## Against slow loops

{slow}
## Time

{times}"""


def table(head: list[str], lines: list[list[str]]) -> str:
    """Returns a table in Markdown. (That of page.py would bring torch, which nothing here needs.)"""
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows]) + "\n"


def over_cycles(given: Labelled, generator: np.random.Generator) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yields the percentile intervals of cycles drawn with replacement: what must not be done."""
    healthy, right = given.label == 0, given.predicted[0] == given.label
    cells = [np.sum(mask) for mask in (healthy & right, healthy & ~right, ~healthy & right, ~healthy & ~right)]
    drawn_cells = generator.multinomial(len(right), np.array(cells) / len(right), size=RESAMPLES)
    sp = 100 * drawn_cells[:, 0] / drawn_cells[:, :2].sum(1)
    se = 100 * drawn_cells[:, 2] / drawn_cells[:, 2:].sum(1)
    for name, values in (("sp", sp), ("se", se), ("score", (sp + se) / 2)):
        yield name, tuple(np.quantile(values, (0.025, 0.975)).tolist())


def coverage(deviation: float, files: int, seed: int, patients: int = len(COUNTS)) -> Hits:
    """Returns what the intervals of simulated files hold."""
    hits: Hits = {}
    for index in range(files):
        generator = np.random.default_rng((seed, index, int(10 * deviation), patients))
        given = answered(generator, Patients.drawn(generator, deviation, patients), deviation)
        weights = drawn(len(given.patients), RESAMPLES, index)
        found = rates(given.counts(), 0)
        ends = [(CYCLES, name, each) for name, each in over_cycles(given, generator)]
        for name in TRUTH:
            resampled = sample(found[name], weights)
            ends += [(method, name, interval(resampled, method=method)) for method in METHODS]
        note(hits, ends, TRUTH)
        if index % 100 == 99:
            say(f"coverage, {patients} patients, deviation {deviation}: {index + 1} of {files} files")
    return hits


def note(hits: Hits, ends: list[tuple[str, str, tuple[float, float] | None]], truth: dict[str, float]) -> None:
    """Adds whether each interval holds the truth, and its half-width; ten patients may have none."""
    for method, name, between in ends:
        if between is not None:
            low, high = between
            hits.setdefault((method, name), []).append((low <= truth[name] <= high, (high - low) / 2))


def cell(found: list[tuple[bool, float]]) -> str:
    covered, half = np.mean(found, axis=0)
    return f"{100 * covered:.1f} (±{half:.1f})"


def ranking_coverage(deviation: float, files: int, seed: int) -> Hits:
    """Returns what the intervals of areas, calibration and curves hold."""
    hits: Hits = {}
    truth = true_ranking(deviation)
    for index in range(files):
        generator = np.random.default_rng((seed, index, int(10 * deviation), 1))
        given = scored(generator, Patients.drawn(generator, deviation))
        weights = drawn(len(given.patients), RESAMPLES, index)
        ends = []
        for name, (statistic, share) in ranking_figures(given, curves=index % CURVE_FILES == 0).items():
            few = CURVE_RESAMPLES if name in ("AUPRC", "Se at Sp 90") else RESAMPLES
            resampled = sample(statistic, weights[:few])
            ends.append((PERCENTILE, name, interval(resampled, method=PERCENTILE)))
            ends.append((DEFAULT, name, ece_interval(resampled) if name == "ECE" else interval(resampled, share=share)))
        note(hits, ends, truth)
        if index % 100 == 99:
            say(f"areas and calibration, deviation {deviation}: {index + 1} of {files} files")
    return hits


def ranking_figures(given: Labelled, *, curves: bool) -> dict[str, tuple[Statistic, bool]]:
    """Returns the figures of abnormal, and whether each is a share."""
    present, p = given.label > 0, given.probabilities[0, :, 1]
    patients = len(given.patients)
    ranked = Ranked(present, p, given.owner, patients)
    sums = [
        np.bincount(given.owner, weights=each, minlength=patients) for each in ((p - present) ** 2, np.ones(len(p)))
    ]
    found = {
        "AUROC": (auroc(ranked), True),
        "Brier": (ratio(*sums), False),
        "ECE": (expected_calibration_error(p, present, given.owner, patients), False),
    }
    if curves:
        found |= {"AUPRC": (average_precision(ranked), True), "Se at Sp 90": (sensitivity_at(ranked, 90), True)}
    return found


def null_pairs(apart: float, pairs: int, seed: int) -> float:
    """Returns how often two equal systems are told apart at 5 %, in per cent."""
    found = 0
    for index in range(pairs):
        generator = np.random.default_rng((seed, index, int(10 * apart), 2))
        patients = Patients.drawn(generator, 1.0)
        both = [answered(generator, patients, 1.0, apart) for _ in range(2)]
        found += sign_flip(patient_differences(*both), permutations=RESAMPLES, seed=index) < 0.05
        if index % 500 == 499:
            say(f"null pairs, deviation {apart}: {index + 1} of {pairs}")
    return 100 * found / pairs


def as_file(given: Labelled, prefix: str = "") -> Predictions:
    """Returns a predictions file with those answers, eight recordings for each patient."""
    number = len(given.label)
    ids = [f"{prefix}{index}" for index in range(number)]
    owner = np.array([f"{prefix}{name}" for name in given.patients[given.owner]])
    recordings = [f"{who}_{index % 8}" for index, who in enumerate(owner)]
    devices, sites = (
        np.array(names)[np.arange(number) % len(names)] for names in (("A", "B", "C"), ("Al", "Ar", "Tc"))
    )
    times = np.zeros(number), 0.5 + np.arange(number) % 7
    texts = ids, recordings, owner, devices, sites, ["test"] * number
    return Predictions(given.class_names, *texts, *times, given.label, given.probabilities[0])


def slow_draws(given: Labelled, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the figures of resamples the long way: their cycles put side by side and scored."""
    own = [np.flatnonzero(given.owner == index) for index in range(len(given.patients))]
    found = []
    for times in weights.astype(int):
        rows = np.concatenate([np.tile(own[index], count) for index, count in enumerate(times) if count])
        scores = score_predictions(given.label[rows], given.predicted[0, rows], num_classes=4)
        found.append([getattr(scores, name) for name in FIGURES])
    return np.array(found, dtype=np.float64)


def slow_ranking(given: Labelled, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the AUROC of resamples by ranks of all their cycles."""
    own = [np.flatnonzero(given.owner == index) for index in range(len(given.patients))]
    found = []
    for times in weights.astype(int):
        rows = np.concatenate([np.tile(own[index], count) for index, count in enumerate(times) if count])
        present, p = given.label[rows] > 0, given.probabilities[0, rows, 1]
        _, place, number = np.unique(p, return_inverse=True, return_counts=True)
        ranks = (number.cumsum() - (number - 1) / 2)[place]
        up = int(present.sum())
        found.append(100 * (ranks[present].sum() - up * (up + 1) / 2) / (up * (len(p) - up)))
    return np.array(found)


def against_slow(seed: int) -> list[list[str]]:
    """Returns how far the fast intervals are from those of loops, in points."""
    generator = np.random.default_rng(seed)
    patients = Patients.drawn(generator, 1.0)
    given, probabilistic = answered(generator, patients, 1.0), scored(generator, patients)
    file, lines = as_file(given), []
    say("slow loops")
    for which, draws, first in (
        ("all six figures, the same draws", 10_000, 0),
        ("Score, draws of their own", 40_000, 1),
    ):
        weights = drawn(len(given.patients), draws, first)
        slow = np.quantile(slow_draws(given, weights), (0.025, 0.975), axis=0).T
        fast = patient_intervals([file], resamples=draws, method=PERCENTILE)
        ends = np.array([[fast[each].low, fast[each].high] for each in FIGURES])
        apart = np.abs(ends - slow).max(1)
        apart = apart.max() if first == 0 else apart[FIGURES.index("score")]
        lines.append([f"percentile interval of {which}", str(draws), f"{apart:.4f}"])
    weights = drawn(len(given.patients), 1_000, 0)
    ranked = Ranked(probabilistic.label > 0, probabilistic.probabilities[0, :, 1], patients.owner, len(given.patients))
    apart = np.abs(sample(auroc(ranked), weights).values - slow_ranking(probabilistic, weights)).max()
    lines.append(["AUROC of each resample, by ranks of all its cycles", "1000", f"{apart:.4f}"])
    error = sample(rates(given.counts(), 0)["score"], weights).error
    lines.append(["standard error of Score, by the jackknife", "49", f"{abs(error - jackknife(given)):.4f}"])
    return lines


def jackknife(given: Labelled) -> float:
    """Returns the standard error of Score from leaving out each patient in turn."""
    patients = len(given.patients)
    values = slow_draws(given, 1 - np.eye(patients))[:, FIGURES.index("score")]
    return float(np.sqrt((patients - 1) / patients * ((values - values.mean()) ** 2).sum()))


def timed(seed: int) -> list[list[str]]:
    """Returns how long whole assessments take."""
    generator = np.random.default_rng(seed)
    lines = []
    for seeds in (1, 3):
        whole = Patients.whole(generator, 0.7)
        test = [as_file(scored(generator, whole)) for _ in range(seeds)]
        other = Patients.drawn(generator, 0.7, 20)
        validation = [as_file(scored(generator, other), "v") for _ in range(seeds)]
        facts = {name: {"sex": "FM"[index % 2]} for index, name in enumerate(dict.fromkeys(test[0].patient.tolist()))}
        train = (validation[0].device, validation[0].site, validation[0].label)
        wall, processor = time.perf_counter(), time.process_time()
        evaluate_predictions(test, validation=validation, facts=facts, train=train)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        lines.append([f"everything, {len(test[0])} cycles, {seeds} seed(s)", f"{wall:.1f}", f"{processor:.1f}"])
        say(f"an assessment of {seeds} seed(s): {wall:.1f} s, {processor:.1f} s of processor")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500, help="simulated files for each deviation")
    parser.add_argument("--pairs", type=int, default=2_000, help="null pairs for each deviation")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("statistics.md"))
    args = parser.parse_args()
    start = time.perf_counter()
    times = timed(args.seed)
    slow = against_slow(args.seed)
    hits = {deviation: coverage(deviation, args.files, args.seed) for deviation in DEVIATIONS}
    few = {deviation: coverage(deviation, args.files, args.seed, FEW) for deviation in DEVIATIONS}
    rankings = {deviation: ranking_coverage(deviation, args.files, args.seed) for deviation in DEVIATIONS}
    errors = [[str(apart), f"{null_pairs(apart, args.pairs, args.seed):.2f}"] for apart in DEVIATIONS]
    default = [100 * float(np.mean([hit for hit, _ in hits[each][DEFAULT, "score"]])) for each in DEVIATIONS]
    from lung_srad.runs import machine_line  # torch, which takes long

    page = PAGE.format(
        date=datetime.date.today().isoformat(),
        command="make statistics",
        minutes=(time.perf_counter() - start) / 60,
        machine=machine_line(),
        seed=args.seed,
        files=args.files,
        margin=196 * (0.95 * 0.05 / args.files) ** 0.5,
        resamples=RESAMPLES,
        default=DEFAULT,
        coverage=coverage_table(hits, (*METHODS, CYCLES), list(TRUTH)),
        few=FEW,
        subgroups=coverage_table(few, (*METHODS, CYCLES), list(TRUTH)),
        verdict="Reached." if all(92 <= each <= 97 for each in default) else "Not reached.",
        curve_files=CURVE_FILES,
        curve_resamples=CURVE_RESAMPLES,
        ranking=coverage_table(rankings, (PERCENTILE, DEFAULT), list(true_ranking(1.0))),
        pairs=args.pairs,
        permutation=table(["deviation of the system's own effect", "p < 0.05, %"], errors),
        slow=table(["what", "resamples", "greatest difference, points"], slow),
        times=table(["what", "seconds on the wall", "seconds of processor"], times),
    )
    args.out.write_text(page, encoding="utf-8")
    say(f"wrote {args.out}")


def coverage_table(hits: dict[float, Hits], methods: tuple[str, ...], names: list[str]) -> str:
    """Returns a row for each deviation and method, a column for each figure."""
    titles = {"sp": "Sp", "se": "Se", "score": "Score"}
    lines = [
        [
            str(deviation),
            f"**{method}**" if method == DEFAULT else method,
            *(cell(found[method, name]) for name in names),
        ]
        for deviation, found in hits.items()
        for method in methods
    ]
    return table(["deviation", "interval", *(titles.get(name, name) for name in names)], lines)


if __name__ == "__main__":
    main()
