"""SPRSound: respiratory sounds of children, annotated event by event (Zhang et al. 2022)."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lung_srad.datasets.checks import audio_seconds, outside
from lung_srad.datasets.contract import Cycle, Dataset, Scan
from lung_srad.datasets.report import Defect, Entry
from lung_srad.datasets.sprsound_files import AGAIN, LABELS, POOR, RECORD_LABELS, Event, Files, find_files, read_record
from lung_srad.errors import DataError, message, nearest

FOLDS = tuple(f"fold-{index}" for index in range(5))
NO_STRIDOR = "-no-stridor"
SCHEMES = {  # scheme -> how it splits, and whether Stridor takes part
    f"{base}{ending}": (base, not ending)
    for ending in ("", NO_STRIDOR)
    for base in (*FOLDS, "official", "official-clean")
}
DEVICE = "Yunting-II"  # one stethoscope for all recordings


class SPRSound(Dataset):
    """The SJTU paediatric respiratory sound database, whole or in part; a cycle is an event.

    Labels are ICBHI's: normal; fine and coarse crackle are crackle; wheeze, rhonchi and stridor are wheeze;
    wheeze+crackle is both. Recordings of poor quality have no events: the report counts them, nothing scores them.

    Args:
        root: the folder of a release, with ``train_wav/`` and ``train_json/``, ``train2022_wav/`` ..., test parts
            or not; recordings are looked for in every folder below it.
        split: ``fold-0`` to ``fold-4`` (children of the training part in five disjoint folds; that fold is the test
            part), ``official`` (as published: the intra-test part holds children of the training part), or
            ``official-clean`` (those children are left out of the test part); each with ``-no-stridor`` behind it
            leaves the Stridor events out.

    Raises:
        DataError: the folder is not there, or the split is unknown.
    """

    name = "sprsound"
    class_names = ("normal", "crackle", "wheeze", "both")
    normal = 0
    splits = ("train", "test")
    default_scheme = FOLDS[0]

    def __init__(self, root: str | Path, split: str = default_scheme) -> None:
        if split not in SCHEMES:
            allowed = f"allowed: one of {', '.join(SCHEMES)}"
            raise DataError(message("split", f"{split!r} is unknown", allowed, nearest(split, SCHEMES)))
        if not Path(root).is_dir():
            remedy = "give the folder that holds train_wav/ and train_json/"
            raise DataError(message(root, "is no folder", "allowed: the folder of the database", remedy))
        self.location = Path(root)
        self.scheme = split
        self.keeps_patients_apart = SCHEMES[split][0] != "official"

    def record_labels(self) -> dict[str, str]:
        """Returns recording -> record label: Normal, CAS, DAS, CAS & DAS or Poor Quality; "" where there is none."""
        files = find_files(self.location)
        return {stem: read_record(path)[0] for stem, path in sorted(files.annotations.items())}

    def scan(self) -> Scan:
        """Returns recordings, cycles, and everything that is wrong short of decoding audio."""
        files = find_files(self.location)
        if files.names and not files.audio:
            files.notices.append(f"annotations alone: no audio for any of the {len(files.names)} recordings")
        base, stridor = SCHEMES[self.scheme]
        labels, events = _read(files)
        sides = _sides(base, files, events)
        cycles: list[Cycle] = []
        entries = []
        for stem, side in sides.items():
            kept = [event for event in events[stem] if stridor or event.type != "Stridor"]
            cycles += _cycles(files, stem, kept, side)
            entries.append(Entry(stem, files.names[stem].patient, DEVICE, side))
        _add_notices(files, labels, events, sides, stridor)
        return Scan(cycles, entries, files.defects, files.notices, {}, bool(files.audio))


def balanced_folds(labels: Mapping[str, Sequence[int]], *, folds: int = 5) -> dict[str, int]:
    """Returns patient -> fold: folds of alike shares of the patients, and of the events and holders of each class.

    Nothing is drawn: patients are placed from the one who holds most to the one who holds least, each where the
    squares of the folds' shares then add up to least.

    Args:
        labels: patient -> the labels of all events.
    """
    counts = {patient: Counter(("events", label) for label in events) for patient, events in labels.items()}
    for count in counts.values():
        count.update([("patients", label) for _, label in [*count]])
        count["patients"] = 1
    total = sum(counts.values(), Counter())
    shares = {who: {what: n / total[what] for what, n in count.items()} for who, count in counts.items()}
    filled: list[Counter] = [Counter() for _ in range(folds)]
    placed = {}
    for patient in sorted(shares, key=lambda who: (-math.fsum(shares[who].values()), who)):
        own = shares[patient]
        # what the sum of squares grows by, (a + b)^2 - a^2, is 2ab and a b^2 that is the same in every fold
        growth = [math.fsum(share * fold[what] for what, share in own.items()) for fold in filled]
        placed[patient] = growth.index(min(growth))
        filled[placed[patient]].update(own)
    return placed


def _sides(base: str, files: Files, events: Mapping[str, Sequence[Event]]) -> dict[str, str]:
    """Returns recording -> split for every recording that takes part, in the order of their names."""
    owner = {stem: name.patient for stem, name in files.names.items()}
    training = [stem for stem in sorted(owner) if stem not in files.tests]
    if base in FOLDS:
        labels: dict[str, list[int]] = {owner[stem]: [] for stem in training}
        for stem in training:
            labels[owner[stem]] += [LABELS[event.type] for event in events[stem]]
        fold = balanced_folds(labels, folds=len(FOLDS))
        if files.tests:
            files.notices.append(f"the folds are of the training part: {len(files.tests)} test recording(s) unused")
        return {stem: "test" if fold[owner[stem]] == FOLDS.index(base) else "train" for stem in training}
    known = {owner[stem] for stem in training}
    both = sorted(stem for stem in files.tests if owner[stem] in known)
    if both and base == "official-clean":
        files.notices.append(f"left out of the test part: {len(both)} recording(s) of children of the training part")
    elif both:
        remedy = "official-clean leaves them out"
        files.notices.append(f"{len(both)} test recording(s) are of children of the training part; {remedy}")
    left_out = set(both) if base == "official-clean" else set()
    return {stem: "test" if stem in files.tests else "train" for stem in sorted(owner.keys() - left_out)}


def _read(files: Files) -> tuple[dict[str, str], dict[str, list[Event]]]:
    """Returns record label and events of every recording; what is wrong with an annotation goes to the defects."""
    labels: dict[str, str] = {}
    events: dict[str, list[Event]] = {}
    for stem in files.names:
        labels[stem], events[stem] = "", []
        annotation = files.annotations.get(stem)
        if annotation is None:
            seen = f"{stem}.json is not there"
            files.blame(files.audio[stem], "no annotation", seen, allowed="a JSON file of that name", remedy=AGAIN)
            continue
        labels[stem], events[stem], defects = read_record(annotation)
        files.defects += defects
        if labels[stem] == POOR and events[stem]:
            files.notices.append(f"{stem}: {len(events[stem])} event(s) left out, its quality is called poor")
            events[stem] = []
    return labels, events


def _cycles(files: Files, stem: str, events: Iterable[Event], split: str) -> list[Cycle]:
    """Returns the cycles of one recording; what is wrong with it goes to the defects."""
    name, audio = files.names[stem], files.audio.get(stem)
    annotation = files.annotations.get(stem, Path(f"{stem}.json"))
    seconds = math.inf
    if audio is not None:
        length = audio_seconds(audio)
        if isinstance(length, Defect):
            files.defects.append(length)
        else:
            seconds = length
    elif files.audio:
        seen = f"{stem}.wav (or .flac) is not there"
        files.blame(annotation, "no recording", seen, allowed="a recording of that name", remedy=AGAIN)
    cycles = []
    for event in events:
        if outside(event.start, event.end, seconds):
            seen = f"event #{event.index} from {event.start:g} s to {event.end:g} s lies outside the recording"
            remedy = "correct the times, or copy the recording again: it may have been cut short"
            files.blame(annotation, "outside", seen, allowed=f"0-{seconds:.3f} s", remedy=remedy)
        cycle = Cycle(
            id=f"{stem}#{event.index}",
            path=audio or annotation.with_name(f"{stem}.wav"),
            start=event.start,
            end=min(event.end, seconds),
            label=LABELS[event.type],
            patient=name.patient,
            recording=stem,
            device=DEVICE,
            site=name.site,
            split=split,
        )
        cycles.append(cycle)
    return cycles


def _add_notices(
    files: Files, labels: dict[str, str], events: dict[str, list[Event]], sides: dict[str, str], stridor: bool
) -> None:
    """Says what the labels of the recordings that take part amount to, and which of them do not fit together."""
    counts = Counter(labels[stem] or "without a record label" for stem in sides)
    if counts:
        files.notices.append("recordings by label: " + ", ".join(f"{label} {n}" for label, n in counts.most_common()))
    if poor := counts[POOR]:
        files.notices.append(f"{poor} recording(s) of poor quality have no events: counted, not scored")
    types = Counter(event.type for stem in sides for event in events[stem])
    if types:
        files.notices.append("events by type: " + ", ".join(f"{kind} {n}" for kind, n in types.most_common()))
    if not stridor:
        files.notices.append(f"left out: {types['Stridor']} Stridor event(s)")
    odd = [stem for stem in sides if labels[stem] not in ("", POOR, _expected(events[stem]))]
    if odd:
        what = "recording(s) whose record label does not follow from their events"
        files.notices.append(f"{len(odd)} {what}, first {odd[0]}")


def _expected(events: Iterable[Event]) -> str:
    """Returns the record label that follows from the events: labels are sums of 1 (crackle) and 2 (wheeze)."""
    found = {LABELS[event.type] for event in events}
    return RECORD_LABELS[any(label & 1 for label in found) + 2 * any(label & 2 for label in found)]
