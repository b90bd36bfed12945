"""Everything that is said of one system's answers on one test part, in one frozen value that can be written as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lung_srad.errors import DataError, message
from lung_srad.evaluation.baselines import always_normal, device_site_lookup
from lung_srad.evaluation.calibration import Calibration, at_temperature, calibrations, fit_temperature
from lung_srad.evaluation.decision import Tuned, fit_bias, with_bias
from lung_srad.evaluation.intervals import DEFAULT, LEVEL, RESAMPLES, Estimate, drawn
from lung_srad.evaluation.metrics import NO_ANSWER, Scores, score_predictions
from lung_srad.evaluation.operating import PREVALENCES, Detection, Units, detections, units_of
from lung_srad.evaluation.patients import Labelled, labelled, paired_difference, rate_estimates
from lung_srad.evaluation.predictions import Predictions
from lung_srad.evaluation.ranking import findings
from lung_srad.evaluation.subgroups import Facts, Spread, Subgroups, spread, subgroups

Columns = tuple[ArrayLike, ArrayLike, ArrayLike]  # device, site and label of training cycles
UNITS = ("cycle", "recording", "patient")

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
        resamples: of patients, for figures made of counts, AUROC, ECE and Brier.
        few_resamples: of patients, for what has to go along a curve in each (precision-recall, sensitivity at a
            specificity), and for subgroups.
        seed: of the resamples.
        prevalences: in per cent, at which PPV and NPV are given.
    """

    resamples: int = RESAMPLES
    few_resamples: int = 1_000
    seed: int = 0
    prevalences: tuple[float, ...] = PREVALENCES

    @property
    def method(self) -> str:
        """Returns how intervals are made of resamples, but for ECE, which has a way of its own."""
        return DEFAULT


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
        figures: those of :data:`NAMES` and ``recall CLASS`` for each class; absent where no cycle can answer.
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
        return _plain({"level": LEVEL, "interval": self.settings.method, **asdict(self)})


def evaluate_predictions(
    test: Sequence[Predictions],
    *,
    normal: int = 0,
    validation: Sequence[Predictions] = (),
    train: Columns | None = None,
    facts: Facts | None = None,
    settings: Settings | None = None,
) -> Assessment:
    """Returns everything that can be said of one system's answers.

    Args:
        test: the predictions of each seed on the same cycles.
        normal: index of the normal class.
        validation: those of each seed on its own validation patients, in the order of ``test``: temperatures,
            thresholds and the decision rule are fitted on them. Without them these are absent.
        train: devices, sites and labels of the training cycles, for the baseline without audio.
        facts: of patients, see :mod:`lung_srad.evaluation.subgroups`.
        settings: how intervals are made.

    Raises:
        DataError: there are no labels or no two patients, seeds differ in their cycles, or validation does not fit.
    """
    settings, first = settings or Settings(), test[0] if test else None
    given = labelled(test, normal=normal)
    held = _held_out(test, validation, normal)
    weights = drawn(len(given.patients), settings.resamples, settings.seed)
    sides = [(given, first), *zip(held, validation, strict=True)]
    cycles, recordings, patients = (_detected(unit, sides, weights, settings) for unit in UNITS)
    temperatures = tuple(fit_temperature(each) for each in validation)
    tuned = _tuned(test, validation, settings, normal) if validation else None
    named = _recordings(given, first)
    sizes = np.bincount(given.owner)
    return Assessment(
        class_names=first.class_names,
        normal=normal,
        seeds=len(test),
        cycles=len(given.label),
        unlabelled=len(first) - len(given.label),
        silent=tuple(int((seed == NO_ANSWER).sum()) for seed in given.predicted),
        patients=len(given.patients),
        effective_patients=float(sizes.sum() ** 2 / (sizes**2).sum()),
        recordings=0 if named is None else len(np.unique(named)),
        scores=tuple(each.scores(normal=normal) for each in test),
        confusion=tuple(map(tuple, given.counts().sum(0).tolist())),
        figures=rate_estimates(given, weights, names=first.class_names),
        calibration=calibrations(given, weights),
        temperatures=temperatures,
        scaled=_scaled(test, temperatures, weights, normal),
        detection=cycles,
        by_recording=recordings,
        by_patient=patients,
        subgroups=subgroups(given, first, facts, resamples=settings.few_resamples, seed=settings.seed),
        spreads=_spreads(given, named),
        tuned=tuned,
        baselines=_baselines(given, first, train),
        settings=settings,
        notes=_notes(given, held, named is not None, cycles, tuned),
    )


