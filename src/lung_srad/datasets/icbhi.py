"""ICBHI 2017: 920 recordings of 126 patients, 6,898 breathing cycles, four classes (Rocha et al. 2019)."""

import math
from collections import Counter
from pathlib import Path

from lung_srad.datasets.annotations import read_annotation
from lung_srad.datasets.checks import TOLERANCE, audio_seconds, outside
from lung_srad.datasets.contract import Cycle, Dataset, Scan
from lung_srad.datasets.demographics import Person, find_diagnoses, find_people
from lung_srad.datasets.icbhi_files import (
    DEVICES,
    FOLD_FILE,
    NAME_RULE,
    SIMULATION_FILE,
    SPLIT_FILE,
    Files,
    Name,
    find_files,
)
from lung_srad.datasets.report import Defect, Entry
from lung_srad.datasets.splits import read_pairs
from lung_srad.errors import DataError, message, nearest, shown

FOLDS = tuple(f"fold-{index}" for index in range(5))
ONE_DEVICE_OUT = {f"lodo-{device}": device for device in DEVICES}  # scheme -> the device of the test part
SCHEMES = ("official", "official-clean", *FOLDS, *ONE_DEVICE_OUT)
PUBLISHED = Path(__file__).with_name("published")  # the database's own lists; many downloads lack them
# The organisers' split file calls this recording Meditron; what they ship, and corrected copies, LittC2SE.
_TRUE_NAMES = {"226_1b1_Pl_sc": "226_1b1_Pl_sc_LittC2SE"}
_NAMED = 5  # absent recordings that are named one by one, where there are no more
_BREATH = 0.1  # seconds; a cycle under it is doubtful, DECISIONS: brief-cycles
_AGAIN = "copy it again from the database"

Official = dict[str, tuple[Name, str]]  # key -> name and split in the official split file


