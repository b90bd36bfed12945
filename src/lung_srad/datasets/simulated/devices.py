"""What a microphone makes of a chest: filters, the patient's equaliser, noise floor, level and format."""

from dataclasses import dataclass

import numpy as np

from lung_srad.datasets.simulated.sounds import RATE, noise, noise_bins

Points = tuple[tuple[float, float], ...]  # (hertz, decibels), straight lines over log frequency between them


@dataclass(frozen=True, slots=True)
class Device:
    """One recording chain. Power densities are in decibels per hertz where the whole recording has power 1.

    Attributes:
        rate: hertz.
        formats: soundfile's names of the sample formats in which its recordings come.
        highpass, lowpass: Butterworth: cutoff in hertz, order.
        peaks: resonances: (centre in hertz, gain in decibels, Q).
        floor: power density of what does not breathe: the room, the electronics.
        rumble: power density of hands, muscles and moving chests; most of a recording's power, and hardly audible.
        rumble_spread: its standard deviation between recordings, decibels.
        breath: power density of breathing in, at its plateau.
        level: of a recording in decibels under full scale: mean and standard deviation; None: its peak is full scale.
        loudest: the highest level.
        offset: how far from zero its mean may lie.
    """

    rate: int
    formats: tuple[str, ...]
    highpass: tuple[float, int]
    lowpass: tuple[float, int]
    peaks: tuple[tuple[float, float, float], ...]
    floor: Points
    rumble: Points
    rumble_spread: float
    breath: float
    level: tuple[float, float] | None
    loudest: float
    offset: float


# Filters: spec of each device where the recordings agree with it. Floors, levels, the resonance and the steep lowpass
# of Litt3200: medians over the recordings of a device in 224 of ICBHI 2017 (Rocha et al. 2019), quiet frames.
DEVICES = {
    "AKGC417L": Device(
        rate=44100,
        formats=("PCM_24",),
        highpass=(20.0, 2),
        lowpass=(2000.0, 1),
        peaks=(),
        floor=((50, -40), (100, -49), (200, -60), (300, -69), (400, -74), (800, -80), (2000, -89), (4000, -92)),
        rumble=((1, -34), (5, -20), (12, -16), (26, -18), (61, -26), (87, -32), (122, -41), (160, -54), (200, -80)),
        rumble_spread=3.0,
        breath=-29.0,
        level=(-14.0, 6.0),
        loudest=-7.0,
        offset=3e-4,
    ),
    "Litt3200": Device(
        rate=4000,
        formats=("PCM_16",),
        highpass=(30.0, 2),
        lowpass=(820.0, 6),
        peaks=((550.0, 7.0, 1.6),),
        floor=((50, -50), (100, -61), (200, -77), (300, -86), (500, -83), (800, -98), (1200, -109), (2000, -116)),
        rumble=((1, -24), (5, -18), (26, -18), (42, -26), (61, -32), (87, -40), (122, -52), (160, -64), (200, -90)),
        rumble_spread=4.0,
        breath=-31.0,
        level=None,
        loudest=0.0,
        offset=9e-3,
    ),
    "LittC2SE": Device(
        rate=44100,
        formats=("PCM_24",),
        highpass=(20.0, 1),
        lowpass=(900.0, 2),
        peaks=(),
        floor=((50, -51), (100, -60), (200, -74), (300, -82), (800, -89), (1200, -87), (2000, -97), (4000, -101)),
        rumble=((1, -45), (5, -15), (12, -11), (17, -18), (26, -20), (42, -28), (61, -37), (122, -60), (200, -95)),
        rumble_spread=5.0,
        breath=-33.0,
        level=(-15.0, 6.0),
        loudest=-8.0,
        offset=6e-4,
    ),
    "Meditron": Device(
        rate=44100,
        formats=("PCM_16", "PCM_24"),
        highpass=(20.0, 1),
        lowpass=(700.0, 2),
        peaks=(),
        floor=((50, -50), (100, -60), (200, -70), (300, -77), (400, -81), (1000, -86), (2000, -94), (4000, -95)),
        rumble=((1, -20), (3, -13), (12, -15), (26, -22), (42, -27), (61, -34), (87, -44), (122, -56), (200, -95)),
        rumble_spread=6.0,
        breath=-31.0,
        level=(-22.0, 8.0),
        loudest=-9.0,
        offset=1e-4,
    ),
}


def butterworth(frequency: np.ndarray, cutoff: float, order: int) -> np.ndarray:
    """Returns the complex response of an analog lowpass: −3 dB at the cutoff, 6·order dB/octave above.

    Reference: Butterworth 1930; the poles lie evenly on the left half of the unit circle.
    """
    s = 1j * frequency / cutoff
    poles = np.exp(1j * np.pi * (2 * np.arange(1, order + 1) + order - 1) / (2 * order))
    response = np.ones_like(s)
    for pole in poles:
        response /= s - pole
    return response


