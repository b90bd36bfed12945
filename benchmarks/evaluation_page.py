"""Writes what honest evaluation shows on a part of ICBHI into docs/results.md, and the sentence for the README.

    python benchmarks/evaluation_page.py --commands --icbhi I --sprsound P   # prints the commands of all runs
    python benchmarks/evaluation_page.py                                     # gathers what is in runs/evaluation

`make evaluation` does both. Every command goes on where it was stopped, and skips what is done. How much the choice
on the test part flatters is measured over every finished run on real recordings below `--runs` and `--more`.
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lung_srad.evaluation import Estimate, Settings, Sheet, patient_intervals, read_predictions
from lung_srad.evaluation.intervals import RESAMPLES, Statistic, difference_of, drawn, estimate, mean_of
from lung_srad.evaluation.patients import labelled, rates
from lung_srad.evaluation.selection import TEST
from lung_srad.reports import Source, comparison_sheet, make_case, read_source, tables
from lung_srad.reports.parts import result_table
from lung_srad.reports.sources import headline
from lung_srad.runs import RunFolder, machine_line
from lung_srad.training import find_runs, results_table
from parts import write_part

HERE = "<!-- what follows: python benchmarks/evaluation_page.py -->"
NOTHING = "Nothing here yet: the runs are not made.\n"
SYSTEMS = ("dass_finetuning", "lung_srad")
FINE_TUNING, OURS = (f"{name}-small" for name in SYSTEMS)
DEVICES = ("AKGC417L", "Litt3200", "Meditron")  # LittC2SE has three patients here: nothing can be read from them
SHORT = "--profile small --no-refit --set training.epochs=6"
EXTERNAL = "icbhi_on_sprsound"
HEAD = """\
## Numbers with patients as the unit

Gathered by `python benchmarks/evaluation_page.py` at {machine}; runs at commit {commits}.

All runs: `dass_tiny`, `--profile small` from random weights, on the part of ICBHI 2017 of this page's first sections;
the epoch that validation patients chose. Intervals are 95 % over test patients, paired in differences;
docs/evaluation.md says how they are made. The commands of every figure, in this order (`make evaluation` runs them):

```
{commands}
```
"""
COMPARISON = """### Lung-SRAD against fine-tuning, three seeds

By `lung-srad compare`. Figures are means over seeds first; ± is the deviation over seeds.
"""
RULES = """### The same runs under every rule of selection
"""
DEVICE = """### One device left out

Fine-tuning, one seed: trained on patients who were never recorded with the device, tested on everything that was
recorded with it. Always normal scores 50.
"""
ABROAD = """### External validation: SPRSound

Seed 1 of fine-tuning on the part of ICBHI answers for all events of SPRSound (children, another stethoscope), without
retraining; the classes are matched by name. The whole report is made by the command above.
"""
FLATTERY = """### What the choice on the test part flatters

