"""Subgroups are the scores of their own cycles; few patients are said to be few; the worst is named."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from made_answers import answers, built, sure

from lung_srad.datasets import Cycle
from lung_srad.evaluation import Predictions, score_predictions
from lung_srad.evaluation.patients import FIGURES, labelled
from lung_srad.evaluation.subgroups import Subgroups, age_group, facts_of, spread, subgroups


def groups_of(given: Predictions, facts: dict | None = None) -> dict[str, Subgroups]:
    return {each.by: each for each in subgroups(labelled([given]), given, facts, resamples=200)}


def test_a_group_scores_as_its_cycles_do() -> None:
    given = answers(1, silent=2)
    found = groups_of(given)
    assert list(found) == ["device", "site", "cycle length"]
    assert [group.name for group in found["device"].groups] == ["AKGC417L", "Litt3200", "Meditron"]
    for group in found["device"].groups:
        own = given.device == group.name
        scores = asdict(score_predictions(given.label[own], given.predicted[own], num_classes=4))
        assert (group.cycles, group.patients, group.few) == (own.sum(), 12, False)
        for name in FIGURES:
            assert group.figures[name].value == pytest.approx(scores[name])
            assert group.figures[name].low < group.figures[name].high


def test_the_worst_group_has_the_least_score() -> None:
    device = groups_of(answers(1))["device"]
    assert device.worst == min(device.groups, key=lambda group: group.figures["score"].value).name


def test_lengths() -> None:
    found = groups_of(answers(1))["cycle length"]  # 0.5, 1.5 ... 4.5 s
    assert [group.name for group in found.groups] == ["0 to 1 s", "1 to 2 s", "2 to 3 s", "3 to 4 s", "4 s and more"]
    assert sum(group.cycles for group in found.groups) == 12 * 14
    edges = answers(1)
    whole = Predictions(
        *(getattr(edges, name) for name in ("class_names", "id", "recording", "patient", "device", "site", "split")),
        edges.start,
        np.r_[1.0, np.inf, np.full(len(edges) - 2, 0.9)],
        edges.label,
        edges.probabilities,
    )
    found = groups_of(whole)["cycle length"]
    assert found.unknown == 1
    assert [(group.name, group.cycles) for group in found.groups] == [("0 to 1 s", len(edges) - 2), ("1 to 2 s", 1)]


def test_facts_of_patients() -> None:
    facts = {f"p{index}": {"sex": "F" if index < 3 else "M", "diagnosis": "COPD"} for index in range(11)}
    found = groups_of(answers(1), facts)
    sex = found["sex"]
    assert [(group.name, group.patients, group.few) for group in sex.groups] == [("F", 3, True), ("M", 8, False)]
    assert sex.unknown == 14  # the twelfth patient
    assert sex.worst is None  # one group of five patients is not the worst of anything
    assert [group.name for group in found["diagnosis"].groups] == ["COPD"]


def test_a_group_of_one_patient_has_no_interval() -> None:
    facts = {f"p{index}": {"ward": str(index // 6)} for index in range(12)} | {"p1": {"ward": "alone"}}
    alone = groups_of(answers(1), facts)["ward"].groups[-1]
    assert (alone.name, alone.patients, alone.few) == ("alone", 1, True)
    assert alone.figures["score"].low is None


def test_what_the_file_does_not_say_is_left_out() -> None:
    given = built(["a", "b"], [0, 1], sure([0, 1]))
    blank = Predictions(given.class_names, given.id, *(["", ""],) * 5, *([0, 0], [1, 1]), [-1, -1], given.probabilities)
    assert blank.device.tolist() == ["", ""]
    part = Predictions(
        given.class_names, given.id, ["", ""], given.patient, ["", ""], ["", "Al"], ["", ""], [0, 0], [1, 2], [0, 1],
        given.probabilities,
    )  # fmt: skip
    found = groups_of(part)
    assert list(found) == ["site", "cycle length"]
    assert found["site"].unknown == 1


def cycle(patient: str, age: float | None, sex: str) -> Cycle:
    return Cycle(f"{patient}#0", Path("a.wav"), 0.0, 1.0, 0, patient, patient, age=age, sex=sex)


def test_facts_from_cycles() -> None:
    cycles = [cycle("1", 17.9, "M"), cycle("2", None, ""), cycle("3", 65.0, "F")]
    assert facts_of(cycles, {"3": "COPD", "9": "URTI"}) == {
        "1": {"age group": "under 18", "sex": "M"},
        "2": {},
        "3": {"age group": "65 and over", "sex": "F", "diagnosis": "COPD"},
    }
    assert [age_group(years) for years in (0, 18, 64.9, 120)] == ["under 18", "18 to 64", "18 to 64", "65 and over"]


def test_the_spread_over_units() -> None:
    owner = ["a"] * 6 + ["b"] * 5 + ["c"] * 2
    label = [0] * 13
    first = built(owner, label, sure([0] * 6 + [0, 0, 0, 0, 1] + [1, 1]))
    second = built(owner, label, sure([0] * 6 + [0, 1, 1, 1, 1] + [1, 1]))
    given = labelled([first, second])
    found = spread(given, given.patients[given.owner], "patient")
    assert (found.by, found.units) == ("patient", 3)
    assert [(unit.name, unit.cycles, unit.correct) for unit in found.worst] == [
        ("b", 5, 50),
        ("a", 6, 100),
    ]  # c is short
    assert (found.quantiles[0], found.quantiles[3], found.quantiles[-1]) == (0, 50, 100)
