"""Corpora as lists of cycles: what is there, what is wrong with it, who is on which side, features on disk.

A dataset (:class:`Dataset`) says where its cycles lie and what they are; everything after that (the cache,
the torch data set, batches) knows only :class:`Cycle`. To add a corpus, write one file with a subclass of
:class:`Dataset` and add one line to :data:`DATASETS`; the contract suite in tests/datasets then tests it.
"""

from pathlib import Path

from lung_srad.datasets.batch import UNKNOWN_LABEL, Batch, SecondView
from lung_srad.datasets.cache import FeatureCache
from lung_srad.datasets.contract import Cycle, Dataset, Scan
from lung_srad.datasets.cycles import CycleDataset, Item
from lung_srad.datasets.icbhi import ICBHI
from lung_srad.datasets.partitions import Partition, partition
from lung_srad.datasets.prompts import Prompt, Prompted, prompt_index
from lung_srad.datasets.report import Count, Defect, Entry, Leak, Report, report_text
from lung_srad.datasets.seeds import derive_seed
from lung_srad.datasets.simulated import read_truth, simulate
from lung_srad.datasets.splits import Validation, validation_patients
from lung_srad.datasets.sprsound import SPRSound
from lung_srad.datasets.table import Table
from lung_srad.datasets.two_class import TwoClass
from lung_srad.errors import DataError, message, nearest

__all__ = [
    "DATASETS",
    "ICBHI",
    "UNKNOWN_LABEL",
    "Batch",
    "Count",
    "Cycle",
    "CycleDataset",
    "Dataset",
    "Defect",
    "Entry",
    "FeatureCache",
    "Item",
    "Leak",
    "Partition",
    "Prompt",
    "Prompted",
    "Report",
    "SPRSound",
    "Scan",
    "SecondView",
    "Table",
    "TwoClass",
    "Validation",
    "derive_seed",
    "open_dataset",
    "partition",
    "prompt_index",
    "read_truth",
    "report_text",
    "simulate",
    "validation_patients",
]

DATASETS: dict[str, type[Dataset]] = {"icbhi": ICBHI, "sprsound": SPRSound, "table": Table}


def open_dataset(
    location: str | Path | Dataset, *, split: str | None = None, split_file: str | Path | None = None
) -> Dataset:
    """Returns the corpus at ``"icbhi:PATH"``, ``"sprsound:PATH"``, ``"table:PATH"`` or ``PATH``; a dataset as it is.

    Without a kind, a ``.csv`` is a table and everything else is ICBHI.

    Args:
        split: how ICBHI or SPRSound is split; a table brings its own.
        split_file: the official split file of ICBHI.

    Raises:
        DataError: there is no such corpus, or an option is given that it does not take.
    """
    if isinstance(location, Dataset):
        return location
    kind, colon, path = str(location).partition(":")
    if not colon or (kind not in DATASETS and Path(location).exists()):
        kind, path = ("table" if Path(location).suffix.lower() == ".csv" else "icbhi"), str(location)
    known = f"allowed: {', '.join(f'{name}:PATH' for name in DATASETS)}, or a path"
    if not path:
        raise DataError(message(f"{str(location)!r}", "no path", known, "say where the data are"))
    if kind not in DATASETS:
        raise DataError(message(location, f"no kind of corpus is called {kind!r}", known, nearest(kind, DATASETS)))
    if kind == "icbhi":
        return ICBHI(path, split or "official", split_file=split_file)
    if kind == "sprsound":
        if split_file is not None:
            seen, allowed = "a split file is given for SPRSound", "allowed: one of its splits"
            raise DataError(message(location, seen, allowed, "leave split_file out, or name a split such as fold-0"))
        return SPRSound(path, split or "fold-0")
    if split is not None or split_file is not None:
        remedy = "leave split and split_file out, or write the column 'split'"
        raise DataError(message(location, "a split is given for a table", "allowed: the split in its rows", remedy))
    return Table(path)
