"""Training: one loop, from one command each; grids over systems and seeds; scores and tables of finished runs."""

from lung_srad.training.fit import fit, run_name
from lung_srad.training.gather import find_runs
from lung_srad.training.grid import Outcome, run_grid
from lung_srad.training.paper import paper_page, paper_presets, paper_tables
from lung_srad.training.score import evaluate, score
from lung_srad.training.start import require_start
from lung_srad.training.sweep import Sweep, run_sweeps, shipped_sweeps, sweep_over, sweep_panels
from lung_srad.training.table import results_table

__all__ = [
    "Outcome",
    "Sweep",
    "evaluate",
    "find_runs",
    "fit",
    "paper_page",
    "paper_presets",
    "paper_tables",
    "require_start",
    "results_table",
    "run_grid",
    "run_name",
    "run_sweeps",
    "score",
    "shipped_sweeps",
    "sweep_over",
    "sweep_panels",
]
