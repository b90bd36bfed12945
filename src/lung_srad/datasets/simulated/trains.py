"""Where crackles and wheezes fall within a breath, how many there are and what each is like."""

from dataclasses import dataclass

import numpy as np

from lung_srad.datasets.simulated.sounds import RATE, crackle, edges, tone, wheeze_pitch

PARETO = 2.5
_PARETO_DB = 20 / np.log(10) / PARETO  # mean and standard deviation of 20·log10 of a Pareto(2.5) draw


@dataclass(frozen=True, slots=True)
class Train:
    """The crackles of one phase of one breath, one row each.

    Attributes:
        onset: seconds.
        first_deflection, width: seconds (IDW and 2CD).
        sign: of the first deflection.
        snr_db: signal-to-noise ratio, decibels.
    """

    fine: bool
    onset: np.ndarray
    first_deflection: np.ndarray
    width: np.ndarray
    sign: np.ndarray
    snr_db: np.ndarray

    def waves(self) -> np.ndarray:
        """Returns the crackles at a height of about 1, each from its onset on, shape (n, samples)."""
        samples = int(np.ceil(self.width.max() * RATE)) + 2
        late = np.ceil(self.onset * RATE)[:, None] - self.onset[:, None] * RATE  # onsets fall between samples
        time = (np.arange(samples) + late) / RATE
        return self.sign[:, None] * crackle(time, self.first_deflection[:, None], self.width[:, None])


def draw_train(generator: np.random.Generator, phases: np.ndarray, *, fine: bool, snr: tuple[float, float]) -> Train:
    """Returns the crackles of one breath: a train in 64 % of breaths while breathing in, else breathing out.

    There are ``1 + Poisson(U(1, 9))`` of them; fine ones from the middle of the inspiration on, coarse ones early.
    Amplitudes are Pareto(2.5), intervals lognormal with a heavy tail; over many trains the ratios of the events have
    the mean and standard deviation asked for.

    Args:
        phases: start and end of inspiration and expiration, shape (2, 2).
        snr: mean and standard deviation over events, decibels.

    Reference: shares of phases (3,308 : 1,841) and of negative first deflections (76 % in, 31 % out): Vyshedskiy et
        al. 2009 (Chest 135:156); counts, places and tails: assumption.
    """
    breathes_in = generator.random() < 0.64
    start, end = phases[0 if breathes_in else 1]
    count = 1 + generator.poisson(generator.uniform(1, 9))
    first_deflection, width = _shape(generator, count, fine)
    window = (0.35, 1.0) if fine else (0.0, 0.6)
    if not breathes_in:
        window = (0.1, 0.9)
    onset = _onsets(generator, count, start + window[0] * (end - start), start + window[1] * (end - start))
    negative = generator.random(count) < (0.76 if breathes_in else 0.31)
    spread = max(snr[1] ** 2 - _PARETO_DB**2, 0.0) ** 0.5
    loudness = 20 * np.log10(1 + generator.pareto(PARETO, count))
    ratios = generator.normal(snr[0] - _PARETO_DB, spread) + loudness
    onset = np.minimum(onset, end - width)
    return Train(fine, onset, first_deflection, width, np.where(negative, -1.0, 1.0), ratios)


def _shape(generator: np.random.Generator, count: int, fine: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first deflection and the width of each crackle of a train, in seconds; they resemble each other."""
    (narrow, broad), (short, long) = ((0.4, 0.9), (3.0, 7.0)) if fine else ((0.9, 2.2), (5.0, 14.0))
    place = (generator.random() + generator.normal(0, 0.12, (2, count))).clip(0, 1)
    return (narrow + place[0] * (broad - narrow)) / 1000, (short + place[1] * (long - short)) / 1000


def _onsets(generator: np.random.Generator, count: int, start: float, end: float) -> np.ndarray:
    """Returns sorted onsets whose intervals have a heavy tail, in a stretch of random length within start and end."""
    steps = np.cumsum(np.exp(generator.normal(0, 1.0, count + 1)))
    span = (end - start) * generator.uniform(0.35, 1.0)
    return generator.uniform(start, end - span) + span * steps[:-1] / steps[-1]


@dataclass(frozen=True, slots=True)
class Wheeze:
    """One wheeze: when, its main pitch in hertz and its sound; ``wave`` has no level yet."""

    start: float
    end: float
    pitch: float
    wave: np.ndarray


def draw_wheeze(generator: np.random.Generator, phases: np.ndarray, *, pitch: float, rhonchus: bool) -> Wheeze:
    """Returns one wheeze: 75 % while breathing out, of 0.1 s to 0.9 of the phase, 70 % of one voice, others of 2-3.

    Args:
        phases: start and end of inspiration and expiration, shape (2, 2).
        pitch: the patient's, hertz; each wheeze strays from it.

    Reference: over 80 ms, over 100 Hz, rhonchi near 150-200 Hz: PMC8387488, PMC10521503; the rest: assumption.
    """
    start, end = phases[1 if generator.random() < 0.75 else 0]
    length = min(max(0.1, generator.uniform(0.25, 0.9) * (end - start)), end - start)
    begin = generator.uniform(start, end - length)
    samples = max(int(length * RATE), 1)
    low, high = (100.0, 200.0) if rhonchus else (180.0, 900.0)
    pitch = float((pitch * np.exp(generator.normal(0, 0.2))).clip(low, high))
    voices = 1 if generator.random() < 0.7 else generator.integers(2, 4)
    ratios = np.concatenate([[1.0], np.cumprod(generator.uniform(1.15, 1.6, voices - 1))])
    levels = np.concatenate([[0.0], generator.uniform(-9, -2, voices - 1)])
    motion = {
        "glide": generator.uniform(-0.15, 0.15),
        "vibrato": generator.uniform(2, 6),
        "depth": generator.uniform(0, 0.03),
    }
    wave = np.zeros(samples)
    for ratio, level in zip(ratios, levels, strict=True):
        harmonics = np.cumsum(np.r_[level, generator.uniform(-18, -8, generator.integers(1, 5) - 1)])
        wave += tone(wheeze_pitch(samples, ratio * pitch, phase=generator.uniform(0, 6.28), **motion), harmonics)
    wave *= edges(samples, generator.uniform(0.02, 0.08), generator.uniform(0.03, 0.12))
    return Wheeze(begin, begin + length, pitch, wave)


def draw_pitch(generator: np.random.Generator, *, rhonchus: bool) -> float:
    """Returns the pitch at which a patient wheezes, hertz: log-uniform over 180-900, for rhonchi 100-200.

    Reference: rhonchi near 150-200 Hz: PMC8387488, PMC10521503; the rest: assumption.
    """
    low, high = (100.0, 200.0) if rhonchus else (180.0, 900.0)
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))
