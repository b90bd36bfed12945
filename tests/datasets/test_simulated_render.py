"""Rendered recordings: a function of the plan, true to it, and free of holes."""

from dataclasses import replace

import numpy as np
import pytest

from lung_srad.datasets.simulated.chest import breath, make_chest, tile
from lung_srad.datasets.simulated.devices import DEVICES, record
from lung_srad.datasets.simulated.loudness import octave_power
from lung_srad.datasets.simulated.plan import DIFFICULTIES, CyclePlan, Difficulty, Patient, RecordingPlan
from lung_srad.datasets.simulated.render import Event, Rendered, add_crackles, add_wheezes, render
from lung_srad.datasets.simulated.sounds import RATE

PATIENT = Patient(
    number=301,
    child=False,
    age=60.0,
    sex="F",
    height=165.0,
    weight=70.0,
    bmi=25.7,
    diagnosis="COPD",
    cycle_seconds=2.5,
    heart_rate=75.0,
    crackle_logit=0.0,
    wheeze_logit=0.0,
    fine_share=0.5,
    rhonchus=False,
    gain_db=0.0,
    event_db=0.0,
    equaliser=((120.0, 4.0, 1.5), (450.0, -5.0, 2.0), (1200.0, 3.0, 1.0)),
    cutoff_scale=1.1,
)
# normal, crackle, wheeze, both
STATES = [(False, False), (True, False), (False, True), (True, True)]
CYCLES = tuple(
    CyclePlan(start=0.3 + 2.5 * i, end=2.8 + 2.5 * i, crackle=c, wheeze=w, label_crackle=c, label_wheeze=w)
    for i, (c, w) in enumerate(STATES)
)
PLAN = RecordingPlan(
    patient=PATIENT,
    index=0,
    name="301_1b1_Al_sc_Meditron",
    site="Al",
    mode="sc",
    device="Meditron",
    seconds=11.2,
    cycles=CYCLES,
    split="train",
    seed=(0, 301, 0, 0),
    session=0,
    session_seed=(0, 301, 0, 1),
)
MEDIUM = DIFFICULTIES["medium"]


@pytest.fixture(scope="module")
def rendered() -> dict[str, Rendered]:
    return {device: render(replace(PLAN, device=device), MEDIUM) for device in DEVICES}


@pytest.mark.parametrize("device", list(DEVICES))
def test_recordings_are_whole(rendered: dict[str, Rendered], device: str) -> None:
    found = rendered[device]
    assert found.rate == DEVICES[device].rate
    assert found.subtype in DEVICES[device].formats
    assert len(found.wave) == round(PLAN.seconds * found.rate)
    assert np.isfinite(found.wave).all()
    assert np.abs(found.wave).max() <= 1


