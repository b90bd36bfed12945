"""The formulas of simulated lung sounds: what each promises, measured on what it returns."""

import numpy as np
import pytest

from lung_srad.datasets.simulated import sounds
from lung_srad.datasets.simulated.decoys import HABITS, draw_decoys, heart_beats, mains_hum
from lung_srad.datasets.simulated.loudness import background, octave_power, peak_pitch
from lung_srad.datasets.simulated.sounds import RATE
from lung_srad.datasets.simulated.trains import draw_pitch, draw_train, draw_wheeze

PHASES = np.array([[1.0, 2.2], [2.4, 3.8]])  # breathing in, breathing out


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- breath


def test_air_flows_in_then_out_and_rests_between() -> None:
    start = np.arange(0, 300, 3.0)
    breathing = sounds.draw_breathing(rng(), start, start + 3)
    times = np.hstack([breathing.inspiration, breathing.expiration])  # (n, 4)
    assert (np.diff(times, axis=1) > 0).all()
    assert (times[:, 0] >= start).all()
    assert (times[:, 3] <= start + 3).all()
    inwards, outwards = np.diff(breathing.inspiration)[:, 0] / 3, np.diff(breathing.expiration)[:, 0] / 3
    assert ((inwards > 0.34) & (inwards < 0.5)).all()
    assert ((outwards > 0.38) & (outwards < 0.55)).all()
    pause = 1 - inwards - outwards
    assert ((pause > 0.0799) & (pause < 0.2001)).all()


