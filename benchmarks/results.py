"""Writes docs/results.md from finished runs, beside baselines that hear nothing or little.

    python benchmarks/results.py --data icbhi:ICBHI_FOLDER --runs runs

Under RUNS it looks for runs of `--profile small`: in `full/` those that went to the end of the profile, in `short/`
those of two epochs. The commands that make them stand in the page.
"""

import argparse
import dataclasses
import datetime
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lung_srad.audio import Frontend
from lung_srad.datasets import Cycle, Dataset, FeatureCache, open_dataset, validation_patients
from lung_srad.evaluation import Scores, Table, always_normal, device_site_lookup, measured, score_predictions
from lung_srad.evaluation.selection import VALIDATION
from lung_srad.runs import RunFolder, machine_line
from lung_srad.training import find_runs, results_table
from lung_srad.training.data import cache_folder
from parts import write_part

PAGE = """\
# Results: a functional check

Made {date} by `python benchmarks/results.py --data icbhi:PATH --runs runs`, at {machine}. Runs at commit {commits}.

**This is a functional check, not a comparison of methods.** The data are a part of ICBHI 2017 ({recordings} of 920
recordings, {train} training and {test} test cycles, official split); the model is `dass_tiny` (1.86 M parameters),
trained from random weights for a few epochs (`--profile small`, which also weights the classes and leaves out the half
step of the code reading). The paper's figures are for all recordings and for DASS-medium distilled on AudioSet; they
stand here so that whoever has both can compare.

The official split of this part is a shift of the device: most training cycles are Meditron, many test cycles
Litt3200, of which training has 41. Calling everything normal scores 50; no simple system with honest selection
exceeds that beyond noise, and differences of less than about five points cannot be resolved. Nothing was tuned on the
test part.

## Baselines

{baselines}
## Three systems, to the end of the profile

```
lung-srad train dass_finetuning dass_smoothing lung_srad --profile small --data icbhi:PATH --seeds 1-3 --out runs/full
```

{full}
## Do they learn?

Asked is: the training loss falls by at least 10 %, the balanced accuracy on the training cycles after the last epoch is
at least 40 % (chance: 25), and each class is predicted at least once on the test part at the epoch that validation
patients chose. An early choice may not know the rarest class yet; what is called after the last epoch stands beside it.

| run | training loss, first → last epoch | balanced accuracy, training cycles | test cycles called {classes} \
| the same, last epoch | learns | headline Score |
|---|---|---|---|---|---|---|
{learns}

## All six systems in both readings, two epochs

That each trains from one command. Nothing else is to be read from two epochs of run A alone. {above}

```
lung-srad train dass_finetuning dass_smoothing dass_ast_mix dass_freq_mix dass_time_mix lung_srad \\
    --profile small --set training.epochs=2 --no-refit --data icbhi:PATH --out runs/short
lung-srad train dass_finetuning dass_smoothing dass_ast_mix dass_freq_mix dass_time_mix lung_srad --reading code \\
    --profile small --set training.epochs=2 --no-refit --data icbhi:PATH --out runs/short
```

{short}"""
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
SEEDS = (1, 2, 3)


def labels(cycles: Sequence[Cycle]) -> np.ndarray:
    return np.array([cycle.label for cycle in cycles])


def baselines(data: Dataset) -> Table:
    """Returns always-normal, a device-and-site lookup, and a logistic regression on log-mel statistics."""
    train, test = data.cycles("train"), data.cycles("test")
    count = len(data.class_names)

    def scores(predicted: np.ndarray) -> Scores:
        return score_predictions(labels(test), predicted, num_classes=count, normal=data.normal)

    places = [([c.device for c in part], [c.site for c in part]) for part in (train, test)]
    lookup = device_site_lookup((*places[0], labels(train)), places[1], num_classes=count)
    cache = FeatureCache(cache_folder(), Frontend())
    cache.prepare([*train, *test])
    spectra = {c.id: cache.features(c).numpy() for c in (*train, *test)}
    statistic = {name: np.concatenate([x.mean(0), x.std(0)]) for name, x in spectra.items()}
    regressions = [scores(regression(train, test, statistic, seed, data)) for seed in SEEDS]
    return Table(
        (
            measured("always normal", [scores(always_normal(len(test), normal=data.normal))], rule="-"),
            measured("device and site, no audio", [scores(lookup)], rule="-", cycles=len(train)),
            measured(
                "log-mel statistics, logistic regression", regressions, rule="penalty on validation", cycles=len(train)
            ),
        ),
        title="Baselines, test part, in per cent",
    )


