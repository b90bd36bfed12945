"""Writes what children's recordings and other starts than random weights show into docs/results.md.

    python benchmarks/transfer.py --commands --simulated S --sprsound P --icbhi I    # prints the commands of all runs
    python benchmarks/transfer.py                                                    # gathers what is in runs/transfer

`make transfer` does both. Every command goes on where it was stopped, and skips what is done.
"""

import argparse
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from lung_srad.evaluation import Predictions, Table, paired_difference, patient_intervals, read_predictions
from lung_srad.evaluation.selection import VALIDATION
from lung_srad.runs import RunFolder, machine_line
from lung_srad.training import find_runs, results_table
from parts import write_part
from transfer_page import CHILDREN, HEAD, HERE, NOTHING, REAL, ZERO, areas, grid

EVENTS = (  # 19 of 20 events of SPRSound are shorter than 2.4 s
    "backbone.seconds=2.0",
    "backbone.frames=64",
    "training.epochs=8",
    "optimizer.learning_rate=5e-3",
)
HALF = ("training.epochs=6",)  # a better start shows in fewer epochs or not at all
FINE_TUNING, SYSTEMS = "dass_finetuning", ("dass_finetuning", "dass_smoothing", "lung_srad")
NAMES = dict(zip(SYSTEMS, ("DASS fine-tuning", "+ smoothing", "Lung-SRAD"), strict=True))
STARTS = {"scratch": "random weights", "simulated": "simulated pretraining", "sprsound": "SPRSound pretraining"}


@dataclass(frozen=True)
class Experiment:
    """Runs of one command: systems on a corpus, from random weights or from seed 1 of another experiment."""

    systems: tuple[str, ...]
    data: str
    start: str = ""
    seeds: str = "1-3"
    settings: tuple[str, ...] = ()  # overrides of `--profile small`


EXPERIMENTS = {  # folder -> what is in it
    "pretraining": Experiment((FINE_TUNING,), "icbhi:SIMULATED", seeds="1"),
    "sprsound/scratch": Experiment(SYSTEMS, "sprsound:SPRSOUND", settings=EVENTS),
    "sprsound/simulated": Experiment(SYSTEMS, "sprsound:SPRSOUND", start="pretraining", settings=EVENTS),
    "icbhi/scratch": Experiment((FINE_TUNING,), "icbhi:ICBHI", settings=HALF),
    "icbhi/simulated": Experiment((FINE_TUNING,), "icbhi:ICBHI", start="pretraining", settings=HALF),
    "icbhi/sprsound": Experiment((FINE_TUNING,), "icbhi:ICBHI", start="sprsound/scratch", settings=HALF),
}
ZERO_SHOT = {  # file -> experiment whose seed 1 answers, corpus
    "simulated_on_icbhi": ("pretraining", "icbhi:ICBHI"),
    "simulated_on_sprsound": ("pretraining", "sprsound:SPRSOUND"),
    "sprsound_on_icbhi": ("sprsound/scratch", "icbhi:ICBHI"),
    "icbhi_on_sprsound": ("icbhi/scratch", "sprsound:SPRSOUND"),
}


def commands(runs: str, places: dict[str, str]) -> list[str]:
    """Returns the commands that make every run and prediction, with the corpora at the given places."""

    def at(data: str) -> str:
        kind, _, place = data.partition(":")
        return shlex.quote(f"{kind}:{places[place]}")

    def first(folder: str) -> str:
        return shlex.quote(f"{runs}/{folder}/{FINE_TUNING}-small/seed1")

    lines = []
    for folder, experiment in EXPERIMENTS.items():
        words = [
            "lung-srad train",
            *experiment.systems,
            "--profile small --no-refit",
            *(f"--set {text}" for text in experiment.settings),
        ]
        words += [f"--data {at(experiment.data)}", f"--seeds {experiment.seeds}"]
        words += [f"--init-from {first(experiment.start)}"] if experiment.start else []
        lines.append(" ".join([*words, f"--resume --out {shlex.quote(f'{runs}/{folder}')}"]))
    for name, (folder, data) in ZERO_SHOT.items():
        target = shlex.quote(f"{runs}/{name}.csv")
        lines.append(f"lung-srad evaluate {first(folder)} --data {at(data)} --part all --out {target}")
    return lines


def finished(folder: Path, system: str) -> list[RunFolder]:
    """Returns the finished seeds of one system in the folder of an experiment."""
    found = sorted(folder.glob(f"{system}-small/seed*"))
    return [run for run in map(RunFolder, found) if run.finished]


def answers(runs: list[RunFolder]) -> list[Predictions]:
    """Returns the headline's predictions on the test part, seed by seed."""
    return [run.headline.read_predictions(run.result()["selected_epoch"], "test") for run in runs]


def commits_of(runs: list[RunFolder]) -> str:
    """Returns the commits at which runs were begun."""
    return ", ".join(sorted({run.facts().get("commit", "unknown") for run in runs})) or "none yet"


