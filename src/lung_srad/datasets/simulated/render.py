"""From a plan to a recording: breath, events, heart and decoys of one chest, through one device."""

from dataclasses import dataclass

import numpy as np

from lung_srad.datasets.simulated.chest import Chest, breath, make_chest
from lung_srad.datasets.simulated.decoys import HABITS, Habits, draw_decoys, heart_beats, mains_hum
from lung_srad.datasets.simulated.devices import DEVICES, record, set_level
from lung_srad.datasets.simulated.loudness import octave_power, peak_pitch
from lung_srad.datasets.simulated.plan import Difficulty, RecordingPlan
from lung_srad.datasets.simulated.population import generator
from lung_srad.datasets.simulated.sounds import RATE, add_at
from lung_srad.datasets.simulated.trains import draw_pitch, draw_train, draw_wheeze


@dataclass(frozen=True, slots=True)
class Event:
    """One sound that was put into a recording on top of the breath.

    Attributes:
        kind: ``crackle`` or ``wheeze``; or a decoy: ``rub``, ``click``, ``cough``, ``speech``, ``tone``.
        start, end: seconds.
        cycle: index of the cycle that holds it, None where none does.
        subtype: ``fine``, ``coarse``, ``rhonchus`` and the like; may be empty.
        frequency_hz: its pitch, or the peak of its spectrum.
        snr_db: its mean power over its own length, against the expected power over the same time of breath, room and
            device noise; both within the octave around ``frequency_hz``, both as the device hears them.
    """

    kind: str
    start: float
    end: float
    cycle: int | None
    subtype: str
    frequency_hz: float
    snr_db: float


@dataclass(frozen=True, slots=True)
class Rendered:
    """A recording: samples in [-1, 1] at a rate in hertz, soundfile's name of its sample format, what is in it."""

    wave: np.ndarray
    rate: int
    subtype: str
    events: tuple[Event, ...]


def render(plan: RecordingPlan, setting: Difficulty) -> Rendered:
    """Returns the recording of a plan, a function of the plan and the setting and of nothing else."""
    device = DEVICES[plan.device]
    chest = make_chest(plan, device)
    wave = breath(chest, plan)
    events = add_crackles(wave, chest, plan, setting)
    events += add_wheezes(wave, chest, plan, setting)
    events += add_decoys(wave, chest, plan, HABITS[plan.device])
    wave += _heart(chest, plan) + mains_hum(generator(*plan.seed, "hum"), chest.samples)
    rng = generator(*plan.seed, "device")
    heard = record(rng, wave, chest.transfer, device=device, floor=chest.floor)
    levelled = set_level(rng, heard[: round(plan.seconds * device.rate)], device)
    return Rendered(levelled, device.rate, str(rng.choice(device.formats)), tuple(sorted(events, key=_start)))


def scale(chest: Chest, waves: np.ndarray, start: np.ndarray, length: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Returns the factor that brings each sound to a ratio of 0 dB, as :class:`Event` defines it.

    Shape: waves (n, samples); start, length (seconds) and pitch (n,); result (n,).
    """
    return np.sqrt(chest.background.power(start, start + length, pitch) / octave_power(waves, length, pitch))


def add_crackles(wave: np.ndarray, chest: Chest, plan: RecordingPlan, setting: Difficulty) -> list[Event]:
    """Adds a train to every cycle with crackles, in place; returns one event per crackle."""
    snr = (setting.crackle_snr[0] + plan.patient.event_db, setting.crackle_snr[1])
    events = []
    for index, cycle in enumerate(plan.cycles):
        if not cycle.crackle:
            continue
        rng = generator(*plan.seed, "crackles", index)
        train = draw_train(rng, chest.phases[index], fine=rng.random() < plan.patient.fine_share, snr=snr)
        waves = train.waves()
        pitch = peak_pitch(waves)
        factor = scale(chest, waves, train.onset, train.width, pitch) * 10 ** (train.snr_db / 20)
        add_at(wave, np.ceil(train.onset * RATE).astype(int), factor[:, None] * waves)
        columns = (train.onset, train.onset + train.width, pitch, train.snr_db)
        subtype = "fine" if train.fine else "coarse"
        events += [
            Event("crackle", start, end, index, subtype, hertz, ratio)
            for start, end, hertz, ratio in zip(*(column.tolist() for column in columns), strict=True)
        ]
    return events


def add_wheezes(wave: np.ndarray, chest: Chest, plan: RecordingPlan, setting: Difficulty) -> list[Event]:
    """Adds a wheeze to every cycle that has one, in place; returns the events."""
    rhonchus = plan.patient.rhonchus
    usual = draw_pitch(generator(*plan.seed[:2], "pitch"), rhonchus=rhonchus)  # the patient's, at every site
    subtype = "rhonchus" if rhonchus else ""
    events = []
    for index, cycle in enumerate(plan.cycles):
        if not cycle.wheeze:
            continue
        rng = generator(*plan.seed, "wheeze", index)
        wheeze = draw_wheeze(rng, chest.phases[index], pitch=usual, rhonchus=rhonchus)
        ratio = rng.normal(setting.wheeze_snr[0] + plan.patient.event_db, setting.wheeze_snr[1])
        _add(wave, chest, wheeze.wave, wheeze.start, wheeze.pitch, ratio)
        events.append(Event("wheeze", wheeze.start, wheeze.end, index, subtype, wheeze.pitch, ratio))
    return events


def add_decoys(wave: np.ndarray, chest: Chest, plan: RecordingPlan, habits: Habits) -> list[Event]:
    """Adds what occurs in every class alike, in place; returns the events."""
    events = []
    for decoy in draw_decoys(generator(*plan.seed, "decoys"), habits, plan.seconds):
        _add(wave, chest, decoy.wave, decoy.start, decoy.pitch, decoy.snr_db)
        holds = (i for i, cycle in enumerate(plan.cycles) if cycle.start <= decoy.start and decoy.end <= cycle.end)
        place = (decoy.start, decoy.end, next(holds, None))
        events.append(Event(decoy.kind, *place, decoy.subtype, decoy.pitch, decoy.snr_db))
    return events


def _add(wave: np.ndarray, chest: Chest, sound: np.ndarray, start: float, pitch: float, snr_db: float) -> None:
    """Adds one sound at its ratio, in place."""
    columns = (np.array([part]) for part in (start, len(sound) / RATE, pitch))
    first = round(start * RATE)
    wave[first : first + len(sound)] += scale(chest, sound[None], *columns) * 10 ** (snr_db / 20) * sound


def _heart(chest: Chest, plan: RecordingPlan) -> np.ndarray:
    """Returns the heart: loudest over itself, softer elsewhere; at the same times wherever a session records it."""
    beats = heart_beats(generator(*plan.session_seed, "heart"), chest.samples, plan.patient.heart_rate)
    gain = (-2 if plan.site in ("Al", "Ll") else -8) + generator(*plan.seed, "heart").normal(0, 4)
    gain += 6  # the height of a pulse over its rms
    return beats * chest.loudness * 10 ** (gain / 20)


def _start(event: Event) -> float:
    return event.start
