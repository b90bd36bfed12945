"""Sounds that are no lung: silence of a room, hum, speech-like, music-like, heart alone. Drawn anew every time.

They share nothing with the simulator of lung sounds, whose recordings the shipped weights were trained on.
"""

from collections.abc import Callable, Iterator

import numpy as np

RATE = 16_000
NARROW_HZ = 1_900.0  # what a recording at 4 kHz holds


def foreign_waves(kind: str, seconds: float, seed: int = 0) -> Iterator[np.ndarray]:
    """Yields waves of one kind without end, (samples,) in float32 at 16 kHz; every other one is empty above 1.9 kHz."""
    samples = round(seconds * RATE)
    draw = np.random.default_rng([seed, *kind.encode()])
    narrow = False
    while True:
        wave = KINDS[kind](draw, samples)
        wave = wave + room(draw, samples, draw.uniform(-75, -55))
        yield (below(wave, NARROW_HZ) if narrow else wave).astype(np.float32)
        narrow = not narrow


def room(draw: np.random.Generator, samples: int, level: float) -> np.ndarray:
    """Returns steady noise whose spectrum falls by 0 to 6 dB per octave, ``level`` in dB below full scale."""
    spectrum = np.fft.rfft(draw.standard_normal(samples))
    frequency = np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 20)
    return scaled(np.fft.irfft(spectrum * frequency ** -draw.uniform(0, 1), samples), level)


def silence(draw: np.random.Generator, samples: int) -> np.ndarray:
    """Returns a microphone on a table: nothing but steady noise."""
    return room(draw, samples, draw.uniform(-70, -40))


def hum(draw: np.random.Generator, samples: int) -> np.ndarray:
    """Returns mains hum: 50 or 60 Hz and harmonics that fall."""
    base, time = draw.choice([50.0, 60.0]) * draw.uniform(0.999, 1.001), np.arange(samples) / RATE
    partials = np.arange(1, draw.integers(3, 16))
    heights = partials ** -draw.uniform(0.5, 2.0) * np.exp(draw.normal(0, 0.6, len(partials)))
    phases = draw.uniform(0, 2 * np.pi, (len(partials), 1))
    wave = (heights[:, None] * np.sin(2 * np.pi * base * partials[:, None] * time + phases)).sum(0)
    return scaled(wave, draw.uniform(-40, -10))


def speech(draw: np.random.Generator, samples: int) -> np.ndarray:
    """Returns syllables of one voice: pulses through three moving formants, a hiss before some, pauses between."""
    wave, place, pitch = np.zeros(samples), 0, draw.uniform(90, 250)
    while place < samples:
        length = int(draw.uniform(0.1, 0.35) * RATE)
        glide = pitch * np.exp(draw.normal(0, 0.1) + np.linspace(0, draw.normal(-0.1, 0.1), length))
        source = np.diff(np.floor(np.cumsum(glide / RATE)), prepend=0.0)
        formants = draw.uniform((250, 900, 2200), (850, 2200, 3200))
        voiced = resonances(source, formants, (80, 110, 160)) * np.hanning(length)
        if draw.random() < 0.4:
            start = int(draw.uniform(0.03, 0.09) * RATE)
            hiss = np.diff(draw.standard_normal(start), prepend=0.0) * np.hanning(start)
            voiced[:start] += draw.uniform(0.05, 0.3) * np.abs(voiced).max() * hiss
        kept = min(length, samples - place)
        wave[place : place + kept] += voiced[:kept]
        place += length + int(draw.exponential(0.12) * RATE)
    return scaled(wave, draw.uniform(-35, -12))


def music(draw: np.random.Generator, samples: int) -> np.ndarray:
    """Returns chords and a melody in one key: plucked notes with harmonics, on a beat."""
    wave, beat = np.zeros(samples), int(60 / draw.uniform(70, 150) * RATE)
    key, scale = draw.uniform(110, 220), np.array([0, 2, 4, 5, 7, 9, 11])
    for start in range(0, samples, beat):
        root = draw.integers(0, 7)
        steps = [root, root + 2, root + 4, root + draw.integers(5, 10)]
        for step in steps:
            time = np.arange(min(2 * beat, samples - start)) / RATE
            note = key * 2 ** ((scale[step % 7] + 12 * (step // 7)) / 12)
            partials = np.arange(1, 7)
            heights = partials ** -draw.uniform(0.8, 1.6)
            tone = (heights[:, None] * np.sin(2 * np.pi * note * partials[:, None] * time)).sum(0)
            wave[start : start + len(time)] += tone * np.exp(-time * draw.uniform(1, 4)) * np.minimum(time / 0.01, 1)
    return scaled(wave, draw.uniform(-35, -12))


def heart(draw: np.random.Generator, samples: int) -> np.ndarray:
    """Returns a heart and no breath: two dull beats, again and again."""
    wave, beat = np.zeros(samples), 60 / draw.uniform(55, 110)
    first, second, split = draw.uniform(30, 60), draw.uniform(45, 90), draw.uniform(0.25, 0.35)
    onset = -draw.uniform(0, beat)
    while onset * RATE < samples:
        for at, pitch, height in ((onset, first, 1.0), (onset + split, second, draw.uniform(0.4, 0.9))):
            time = np.arange(int(0.16 * RATE)) / RATE
            pulse = height * np.sin(2 * np.pi * pitch * time) * np.exp(-time / 0.03) * np.minimum(time / 0.008, 1)
            place = round(at * RATE) + np.arange(len(time))
            inside = (place >= 0) & (place < samples)
            wave[place[inside]] += pulse[inside]
        onset += beat * np.exp(draw.normal(0, 0.03))
    return scaled(wave, draw.uniform(-45, -20))


KINDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "silence": silence,
    "hum": hum,
    "speech-like": speech,
    "music-like": music,
    "heart only": heart,
}


def resonances(source: np.ndarray, formants: np.ndarray, widths: tuple[float, ...]) -> np.ndarray:
    """Returns a source through resonators, in the Fourier domain."""
    frequency = np.fft.rfftfreq(2 * len(source), 1 / RATE)
    gain = sum(
        0.6**index / (1 + 1j * (frequency - formant) / width)
        for index, (formant, width) in enumerate(zip(formants, widths, strict=True))
    )
    return np.fft.irfft(np.fft.rfft(source, 2 * len(source)) * gain)[: len(source)]


def below(wave: np.ndarray, hertz: float) -> np.ndarray:
    """Returns what of a wave lies under a frequency."""
    spectrum = np.fft.rfft(wave)
    return np.fft.irfft(np.where(np.fft.rfftfreq(len(wave), 1 / RATE) < hertz, spectrum, 0), len(wave))


def scaled(wave: np.ndarray, level: float) -> np.ndarray:
    """Returns a wave with a root mean square of so many dB below full scale."""
    return wave * 10 ** (level / 20) / max(float(np.sqrt(np.mean(wave**2))), 1e-12)
