from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_srad.datasets import Cycle, validation_patients
from lung_srad.errors import ConfigError


def people(spec):
    """Returns one cycle for each (patient, label, device)."""
    return [
        Cycle(f"{patient}#{i}", Path("a.wav"), 0, 1, label, patient, patient, device)
        for i, (patient, label, device) in enumerate(spec)
    ]


def test_validation_is_patient_disjoint_stable_and_close_to_the_share():
    cycles = people((f"p{i % 50:02}", i % 4, "AB"[i % 2]) for i in range(500))
    chosen = validation_patients(cycles, seed=3)
    assert len(chosen.patients) == 10
    assert chosen.unmet == ()
    assert validation_patients(cycles[::-1], seed=3) == chosen
    assert len({validation_patients(cycles, seed=seed).patients for seed in range(5)}) == 5


def test_patients_with_many_cycles_do_not_unbalance_the_share():
    cycles = people((f"p{i:02}", 0, "A") for i in range(20) for _ in range(1 + 200 * (i == 7)))
    chosen = validation_patients(cycles)
    assert "p07" not in chosen.patients  # it alone holds nine tenths of the cycles


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_every_class_and_device_of_three_patients_is_on_both_sides(data):
    count = data.draw(st.integers(6, 25))
    spec = [
        (f"p{i}", data.draw(st.integers(0, 3)), data.draw(st.sampled_from("ABC")))
        for i in range(count)
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    cycles = people(spec)
    chosen = validation_patients(cycles, seed=1)
    assert chosen.patients
    inside = [cycle for cycle in cycles if cycle.patient in chosen.patients]
    outside = [cycle for cycle in cycles if cycle.patient not in chosen.patients]
    assert outside
    for value in ("label", "device"):
        for word in {getattr(cycle, value) for cycle in cycles}:
            holders = {cycle.patient for cycle in cycles if getattr(cycle, value) == word}
            name = f"{'class' if value == 'label' else value} {word}"
            unmet = [text for text in chosen.unmet if text.startswith(f"{name}:")]
            both = all(word in {getattr(c, value) for c in side} for side in (inside, outside))
            assert (len(holders) < 3) == any("only" in text for text in unmet)
            assert both or unmet


def test_what_cannot_be_met_is_said_in_words():
    cycles = people([(f"p{i}", 0, "A") for i in range(8)] + [("p0", 1, "A"), ("p1", 1, "B")])
    assert validation_patients(cycles, class_names=("normal", "crackle")).unmet == (
        "class crackle: only 2 training patient(s), 3 are needed to ask for it on both sides",
        "device B: only 1 training patient(s), 3 are needed to ask for it on both sides",
    )


def test_a_single_patient_cannot_be_set_aside():
    chosen = validation_patients(people([("p", 0, "A")]))
    assert chosen.patients == frozenset()
    assert chosen.unmet == ("1 training patient(s): none can be set aside",)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan")])
def test_a_fraction_must_be_one(fraction):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        validation_patients(people([("p", 0, "A"), ("q", 0, "A")]), fraction=fraction)
