"""The plan of a simulated corpus: the structure of ICBHI, shares of the classes, and what depends on what."""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from lung_srad.datasets.icbhi_files import Name
from lung_srad.datasets.simulated.plan import DIFFICULTIES
from lung_srad.datasets.simulated.population import SIZES, apportion, draw_patient
from lung_srad.datasets.simulated.schedule import SHARES, plan_corpus


@cache
def plan(size="small", difficulty="medium", confound=0.5, leak=None, seed=0):
    return plan_corpus(size, difficulty, confound, leak, seed)


def states(plans, *, true=False):
    """Returns the class of every cycle."""
    names = ("crackle", "wheeze") if true else ("label_crackle", "label_wheeze")
    return np.array([getattr(c, names[0]) + 2 * getattr(c, names[1]) for p in plans for c in p.cycles], int)


def by_patient(plans):
    found = {}
    for each in plans:
        found.setdefault(each.patient.number, []).append(each)
    return found


@pytest.fixture(scope="module")
def full():
    return plan("full")


@pytest.mark.parametrize("size", SIZES)
def test_patients_and_recordings_are_those_of_the_size(size):
    plans = plan(size)
    wanted = SIZES[size]
    patients = by_patient(plans)
    assert (len(patients), len(plans)) == (wanted.patients, wanted.recordings)
    assert sorted(patients) == list(range(301, 301 + wanted.patients))
    if wanted.each:
        assert {len(found) for found in patients.values()} == {wanted.each}


def test_the_full_corpus_is_built_like_icbhi(full):
    patients = by_patient(full)
    counts = np.array([len(found) for found in patients.values()])
    assert counts.min() == 1
    assert np.median(counts) == pytest.approx(3, abs=1)
    assert np.percentile(counts, 95) == pytest.approx(24, abs=6)
    assert 35 <= counts.max() <= 80
    cycles = [len(each.cycles) for each in full]
    assert sum(cycles) == pytest.approx(6898, rel=0.08)
    low, high = np.percentile(cycles, [5, 95])
    assert 3 <= low <= 5
    assert 11 <= high <= 14
    ends = np.array([each.cycles[-1].end for each in full])
    assert np.mean((ends >= 17) & (ends <= 20)) == pytest.approx(0.91, abs=0.04)
    assert np.mean([found[0].patient.child for found in patients.values()]) == pytest.approx(0.39, abs=0.01)
    sides = Counter(found[0].split for found in patients.values())
    assert sides == {"train": 77, "test": 49}
    assert all(len({each.split for each in found}) == 1 for found in patients.values())


@pytest.mark.parametrize(
    ("device", "split", "share"),  # of all cycles, as in ICBHI
    [
        ("AKGC417L", "train", 0.364),
        ("AKGC417L", "test", 0.266),
        ("Litt3200", "train", 0.006),
        ("Litt3200", "test", 0.067),
        ("LittC2SE", "train", 0.086),
        ("LittC2SE", "test", 0),
        ("Meditron", "train", 0.145),
        ("Meditron", "test", 0.067),
    ],
)
def test_devices_have_their_shares_on_either_side(full, device, split, share):
    cycles = sum(len(each.cycles) for each in full)
    found = sum(len(each.cycles) for each in full if (each.device, each.split) == (device, split))
    assert found / cycles == pytest.approx(share, abs=0.06)


def test_sites_have_the_shares_of_icbhi(full):
    shares = {"Ar": 168, "Al": 162, "Pl": 139, "Pr": 132, "Tc": 130, "Lr": 112, "Ll": 77}
    found = Counter(each.site for each in full)
    for site, count in shares.items():
        assert found[site] == pytest.approx(count, abs=30)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("confound", [0, 0.5, 1])
@pytest.mark.parametrize("size", ["demo", "small", "full"])
def test_the_shares_of_the_classes(size, confound, seed):
    labels = states(plan(size, confound=confound, seed=seed))
    shares = 100 * np.bincount(labels, minlength=4) / len(labels)
    assert shares == pytest.approx([53, 27, 13, 7], abs=3)
    assert sum(SHARES) == pytest.approx(1)


def test_patients_without_events_and_recordings_of_one_class(full):
    patients = by_patient(full)
    with_crackle = [any(c.label_crackle for each in found for c in each.cycles) for found in patients.values()]
    with_wheeze = [any(c.label_wheeze for each in found for c in each.cycles) for found in patients.values()]
    assert np.mean(with_crackle) == pytest.approx(0.63, abs=0.1)
    assert np.mean(with_wheeze) == pytest.approx(0.51, abs=0.1)
    one = [len({(c.label_crackle, c.label_wheeze) for c in each.cycles}) == 1 for each in full]
    assert np.mean(one) == pytest.approx(0.44, abs=0.1)


def test_a_state_stays_for_some_cycles(full):
    pairs = Counter(
        ((a.label_crackle, a.label_wheeze), (b.label_crackle, b.label_wheeze))
        for each in full
        for a, b in zip(each.cycles, each.cycles[1:], strict=False)
    )
    stays = [
        count / sum(n for (before, _), n in pairs.items() if before == state)
        for state in [(False, False), (True, False), (False, True), (True, True)]
        for count in [pairs[state, state]]
    ]
    assert stays == pytest.approx([0.85, 0.76, 0.66, 0.59], abs=0.13)  # as in ICBHI