def regression(
    train: Sequence[Cycle], test: Sequence[Cycle], statistic: dict[str, np.ndarray], seed: int, data: Dataset
) -> np.ndarray:
    """Returns the test predictions of a class-balanced logistic regression; validation patients choose its penalty."""
    held = validation_patients(train, seed=seed).patients
    fit, valid = [c for c in train if c.patient not in held], [c for c in train if c.patient in held]

    def predict(penalty: float, seen: Sequence[Cycle], asked: Sequence[Cycle]) -> np.ndarray:
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=penalty, class_weight="balanced", max_iter=5000, random_state=0)
        )
        model.fit(np.stack([statistic[c.id] for c in seen]), labels(seen))
        return model.predict(np.stack([statistic[c.id] for c in asked]))

    def quality(penalty: float) -> float:
        found = predict(penalty, fit, valid)
        return score_predictions(labels(valid), found, num_classes=len(data.class_names), normal=data.normal).score

    return predict(max(PENALTIES, key=quality), train, test)


def learns(run: RunFolder, classes: Sequence[str]) -> str:
    """Returns one row of the table that asks whether a run has learnt anything."""
    result = run.result()
    phase = run.refit if result["headline"] == "refit" else run.select
    lines = [json.loads(line) for line in (phase.path / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    epochs = sorted({line["epoch"] for line in steps})
    first, last = (statistics.fmean(s["loss"] for s in steps if s["epoch"] == e) for e in (epochs[0], epochs[-1]))
    called = (phase.read_predictions(epoch, "test").predicted for epoch in (result["selected_epoch"], epochs[-1]))
    chosen, at_last = (np.bincount(answers[answers >= 0], minlength=len(classes)) for answers in called)
    balanced = result["train_last_epoch"]["balanced_accuracy"]
    headline = next(rule["scores"] for rule in result["rules"] if rule["headline"])
    score = result["rules"][0]["scores"]["score"] if headline is None else headline["score"]
    fall = 100 * (1 - last / first)
    yes = fall >= 10 and balanced >= 40 and chosen.min() > 0
    name = f"{run.path.parent.name}, {run.path.name}"
    cells = [name, f"{first:.3f} → {last:.3f} (−{fall:.0f} %)", f"{balanced:.1f}"]
    cells += [" / ".join(map(str, counts)) for counts in (chosen, at_last)]
    verdict = f"{score:.2f}, {'above' if score > 50 else 'not above'} 50"
    return f"| {' | '.join(cells)} | {'yes' if yes else '**no**'} | {verdict} |"


def headlines(table: Table) -> Table:
    """Returns the rows of the epochs that validation patients chose."""
    return dataclasses.replace(table, rows=tuple(row for row in table.rows if row.rule == VALIDATION), notes=())


def above_always_normal(runs: Sequence[RunFolder]) -> str:
    """Returns which runs' headlines exceed 50, in words."""
    headlines = {run.path.parent.name: rule for run in runs for rule in run.result()["rules"] if rule["headline"]}
    above = [name for name, rule in headlines.items() if rule["scores"] and rule["scores"]["score"] > 50]
    return f"Above always-normal (50): {', '.join(above) or 'none of them'}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    args = parser.parse_args()
    data = open_dataset(args.data)
    full, short = (find_runs([args.runs / name]) for name in ("full", "short"))
    train, test = data.cycles("train"), data.cycles("test")
    cells = [learns(run, data.class_names) for run in full if run.finished]
    page = PAGE.format(
        date=datetime.date.today(),
        machine=machine_line(),
        commits=", ".join(sorted({run.facts()["commit"] for run in (*full, *short)})),
        recordings=len({cycle.recording for cycle in (*train, *test)}),
        train=len(train),
        test=len(test),
        baselines=baselines(data).markdown(),
        full=results_table(full).markdown(),
        classes=" / ".join(data.class_names),
        learns="\n".join(cells),
        short=headlines(results_table(short)).markdown(),
        above=above_always_normal(short),
    )
    write_part(args.out, "", page)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
