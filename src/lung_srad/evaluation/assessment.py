"""Everything that is said of one system's answers on one test part, in one frozen value that can be written as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import ArrayLike

from lung_srad.evaluation.calibration import Calibration
from lung_srad.evaluation.decision import Tuned
from lung_srad.evaluation.intervals import DEFAULT, LEVEL, RESAMPLES, Estimate
from lung_srad.evaluation.metrics import Scores
from lung_srad.evaluation.operating import PREVALENCES, Detection
from lung_srad.evaluation.predictions import Predictions
from lung_srad.evaluation.subgroups import Facts, Spread, Subgroups

NAMES = {  # key of a figure: what it is called where there is room
    "sp": "Sp",
    "se": "Se (strict: the exact class)",
    "score": "Score (strict)",
    "se2": "Se (lenient: any abnormal class)",
    "score2": "Score (lenient)",
    "balanced_accuracy": "balanced accuracy",
}  # and "recall CLASS"


@dataclass(frozen=True, slots=True)
class Settings:
    """How intervals are made.

    Attributes:
        method: of the interval, one of ``lung_srad.evaluation.intervals.METHODS``.
        resamples: of patients, for figures made of counts, AUROC, ECE and Brier.
        few_resamples: of patients, for what has to sort anew in each: precision-recall, sensitivity at a specificity; and for
            subgroups.
        seed: of the resamples.
        prevalences: in per cent, at which PPV and NPV are given.
    """

    method: str = DEFAULT
    resamples: int = RESAMPLES
    few_resamples: int = 2_000
    seed: int = 0
    prevalences: tuple[float, ...] = PREVALENCES


@dataclass(frozen=True, slots=True)
class Baseline:
    """What can be scored without hearing anything."""

    name: str
    scores: Scores


@dataclass(frozen=True, slots=True)
class Assessment:
    """What one system's answers are worth on one test part. Figures are in per cent, with intervals over patients.

    Attributes:
        class_names: the classes, in the order of all rows and columns here.
        normal: index of the normal class.
        seeds: number of seeds; figures are means over them.
        cycles: with a label.
        unlabelled: cycles without one, which are not looked at.
        silent: labelled cycles without an answer, of each seed; they count as misses, but for calibration.
        patients: that have a labelled cycle.
        effective_patients: how many equal patients these are worth, (Σ n)² / Σ n² of their cycles.
        recordings: that have a labelled cycle; 0 where the file does not say.
        scores: of each seed.
        confusion: mean count over seeds by true class (rows) and answer; the last column is "no answer".
        figures: key -> estimate: those of :data:`NAMES`, and ``recall CLASS`` for each class. Absent: nothing to answer.
        calibration: of the answer and of each finding; empty without answers.
        temperatures: of each seed, fitted on validation; empty without validation.
        scaled: the calibration at these temperatures; empty without.
        detection: each finding in cycles.
        by_recording: the same in recordings, whose probability is the mean over their answered cycles, and which hold
            a finding where one of their labelled cycles does; empty where the file does not name recordings.
        by_patient: the same in patients.
        subgroups: device, site, cycle length, and every fact given.
        spreads: over recordings and patients.
        tuned: the decision rule fitted on validation; ``None`` without.
        baselines: always normal; and device and site without audio, where training labels are given.
        settings: how intervals were made.
        notes: what could not be said, and why.
    """

    class_names: tuple[str, ...]
    normal: int
    seeds: int
    cycles: int
    unlabelled: int
    silent: tuple[int, ...]
    patients: int
    effective_patients: float
    recordings: int
    scores: tuple[Scores, ...]
    confusion: tuple[tuple[float, ...], ...]
    figures: dict[str, Estimate]
    calibration: tuple[Calibration, ...]
    temperatures: tuple[float, ...]
    scaled: tuple[Calibration, ...]
    detection: tuple[Detection, ...]
    by_recording: tuple[Detection, ...]
    by_patient: tuple[Detection, ...]
    subgroups: tuple[Subgroups, ...]
    spreads: tuple[Spread, ...]
    tuned: Tuned | None
    baselines: tuple[Baseline, ...]
    settings: Settings
    notes: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """Returns everything as what :func:`json.dumps` takes; infinite thresholds become ``None``."""
        return _plain({"level": LEVEL, **asdict(self)})


def evaluate_predictions(
    test: Sequence[Predictions],
    *,
    normal: int = 0,
    validation: Sequence[Predictions] = (),
    train: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    facts: Facts | None = None,
    settings: Settings | None = None,
) -> Assessment:
    """Returns everything that can be said of one system's answers.

    Args:
        test: the predictions of each seed on the same cycles.
        normal: index of the normal class.
        validation: those of each seed on validation patients, in the order of ``test``: temperatures, thresholds and
            the decision rule are fitted on them. Without them these are absent.
        train: devices, sites and labels of the training cycles, for the baseline without audio.
        facts: of patients, see :mod:`lung_srad.evaluation.subgroups`.
        settings: how intervals are made.

    Raises:
        DataError: no label is known, patients are unknown or only one, seeds differ in their cycles, or validation does
            not fit the test part.
    """
    raise NotImplementedError


def _plain(value: Any) -> Any:
    """Returns nested values as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
