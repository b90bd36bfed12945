"""What every corpus gives: cycles, a report on what is there, a fingerprint."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lung_srad.datasets.checks import Progress, audio_findings
from lung_srad.datasets.partitions import Partition, partition
from lung_srad.datasets.report import Defect, Entry, Report, tally
from lung_srad.errors import DataError, message, nearest
from lung_srad.files import sha256

_AGES = ((2, "under 2"), (6, "2 to 5"), (18, "6 to 17"), (65, "18 to 64"))  # up to how many years, name
_OLDEST = "65 and over"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One breathing cycle: where it is, what it is, whose it is.

    Attributes:
        id: recording and place of the cycle in its annotation, ``"101_1b1_Al_sc_Meditron#0"``.
        path: the audio file.
        start: seconds from the start of the recording.
        end: seconds; infinity means to the end of the recording.
        label: index into the ``class_names`` of the dataset; None where it is not known.
        age: of the patient, in years; None where it is not known.
        sex: of the patient, "M" or "F"; "" where it is not known.
        listed_site: the one chest location that ICBHI's metadata.txt lists for the patient, whatever the recording.
    """

    id: str
    path: Path
    start: float
    end: float
    label: int | None
    patient: str
    recording: str
    device: str = ""
    site: str = ""
    split: str = ""
    age: float | None = None
    sex: str = ""
    listed_site: str = ""


@dataclass(frozen=True, slots=True)
class Scan:
    """Everything that one look at a corpus found, short of decoding its audio."""

    cycles: Sequence[Cycle] = ()
    recordings: Sequence[Entry] = ()
    defects: Sequence[Defect] = ()
    notices: Sequence[str] = ()
    listed: dict[str, dict[str, int]] = field(default_factory=dict)  # patient -> split -> recordings in the split file
    has_audio: bool = True


class Dataset(ABC):
    """A corpus. A subclass sets the four attributes and says what is there in :meth:`scan`.

    Attributes:
        location: the folder or file, for messages.
        class_names: a label is an index into them.
        normal: the index of the normal class.
        splits: the words that :meth:`cycles` understands.
        scheme: which of several ways the corpus is split, ``"official"``; "" where there is one way only.
        default_scheme: the one that is taken where none is named; runs on it carry no split in their name.
        keeps_patients_apart: the scheme promises that no patient is on two sides; :meth:`partition` holds it to that.
        synthetic: the recordings are simulated; runs, tables and reports say so.
    """

    name: str
    location: Path
    class_names: tuple[str, ...]
    normal: int
    splits: tuple[str, ...]
    scheme: str = ""
    default_scheme: str = ""
    keeps_patients_apart: bool = False
    synthetic: bool = False

    @abstractmethod
    def scan(self) -> Scan:
        """Returns what is there; never stops at the first defect and never decodes audio."""

    def cycles(self, split: str | None = None) -> list[Cycle]:
        """Returns the cycles of a split, or of all of them, always in the same order.

        Raises:
            DataError: the split is unknown, audio is absent, or anything that :meth:`scan` calls a defect.
        """
        if split is not None and split not in self.splits:
            allowed = f"allowed: {', '.join(self.splits) or 'none'}"
            raise DataError(message(self.location, f"no split {split!r}", allowed, nearest(split, self.splits)))
        found = self.scan()
        if found.defects:
            others = len(found.defects) - 1
            more = f" (and {others} more: lung-srad check lists them)" if others else ""
            raise DataError(f"{found.defects[0]}{more}")
        if not found.has_audio:
            seen = f"{len(found.recordings)} annotations and no recording"
            allowed = "allowed: a .wav or .flac file beside each annotation"
            remedy = "put the audio there, or use the folder that holds it"
            raise DataError(message(self.location, seen, allowed, remedy))
        return [cycle for cycle in found.cycles if split is None or cycle.split == split]

    def validate(self, *, audio: bool = True, progress: Progress | None = None) -> Report:
        """Returns a report on everything that is there: counts, every defect, what is worth knowing.

        Args:
            audio: also decode every recording and look for truncated files and silent cycles.
            progress: called with (recordings decoded, recordings in all).
        """
        found = self.scan()
        defects, notices = list(found.defects), list(found.notices)
        if audio and found.has_audio:
            more_defects, more_notices = audio_findings(found.cycles, progress)
            defects += more_defects
            notices += more_notices
        return tally(self, found, defects, notices)

    def partition(self) -> Partition:
        """Returns who is on which side, with the hash that names the split.

        Raises:
            DataError: as :meth:`cycles`, or a patient is on two sides of a split that promises otherwise.
        """
        found = partition(self.scheme, ((cycle, cycle.split) for cycle in self.cycles()))
        return found.require_disjoint(self.location) if self.keeps_patients_apart else found

    def patient_facts(self) -> dict[str, dict[str, str]]:
        """Returns patient -> fact -> group, as subgroups are made of: age group and sex, where they are known.

        Raises:
            DataError: as :meth:`cycles`.
        """
        found: dict[str, dict[str, str]] = {}
        for cycle in self.cycles():
            known = {"age group": age_group(cycle.age), "sex": cycle.sex}
            found.setdefault(cycle.patient, {fact: group for fact, group in known.items() if group})
        return found

    def fingerprint(self) -> str:
        """Returns a SHA-256 over ids, times, labels, splits and audio: it changes with any of them.

        Raises:
            DataError: as :meth:`cycles`.
        """
        digest = hashlib.sha256(repr(self.class_names).encode())
        contents: dict[Path, str] = {}
        for cycle in self.cycles():
            if cycle.path not in contents:
                contents[cycle.path] = content_digest(cycle.path)
            identity = (cycle.id, cycle.start, cycle.end, cycle.label, cycle.patient, cycle.split)
            digest.update(repr((*identity, contents[cycle.path])).encode())
        return digest.hexdigest()


def age_group(years: float | None) -> str:
    """Returns the group of an age in years, "" where it is not known."""
    if years is None:
        return ""
    return next((name for end, name in _AGES if years < end), _OLDEST)


def content_digest(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes, see :func:`lung_srad.files.sha256`.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return sha256(path)
    except OSError as error:
        seen = f"cannot be read ({error.strerror})"
        remedy = "restore it, or its permissions"
        raise DataError(message(path, seen, "allowed: a readable audio file", remedy)) from error
