"""What each process of test_text_model.py does: torchrun --nproc_per_node 2 text_together.py CORPUS OUT."""

import sys
from pathlib import Path

import text_runs
import torch

from lung_srad.datasets import ICBHI
from lung_srad.training import fit

SHORT = ("training.epochs=1", "training.refit=false", "training.batch_size=2")

if __name__ == "__main__":
    torch.set_num_threads(1)
    fit(text_runs.text_preset(changes=SHORT), ICBHI(sys.argv[1]), out=Path(sys.argv[2]))
