"""One chest while it is recorded: how it breathes, what its breath sounds like, how loud that is in any octave."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lung_srad.datasets.simulated import sounds
from lung_srad.datasets.simulated.devices import Device, density, response
from lung_srad.datasets.simulated.loudness import Background, background
from lung_srad.datasets.simulated.plan import RecordingPlan
from lung_srad.datasets.simulated.population import generator
from lung_srad.datasets.simulated.sounds import RATE

_LEFT_BASE = 1.32  # how much louder breath is there (Gavriely and Cugell 1996)


@dataclass(frozen=True, slots=True)
class Chest:
    """What stays the same through a recording.

    Attributes:
        samples: of the recording at RATE, and a spare end; a whole number of seconds.
        phases: start and end of inspiration and expiration of each cycle of the plan, (cycles, 2, 2) in seconds.
        spectra: amplitude of the breath noise in and out, over the Fourier bins of ``samples``.
        envelopes: of the two noises, over the samples.
        transfer: the complex response of the device, over the same bins.
        floor: power density of the device's noise, over the bins of the recording at the device's rate.
        background: what events are measured against.
    """

    samples: int
    phases: np.ndarray
    spectra: tuple[np.ndarray, np.ndarray]
    envelopes: tuple[np.ndarray, np.ndarray]
    transfer: np.ndarray
    floor: np.ndarray
    background: Background

    @property
    def loudness(self) -> float:
        """Returns the rms of breathing in at an envelope of 1."""
        return float(np.sqrt(np.square(self.spectra[0]).sum() * RATE / self.samples))


def make_chest(plan: RecordingPlan, device: Device) -> Chest:
    """Returns the chest of a plan under a device."""
    seconds = int(np.ceil(plan.seconds + 0.25))  # the spare end takes what the filters wrap round
    samples = seconds * RATE
    frequency = np.fft.rfftfreq(samples, 1 / RATE)
    starts, ends, own = tile(plan)
    session = generator(*plan.session_seed, "breathing")
    breathing = sounds.draw_breathing(session, starts, ends)
    exponent = float(np.clip(session.normal(1.66, 0.35), 1.0, 2.4))
    envelopes = tuple(sounds.breath_amplitude(f, exponent) for f in sounds.airflow(breathing, samples))
    spectra = _spectra(plan, device, frequency)
    transfer = response(device, frequency, plan.patient.equaliser, plan.patient.cutoff_scale)
    floor = _floor(plan, device, np.fft.rfftfreq(seconds * device.rate, 1 / device.rate))
    shared = min(len(floor), len(frequency))
    steady = np.zeros(len(frequency))  # the device's noise, as if it came from the chest
    steady[:shared] = floor[:shared] / np.maximum(np.square(np.abs(transfer[:shared])), 1e-9)
    powers = (np.square(spectra[0]), np.square(spectra[1]), steady)
    phases = np.stack([breathing.inspiration, breathing.expiration], 1)[own]
    measure = background(powers, envelopes, RATE / samples)
    return Chest(samples, phases, spectra, envelopes, transfer, floor, measure)


def tile(plan: RecordingPlan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns starts and ends of breaths from before the recording to after it, and which are the plan's cycles."""
    typical = plan.patient.cycle_seconds
    first, last = plan.cycles[0].start, plan.cycles[-1].end
    earliest = first - typical * np.ceil(first / typical)
    latest = last + typical * np.ceil(max(plan.seconds - last, 0) / typical)
    cuts, own, until = [], [], earliest
    for cycle in plan.cycles:
        cuts += _breaths(until, cycle.start, typical)
        own.append(len(cuts))
        cuts.append((cycle.start, cycle.end))
        until = cycle.end
    cuts += _breaths(until, latest, typical)
    starts, ends = np.array(cuts).T
    return starts, ends, np.array(own)


def _breaths(start: float, end: float, typical: float) -> list[tuple[float, float]]:
    """Returns breaths of about a typical length that fill a gap; none in a gap much shorter than that."""
    return list(pairwise(np.linspace(start, end, round((end - start) / typical) + 1)))


def breath(chest: Chest, plan: RecordingPlan) -> np.ndarray:
    """Returns the noise of breathing, shape (samples,)."""
    rng = generator(*plan.seed, "breath")
    wave = np.zeros(chest.samples)
    for spectrum, envelope in zip(chest.spectra, chest.envelopes, strict=True):
        wave += envelope * sounds.noise(rng, spectrum, chest.samples)
    return wave


def _spectra(plan: RecordingPlan, device: Device, frequency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the amplitudes of breath noise in and out at a flow of 1: of the chest or trachea, and of the mouth.

    Reference: ratio of in to out, and the left base: Gavriely and Cugell 1996; knees, slopes: see ``sounds``; levels
        of trachea and mouth: fitted to the loud frames of ICBHI recordings.
    """
    rng = generator(*plan.seed, "spectra")
    level = 10 ** ((device.breath + plan.patient.gain_db) / 20)
    if plan.site == "Tc":
        inwards = outwards = 0.2 * level * sounds.trachea_spectrum(frequency, rng.uniform(850, 1600))
    else:
        level *= _LEFT_BASE if plan.site == "Ll" else 1.0
        knee = rng.uniform(90, 160)
        inwards = level * sounds.chest_spectrum(frequency, knee, rng.uniform(12.7, 15.2))
        # the same flow is 2.0-2.4 times louder on its way in
        outwards = level / rng.uniform(2.0, 2.4) * sounds.chest_spectrum(frequency, knee, rng.uniform(13.4, 20.3))
    formants = np.array([rng.uniform(620, 800), rng.uniform(1150, 1400), rng.uniform(1500, 1750)])
    shape = (formants, np.square(rng.random(3)), rng.uniform(0.05, 0.15, 3))
    mouth = 10 ** ((device.breath + rng.normal(-35, 7)) / 20) * sounds.mouth_spectrum(frequency, *shape)
    share = rng.uniform(0.4, 1.2)
    return np.hypot(inwards, mouth), np.hypot(outwards, share * mouth)


def _floor(plan: RecordingPlan, device: Device, frequency: np.ndarray) -> np.ndarray:
    """Returns the power density of what does not breathe; rooms differ, most of all at high frequencies.

    Reference: measured: see DEVICES; how much rooms differ: the spread between recordings.
    """
    rng = generator(*plan.seed, "floor")
    octaves = np.log2(np.maximum(frequency, 200.0) / 200.0)
    tilt = rng.normal(0, 1.0) * np.minimum(octaves, 4.0)
    return density(device.floor, frequency) * 10 ** ((rng.normal(1, 3) + tilt) / 10)