@pytest.mark.parametrize("device", list(DEVICES))
def test_nowhere_is_silence(rendered: dict[str, Rendered], device: str) -> None:
    found = rendered[device]
    step = found.rate // 50  # 20 ms
    frames = found.wave[: len(found.wave) // step * step].reshape(-1, step)
    assert frames.std(1).min() > 1e-5


def test_the_same_plan_gives_the_same_bits_and_another_seed_others() -> None:
    once, again = render(PLAN, MEDIUM), render(PLAN, MEDIUM)
    np.testing.assert_array_equal(once.wave, again.wave)
    assert once.events == again.events
    other = render(replace(PLAN, seed=(1, 301, 0, 0)), MEDIUM)
    assert np.abs(once.wave - other.wave).max() > 1e-3


def test_events_lie_in_cycles_that_have_them_and_every_such_cycle_has_one() -> None:
    for index in range(8):
        events = render(replace(PLAN, seed=(0, 301, index, 0), device="Litt3200"), MEDIUM).events
        assert list(events) == sorted(events, key=lambda event: event.start)
        for kind in ("crackle", "wheeze"):
            own = [event for event in events if event.kind == kind]
            assert {event.cycle for event in own} == {i for i, c in enumerate(CYCLES) if getattr(c, kind)}
            for event in own:
                cycle = CYCLES[event.cycle]
                assert cycle.start <= event.start < event.end <= cycle.end + 1e-9
        for event in events:
            assert 0 <= event.start < event.end <= PLAN.seconds
            assert event.cycle is None or CYCLES[event.cycle].start <= event.start


def test_decoys_know_nothing_of_classes() -> None:
    silent = tuple(replace(cycle, crackle=False, wheeze=False) for cycle in CYCLES)
    plain = render(replace(PLAN, cycles=silent), MEDIUM).events
    assert [e for e in render(PLAN, MEDIUM).events if e.kind not in ("crackle", "wheeze")] == list(plain)
    assert {event.kind for event in plain}.isdisjoint({"crackle", "wheeze"})


@pytest.mark.parametrize("kind", ["crackle", "wheeze"])
def test_events_are_where_the_truth_says_and_as_loud(kind: str) -> None:
    setting = Difficulty("", crackle_snr=(10.0, 5.0), wheeze_snr=(5.0, 5.0), label_flips=0.0)
    add = {"crackle": add_crackles, "wheeze": add_wheezes}[kind]
    seen = 0
    for number in range(10):
        plan = replace(PLAN, seed=(number, 301, 0, 0))
        chest = make_chest(plan, DEVICES[plan.device])
        wave = np.zeros(chest.samples)
        events = add(wave, chest, plan, setting)
        inside = np.zeros(chest.samples, dtype=bool)
        for event in events:
            inside[int(event.start * RATE) : int(event.end * RATE) + 2] = True
        assert not wave[~inside].any()
        for event in events:
            if any(e is not event and e.start < event.end + 0.001 and e.end > event.start for e in events):
                continue  # two at once
            columns = (np.array([x]) for x in (event.start, event.end, event.frequency_hz))
            length, pitch = np.array([[event.end - event.start], [event.frequency_hz]])
            piece = wave[None, int(event.start * RATE) : int(event.end * RATE) + 2]
            ratio = octave_power(piece, length, pitch) / chest.background.power(*columns)
            assert 10 * np.log10(ratio[0]) == pytest.approx(event.snr_db, abs=0.3)
            seen += 1
    assert seen > 15


def test_ratios_have_the_mean_of_the_difficulty_and_the_patient() -> None:
    patient = replace(PATIENT, event_db=3.0)
    sure = Difficulty("", crackle_snr=(10.0, 3.48), wheeze_snr=(5.0, 0.0), label_flips=0.0)
    plans = [replace(PLAN, patient=patient, seed=(0, 301, i, 0), device="Litt3200") for i in range(12)]
    events = [event for plan in plans for event in render(plan, sure).events]
    assert {event.snr_db for event in events if event.kind == "wheeze"} == {8.0}
    assert np.mean([event.snr_db for event in events if event.kind == "crackle"]) == pytest.approx(13.0, abs=1.0)


@pytest.mark.parametrize("device", ["AKGC417L", "Litt3200"])
def test_ratios_hold_in_what_the_device_records(device: str) -> None:
    """Wheezes are long enough to measure the breath around them, recorded without them."""
    setting = Difficulty("", crackle_snr=(0.0, 0.0), wheeze_snr=(6.0, 4.0), label_flips=0.0)
    chain, errors = DEVICES[device], []
    for number in range(8):
        plan = replace(PLAN, device=device, seed=(number, 301, 0, 0))
        chest = make_chest(plan, chain)
        alone = np.zeros(chest.samples)
        events = add_wheezes(alone, chest, plan, setting)
        silent = replace(chain, rumble=((1, -300),))
        heard = [
            record(np.random.default_rng(0), wave, chest.transfer, device=silent, floor=floor)
            for wave, floor in ((alone, np.zeros_like(chest.floor)), (breath(chest, plan), chest.floor))
        ]
        for event in events:
            powers = [octave_of(wave, chain.rate, event) for wave in heard]
            errors.append(10 * np.log10(powers[0] / powers[1]) - event.snr_db)
    assert np.mean(errors) == pytest.approx(0, abs=1.5)
    assert np.std(errors) < 3


def octave_of(wave: np.ndarray, rate: int, event: Event) -> float:
    piece = wave[int(event.start * rate) : int(event.end * rate)]
    grid = np.fft.rfftfreq(len(piece), 1 / rate)
    octave = (grid >= event.frequency_hz * 2**-0.5) & (grid < event.frequency_hz * 2**0.5)
    return float(np.square(np.abs(np.fft.rfft(piece)))[octave].sum())


def test_recordings_of_a_session_share_their_breaths() -> None:
    here, there = PLAN, replace(PLAN, site="Pr", index=1, seed=(0, 301, 1, 0))
    first, second = (make_chest(plan, DEVICES["Meditron"]) for plan in (here, there))
    np.testing.assert_array_equal(first.phases, second.phases)
    np.testing.assert_array_equal(first.envelopes[0], second.envelopes[0])
    assert np.abs(first.spectra[0] - second.spectra[0]).max() > 0


def test_breathing_goes_on_outside_the_annotated_cycles() -> None:
    plan = replace(PLAN, cycles=CYCLES[1:3])
    starts, ends, own = tile(plan)
    assert starts[0] <= 0
    assert ends[-1] >= plan.seconds
    np.testing.assert_allclose(starts[1:], ends[:-1])
    np.testing.assert_allclose(starts[own], [2.8, 5.3])
    np.testing.assert_allclose(ends[own], [5.3, 7.8])


def test_breath_is_louder_in_than_out_on_the_chest_and_alike_on_the_trachea() -> None:
    def ratio(site: str) -> float:
        chest = make_chest(replace(PLAN, site=site), DEVICES["Meditron"])
        grid = np.fft.rfftfreq(chest.samples, 1 / RATE)
        middle = (grid > 100) & (grid < 400)
        return float(np.sqrt(np.square(chest.spectra[0][middle]).sum() / np.square(chest.spectra[1][middle]).sum()))

    assert 2.0 < ratio("Pr") < 4.0  # the spectrum breathing out is the steeper one
    assert ratio("Tc") == pytest.approx(1.0, abs=0.05)
