"""Every kind of bad annotation (30), and of bad name, split and metadata (22), each with what it gets.

The rule decides. What is missing, contradicts itself or cannot be read is a defect that names its file. What is
accepted although something was mended, left out or is doubtful is a notice. All else is accepted without a word.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from lung_srad.datasets.icbhi import PUBLISHED

RATE = 4000
FIRST, SECOND, THIRD = "101_1b1_Al_sc_Meditron", "102_1b1_Ar_mc_AKGC417L", "103_1b1_Tc_sc_LittC2SE"
SPLIT = "official_split.txt"
LINE = "0\t0.9\t0\t0\n"
ALIASES = Path(__file__).with_name("filename_differences.txt")  # the database's own list
Spoil = Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """One row.

    Attributes:
        spoil: what is done to a folder that has no defect.
        defects: file and kind of each that is found; none where the corpus is accepted.
        notice: words of a notice; without any, an accepted corpus has none.
        audio: whether recordings are decoded; that of many is not the cost of one bad input.
    """

    spoil: Spoil
    defects: tuple[tuple[str, str], ...] = ()
    notice: str = ""
    audio: bool = True


def sounds(root: Path) -> Path:
    return root / "audio_and_txt_files"


def annotation(content: str | bytes, *kinds: str, notice: str = "") -> Kind:
    """Returns a row in which the first recording has this annotation."""
    raw = content if isinstance(content, bytes) else content.encode()
    found = tuple((f"{FIRST}.{'wav' if kind == 'audio' else 'txt'}", kind) for kind in kinds)
    return Kind(lambda root: (sounds(root) / f"{FIRST}.txt").write_bytes(raw), found, notice)


def lost_annotation(root: Path) -> None:
    """Leaves a link to nothing: the name is listed, and there is no file."""
    path = sounds(root) / f"{FIRST}.txt"
    path.unlink()
    path.symlink_to("absent.txt")


def without(name: str) -> Spoil:
    return lambda root: (sounds(root) / name).unlink()


ANNOTATIONS: dict[str, Kind] = {
    "missing": Kind(lost_annotation, ((f"{FIRST}.txt", "unreadable"),)),
    "empty": annotation("", "empty"),
    "header line": annotation(f"start\tend\tcrackle\twheeze\n{LINE}", "number"),
    "byte-order mark": annotation(b"\xef\xbb\xbf" + LINE.encode(), "encoding"),
    "UTF-16": annotation(LINE.encode("utf-16"), "encoding"),
    "CRLF": annotation("0\t0.9\t0\t0\r\n0.9\t1.9\t1\t0\r\n"),
    "CR only": annotation("0\t0.9\t0\t0\r0.9\t1.9\t1\t0\r"),
    "NUL": annotation("0\t0.9\t0\t\x000\n", "encoding"),
    "commas": annotation("0,0.9,0,0\n", "columns"),
    "decimal comma": annotation("0\t0,9\t0\t0\n", "number"),
    "3 columns": annotation("0\t0.9\t0\n", "columns"),
    "5 columns": annotation("0\t0.9\t0\t0\t0\n", "columns"),
    "NaN": annotation("nan\t0.9\t0\t0\n", "number"),
    "infinity": annotation("0\tinf\t0\t0\n", "number"),
    "1e309": annotation("0\t1e309\t0\t0\n", "number"),
    "negative start": annotation("-0.1\t0.9\t0\t0\n", "times"),
    "end before start": annotation("0.9\t0.1\t0\t0\n", "times"),
    "end at start": annotation("0.9\t0.9\t0\t0\n", "times"),
    "start beyond the audio": annotation("2.5\t3\t0\t0\n", "outside", "audio"),
    "end 1 sample past the audio": annotation(f"0\t{2 + 1 / RATE}\t0\t0\n", notice="1 cycle(s) end up to 0.001 s"),
    "end 10 s past the audio": annotation("0\t12\t0\t0\n", "outside"),
    "overlapping": annotation("0\t1\t0\t0\n0.5\t1.5\t0\t0\n", "overlap"),
    "duplicate": annotation(LINE * 2, "duplicate"),
    "unsorted": annotation("0.9\t1.9\t0\t0\n0\t0.9\t0\t0\n", "overlap"),
    "label 2": annotation("0\t0.9\t2\t0\n", "flag"),
    "label -1": annotation("0\t0.9\t-1\t0\n", "flag"),
    "label yes": annotation("0\t0.9\tyes\t0\n", "flag"),
    "1 million lines": annotation(LINE.encode() * 1_000_000, "size"),
    "wav without txt": Kind(without(f"{FIRST}.txt"), ((f"{FIRST}.wav", "no annotation"),)),
    "txt without wav": Kind(without(f"{FIRST}.wav"), ((f"{FIRST}.txt", "no recording"), (f"{FIRST}.wav", "audio"))),
}


def noise(path: Path, *, seed: int = 0, seconds: float = 1.0, subtype: str = "PCM_16") -> None:
    wave = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))
    soundfile.write(path, wave.clip(-1, 1), RATE, subtype=subtype)


def recording(root: Path, stem: str, seed: int) -> None:
    noise(sounds(root) / f"{stem}.wav", seed=seed)
    (sounds(root) / f"{stem}.txt").write_text(LINE)


def split_line(*lines: str) -> Spoil:
    def spoil(root: Path) -> None:
        with (root / SPLIT).open("a") as file:
            file.writelines(f"\n{line}" for line in lines)

    return spoil


def renamed(stem: str) -> Spoil:
    def spoil(root: Path) -> None:
        for suffix in (".wav", ".txt"):
            (sounds(root) / f"{THIRD}{suffix}").rename(sounds(root) / f"{stem}{suffix}")

    return spoil


def bad_name(stem: str, printed: str = "") -> Kind:
    return Kind(renamed(stem), tuple((f"{printed or stem}{suffix}", "name") for suffix in (".txt", ".wav")))


def written(name: str, text: str) -> Spoil:
    return lambda root: (root / name).write_text(text)


def published() -> list[str]:
    """Returns the 920 names of the database's own split file."""
    return [line.split()[0] for line in (PUBLISHED / SPLIT).read_text().splitlines()]


