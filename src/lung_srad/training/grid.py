"""Many runs from one command: systems × seeds, shared by as many machines as see the same disk.

Every machine goes through the same list. A run is skipped where it is finished or where another process holds its
lock; one that was cut off is continued. A run that fails does not stop the others, but under torchrun it ends all
processes: they could not go on without each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from lung_srad.config import Preset
from lung_srad.datasets import Dataset
from lung_srad.errors import BusyError, ConfigError, LungSradError, message
from lung_srad.runs import RunFolder
from lung_srad.training.distributed import join
from lung_srad.training.fit import fit, run_name
from lung_srad.training.phase import Report


@dataclass(frozen=True)
class Outcome:
    """What became of one run: "trained", "was finished", "busy" or "failed", and why it failed."""

    folder: RunFolder
    state: str
    error: str = ""


def run_grid(
    presets: Sequence[Preset],
    seeds: Sequence[int],
    dataset: Dataset,
    *,
    out: str | Path = "runs",
    start_from: str | Path | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> Iterator[Outcome]:
    """Trains every system with every seed, seed by seed, and yields what became of each run as it ends.

    Arguments as in :func:`fit`; ``report`` also hears which run it is.

    Raises:
        ConfigError: two presets would write into the same folder.
    """
    names = [run_name(preset, dataset) for preset in presets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        text = message(
            "presets", f"{', '.join(twice)} twice", "each once", "give each a name of its own, or another --out"
        )
        raise ConfigError(text)
    with join() as world:
        for seed, (preset, name) in product(seeds, list(zip(presets, names, strict=True))):
            folder = RunFolder(Path(out) / name / f"seed{seed}")
            state = "was finished" if folder.finished else "trained"
            said = _named(report, f"{name} seed {seed}")
            try:
                fit(preset, dataset, seed=seed, out=out, start_from=start_from, resume=resume, report=said)
                yield Outcome(folder, state)
            except LungSradError as error:
                if world.size > 1:
                    raise
                yield Outcome(folder, "busy" if isinstance(error, BusyError) else "failed", str(error))


def _named(report: Report | None, name: str) -> Report | None:
    return report and (lambda what, done, total: report(f"{name}: {what}", done, total))
