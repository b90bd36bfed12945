"""Sounds that mean nothing and occur in every class: rubs, clicks, coughs, voices, beeps; heart and hum."""

from dataclasses import dataclass

import numpy as np

from lung_srad.datasets.simulated.sounds import RATE, add_at, bump, crackle, edges, noise, tone


@dataclass(frozen=True, slots=True)
class Decoy:
    """One such sound; ``wave`` has no level yet, ``snr_db`` is the one it gets around ``pitch`` hertz."""

    kind: str
    subtype: str
    start: float
    pitch: float
    snr_db: float
    wave: np.ndarray

    @property
    def end(self) -> float:
        """Returns when it is over, in seconds."""
        return self.start + len(self.wave) / RATE


@dataclass(frozen=True, slots=True)
class Habits:
    """How often a device's recordings hold what: rubs and clicks per minute, the rest as shares of recordings.

    ``knock``: whether each begins with the knock of putting the device down.
    """

    rubs: float
    clicks: float
    fake_crackles: float
    voice: float = 0.08
    voice_snr: tuple[float, float] = (12.0, 6.0)
    cough: float = 0.04
    beeps: float = 0.03
    knock: bool = False


HABITS = {
    "AKGC417L": Habits(rubs=3, clicks=3, fake_crackles=0.05),
    "Litt3200": Habits(rubs=15, clicks=4, fake_crackles=0.2, voice=0.9, voice_snr=(24.0, 6.0), knock=True),
    "LittC2SE": Habits(rubs=6, clicks=14, fake_crackles=0.05),
    "Meditron": Habits(rubs=10, clicks=20, fake_crackles=0.08),
}


def draw_decoys(generator: np.random.Generator, habits: Habits, seconds: float) -> list[Decoy]:
    """Returns the decoys of a recording, wherever they fall: they know nothing of breaths and classes.

    Reference: rubs and fake crackles: 61 of 500 recordings of healthy chests, most with Litt3200 (PMC9791113); voices
        on that device: heard and seen in most of its ICBHI recordings; the other rates: assumption.
    """
    found = [_rub(generator, seconds) for _ in range(generator.poisson(habits.rubs * seconds / 60))]
    found += [_click(generator, seconds) for _ in range(generator.poisson(habits.clicks * seconds / 60))]
    if generator.random() < habits.fake_crackles:
        found += [_fake_crackles(generator, seconds) for _ in range(1 + generator.poisson(2))]
    if generator.random() < habits.voice:
        found += _voices(generator, seconds, habits.voice_snr)
    if generator.random() < habits.cough:
        found += [_cough(generator, seconds) for _ in range(1 + generator.poisson(0.7))]
    if generator.random() < habits.beeps:
        found += _beeps(generator, seconds)
    if habits.knock:
        found.append(_knock(generator))
    return [decoy for decoy in found if decoy.end < seconds]


def _burst(
    generator: np.random.Generator, count: int, length: float, deflection: tuple[float, float], ratio: float
) -> np.ndarray:
    """Returns crackle shapes scattered over a length of time, their widths ``ratio`` times their first deflections."""
    onset = np.sort(generator.uniform(0, 1, count)) * length
    first = np.exp(generator.uniform(*np.log(deflection), (count, 1)))
    height = generator.choice([-1.0, 1.0], (count, 1)) * (1 + generator.pareto(2.5, (count, 1)))
    time = np.arange(int((length + first.max() * ratio) * RATE) + 2) / RATE
    return (height * crackle(time - onset[:, None], first, first * ratio)).sum(0)


def _rub(generator: np.random.Generator, seconds: float) -> Decoy:
    """Returns skin or cloth on the membrane: slow crackle shapes in a short bout."""
    wave = _burst(generator, 1 + generator.poisson(4), generator.uniform(0.03, 0.35), (0.002, 0.006), 6)
    return Decoy("rub", "", generator.uniform(0, seconds), 160.0, generator.normal(14, 6), wave)


def _click(generator: np.random.Generator, seconds: float) -> Decoy:
    """Returns a tap on the device: much faster than a crackle, so heard up to several kilohertz."""
    wave = _burst(generator, 1 + generator.poisson(0.6), generator.uniform(0.005, 0.05), (0.00012, 0.0003), 9)
    return Decoy("click", "", generator.uniform(0, seconds), 1200.0, generator.normal(16, 6), wave)


def _knock(generator: np.random.Generator) -> Decoy:
    """Returns the device put down: one slow crackle shape near the start, often the loudest moment of a recording."""
    wave = _burst(generator, 1, 0.0, (0.0012, 0.002), 10)
    return Decoy("click", "knock", generator.uniform(0.01, 0.4), 250.0, generator.normal(40, 3), wave)


def _fake_crackles(generator: np.random.Generator, seconds: float) -> Decoy:
    """Returns what a rub can be at its worst: the shapes of true crackles, at any time of the breath."""
    wave = _burst(generator, 1 + generator.poisson(1.5), generator.uniform(0.05, 0.3), (0.0005, 0.0018), 6)
    return Decoy("rub", "crackle-like", generator.uniform(0, seconds), 450.0, generator.normal(6, 4), wave)


