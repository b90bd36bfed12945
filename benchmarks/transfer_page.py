"""What benchmarks/transfer.py says around its figures, and the tables that the package does not draw."""

from collections.abc import Sequence

import numpy as np

from lung_srad.evaluation import Predictions
from lung_srad.evaluation.intervals import RESAMPLES, drawn, estimate
from lung_srad.evaluation.operating import units_of
from lung_srad.evaluation.patients import labelled
from lung_srad.evaluation.ranking import auroc, findings

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
the ROC curve, in per cent, is that of the probability of any abnormal class, of crackle or both, and of wheeze or both;
50 is chance, in brackets the 95 % interval over patients. Weights from simulated recordings are SYNTHETIC in training
alone: all recordings that are scored here are real.
"""
REAL = """### Training on ICBHI from three starts

The part of ICBHI 2017 of the page's first sections, official split. Paired differences under about five points cannot
be resolved on it. Before commit 0df315c patient 218, who is in both parts of the split, could be a validation patient:
runs of that time share theirs with each other, and not with later ones of the same command elsewhere on this page.
"""


def grid(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def areas(given: Predictions, rows: np.ndarray | None = None) -> list[str]:
    """Returns the areas under the ROC curve for abnormal, crackle and wheeze in per cent, with intervals over patients.

    Args:
        given: predictions of the classes of ICBHI.
        rows: (n,), which of them; ``None`` for all. A dash stands where a kind is in none or in all.
    """
    known = labelled([given], least=1)
    known = known if rows is None else known.part(rows[known.rows])
    weights = drawn(len(known.patients), RESAMPLES, 0)
    ranked = (units_of(known, "cycle").ranked(name)[0] for name in findings(known.class_names, known.normal))
    return [str(estimate(auroc(each), weights) or "–") for each in ranked]