class ICBHI(Dataset):
    """The ICBHI 2017 respiratory sound database, whole or in part.

    Labels: 0 none, 1 crackle, 2 wheeze, 3 both. Recordings are matched with the split file by the first four
    fields of their names, so the 91 names of the first release, which carry a wrong device, are understood: a
    recording's id and device are those of the split file.

    Args:
        root: the folder that holds ``audio_and_txt_files/``, or the folder of the recordings itself.
        split: ``official`` (as published: patients 156 and 218 are on both sides), ``official-clean`` (those
            patients are left out of training), ``fold-0`` to ``fold-4`` (that fold is the test part), or
            ``lodo-AKGC417L``, ``lodo-Meditron`` ... (what was recorded with that device is the test part; patients
            who were, and their recordings with other devices, are left out of training).
        split_file: the official split file; by default looked for in root and beside it, else the published one.

    Raises:
        DataError: the folder or the given split file is not there, or the split is unknown.
    """

    name = "icbhi"
    class_names = ("normal", "crackle", "wheeze", "both")
    normal = 0
    splits = ("train", "test")
    default_scheme = SCHEMES[0]

    def __init__(self, root: str | Path, split: str = "official", *, split_file: str | Path | None = None) -> None:
        if split not in SCHEMES:
            allowed = f"allowed: one of {', '.join(SCHEMES)}"
            raise DataError(message("split", f"{split!r} is unknown", allowed, nearest(split, SCHEMES)))
        if not Path(root).is_dir():
            remedy = "give the folder that holds audio_and_txt_files/"
            raise DataError(message(root, "is no folder", "allowed: the folder of the database", remedy))
        if split_file is not None and not Path(split_file).is_file():
            remedy = "leave it out to have it looked for beside the recordings"
            raise DataError(message(split_file, "is no file", f"allowed: a copy of {SPLIT_FILE}", remedy))
        self.location = Path(root)
        self.scheme = split
        self.keeps_patients_apart = split != "official"
        inner = self.location / "audio_and_txt_files"
        self.folder = inner if inner.is_dir() else self.location
        beside = (self.location, self.location.resolve().parent)
        self.synthetic = any((folder / SIMULATION_FILE).is_file() for folder in beside)
        self._split_file = None if split_file is None else Path(split_file)

    def scan(self) -> Scan:
        """Returns recordings, cycles, and everything that is wrong short of decoding audio."""
        files = find_files(self.folder)
        if self.synthetic:
            files.notices.append("SYNTHETIC: simulated recordings, nobody's lungs")
        if files.names and not files.audio:
            files.notices.append(f"annotations alone: no audio for any of the {len(files.names)} recordings")
        official = self._read_official(files)
        _take_official_names(files, official)
        files.people = find_people(self._places(), files.notices)
        if self.scheme in FOLDS:
            listed, sides = {}, self._fold_sides(files)
        elif self.scheme in ONE_DEVICE_OUT:
            listed, sides = {}, _device_sides(files, ONE_DEVICE_OUT[self.scheme])
        else:
            listed = _patients_by_side(official)
            sides = self._official_sides(files, official, {who for who, n in listed.items() if len(n) > 1})
        cycles: list[Cycle] = []
        entries = []
        for key in sorted(sides, key=lambda key: files.names[key].stem):
            name = files.names[key]
            cycles += _cycles_of(name, sides[key], files, self.folder / f"{name.stem}.wav")
            entries.append(Entry(name.stem, name.patient, name.device, sides[key]))
        if files.trimmed:
            text = f"{files.trimmed} cycle(s) end up to {TOLERANCE:g} s after their recording"
            files.notices.append(f"{text}, as times are rounded; they are cut at its end")
        if files.brief:
            text = f"{len(files.brief)} cycle(s) last less than {_BREATH:g} s, first {files.brief[0]}"
            files.notices.append(f"{text}; the shortest of the database lasts 0.2 s")
        return Scan(cycles, entries, files.defects, files.notices, listed, bool(files.audio))

    def patient_facts(self) -> dict[str, dict[str, str]]:
        """Returns patient -> fact -> group: age group and sex, and the diagnosis where the database's list is there."""
        found, diagnoses = super().patient_facts(), find_diagnoses(self._places())
        return {
            patient: facts | ({"diagnosis": diagnoses[patient]} if patient in diagnoses else {})
            for patient, facts in found.items()
        }

    def _read_official(self, files: Files) -> Official:
        """Returns what the split file says; the folds use it too, for the names, where it is there."""
        path = self._split_file or self._side_file(SPLIT_FILE, files)
        pairs, defects = read_pairs(path, ("train", "test"))
        files.defects += defects
        official: Official = {}
        for stem, split in pairs.items():
            name = Name.parse(stem)
            if name is None:
                seen = f"{shown(stem)!r} is no name of a recording"
                files.blame(path, "split line", seen, allowed=NAME_RULE, remedy=_AGAIN)
            elif name.key in official:
                seen = f"{stem} and {official[name.key][0].stem} are the same recording"
                files.blame(path, "split line", seen, allowed="each recording once", remedy=_AGAIN)
            else:
                official[name.key] = (Name.parse(_TRUE_NAMES.get(name.key, stem)) or name, split)
        return official

    def _official_sides(self, files: Files, official: Official, both: set[str]) -> dict[str, str]:
        """Returns key -> split for every recording that takes part; empty where it is not known."""
        sides = {key: official[key][1] if key in official else "" for key in files.names}
        for key in (key for key, side in sides.items() if official and not side):
            remedy = "move the file out of the folder, or add a line to the split file"
            stem = files.names[key].stem
            files.blame(stem, "no split", "is not in the split file", allowed="train or test", remedy=remedy)
        patients = ", ".join(sorted(both))
        if both and self.scheme == "official-clean":
            out = {key for key, side in sides.items() if side == "train" and files.names[key].patient in both}
            files.notices.append(f"left out of training: {len(out)} recording(s) of patients {patients}")
            return {key: side for key, side in sides.items() if key not in out}
        if both:
            remedy = "the split official-clean takes them out of training"
            files.notices.append(f"patients {patients} are on both sides of the split as published; {remedy}")
        return sides

    def _fold_sides(self, files: Files) -> dict[str, str]:
        """Returns key -> split where one fold of patients is the test part."""
        path = self._side_file(FOLD_FILE, files)
        folds, defects = read_pairs(path, "01234")
        files.defects += defects
        for patient in sorted({name.patient for name in files.names.values()} - folds.keys()):
            seen, remedy = f"patient {patient} has no fold", "add a line for the patient"
            files.blame(path, "no split", seen, allowed="a fold 0-4 for every patient", remedy=remedy)
        fold = self.scheme.removeprefix("fold-")
        return {key: "test" if folds.get(name.patient) == fold else "train" for key, name in files.names.items()}

    def _side_file(self, name: str, files: Files) -> Path:
        """Returns one of the database's text files: from the root, from beside it, or the copy in this package."""
        for folder in self._places():
            if (folder / name).is_file():
                return folder / name
        files.notices.append(f"{name} is not beside the recordings; the published one is taken")
        return PUBLISHED / name

    def _places(self) -> tuple[Path, ...]:
        """Returns the folders where the database's text files may lie."""
        return self.location, self.folder, self.location.resolve().parent


