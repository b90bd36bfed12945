"""ICBHI's text about patients: a line each with number, age, sex, mass index, weight, height and, in some, a site."""

import math
from dataclasses import dataclass
from pathlib import Path

from lung_srad.datasets.annotations import MAX_BYTES, parse_seconds
from lung_srad.errors import shown

FILES = ("metadata.txt", "demographic_info.txt", "ICBHI_Challenge_demographic_information.txt")  # as it is passed on
DIAGNOSES = "patient_diagnosis.txt"
_FIELDS = (6, 7)
_ABSENT = "NA"
_SEXES = {"M": "M", "F": "F", _ABSENT: ""}


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of a patient: years, "M" or "F", and the one chest location that the file lists."""

    age: float | None = None
    sex: str = ""
    site: str = ""


def find_people(folders: tuple[Path, ...], notices: list[str]) -> dict[str, Person]:
    """Returns the patients in the first such file of some folders; none where there is no file.

    No training needs these facts but that of text models, so what cannot be read is a notice, never a defect.
    """
    path = next((folder / name for folder in folders for name in FILES if (folder / name).is_file()), None)
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        seen = getattr(error, "strerror", None) or "it is not UTF-8"
        notices.append(f"{shown(path.name)} cannot be read ({seen}); ages and sexes are not known")
        return {}
    people, bad = {}, []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if fields and (person := _person(fields)):
            people[fields[0]] = person
        elif fields:
            bad.append(number)
    if bad:
        seen = f"{len(bad)} line(s) of {shown(path.name)} are not about a patient, first line {bad[0]}"
        notices.append(f"{seen}; age and sex of these patients are not known")
    return people


def find_diagnoses(folders: tuple[Path, ...]) -> dict[str, str]:
    """Returns patient -> diagnosis from the first list in some folders; nothing where there is none to be read.

    Only subgroups are made of it, so a line that is not number and word is passed over.
    """
    path = next((folder / DIAGNOSES for folder in folders if (folder / DIAGNOSES).is_file()), None)
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            lines = file.read(MAX_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {words[0]: words[1] for words in map(str.split, lines) if len(words) == 2 and words[0].isdecimal()}


def _person(fields: list[str]) -> Person | None:
    """Returns what a line says, or None where it is no line about a patient."""
    if len(fields) not in _FIELDS or not fields[0].isdecimal() or fields[2] not in _SEXES:
        return None
    age = math.nan if fields[1] == _ABSENT else parse_seconds(fields[1])
    if age is None or age < 0:
        return None
    site = fields[6] if len(fields) == max(_FIELDS) and fields[6] != _ABSENT else ""
    return Person(None if math.isnan(age) else age, _SEXES[fields[2]], site)
