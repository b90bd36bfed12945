"""What is decided before a sound is made: settings, patients, recordings, cycles. Frozen values, nothing drawn."""

from dataclasses import dataclass
from typing import Literal

Site = Literal["Tc", "Al", "Ar", "Pl", "Pr", "Ll", "Lr"]
Mode = Literal["sc", "mc"]
Device = Literal["AKGC417L", "Litt3200", "LittC2SE", "Meditron"]
Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Difficulty:
    """How well events stand out of the breath, and how often the annotator errs.

    Attributes:
        crackle_snr: mean and standard deviation over events, decibels.
        wheeze_snr: the same for wheezes.
        label_flips: the share of cycles whose annotation is not their truth.
    """

    name: str
    crackle_snr: tuple[float, float]
    wheeze_snr: tuple[float, float]
    label_flips: float


# Chosen so that simple classifiers score what benchmarks/simulator.md asks for; a crackle lasts a fifth of a window
# of a spectrogram, so it has to be louder than a wheeze to be seen there.
DIFFICULTIES = {
    "easy": Difficulty("easy", crackle_snr=(25.0, 4.0), wheeze_snr=(17.0, 4.0), label_flips=0.0),
    "medium": Difficulty("medium", crackle_snr=(19.0, 5.0), wheeze_snr=(11.0, 5.0), label_flips=0.1),
    "hard": Difficulty("hard", crackle_snr=(16.0, 5.0), wheeze_snr=(8.0, 5.0), label_flips=0.2),
}


@dataclass(frozen=True, slots=True)
class Patient:
    """One simulated patient, and everything of the sound that stays with the patient.

    Attributes:
        number: from 301 up, so that nobody takes them for the patients 101-226 of ICBHI.
        age: years.
        height: centimetres; weight: kilograms; bmi: kilograms per square metre.
        cycle_seconds: the median length of a breathing cycle.
        heart_rate: beats per minute.
        crackle_logit: log-odds of a crackle in a cycle at an average site; minus infinity: never any.
        wheeze_logit: the same for wheezes.
        fine_share: the share of crackles that are fine, the rest is coarse.
        rhonchus: whether the wheezes are low-pitched (100-200 Hz).
        gain_db: level of everything that the chest emits.
        event_db: offset of the signal-to-noise ratio of every event.
        equaliser: peaks of the chest and the hand that holds the device: (centre in hertz, gain in decibels, Q).
        cutoff_scale: factor on the cutoff frequency of every device on this patient.
    """

    number: int
    child: bool
    age: float
    sex: Literal["F", "M"]
    height: float
    weight: float
    bmi: float
    diagnosis: str
    cycle_seconds: float
    heart_rate: float
    crackle_logit: float
    wheeze_logit: float
    fine_share: float
    rhonchus: bool
    gain_db: float
    event_db: float
    equaliser: tuple[tuple[float, float, float], ...]
    cutoff_scale: float


@dataclass(frozen=True, slots=True)
class CyclePlan:
    """One breathing cycle: times in seconds (whole milliseconds), what is in it, and what the annotation says."""

    start: float
    end: float
    crackle: bool
    wheeze: bool
    label_crackle: bool
    label_wheeze: bool


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """One recording: everything that rendering needs to know besides the difficulty.

    Attributes:
        index: the number of the recording among the patient's.
        name: the stem of its files, ``301_1b1_Al_sc_Meditron``.
        seconds: the length of the recording; at least the end of the last cycle.
        split: ``train`` or ``test``.
        seed: what every random draw of the rendering derives from; the same whatever else is rendered.
        session: recordings of a patient with the same number were made at once, at several sites: the same
            breaths, the same heart. Their ``session_seed`` is the same.
    """

    patient: Patient
    index: int
    name: str
    site: Site
    mode: Mode
    device: Device
    seconds: float
    cycles: tuple[CyclePlan, ...]
    split: Split
    seed: tuple[int, ...]
    session: int
    session_seed: tuple[int, ...]