def headlines(folders: list[Path]) -> str:
    """Returns the table of the epochs that validation patients chose, and the commits of its runs."""
    runs = find_runs(folders)
    table: Table = results_table(runs)
    chosen = replace(table, rows=tuple(row for row in table.rows if row.rule == VALIDATION)).markdown()
    return f"Runs at commit {commits_of([run for run in runs if run.finished])}.\n\n{chosen}"


def differences(pairs: dict[str, tuple[list[RunFolder], list[RunFolder]]]) -> str:
    """Returns the table of first minus second, seeds that both have, on the same patients."""
    rows = []
    for name, (first, second) in pairs.items():
        seeds = {run.path.name for run in first} & {run.path.name for run in second}
        both = [answers([run for run in runs if run.path.name in seeds]) for runs in (first, second)]
        if seeds:
            found = paired_difference(*both)
            rows.append((name, str(len(seeds)), *(f"{found[what]}" for what in ("score", "sp", "se", "score2"))))
    return grid(("difference, points", "seeds", "Score", "Sp", "Se", "2-class Score"), rows)


def children(root: Path) -> str:
    """Returns the section on SPRSound."""
    found = {(start, name): finished(root / "sprsound" / start, name) for start in STARTS for name in SYSTEMS}
    found = {key: runs for key, runs in found.items() if runs}
    if not found:
        return NOTHING
    pairs = {
        f"{NAMES[name]} minus {NAMES[FINE_TUNING]}, {STARTS[start]}": (runs, found.get((start, FINE_TUNING), []))
        for (start, name), runs in found.items()
        if name != FINE_TUNING
    }
    pairs |= {
        f"{NAMES[name]}, {STARTS[start]} minus {STARTS['scratch']}": (runs, found.get(("scratch", name), []))
        for (start, name), runs in found.items()
        if start != "scratch"
    }
    folders = [root / "sprsound" / start for start in dict.fromkeys(start for start, _ in found)]
    return "\n".join((headlines(folders), differences(pairs), best_of(found)))


def best_of(found: dict[tuple[str, str], list[RunFolder]]) -> str:
    """Returns which system validation children choose, and what it reaches on others, in words."""
    chosen = {key: [run.result()["validation"]["score"] or 0.0 for run in runs] for key, runs in found.items()}
    best = max(chosen, key=lambda key: sum(chosen[key]) / len(chosen[key]))
    score = patient_intervals(answers(found[best]))["score"]
    start, name = best
    verdict = "reached" if score.value >= 80 else "not reached"
    return f"Validation children choose {NAMES[name]} from {STARTS[start]}: Score {score}; asked were 80: {verdict}.\n"


def zero_shot(root: Path) -> str:
    """Returns the section on weights that never saw the corpus that they answer for."""
    files = {name: root / f"{name}.csv" for name in ZERO_SHOT}
    found = {name: read_predictions(path) for name, path in files.items() if path.is_file()}
    if not found:
        return NOTHING
    rows, devices = [], []
    for name, given in found.items():
        weights, corpus = name.split("_on_")
        figures = patient_intervals([given])
        rows.append((weights, corpus, len(given), *(str(figures[what]) for what in ("score", "score2")), *areas(given)))
        for device in sorted(set(given.device)):
            own = given.device == device
            patients = len(set(given.patient[own]))
            devices.append((weights, corpus, device, patients, int(own.sum()), *areas(given, own)))
    heard = ("AUROC abnormal", "crackle", "wheeze")
    whole = grid(("weights from", "scored on", "cycles", "Score", "2-class Score", *heard), rows)
    return f"{whole}\n{grid(('weights from', 'scored on', 'device', 'patients', 'cycles', *heard), devices)}"


def real(root: Path) -> str:
    """Returns the section on training on ICBHI from three starts."""
    found = {start: finished(root / "icbhi" / start, FINE_TUNING) for start in STARTS}
    found = {start: runs for start, runs in found.items() if runs}
    if not found:
        return NOTHING
    pairs = {
        f"{STARTS[start]} minus {STARTS['scratch']}": (runs, found.get("scratch", []))
        for start, runs in found.items()
        if start != "scratch"
    }
    return "\n".join((headlines([root / "icbhi" / start for start in found]), differences(pairs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", action="store_true", help="print the commands instead")
    for place in ("simulated", "sprsound", "icbhi"):
        parser.add_argument(f"--{place}", default=place.upper(), help="where that corpus is")
    parser.add_argument("--runs", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    args = parser.parse_args()
    places = {place.upper(): getattr(args, place) for place in ("simulated", "sprsound", "icbhi")}
    if args.commands:
        print("\n".join(commands(str(args.runs), places)))
        return
    made = "\n".join(commands("runs/transfer", {place: place for place in places}))
    sections = ((CHILDREN, children), (ZERO, zero_shot), (REAL, real))
    runs = [run for folder in EXPERIMENTS for name in SYSTEMS for run in finished(args.runs / folder, name)]
    page = HEAD.format(machine=machine_line(), commits=commits_of(runs), commands=made)
    page += "".join(f"\n{text}\n{write(args.runs)}" for text, write in sections)
    write_part(args.out, HERE, page)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