@pytest.mark.parametrize(("difficulty", "share"), [("easy", 0), ("medium", 0.1), ("hard", 0.2)])
def test_labels_err_by_difficulty_and_the_truth_does_not(difficulty, share):
    plans = plan("full", difficulty)
    assert np.mean(states(plans) != states(plans, true=True)) == pytest.approx(share, abs=0.015 if share else 0)
    assert (states(plans, true=True) == states(plan("full", "easy"), true=True)).all()
    assert DIFFICULTIES[difficulty].label_flips == share


def test_labels_err_where_patients_have_events_only():
    for found in by_patient(plan("full", "hard")).values():
        cycles = [cycle for each in found for cycle in each.cycles]
        if found[0].patient.crackle_logit == -np.inf:
            assert not any(cycle.crackle or cycle.label_crackle for cycle in cycles)


def device_score(plans):
    """Returns Score of the class that is most over-represented on a device in training."""
    counts = {
        split: {
            device: np.bincount(states([p for p in plans if (p.split, p.device) == (split, device)]), minlength=4)
            for device in ("AKGC417L", "Litt3200", "LittC2SE", "Meditron")
        }
        for split in ("train", "test")
    }
    total = sum(counts["train"].values())
    right = np.zeros(4)
    for device, found in counts["train"].items():
        guess = np.argmax(found / total)
        right[guess] += counts["test"][device][guess]
    test = sum(counts["test"].values())
    return 50 * (right[0] / test[0] + right[1:].sum() / test[1:].sum())


def test_the_device_alone_says_little_by_default():
    assert np.mean([device_score(plan("full", seed=seed)) for seed in range(3)]) <= 40


def test_the_confound_ties_what_patients_have_to_the_device():
    def gap(confound):
        rates = []
        for seed in range(3):
            plans = plan("full", confound=confound, seed=seed)
            akg, other = ([p for p in plans if (p.device == "AKGC417L") == side] for side in (True, False))
            rates.append(np.mean(states(akg, true=True) % 2) - np.mean(states(other, true=True) % 2))
        return np.mean(rates)

    assert abs(gap(0)) < 0.1
    assert gap(0.5) > gap(0) + 0.05
    assert gap(1) == pytest.approx(0.443 - 0.183, abs=0.08)  # as in ICBHI


def test_leaked_patients_are_on_both_sides_and_nothing_else_changes():
    clean, leaky = plan("full"), plan("full", leak="icbhi")
    assert [replace(each, split=other.split) for each, other in zip(clean, leaky, strict=True)] == list(leaky)
    sides = {number: {each.split for each in found} for number, found in by_patient(leaky).items()}
    both = [number for number, found in sides.items() if len(found) > 1]
    assert len(both) == 2
    assert sum("train" in found for found in sides.values()) == 79
    assert sum("test" in found for found in sides.values()) == 49
    for size in ("demo", "small"):
        assert sum(len({p.split for p in found}) > 1 for found in by_patient(plan(size, leak="icbhi")).values()) == 2


def test_the_akg_hears_several_sites_at_once(full):
    sessions = {}
    for each in full:
        sessions.setdefault((each.patient.number, each.session), []).append(each)
    for found in sessions.values():
        assert len({each.session_seed for each in found}) == 1
        assert len({tuple((c.start, c.end) for c in each.cycles) for each in found}) == 1
        assert len({each.site for each in found}) == len(found) <= (7 if found[0].device == "AKGC417L" else 1)
    at_once = [len(found) for found in sessions.values() if found[0].device == "AKGC417L"]
    assert np.mean(at_once) > 4
    assert len({each.seed for each in full} | {each.session_seed for each in full}) == len(full) + len(sessions)


def test_names_and_cycles_follow_the_rules_of_icbhi(full):
    names = [Name.parse(each.name) for each in full]
    assert len({name.key for name in names}) == len(full)
    for each, name in zip(full, names, strict=True):
        assert (name.patient, name.site, name.device) == (str(each.patient.number), each.site, each.device)
        assert f"_{each.mode}_" in each.name
        assert each.mode == ("mc" if each.device in ("AKGC417L", "LittC2SE") else "sc")
        times = [time for cycle in each.cycles for time in (cycle.start, cycle.end)]
        assert times == sorted(times)
        assert times == [round(time, 3) for time in times]
        assert times[1:-1:2] == times[2::2]  # no gaps
        assert 0 <= times[0] < times[-1] <= each.seconds
        assert min(cycle.end - cycle.start for cycle in each.cycles) > 0.2


def test_the_same_seed_gives_the_same_plan_and_another_another():
    assert plan("demo", seed=3) == plan("demo", seed=3)
    assert plan("demo", seed=3) != plan("demo", seed=4)


def test_a_patient_depends_on_seed_and_number():
    patient = draw_patient(301, child=True, crackle_logit=0.0, wheeze_logit=0.0, seed=1)
    assert patient == draw_patient(301, child=True, crackle_logit=0.0, wheeze_logit=0.0, seed=1)
    assert patient.age <= 16
    assert 90 <= patient.heart_rate <= 140
    other = draw_patient(302, child=True, crackle_logit=0.0, wheeze_logit=0.0, seed=1)
    assert other.equaliser != patient.equaliser


def test_apportion_gives_whole_numbers_that_add_up():
    assert apportion([1, 1, 1], 4) == [2, 1, 1]
    assert apportion([16, 15, 2, 10, 22, 37, 24], 126) == [16, 15, 2, 10, 22, 37, 24]
    assert sum(apportion([16, 15, 2, 10, 22, 37, 24], 12)) == 12
