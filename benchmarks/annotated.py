"""What annotations alone say of a corpus: how long cycles are, how many there are, which class follows which."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np

from lung_srad.datasets.annotations import Row, read_annotation
from lung_srad.datasets.icbhi_files import DEVICES, Name
from probes import CLASSES

Annotations = dict[Name, list[Row]]


def read_annotations(folder: Path) -> Annotations:
    """Returns the cycles of every annotation in a folder."""
    named = {path: Name.parse(path.stem) for path in sorted(folder.glob("*.txt"))}
    return {name: read_annotation(path)[0] for path, name in named.items() if name}


def three(values: list[float] | np.ndarray, digits: int = 0) -> str:
    """Returns the 5th percentile, the median and the 95th percentile."""
    return " / ".join(f"{value:.{digits}f}" for value in np.percentile(values, (5, 50, 95)))


def shares(labels: list[int]) -> np.ndarray:
    """Returns the share of each class in per cent."""
    return 100 * np.bincount(labels, minlength=len(CLASSES)) / max(1, len(labels))


def percent(yes: Iterable[bool]) -> str:
    """Returns how many of some answers are yes."""
    return f"{100 * np.mean(list(yes)):.0f}"


def slashed(values: np.ndarray, digits: int = 0) -> str:
    """Returns numbers in one line."""
    return " / ".join(f"{value:.{digits}f}" for value in values)


def facts(found: Annotations) -> dict[str, str]:
    """Returns the rows of the table."""
    lengths = np.array([row.end - row.start for rows in found.values() for row in rows])
    labels = [row.label for rows in found.values() for row in rows]
    within = [np.std(np.log([row.end - row.start for row in rows])) for rows in found.values() if len(rows) > 2]
    by_patient: dict[str, list[int]] = defaultdict(list)
    for name, rows in found.items():
        by_patient[name.patient] += [row.label for row in rows]
    follows = np.zeros((len(CLASSES), len(CLASSES)))
    for rows in found.values():
        for one, other in pairwise(rows):
            follows[one.label, other.label] += 1
    stays = follows.diagonal() / np.maximum(follows.sum(1), 1)
    each = list(Counter(name.patient for name in found).values())
    lacking = [np.mean([not any(label & bit for label in seen) for seen in by_patient.values()]) for bit in (1, 2)]
    rows = {
        "patients, recordings, cycles": f"{len(by_patient)}, {len(found)}, {len(labels)}",
        "recordings per patient, 5 / 50 / 95 %": three(each),
        "cycles per recording, 5 / 50 / 95 %": three([len(rows) for rows in found.values()]),
        "length of a cycle in s, 5 / 50 / 95 %": three(lengths, 2),
        "deviation of its logarithm within a recording, median": f"{np.median(within):.2f}",
        "last cycle ends at 17 to 20 s, % of recordings": percent(17 <= rows[-1].end <= 20 for rows in found.values()),
        "normal / crackle / wheeze / both, %": slashed(shares(labels), 1),
        "next cycle is of the same class, by class": slashed(stays, 2),
        "recordings of one class, %": percent(len({row.label for row in rows}) == 1 for rows in found.values()),
        "patients without a crackle, without a wheeze, %": slashed(100 * np.array(lacking)),
    }
    for device in DEVICES:
        here = [row.label for name, rows in found.items() for row in rows if name.device == device]
        rows[f"{device}: cycles, shares of the classes, %"] = f"{len(here)}: {slashed(shares(here))}"
    return rows
