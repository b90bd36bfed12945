"""Trains every system for two epochs and writes the paper's tables into docs/results.md: a functional check.

    python benchmarks/paper.py --data icbhi:ICBHI_FOLDER

What is there under RUNS is not trained again, so it may be stopped and called anew. `make paper-small` does it.
"""

import argparse
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

from lung_srad.config import Preset, load_preset, preset_names
from lung_srad.datasets import Dataset, open_dataset
from lung_srad.evaluation import Table
from lung_srad.evaluation.selection import VALIDATION
from lung_srad.literature import load_ensemble
from lung_srad.preset_files import ensemble_names
from lung_srad.runs import RunFolder, machine_line
from lung_srad.training import paper_presets, paper_tables, results_table, run_grid
from parts import write_part

PAPER = "<!-- what follows: make paper-small -->"
PROFILE, SEEDS = "small", (1, 2)
MEMBERS = (1, 2, 3, 4, 5)  # seeds of a system that an ensemble is of
CHANGES = ("training.epochs=2", "training.refit=false")
PAGE = """\
## Every system for two epochs: a functional check, not a comparison of methods

Made {date} by `make paper-small DATA=PATH` at {machine}; {minutes:.0f} minutes of training and scoring. Runs at commit
{commits}.

That each system trains, is scored and finds its row, and nothing else: networks of at most two million parameters, from
random weights, two epochs of run A, two seeds (five of what an ensemble is made of), {train} training and {test} test
cycles of ICBHI's official split. No figure here says anything of a method. Calling everything normal scores 50.

{tables}
Systems that stand in no table of four classes:

{others}"""


def presets() -> list[Preset]:
    """Returns every shipped preset, small and for two epochs."""
    return [load_preset(name, profile=PROFILE, overrides=CHANGES) for name in preset_names()]


def work() -> dict[tuple[int, ...], list[Preset]]:
    """Returns the presets to train with each choice of seeds."""
    members = {load_ensemble(name).members for name in ensemble_names()}
    return {SEEDS: presets(), MEMBERS[len(SEEDS) :]: [preset for preset in presets() if preset.name in members]}


def page(runs: Sequence[RunFolder], data: Dataset) -> str:
    """Returns this part of the page."""
    systems = paper_presets(profile=PROFILE, overrides=CHANGES)
    tables = paper_tables(runs, systems, MEMBERS)
    others = results_table([run for run in runs if run.config().name not in systems])
    rows = tuple(row for row in others.rows if row.rule == VALIDATION or "printed" in row.rule)
    timing = [entry for run in runs for entry in run.select.read_timing()]
    return PAGE.format(
        date=datetime.date.today(),
        machine=machine_line(),
        minutes=sum(entry["train_s"] + entry["score_s"] for entry in timing) / 60,
        commits=", ".join(sorted({run.facts()["commit"] for run in runs})),
        train=len(data.cycles("train")),
        test=len(data.cycles("test")),
        tables="\n".join(table.sheet.markdown() for table in tables),
        others=Table(rows, title=others.title, notes=others.notes).markdown(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/paper-small"))
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    args = parser.parse_args()
    data, runs, failed = open_dataset(args.data), [], False
    for seeds, systems in work().items():
        for outcome in run_grid(systems, seeds, data, out=args.runs, start_from="random", resume=True):
            print(f"{outcome.folder.path}: {outcome.state} {outcome.error}", flush=True)
            failed |= not outcome.folder.finished
            runs.append(outcome.folder)
    if failed:
        sys.exit("error: not every run is finished; mend what is named above and call it again")
    write_part(args.out, PAPER, page(runs, data))
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