Of each finished run on real recordings, the Score at the epoch that is best on the test part (guard: Se above 5 %)
less that at the epoch that validation patients chose, on the same test patients; the mean over runs. The interval draws
patients anew for all runs together, the chosen epochs as they are.
"""


def commands(runs: str, icbhi: str, sprsound: str) -> list[str]:
    """Returns the commands that make every run, prediction and report."""
    out, data = shlex.quote(runs), shlex.quote(f"icbhi:{icbhi}")
    seed1 = shlex.quote(f"{runs}/{FINE_TUNING}/seed1")
    lines = [f"lung-srad train {' '.join(SYSTEMS)} {SHORT} --data {data} --seeds 1-3 --resume --out {out}"]
    lines += [
        f"lung-srad train {SYSTEMS[0]} {SHORT} --data {data} --split lodo-{device} --seeds 1 --resume --out {out}"
        for device in DEVICES
    ]
    target, folder = shlex.quote(f"{runs}/{EXTERNAL}.csv"), shlex.quote(f"{runs}/{EXTERNAL}")
    abroad = shlex.quote(f"sprsound:{sprsound}")
    lines.append(f"lung-srad evaluate {seed1} --data {abroad} --part all --out {target} --report {folder}")
    systems = [shlex.quote(f"{runs}/{name}") for name in (FINE_TUNING, OURS)]
    lines += [f"lung-srad report {system}" for system in systems]
    return [*lines, f"lung-srad compare {' '.join(systems)}"]


def comparison(root: Path) -> str:
    """Returns the comparison of the two systems."""
    found = [read_source([root / name]) for name in (FINE_TUNING, OURS) if finished(root / name)]
    return comparison_sheet(found).markdown() if len(found) == 2 else NOTHING


def rules(root: Path) -> str:
    """Returns both systems under every rule."""
    found = [run for name in (FINE_TUNING, OURS) for run in finished(root / name)]
    return results_table(found).markdown() if found else NOTHING


def finished(folder: Path) -> list[RunFolder]:
    """Returns the finished runs at or below a folder; none where there is no folder."""
    return [run for run in find_runs([folder]) if run.finished] if folder.is_dir() else []


def devices(root: Path) -> str:
    """Returns what each device scores that was left out of training."""
    rows = []
    for device in DEVICES:
        for run in finished(root / f"{FINE_TUNING}-lodo-{device}"):
            given, split = headline(run), run.facts()["split"]
            figures = patient_intervals([given], normal=run.facts()["normal"])
            sizes = (f"{split['patients'][part]} / {split['cycles'][part]:,}" for part in ("train", "test"))
            shown = (str(figures[name]) for name in ("sp", "se", "score", "score2"))
            rows.append((device, *sizes, *shown, split["sha256"][:12]))
    header = ("device left out", "trained: patients / cycles", "tested: patients / cycles", "Sp", "Se", "Score")
    header += ("2-class Score", "split sha256")
    return Sheet("", header, tuple(rows), texts=1).markdown() if rows else NOTHING


def abroad(root: Path) -> str:
    """Returns the scores on SPRSound with the confusion matrix."""
    path = root / f"{EXTERNAL}.csv"
    if not path.is_file():
        return NOTHING
    case = make_case(Source("DASS fine-tuning on SPRSound", (read_predictions(path),)), settings=Settings())
    sites = [sheet for sheet in tables(case) if sheet.header[0] == "site"]
    return "\n".join(sheet.markdown() for sheet in (result_table(case), *tables(case)[:1], *sites))


def flattery(runs: Sequence[RunFolder]) -> tuple[int, int, Estimate] | None:
    """Returns over how many runs and patients, and the mean of best-on-test less headline; None without any run.

    A run counts if both rules chose one epoch and its recordings are real.
    """
    pairs = []
    for run in runs:
        chosen = {rule["rule"]: rule["epochs"] for rule in run.result()["rules"]}
        has_headline = any(rule["headline"] and rule["epochs"] for rule in run.result()["rules"])
        if not run.synthetic and has_headline and len(chosen[TEST]) == 1:
            best = run.headline.read_predictions(chosen[TEST][0], "test")
            name, normal = run.facts()["data"]["name"], run.facts()["normal"]
            pairs.append((name, normal, labelled([best], normal=normal), labelled([headline(run)], normal=normal)))
    if not pairs:
        return None
    people = sorted({(name, who) for name, _, best, _ in pairs for who in best.patients.tolist()})
    place = {who: index for index, who in enumerate(people)}
    differences = []
    for name, normal, *both in pairs:
        rows = [place[name, who] for who in both[0].patients.tolist()]
        ours, theirs = (_score(each.counts(), rows, len(people), normal) for each in both)
        differences.append(difference_of(ours, theirs))
    found = estimate(mean_of(differences), drawn(len(people), RESAMPLES, 0), share=False)
    return None if found is None else (len(pairs), len(people), found)


def _score(counts: np.ndarray, rows: Sequence[int], people: int, normal: int) -> Statistic:
    """Returns the Score as a figure of all patients, of whom a run's own count."""
    every = np.zeros((people, *counts.shape[1:]))
    every[rows] = counts
    return rates(every, normal)["score"]


def sentence(found: tuple[int, int, Estimate] | None) -> str:
    """Returns how much the choice on the test part flatters, as the README says it."""
    if found is None:
        return NOTHING.strip()
    runs, patients, points = found
    ends = "no interval" if points.low is None else f"95 % interval over patients {points.low:.1f} to {points.high:.1f}"
    return (
        f"On the data at hand, choosing the epoch on the test part flatters by {points.value:.1f} points of Score "
        f"({ends}; {runs} runs, {patients} test patients)."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", action="store_true", help="print the commands instead")
    parser.add_argument("--icbhi", default="ICBHI", help="where the recordings are")
    parser.add_argument("--sprsound", default="SPRSOUND", help="where the children's recordings are")
    parser.add_argument("--runs", type=Path, default=Path("runs/evaluation"))
    parser.add_argument(
        "--more",
        type=Path,
        nargs="*",
        default=[Path("runs/transfer")],
        help="further runs that the last section counts",
    )
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    args = parser.parse_args()
    if args.commands:
        print("\n".join(commands(str(args.runs), args.icbhi, args.sprsound)))
        return
    every = [run for folder in (args.runs, *args.more) for run in finished(folder)]
    said = sentence(flattery(every))
    page = HEAD.format(
        machine=machine_line(),
        commits=", ".join(sorted({run.facts().get("commit", "unknown") for run in finished(args.runs)})) or "none yet",
        commands="\n".join(commands("runs/evaluation", "ICBHI", "SPRSOUND")),
    )
    for text, write in ((COMPARISON, comparison), (RULES, rules), (DEVICE, devices), (ABROAD, abroad)):
        page += f"\n{text}\n{write(args.runs)}"
    page += f"\n{FLATTERY}\n{said}\n"
    write_part(args.out, HERE, page)
    print(f"wrote {args.out}; for the README:\n{said}")


if __name__ == "__main__":
    main()