def test_the_flow_of_a_breath_is_a_half_sine_of_its_depth() -> None:
    breathing = sounds.Breathing(np.array([[0.5, 1.5]]), np.array([[1.75, 3.0]]), np.array([[1.2], [0.8]]))
    inwards, outwards = sounds.airflow(breathing, 4 * RATE)
    assert inwards[RATE] == pytest.approx(1.2)  # the middle of the inspiration
    assert outwards.max() == pytest.approx(0.8, rel=1e-6)
    assert outwards.argmax() / RATE < 2.375  # the expiration peaks early
    assert not inwards[: RATE // 2].any()
    assert not (inwards * outwards).any()
    assert sounds.breath_amplitude(np.array([0.0, 0.5, 1.0]), 1.66) == pytest.approx([0, 0.5**1.66, 1])


def decibels_per_octave(amplitude: np.ndarray) -> float:
    return 20 * np.log10(amplitude[1] / amplitude[0])


@pytest.mark.parametrize("slope", [12.7, 15.2, 20.3])
def test_chest_noise_falls_as_steeply_as_asked(slope: float) -> None:
    far = sounds.chest_spectrum(np.array([2000.0, 4000.0]), 120.0, slope)
    assert decibels_per_octave(far) == pytest.approx(-slope, abs=0.1)
    assert sounds.chest_spectrum(np.array([5.0]), 120.0, slope)[0] < 0.02


def test_tracheal_noise_is_flat_to_its_cutoff_and_steep_beyond() -> None:
    flat = sounds.trachea_spectrum(np.array([200.0, 300.0]), 1200.0)
    assert abs(decibels_per_octave(flat)) < 2
    far = sounds.trachea_spectrum(np.array([3500.0, 7000.0]), 1200.0)
    assert decibels_per_octave(far) == pytest.approx(-24, abs=0.5)


def test_noise_has_the_power_density_asked_for() -> None:
    samples = 20 * RATE
    frequency = np.fft.rfftfreq(samples, 1 / RATE)
    wave = sounds.noise(rng(), np.where((frequency > 100) & (frequency < 300), 0.1, 0.0), samples)
    assert wave.var() == pytest.approx(200 * 0.01, rel=0.05)


# --- crackles


@pytest.mark.parametrize(("deflection", "width"), [(0.5, 3.3), (1.0, 5.1), (1.5, 10.0)])
def test_a_crackle_crosses_zero_at_its_first_deflection_and_ends_at_its_width(deflection: float, width: float) -> None:
    time = np.linspace(0, 1.5 * width, 100_001)
    wave = sounds.crackle(time, np.array(deflection), np.array(width))
    crossings = time[1:][np.diff(np.sign(wave)) < 0]
    assert crossings[0] == pytest.approx(deflection, rel=1e-3)
    assert not wave[time > width].any()
    assert np.abs(wave[(time > 0.9 * width) & (time < width)]).max() > 0
    assert wave[(time > 0) & (time < 0.99 * deflection)].min() > 0


@pytest.mark.parametrize(("deflection", "width", "hertz"), [(0.5, 3.3, 604), (1.0, 5.1, 396)])
def test_the_spectrum_of_a_crackle_peaks_where_the_published_one_does(
    deflection: float, width: float, hertz: float
) -> None:
    time = np.arange(400)[None] / RATE
    wave = sounds.crackle(time, np.array([[deflection / 1000]]), np.array([[width / 1000]]))
    assert peak_pitch(wave)[0] == pytest.approx(hertz, rel=0.05)


def many_trains(*, fine: bool, count: int = 600, snr: tuple[float, float] = (6.0, 5.0)) -> list:
    return [draw_train(rng(seed), PHASES, fine=fine, snr=snr) for seed in range(count)]


def test_crackles_lie_within_their_phase_and_mostly_in_the_inspiration() -> None:
    for fine in (True, False):
        trains = many_trains(fine=fine, count=300)
        inside = 0
        for train in trains:
            over = train.onset + train.width
            phase = PHASES[int(train.onset[0] > 2.3)]
            assert (train.onset >= phase[0]).all()
            assert (over <= phase[1] + 1e-9).all()
            inside += train.onset[0] < 2.3
        assert inside / len(trains) == pytest.approx(0.64, abs=0.08)


def test_fine_crackles_are_shorter_and_later_than_coarse_ones() -> None:
    fine, coarse = (many_trains(fine=kind, count=200) for kind in (True, False))

    def inspiratory(trains: list, name: str) -> np.ndarray:
        return np.concatenate([getattr(train, name) for train in trains if train.onset[0] < 2.3])

    assert inspiratory(fine, "onset").mean() > inspiratory(coarse, "onset").mean() + 0.3
    for name, bounds in (("first_deflection", (0.4, 0.9, 2.2)), ("width", (3, 7, 14))):
        assert 1000 * inspiratory(fine, name).min() >= bounds[0]
        assert 1000 * inspiratory(fine, name).max() <= bounds[1] + 1e-9
        assert 1000 * inspiratory(coarse, name).max() <= bounds[2] + 1e-9
    assert (inspiratory(fine, "sign") < 0).mean() == pytest.approx(0.76, abs=0.05)


def test_the_ratios_of_crackles_are_distributed_as_asked() -> None:
    # each train counts once: a long one would weigh its common part too much
    ratios = np.array([train.snr_db[0] for train in many_trains(fine=True, count=1500)])
    assert ratios.mean() == pytest.approx(6.0, abs=0.5)
    assert ratios.std() == pytest.approx(5.0, abs=0.4)


def test_intervals_between_crackles_have_a_heavy_tail() -> None:
    trains = [train for train in many_trains(fine=True) if len(train.onset) > 5]
    ratios = [np.diff(train.onset).max() / np.median(np.diff(train.onset)) for train in trains]
    assert np.median(ratios) > 2.5


# --- wheezes


def test_the_momentary_frequency_of_a_tone_is_the_one_asked_for() -> None:
    pitch = sounds.wheeze_pitch(RATE, 400.0, glide=0.1, vibrato=4.0)
    wave = sounds.tone(pitch, np.array([0.0]))
    bins = np.fft.fft(wave)
    bins[len(bins) // 2 :] = 0  # the analytic signal
    found = np.diff(np.unwrap(np.angle(np.fft.ifft(bins)))) * RATE / (2 * np.pi)
    assert np.abs(found[800:-800] / pitch[801:-800] - 1).max() < 0.02
    assert pitch[0] < 400 * 0.95 < 400 * 1.05 < pitch[-1]


def test_harmonics_have_their_levels() -> None:
    wave = sounds.tone(np.full(RATE, 250.0), np.array([0.0, -12.0, -20.0]))
    spectrum = np.abs(np.fft.rfft(wave)) / (RATE / 2)
    assert 20 * np.log10(spectrum[[250, 500, 750]]) == pytest.approx([0, -12, -20], abs=0.01)


@pytest.mark.parametrize("rhonchus", [True, False])
def test_wheezes_last_and_sound_as_specified(rhonchus: bool) -> None:
    low, high = (100, 200) if rhonchus else (180, 900)
    outside = 0
    for seed in range(200):
        usual = draw_pitch(rng(seed), rhonchus=rhonchus)
        wheeze = draw_wheeze(rng(seed), PHASES, pitch=usual, rhonchus=rhonchus)
        phase = PHASES[int(wheeze.start > 2.3)]
        assert phase[0] <= wheeze.start < wheeze.end <= phase[1] + 1e-9
        assert wheeze.end - wheeze.start >= 0.1
        assert low <= wheeze.pitch <= high
        assert len(wheeze.wave) == pytest.approx((wheeze.end - wheeze.start) * RATE, abs=1)
        outside += wheeze.start > 2.3
    assert outside / 200 == pytest.approx(0.75, abs=0.1)


# --- loudness


def test_the_background_is_the_power_of_the_noise_around() -> None:
    samples = 20 * RATE
    frequency = np.fft.rfftfreq(samples, 1 / RATE)
    spectra = [sounds.chest_spectrum(frequency, 120.0, slope) for slope in (13.0, 18.0)]
    steady = 1e-3 * sounds.bump(frequency, 400.0, 300.0)
    time = np.arange(samples) / RATE
    envelopes = (np.where(time < 10, 1.0, 0.0), np.where(time < 10, 0.0, 0.5))
    measure = background((spectra[0] ** 2, spectra[1] ** 2, steady**2), envelopes, RATE / samples)
    parts = zip((*spectra, steady), (*envelopes, np.ones(samples)), strict=True)
    wave = sum(envelope * sounds.noise(rng(i), spectrum, samples) for i, (spectrum, envelope) in enumerate(parts))
    for start, end in ((0.5, 9.5), (10.5, 19.5)):
        part = wave[int(start * RATE) : int(end * RATE)]
        bins, grid = np.abs(np.fft.rfft(part)) ** 2 * 2 / len(part) ** 2, np.fft.rfftfreq(len(part), 1 / RATE)
        for pitch in (150.0, 400.0):
            octave = bins[(grid >= pitch / 2**0.5) & (grid < pitch * 2**0.5)].sum()
            expected = measure.power(np.array([start]), np.array([end]), np.array([pitch]))[0]
            assert 10 * np.log10(octave / expected) == pytest.approx(0, abs=0.6)


def test_the_power_of_a_tone_lies_in_its_octave() -> None:
    wave = np.stack([3.0 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)])
    power = octave_power(wave, np.array([0.5]), np.array([440.0]))
    assert power == pytest.approx([4.5], rel=0.01)
    assert octave_power(wave, np.array([0.5]), np.array([1000.0]))[0] < 0.01


# --- decoys


def test_a_heart_beats_at_its_rate() -> None:
    wave = heart_beats(rng(), 30 * RATE, 75.0)
    power = np.square(wave).reshape(-1, RATE // 100).sum(1)  # every 10 ms
    power -= power.mean()
    correlation = np.correlate(power, power, "full")[len(power) - 1 :]
    assert 0.3 * 100 < correlation[60:100].argmax() + 60 == pytest.approx(80, abs=4)


def test_hum_is_a_comb_in_a_quarter_of_recordings() -> None:
    hums = [mains_hum(rng(seed), RATE) for seed in range(200)]
    assert np.mean([hum.any() for hum in hums]) == pytest.approx(0.25, abs=0.08)
    spectrum = np.abs(np.fft.rfft(next(hum for hum in hums if hum.any())))
    assert np.square(spectrum[50::50]).sum() > 0.999 * np.square(spectrum).sum()


@pytest.mark.parametrize("device", list(HABITS))
def test_decoys_have_a_sound_a_place_and_a_kind(device: str) -> None:
    decoys = [decoy for seed in range(25) for decoy in draw_decoys(rng(seed), HABITS[device], 20.0)]
    assert {decoy.kind for decoy in decoys} >= {"rub", "click", "speech"}
    for decoy in decoys:
        assert 0 <= decoy.start < decoy.end < 20
        assert np.isfinite(decoy.wave).all()
        power = octave_power(decoy.wave[None], np.array([len(decoy.wave) / RATE]), np.array([decoy.pitch]))
        assert power[0] > 1e-3 * np.square(decoy.wave).mean()  # the octave that it is measured in holds some of it
