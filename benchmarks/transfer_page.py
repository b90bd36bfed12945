"""What benchmarks/transfer.py says around its figures, and the tables that the package does not draw."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from lung_srad.evaluation import Predictions

HERE = "<!-- what follows: python benchmarks/transfer.py -->"
NOTHING = "Nothing here yet: the runs are not made.\n"
HEAD = """\
## Children's recordings, and starts other than random weights

Gathered by `python benchmarks/transfer.py` at {machine}; runs at commit {commits}.
All runs: `dass_tiny`, `--profile small`, the epoch that validation patients chose. Scores in per cent, mean ± deviation
over seeds; intervals are 95 % over test patients, whom paired differences compare with themselves.
The commands of every figure, in this order; `make transfer` runs them:

```
{commands}
```
"""
CHILDREN = """### SPRSound: unseen children

The training part of SPRSound (251 children), fold-0: 200 children to train on, 51 others to test on (docs/data.md).
Calling every event normal scores 50. *Simulated pretraining* is training on a simulated corpus (full, easy: the weights
that ship), the same weights for every system and seed. A system, start or seed that is not in the table has not been
run. Measured elsewhere on unseen children of this data: a small CNN 77.6 ± 2.7, with spectral mean normalisation
81.6 ± 0.8.
"""
ZERO = """### Weights on recordings that they know nothing of

Every cycle of the corpus, without retraining: seed 1 of fine-tuning on one corpus answers for another. The area under
the ROC curve is that of the probability of any abnormal class, of crackle or both, and of wheeze or both; 0.5 is
chance, in brackets the 95 % interval over patients. Weights from simulated recordings are SYNTHETIC in training alone:
all recordings that are scored here are real.
"""
REAL = """### Training on ICBHI from three starts

The part of ICBHI 2017 of the page's first sections, official split. Paired differences under about five points cannot
be resolved on it.
"""
RESAMPLES = 300


def grid(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def areas(given: Predictions, rows: np.ndarray | None = None) -> list[str]:
    """Returns the areas under the ROC curve for abnormal, crackle and wheeze, with intervals over patients.

    Classes are those of ICBHI: normal, crackle, wheeze, both. A dash stands where a kind does not occur.
    """
    own = (given.label >= 0) & ~np.isnan(given.probabilities[:, 0])
    own = np.flatnonzero(own if rows is None else own & rows)
    label, chance, patient = given.label[own], given.probabilities[own], given.patient[own]
    kinds = {"abnormal": (1, 2, 3), "crackle": (1, 3), "wheeze": (2, 3)}
    return [_area(np.isin(label, kind), chance[:, kind].sum(1), patient) for kind in kinds.values()]


def _area(truth: np.ndarray, chance: np.ndarray, patient: np.ndarray) -> str:
    if truth.all() or not truth.any():
        return "–"
    cycles = [np.flatnonzero(patient == who) for who in np.unique(patient)]
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        some = np.concatenate([cycles[index] for index in generator.integers(len(cycles), size=len(cycles))])
        if 0 < truth[some].sum() < len(some):
            drawn.append(roc_auc_score(truth[some], chance[some]))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return f"{roc_auc_score(truth, chance):.3f} ({low:.2f} to {high:.2f})"
