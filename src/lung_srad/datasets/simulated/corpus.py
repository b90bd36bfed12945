"""``simulate``: a corpus of simulated lung sounds in the layout of ICBHI 2017."""

import os
from collections.abc import Callable
from pathlib import Path

from lung_srad.datasets.icbhi import ICBHI
from lung_srad.datasets.simulated.plan import DIFFICULTIES
from lung_srad.datasets.simulated.population import SIZES
from lung_srad.datasets.simulated.store import Settings, finished, not_writable, prepare, write_recordings
from lung_srad.datasets.simulated.workers import written_by
from lung_srad.errors import ConfigError, message, nearest

_WORTH_A_WORKER = 12  # recordings; making fewer takes less time than starting a process

Report = Callable[[str, int, int], None]  # (what, done, total)


def simulate(
    out: str | Path,
    *,
    size: str = "small",
    difficulty: str = "medium",
    confound: float = 0.5,
    leak: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    report: Report | None = None,
) -> ICBHI:
    """Returns a simulated corpus in the layout of ICBHI 2017, written to a folder; what is there is not made again.

    A recording depends on the settings, its patient and its index, not on the other recordings or the number of
    processes. ``truth/`` holds every event (:func:`read_truth`), ``simulation.json`` the settings.

    Args:
        out: a new or empty folder, or one in which the same settings were stopped before.
        size: ``tiny`` (12 patients, 24 recordings), ``demo`` (40, three recordings each), ``small`` (40, 292) or
            ``full`` (126, 920).
        difficulty: ``easy``, ``medium`` or ``hard``: how loud events are, and how many labels err.
        confound: 0: what patients have is independent of the device; 1: tied to it as in ICBHI.
        leak: ``icbhi``: two test patients are also in the training part, as in the official split.
        workers: processes; by default as many as there are cores, fewer for little work.
        report: called with (what, recordings done, recordings in all).

    Raises:
        ConfigError: a setting that does not exist.
        DataError: the folder holds something else, or cannot be written.
    """
    settings = _checked(Settings(size, difficulty, float(confound), leak, seed), workers)
    plans = settings.plan()
    root = Path(out)
    try:
        prepare(root, settings, plans)
        missing = [plan for plan in plans if not finished(root, plan)]
        several = min(workers or _cores(), 1 + len(missing) // _WORTH_A_WORKER)
        names = written_by(several, root) if several > 1 else write_recordings(root, missing, settings)
        for done, _ in enumerate(names, start=len(plans) - len(missing) + 1):
            if report is not None:
                report("simulating", done, len(plans))
    except OSError as error:
        raise not_writable(root, error) from error
    return ICBHI(root)


def _checked(settings: Settings, workers: int | None) -> Settings:
    """Returns the settings, if they can be had."""
    for name, value, known in (
        ("size", settings.size, SIZES),
        ("difficulty", settings.difficulty, DIFFICULTIES),
        ("leak", settings.leak or "icbhi", ("icbhi",)),
    ):
        if value not in known:
            raise ConfigError(message(name, f"{value!r}", f"allowed: {', '.join(known)}", nearest(str(value), known)))
    if not 0 <= settings.confound <= 1:
        remedy = "0 for devices independent of class, 1 for those of ICBHI"
        raise ConfigError(message("confound", f"{settings.confound!r}", "allowed: 0 to 1", remedy))
    for name, number, least in (("seed", settings.seed, 0), ("workers", 1 if workers is None else workers, 1)):
        if number < least:
            raise ConfigError(message(name, f"{number}", f"allowed: whole numbers from {least}", "give another"))
    return settings


def _cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