def _device_sides(files: Files, device: str) -> dict[str, str]:
    """Returns key -> split where one device is the test part; its patients are in no training, whatever the device."""
    tested = {name.patient for name in files.names.values() if name.device == device}
    sides = {
        key: "test" if name.device == device else "train"
        for key, name in files.names.items()
        if name.device == device or name.patient not in tested
    }
    if out := len(files.names) - len(sides):
        text = f"left out of training: {out} recording(s) with other devices of patients who were"
        files.notices.append(f"{text} recorded with {device}")
    if files.names and not tested:
        has = ", ".join(sorted({name.device for name in files.names.values()}))
        files.notices.append(f"no recording with {device} is here (there are {has}): the test part is empty")
    return sides


def _take_official_names(files: Files, official: Official) -> None:
    """Gives recordings the names of the split file, and counts what it lists and is not here."""
    renamed = []
    for key, name in files.names.items():
        true_name = official[key][0] if key in official else name
        if true_name != name:
            renamed.append(f"{name.stem} is {true_name.stem}")
            files.names[key] = true_name
    if renamed:
        text = f"{len(renamed)} recording(s) under a name with another device, as in the first release"
        files.notices.append(f"{text}; the device of the split file is taken, first {min(renamed)}")
    absent = [(name.stem, split) for key, (name, split) in official.items() if key not in files.names]
    if absent and files.names:
        counts = Counter(split for _, split in absent)
        sides = ", ".join(f"{split} {counts[split]}" for split in ICBHI.splits if counts[split])
        which = ": " + ", ".join(sorted(stem for stem, _ in absent)) if len(absent) <= _NAMED else ""
        text = f"{len(absent)} of the {len(official)} recordings in the split file are not here"
        files.notices.append(f"{text} ({sides}){which}")


def _patients_by_side(official: Official) -> dict[str, dict[str, int]]:
    """Returns patient -> split -> recordings, as the split file lists them."""
    counts = Counter((name.patient, split) for name, split in official.values())
    patients = sorted({patient for patient, _ in counts})
    return {who: {side: counts[who, side] for side in ICBHI.splits if counts[who, side]} for who in patients}


def _cycles_of(name: Name, split: str, files: Files, absent: Path) -> list[Cycle]:
    """Returns the cycles of one recording; what is wrong with it goes to the defects."""
    annotation, audio = files.annotations.get(name.key), files.audio.get(name.key)
    if annotation is None:
        seen = f"{name.stem}.txt is not there"
        files.blame(audio or absent, "no annotation", seen, allowed="a text file beside it", remedy=_AGAIN)
        return []
    rows, defects = read_annotation(annotation)
    files.defects += defects
    seconds = math.inf
    if audio is not None:
        length = audio_seconds(audio)
        if isinstance(length, Defect):
            files.defects.append(length)
        else:
            seconds = length
    elif files.audio:
        seen = f"{name.stem}.wav (or .flac) is not there"
        files.blame(annotation, "no recording", seen, allowed="a recording beside it", remedy=_AGAIN)
    cycles, person = [], files.people.get(name.patient, Person())
    for index, row in enumerate(rows):
        if outside(row.start, row.end, seconds):
            seen = f"cycle #{index} from {row.start:g} s to {row.end:g} s lies outside the recording"
            remedy = "correct the times, or copy the recording again: it may have been cut short"
            files.blame(annotation, "outside", seen, allowed=f"0-{seconds:.3f} s", remedy=remedy)
        elif row.end > seconds:
            files.trimmed += 1
        if row.end - row.start < _BREATH:
            files.brief.append(f"{name.stem}#{index}")
        cycle = Cycle(
            id=f"{name.stem}#{index}",
            path=audio or absent,
            start=row.start,
            end=min(row.end, seconds),
            label=row.label,
            patient=name.patient,
            recording=name.stem,
            device=name.device,
            site=name.site,
            split=split,
            age=person.age,
            sex=person.sex,
            listed_site=person.site,
        )
        cycles.append(cycle)
    return cycles