def highpass(frequency: np.ndarray, cutoff: float, order: int) -> np.ndarray:
    """Returns the complex response of the mirror image of :func:`butterworth`; zero at 0 Hz."""
    return butterworth(cutoff**2 / np.maximum(frequency, 1e-3), cutoff, order).conj()


def peak(frequency: np.ndarray, centre: float, gain_db: float, q: float) -> np.ndarray:
    """Returns the complex response of a peaking equaliser: ``gain_db`` at the centre, 0 dB far from it.

    Reference: the analog prototype of R. Bristow-Johnson's audio equaliser cookbook.
    """
    s, root = 1j * frequency / centre, 10 ** (gain_db / 40)
    return (s * s + s * (root / q) + 1) / (s * s + s / (root * q) + 1)


def response(
    device: Device, frequency: np.ndarray, equaliser: tuple[tuple[float, float, float], ...] = (), cutoff: float = 1.0
) -> np.ndarray:
    """Returns the complex response of a device on a patient.

    Args:
        equaliser: the patient's own peaks: stethoscopes on chests differ by up to 20 dB between 5 Hz and 3 kHz.
        cutoff: factor on the cutoff of the lowpass.

    Reference: Watrous et al. 2002 for the size of the differences; the form: assumption.
    """
    hertz, order = device.lowpass
    total = highpass(frequency, *device.highpass) * butterworth(frequency, hertz * cutoff, order)
    for centre, gain, q in (*device.peaks, *equaliser):
        total *= peak(frequency, centre, gain, q)
    return total


def density(points: Points, frequency: np.ndarray) -> np.ndarray:
    """Returns a power density (not in decibels) over frequency, flat beyond the first and the last point."""
    hertz, decibels = np.array(points, dtype=float).T
    return 10 ** (np.interp(np.log(np.maximum(frequency, 1.0)), np.log(hertz), decibels) / 10)


def record(
    generator: np.random.Generator, wave: np.ndarray, transfer: np.ndarray, *, device: Device, floor: np.ndarray
) -> np.ndarray:
    """Returns a sound through a device, on top of its noise floor and rumble, at the device's rate.

    Filter and change of rate are one product of Fourier bins, since all grids have the same step.

    Args:
        wave: a whole number of seconds at RATE; it wraps round, so its end should be spare.
        transfer: the device's response on the bins of ``wave``.
        floor: power density of the noise on the bins of the result.
    """
    samples = len(wave) * device.rate // RATE
    bins = noise_bins(generator, np.sqrt(floor)) * np.sqrt(samples * device.rate)
    low = _rumble(generator, device, len(wave) // RATE)
    bins[: len(low)] += low * device.rate
    shared = min(len(bins), len(transfer))
    bins[:shared] += np.fft.rfft(wave)[:shared] * transfer[:shared] * (device.rate / RATE)
    return np.fft.irfft(bins, samples)


def _rumble(generator: np.random.Generator, device: Device, seconds: int) -> np.ndarray:
    """Returns the Fourier bins of the rumble, which waxes and wanes, over its rate; made at 400 Hz.

    Reference: measured: medians of the power density over the recordings of each device; the waxing: assumption.
    """
    rate = 400
    level = generator.normal(0, device.rumble_spread)
    amplitude = np.sqrt(density(device.rumble, np.fft.rfftfreq(seconds * rate, 1 / rate)))
    knots = generator.normal(0, 3.0, 4 * seconds + 1)
    waxing = 10 ** ((level + np.interp(np.arange(seconds * rate), np.arange(len(knots)) * rate / 4, knots)) / 20)
    return np.fft.rfft(waxing * noise(generator, amplitude, seconds * rate, rate)) / rate


def set_level(generator: np.random.Generator, wave: np.ndarray, device: Device) -> np.ndarray:
    """Returns a recording at a level of its device, whatever is in it; what is over full scale is clipped.

    Reference: measured: medians and spreads over the recordings of each device in ICBHI 2017; Litt3200 puts the peak
        at full scale and leaves an offset of up to 0.009.
    """
    offset = device.offset * generator.uniform(-1, 1)
    if device.level is None:
        return (wave * ((1 - abs(offset)) / np.abs(wave).max()) + offset).clip(-1, 1)
    level = min(generator.normal(*device.level), device.loudest)
    return (wave * (10 ** (level / 20) / wave.std()) + offset).clip(-1, 1)
