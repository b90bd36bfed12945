"""The files of an ICBHI folder, found by the names of their recordings: ``101_1b1_Al_sc_Meditron``."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from lung_srad.datasets import demographics
from lung_srad.datasets.report import Defect
from lung_srad.errors import shown

DEVICES = ("AKGC417L", "Litt3200", "LittC2SE", "Meditron")
NAME_RULE = "patient_index_site_mode_device; sites Tc Al Ar Pl Pr Ll Lr; modes sc mc; devices " + " ".join(DEVICES)
SPLIT_FILE, FOLD_FILE = "official_split.txt", "patient_list_foldwise.txt"
SIMULATION_FILE = "simulation.json"  # what a simulated corpus was made with; in its root
SIDE_FILES = {  # text files of the database that are no annotations
    SPLIT_FILE,
    FOLD_FILE,
    "filename_differences.txt",
    "filename_format.txt",
    demographics.DIAGNOSES,
    *demographics.FILES,
}
_NAME = re.compile(rf"(([0-9]+)_[^_]+_(Tc|[APL][lr])_(?:sc|mc))_({'|'.join(DEVICES)})")


@dataclass(frozen=True, slots=True)
class Name:
    """A recording's name, taken apart; ``key`` (its first four fields) is the same in every release."""

    stem: str
    key: str
    patient: str
    site: str
    device: str

    @classmethod
    def parse(cls, stem: str) -> "Name | None":
        """Returns the parts of a name, or None where it breaks the rule."""
        match = _NAME.fullmatch(stem)
        return match and cls(stem, *match.groups())


@dataclass(slots=True)
class Files:
    """Annotations, audio and names by key, patients by number, and what is wrong or worth knowing so far.

    ``trimmed`` counts cycles that end after their recording, by no more than the rounding of times; ``brief`` names
    those that are too short for a breath.
    """

    audio: dict[str, Path] = field(default_factory=dict)
    annotations: dict[str, Path] = field(default_factory=dict)
    names: dict[str, Name] = field(default_factory=dict)
    people: dict[str, demographics.Person] = field(default_factory=dict)
    defects: list[Defect] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    trimmed: int = 0
    brief: list[str] = field(default_factory=list)

    def blame(self, file: str | Path, kind: str, seen: str, *, allowed: str, remedy: str) -> None:
        """Adds a defect."""
        self.defects.append(Defect(shown(Path(file).name), kind, seen, allowed, remedy))


def find_files(folder: Path) -> Files:
    """Returns the recordings of a folder; hidden files and the database's other texts are passed over."""
    files = Files()
    kinds = {".wav": files.audio, ".flac": files.audio, ".txt": files.annotations}
    strays = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in SIDE_FILES:
            continue
        kind, name = kinds.get(path.suffix.lower()), Name.parse(path.stem)
        is_note = kind is files.annotations and not re.match("[0-9]+_", path.name)
        if kind is None or is_note:
            strays.append(shown(path.name))
        elif name is None:
            remedy = "give it the name that it has in the database"
            files.blame(path, "name", f"the name is {shown(path.stem)!r}", allowed=NAME_RULE, remedy=remedy)
        elif name.key in kind:
            seen = f"the same recording as {shown(kind[name.key].name)}"
            files.blame(path, "twice", seen, allowed="one file per recording", remedy="remove one of the two")
        else:
            kind[name.key] = path
            files.names[name.key] = name
    if strays:
        what = "file(s) that are neither a recording nor an annotation"
        files.notices.append(f"{len(strays)} {what}, first {strays[0]}")
    if not files.names:
        allowed = "NAME.wav or NAME.flac beside NAME.txt"
        remedy = "give the folder that holds audio_and_txt_files/; your own recordings go into a table (docs/data.md)"
        files.blame(folder, "nothing here", "no recording or annotation of ICBHI", allowed=allowed, remedy=remedy)
    return files
