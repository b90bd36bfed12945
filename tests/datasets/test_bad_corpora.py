"""52 kinds of bad annotation, name, split and metadata: each gets what the rule gives, from Python and the command."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.datasets import ICBHI

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from bad_corpora import ANNOTATIONS, CORPORA, Kind

from measuring import require_message, within


def test_all_kinds_are_there() -> None:
    assert (len(ANNOTATIONS), len(CORPORA)) == (30, 22)


@pytest.mark.parametrize("kind", ANNOTATIONS | CORPORA)
def test_each_kind_gets_what_the_rule_gives(corpus: Path, kind: str) -> None:
    row: Kind = (ANNOTATIONS | CORPORA)[kind]
    row.spoil(corpus)
    with within():
        report = ICBHI(corpus).validate(audio=row.audio)
    assert {(each.file, each.kind) for each in report.defects} == set(row.defects)
    for defect in report.defects:
        require_message(str(defect), defect.file)
    if row.notice:
        assert sum(row.notice in notice for notice in report.notices) == 1, report.notices
    elif not row.defects:
        assert report.notices == ()


@pytest.mark.parametrize("kind", ANNOTATIONS | CORPORA)
def test_the_command_says_it_and_leaves_with_1(corpus: Path, kind: str) -> None:
    row: Kind = (ANNOTATIONS | CORPORA)[kind]
    row.spoil(corpus)
    result = CliRunner().invoke(app, ["check", f"icbhi:{corpus}", "--audio" if row.audio else "--no-audio"])
    assert result.exit_code == bool(row.defects)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    for file, each in row.defects:
        assert f"\n  {file}\n" in result.stdout
        assert f"    [{each}] " in result.stdout
    assert row.notice in result.stdout


def test_a_patient_without_a_diagnosis_is_in_no_group_of_one(corpus: Path) -> None:
    CORPORA["diagnosis missing"].spoil(corpus)
    facts = ICBHI(corpus).patient_facts()
    assert {patient: each["diagnosis"] for patient, each in facts.items() if "diagnosis" in each} == {
        "101": "COPD",
        "103": "Asthma",
    }