def _cough(generator: np.random.Generator, seconds: float) -> Decoy:
    """Returns a cough: a burst of noise that opens within 10 ms and dies over a third of a second."""
    samples = int(generator.uniform(0.3, 0.5) * RATE)
    frequency = np.fft.rfftfreq(samples, 1 / RATE)
    formants = bump(frequency, generator.uniform(300, 600), 200) + 0.3 * bump(frequency, 1500, 500)
    time = np.arange(samples) / RATE
    shape = np.exp(-time / generator.uniform(0.06, 0.12)) * edges(samples, 0.01, 0.05)
    wave = noise(generator, formants + 0.03, samples) * shape
    return Decoy("cough", "", generator.uniform(0, seconds), 450.0, generator.normal(22, 5), wave)


def _voices(generator: np.random.Generator, seconds: float, snr: tuple[float, float]) -> list[Decoy]:
    """Returns a stretch of talking or crying: syllables of one voice, harmonics under two formants."""
    pitch = np.exp(generator.uniform(np.log(110), np.log(330)))
    time, end = (float(part) for part in np.sort(generator.uniform(-0.2, 1.2, 2)) * seconds)
    base, found = generator.normal(*snr), []
    while (time := time + generator.exponential(0.35)) < end:
        length = generator.uniform(0.12, 0.6)
        if time > 0:
            local = pitch * np.exp(generator.normal(0, 0.15))
            wave = _syllable(generator, int(length * RATE), local)
            found.append(Decoy("speech", "", time, local, base + generator.normal(0, 3), wave))
        time += length
    return found


def _syllable(generator: np.random.Generator, samples: int, pitch: float) -> np.ndarray:
    """Returns one voiced syllable whose pitch mostly falls, a little unsteady in pitch and loudness."""
    u = np.linspace(-1, 1, samples)
    contour = generator.normal(-0.08, 0.15) * u - abs(generator.normal(0, 0.15)) * np.square(u)
    knots = np.linspace(-1, 1, 4 + samples // (RATE // 15))
    wobble, swell = (np.interp(u, knots, generator.normal(0, 1, len(knots))) for _ in range(2))
    partials = pitch * np.arange(1, int(2800 / pitch) + 1)
    formants = 0.3 + bump(partials, generator.uniform(350, 700), 150)
    formants += 0.4 * bump(partials, generator.uniform(1100, 1900), 250)
    levels = 20 * np.log10(formants * np.power(pitch / partials, 1.5))
    return tone(pitch * (1 + contour + 0.02 * wobble), levels) * 10 ** (3 * swell / 20) * edges(samples, 0.06, 0.12)


def _beeps(generator: np.random.Generator, seconds: float) -> list[Decoy]:
    """Returns the beeps of a monitor: one steady pitch, again and again."""
    pitch, period, snr = generator.uniform(400, 1000), generator.uniform(0.8, 3), generator.normal(6, 5)
    samples = int(generator.uniform(0.08, 0.3) * RATE)
    wave = tone(np.full(samples, pitch), np.array([0.0, -15.0])) * edges(samples, 0.005, 0.02)
    starts = np.arange(generator.uniform(0, period), seconds, period)
    return [Decoy("tone", "", float(start), pitch, snr, wave) for start in starts]


def heart_beats(generator: np.random.Generator, samples: int, beats_per_minute: float) -> np.ndarray:
    """Returns heart sounds whose first sound has a height of about 1, shape (samples,).

    The first is a Gabor pulse of 35-60 Hz over 120 ms; the second, of 50-90 Hz over 90 ms, comes
    ``0.31·sqrt(60 / rate)`` seconds later. Above each lie shorter and weaker pulses, half an octave apart.

    Reference: assumption; that the pulses reach 250-400 Hz: seen in ICBHI recordings.
    """
    beat = 60 / beats_per_minute
    count = int(samples / RATE / beat) + 3
    starts = np.cumsum(beat * np.exp(generator.normal(0, 0.03, count))) - generator.uniform(1, 2) * beat
    slope = generator.uniform(4, 7)  # decibels per half octave
    first, second = _pulses(generator.uniform(35, 60), 0.120, slope), _pulses(generator.uniform(50, 90), 0.090, slope)
    wave = np.zeros(samples)
    for pulse, onset in ((first, starts), (0.8 * second, starts + 0.31 * np.sqrt(beat))):
        heights = np.exp(generator.normal(0, 0.15, (count, 1)))
        add_at(wave, np.round(onset * RATE).astype(int), heights * pulse)
    return wave


def _pulses(frequency: float, length: float, slope: float) -> np.ndarray:
    """Returns a Gabor pulse and its companions; an envelope falls to 5 % at half its length. 0.15 s long."""
    time = np.arange(int(0.15 * RATE)) / RATE - 0.075
    steps = np.sqrt(2.0) ** np.arange(7)[:, None]
    heights = 10 ** (-slope * np.arange(7)[:, None] / 20)
    envelopes = np.exp(-3.0 * np.square(2 * time * steps / length))
    return (heights * envelopes * np.cos(2 * np.pi * frequency * steps * time)).sum(0)


def mains_hum(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Returns the hum of the mains: in a quarter of recordings, 50 Hz and its harmonics.

    Reference: assumption.
    """
    if generator.random() >= 0.25:
        return np.zeros(samples)
    harmonics = np.arange(1, generator.integers(4, 16))
    levels = generator.normal(-32, 6) - 10 * np.log2(harmonics) + generator.normal(0, 5, len(harmonics))
    return tone(np.full(samples, 50.0), levels)