def emptied(root: Path) -> None:
    for path in sounds(root).iterdir():
        path.unlink()


def aliases(root: Path) -> None:
    """Leaves the 91 recordings whose names in the first release had another device, under those names."""
    emptied(root)
    old = ALIASES.read_text().split()
    keys = tuple(stem.rpartition("_")[0] for stem in old)
    lines = (PUBLISHED / SPLIT).read_text().splitlines()
    (root / SPLIT).write_text("\n".join(line for line in lines if line.startswith(keys)))
    for seed, stem in enumerate(old):
        recording(root, stem, seed)


def all_but_one(root: Path) -> None:
    """Leaves the annotations of 919 of the 920 recordings."""
    emptied(root)
    (root / SPLIT).write_bytes((PUBLISHED / SPLIT).read_bytes())
    for stem in published()[1:]:
        (sounds(root) / f"{stem}.txt").write_text(LINE)


def on_both_sides(root: Path) -> None:
    for patient in (156, 218):
        for index, side in enumerate(("train", "test")):
            stem = f"{patient}_{index}b1_Al_sc_Meditron"
            recording(root, stem, patient + index)
            split_line(f"{stem}\t{side}")(root)


def looped(root: Path) -> None:
    path = sounds(root) / f"{FIRST}.wav"
    path.unlink()
    path.symlink_to(path.name)


def encoded_again(root: Path) -> None:
    """Puts the sound of the first recording into the third, in 24 bits: other bytes, the same samples."""
    wave, rate = soundfile.read(sounds(root) / f"{FIRST}.wav")
    soundfile.write(sounds(root) / f"{THIRD}.wav", wave, rate, subtype="PCM_24")


def other_corpus(root: Path) -> None:
    """Leaves recordings and events in the layout of SPRSound."""
    emptied(root)
    event = {"start": "0", "end": "900", "type": "Normal"}
    record = {"record_annotation": "Normal", "event_annotation": [event]}
    (sounds(root) / "40000001_4.9_1_p1_11.json").write_text(json.dumps(record))


LONG = f"103_{'1' * (255 - len('103__Tc_sc_LittC2SE.wav'))}_Tc_sc_LittC2SE"

CORPORA: dict[str, Kind] = {
    "name of 3 fields": bad_name("103_1b1_Tc"),
    "lowercase site": bad_name("103_1b1_tc_sc_LittC2SE"),
    "unknown device": bad_name("103_1b1_Tc_sc_Phone"),
    "91 names of the first release": Kind(
        aliases, notice="91 recording(s) under a name with another device", audio=False
    ),
    "twice in the split": Kind(split_line(f"{FIRST}\ttrain"), ((SPLIT, "split line"),)),
    "on both sides of the split": Kind(split_line(f"{FIRST}\ttest"), ((SPLIT, "split line"),)),
    "patients on both sides": Kind(on_both_sides, notice="patients 156, 218 are on both sides of the split"),
    "in the split without a wav": Kind(
        split_line("105_1b1_Al_sc_Meditron\ttest"), notice="1 of the 5 recordings in the split file are not here"
    ),
    "unknown word in the split": Kind(split_line("105_1b1_Al_sc_Meditron\tvalidation"), ((SPLIT, "split line"),)),
    "1 of 920 missing": Kind(all_but_one, notice="1 of the 920 recordings in the split file are not here"),
    "extra file": Kind(
        written("audio_and_txt_files/cover.png", ""), notice="1 file(s) that are neither a recording nor an annotation"
    ),
    "age NA": Kind(written("metadata.txt", "101\tNA\tF\tNA\t19\t99\n")),
    "age abc": Kind(written("metadata.txt", "101\tabc\tF\tNA\t19\t99\n"), notice="1 line(s) of metadata.txt are not"),
    "diagnosis missing": Kind(written("patient_diagnosis.txt", "101\tCOPD\n102\n103\tAsthma\n")),
    "name in Unicode": bad_name("103_1b1_Tć_sc_LittC2SE"),
    "name with a space": bad_name(f"{THIRD} copy"),
    "name with a line break": bad_name(f"{THIRD}\n", f"{THIRD}\\n"),
    "name of 255 letters": Kind(renamed(LONG), ((LONG, "no split"),)),
    "names that differ in case": Kind(
        written(f"audio_and_txt_files/{FIRST}.WAV", ""), ((f"{FIRST}.wav", "twice"), (f"{FIRST}.WAV", "audio"))
    ),
    "link to itself": Kind(looped, ((f"{FIRST}.wav", "audio"),)),
    "encoded again": Kind(encoded_again, ((f"{THIRD}.wav", "copy"),)),
    "another corpus": Kind(other_corpus, (("audio_and_txt_files", "nothing here"),)),
}
