"""A split as an object: who is on which side, whether any patient is on two, and a hash that names it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lung_srad.errors import DataError, message

if TYPE_CHECKING:
    from lung_srad.datasets.contract import Cycle

SIDES = ("train", "test")  # where a corpus has these two, its other parts are in no training and in no test
_SHOWN = 12  # characters of the hash that sentences show


@dataclass(frozen=True, slots=True)
class Partition:
    """Patients and cycles of each part.

    Attributes:
        name: the split's name; "" where a corpus has one way only.
        patients: part -> number of patients.
        cycles: part -> number of cycles.
        shared: patients in more than one part.
        shared_cycles: part -> cycles of those patients.
        sha256: of the sorted list of (cycle id, part): the same for the same split, whatever the labels or the audio.
    """

    name: str
    patients: dict[str, int]
    cycles: dict[str, int]
    shared: tuple[str, ...]
    shared_cycles: dict[str, int]
    sha256: str

    def __str__(self) -> str:
        """Returns one sentence: what is where, who is on two sides, the hash."""
        parts = ", ".join(f"{part} {self.patients[part]:,} patients, {n:,} cycles" for part, n in self.cycles.items())
        if self.shared:
            held = ", ".join(f"{count:,} {part}" for part, count in self.shared_cycles.items())
            verdict = f"NOT disjoint: patient(s) {', '.join(self.shared)} on both sides ({held} cycles)"
        else:
            verdict = "disjoint: no patient on two sides"
        return f"split {self.name or 'as given'}: {parts}; {verdict}; sha256 {self.sha256[:_SHOWN]}"

    def require_disjoint(self, where: object) -> Partition:
        """Returns the partition itself.

        Raises:
            DataError: a patient is in two parts.
        """
        if self.shared:
            seen = f"patient(s) {', '.join(self.shared)} in more than one of {', '.join(self.cycles)}"
            allowed = f"the split {self.name!r} keeps every patient on one side"
            raise DataError(message(where, seen, allowed, "mend the list of the split, or the patients' numbers"))
        return self

    def facts(self) -> dict[str, Any]:
        """Returns what results carry: name, hash, sizes, and who is on two sides."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "patients": dict(self.patients),
            "cycles": dict(self.cycles),
            "shared_patients": list(self.shared),
        }


def partition(name: str, parts: Iterable[tuple[Cycle, str]]) -> Partition:
    """Returns the partition that (cycle, part) pairs make; a cycle in no part ("") has no say.

    Where there is a training and a test part, only they count.
    """
    pairs = sorted((cycle.id, part, cycle.patient) for cycle, part in parts if part)
    known = list(dict.fromkeys(part for _, part, _ in pairs))
    if set(SIDES) <= set(known):
        known = [*SIDES]
        pairs = [pair for pair in pairs if pair[1] in SIDES]
    sides: dict[str, set[str]] = {}
    for _, part, patient in pairs:
        sides.setdefault(patient, set()).add(part)
    shared = tuple(sorted(patient for patient, on in sides.items() if len(on) > 1))
    digest = hashlib.sha256(repr([pair[:2] for pair in pairs]).encode())
    return Partition(
        name,
        {part: sum(part in on for on in sides.values()) for part in known},
        {part: sum(own == part for _, own, _ in pairs) for part in known},
        shared,
        {part: n for part in known if (n := sum(own == part and who in shared for _, own, who in pairs))},
        digest.hexdigest(),
    )