def _held_out(test: Sequence[Predictions], validation: Sequence[Predictions], normal: int) -> list[Labelled]:
    """Returns the validation cycles of each seed, nothing without; checks that they go with the test part.

    Raises:
        DataError: they do not.
    """
    held = [labelled([each], normal=normal, least=1) for each in validation]
    tested = set(test[0].patient[test[0].label >= 0].tolist())
    shared = sorted({who for each in held for who in each.patients.tolist()} & tested)
    other = [each.class_names for each in held if each.class_names != test[0].class_names]
    faults = [
        (
            bool(held) and len(held) != len(test),
            f"{len(held)} files for {len(test)} of the test part",
            "one for each seed",
        ),
        (bool(other), f"classes {other[:1]}", f"{test[0].class_names}"),
        (bool(shared), f"patients {', '.join(shared[:5])} are in the test part too", "other patients"),
    ]
    for wrong, seen, allowed in faults:
        if wrong:
            raise DataError(
                message("validation", seen, allowed, "give what the same runs answered on validation patients")
            )
    return held


def _recordings(given: Labelled, predictions: Predictions) -> NDArray[np.str_] | None:
    """Returns the recording of each labelled cycle, with its patient; None where one is not named."""
    names = predictions.recording[given.rows]
    return np.char.add(np.char.add(given.patients[given.owner], "/"), names) if (names != "").all() else None


def _detected(
    unit: str,
    sides: Sequence[tuple[Labelled, Predictions]],
    weights: NDArray[np.float64],
    settings: Settings,
) -> tuple[Detection, ...]:
    """Returns the detection of each finding in one kind of unit; nothing where the test file does not name units.

    Args:
        unit: which kind.
        sides: the test part, then each seed's validation cycles.
        weights: resamples of the test patients.
        settings: how intervals are made.
    """
    found: list[Units] = []
    for given, predictions in sides:
        groups = {"cycle": None, "recording": _recordings(given, predictions), "patient": given.owner}[unit]
        if unit == "recording" and groups is None:
            break
        found.append(units_of(given, unit, groups))
    if not found:
        return ()
    validation = found[1:] if len(found) == len(sides) else []
    return detections(found[0], validation, weights, weights[: settings.few_resamples], settings.prevalences)


def _scaled(
    test: Sequence[Predictions], temperatures: tuple[float, ...], weights: NDArray[np.float64], normal: int
) -> tuple[Calibration, ...]:
    """Returns the calibration at temperatures; nothing without them."""
    scaled = [at_temperature(*pair) for pair in zip(test, temperatures, strict=True)] if temperatures else []
    return calibrations(labelled(scaled, normal=normal), weights) if scaled else ()


def _tuned(
    test: Sequence[Predictions], validation: Sequence[Predictions], settings: Settings, normal: int
) -> Tuned | None:
    """Returns what the tuned rule gives; None where a validation file lacks normal or abnormal cycles."""
    try:
        biases = tuple(fit_bias(each, normal=normal) for each in validation)
    except DataError:
        return None
    ruled, held = (
        [with_bias(each, bias, normal=normal) for each, bias in zip(part, biases, strict=True)]
        for part in (test, validation)
    )
    given = labelled(ruled, normal=normal)
    gain = paired_difference(ruled, test, normal=normal, resamples=settings.resamples, seed=settings.seed)
    scores = tuple(each.scores(normal=normal) for each in held)
    weights = drawn(len(given.patients), settings.resamples, settings.seed)
    return Tuned(biases, scores, rate_estimates(given, weights, names=given.class_names), gain)


def _spreads(given: Labelled, named: NDArray[np.str_] | None) -> tuple[Spread, ...]:
    patients = spread(given, given.patients[given.owner], "patient")
    return (patients,) if named is None else (spread(given, named, "recording"), patients)


def _baselines(given: Labelled, predictions: Predictions, train: Columns | None) -> tuple[Baseline, ...]:
    """Returns the scores of those that hear nothing."""
    classes, normal = len(given.class_names), given.normal
    answers = {"always normal": always_normal(len(given.label), normal=normal)}
    if train is not None:
        where = predictions.device[given.rows], predictions.site[given.rows]
        answers["device and site, no audio"] = device_site_lookup(train, where, num_classes=classes)
    return tuple(
        Baseline(name, score_predictions(given.label, answer, num_classes=classes, normal=normal))
        for name, answer in answers.items()
    )


def _notes(
    given: Labelled, held: Sequence[Labelled], named: bool, cycles: tuple[Detection, ...], tuned: Tuned | None
) -> tuple[str, ...]:
    """Returns what could not be said, and why."""
    absent = [name for name in findings(given.class_names, given.normal) if name not in {each.name for each in cycles}]
    notes = (
        (
            not held,
            "No validation predictions: no temperature, no tuned rule, no threshold chosen on other patients.",
        ),
        (bool(held) and tuned is None, "Validation cycles lack normal or abnormal ones: no tuned rule."),
        (not named, "The file does not name the recording of every cycle: nothing by recording."),
        (bool(absent), f"In all cycles or in none, so nothing on how it is detected: {', '.join(absent)}."),
    )
    return tuple(text for applies, text in notes if applies)


def _plain(value: Any) -> Any:
    """Returns nested values as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
