"""60 kinds of defects planted at random places of a simulated corpus: `lung-srad check` names the file of each."""

import random
import shutil
import struct

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.datasets import ICBHI

SPLIT, RATE = "official_split.txt", 4000
OTHER = {"train": "test", "test": "train"}
ENDS = (".wav", ".flac", ".txt")
PARTS = 4  # of the kinds, so that each has a recording to itself


class Victim:
    """One recording of a corpus, and a generator that says where it is hurt."""

    def __init__(self, root, stem, seed):
        self.root, self.stem, self.random = root, stem, random.Random(seed)
        self.wav = root / "audio_and_txt_files" / f"{stem}.wav"
        self.txt = self.wav.with_suffix(".txt")

    def edit(self, change):
        """Changes one cycle, a list of four strings, at a random place; returns its number."""
        rows = [line.split("\t") for line in self.txt.read_text().splitlines()]
        number = self.random.randrange(1, len(rows))  # never the first, so that there is one before it
        change(rows, number)
        self.txt.write_text("".join("\t".join(row) + "\n" for row in rows))
        return number

    def resound(self, change, subtype=None):
        """Changes the samples."""
        subtype = subtype or soundfile.info(self.wav).subtype
        wave, rate = soundfile.read(self.wav)
        change(wave, rate)
        soundfile.write(self.wav, wave, rate, subtype=subtype)

    def resplit(self, change):
        """Changes the line of the split file."""
        path = self.root / SPLIT
        lines = path.read_text().splitlines()
        number = next(i for i, line in enumerate(lines) if line.startswith(f"{self.stem}\t"))
        change(lines, number)
        path.write_text("\n".join(lines) + "\n")


def replaced(column, text):
    """Returns a change of one field of a cycle; ``text`` may be a function of its row."""

    def change(rows, number):
        rows[number][column] = text(rows[number]) if callable(text) else text

    return lambda victim: victim.edit(change)


def overlap(victim):
    def change(rows, number):
        rows[number][0] = f"{float(rows[number - 1][1]) - 0.01 * victim.random.randint(1, 15):.3f}"

    victim.edit(change)


def beyond(victim):
    def change(rows, number):
        rows[-1][1] = f"{soundfile.info(victim.wav).duration + victim.random.uniform(0.01, 5):.3f}"

    victim.edit(change)


def twice(rows, number):
    rows.insert(number, rows[number])


def cut(victim):
    content = victim.wav.read_bytes()
    victim.wav.write_bytes(content[: victim.random.randrange(100, len(content) - 1)])


def flip(victim):
    content = bytearray(victim.wav.read_bytes())
    bit = victim.random.randrange(8 * 44)
    content[bit // 8] ^= 1 << bit % 8
    victim.wav.write_bytes(content)


def extra_bytes(victim):
    with victim.wav.open("ab") as file:
        file.write(victim.random.randbytes(victim.random.randrange(1, 1000)))


def silence(victim):
    rows = [line.split("\t") for line in victim.txt.read_text().splitlines()]
    start, end, *_ = map(float, victim.random.choice(rows))

    def change(wave, rate):
        wave[max(0, int((start - 0.1) * rate)) : int((end + 0.1) * rate)] = 0  # beyond it: resampling rings

    victim.resound(change)


def sample(value):
    """Returns a defect: one sample of a file of floating point numbers."""

    def change(victim):
        def at_random(wave, rate):
            wave[victim.random.randrange(len(wave))] = value

        victim.resound(at_random, "FLOAT")

    return change


def copied(victim):
    source = min(victim.wav.parent.glob("*.wav"))  # nobody hurts the first
    shutil.copy(source, victim.wav)
    shutil.copy(source.with_suffix(".txt"), victim.txt)


def unknown_word(lines, number):
    lines[number] = lines[number].split("\t")[0] + "\tvalidation"


def header(place, code, value):
    """Returns a defect: one number of the header of 44 bytes that libsndfile writes."""

    def change(victim):
        content = bytearray(victim.wav.read_bytes())
        before = struct.unpack_from(code, content, place)[0]
        struct.pack_into(code, content, place, value(victim, before))
        victim.wav.write_bytes(content)

    return change


def shortened(victim):
    """A recording that somebody cut and saved again: a whole file, too short for its annotation."""
    rows = [line.split("\t") for line in victim.txt.read_text().splitlines()]
    wave, rate = soundfile.read(victim.wav)
    end = float(rows[-1][0]) + victim.random.uniform(0.1, 0.8) * (float(rows[-1][1]) - float(rows[-1][0]))
    soundfile.write(victim.wav, wave[: int(end * rate)], rate, subtype=soundfile.info(victim.wav).subtype)


def as_flac(victim):
    wave, rate = soundfile.read(victim.wav)
    victim.wav.unlink()
    soundfile.write(victim.wav.with_suffix(".flac"), wave, rate)
    return victim.wav.with_suffix(".flac")


def cut_flac(victim):
    path = as_flac(victim)
    content = path.read_bytes()
    path.write_bytes(content[: victim.random.randrange(len(content) // 4, len(content) // 2)])


def in_two_formats(victim):
    wave, rate = soundfile.read(victim.wav)
    soundfile.write(victim.wav.with_suffix(".flac"), wave, rate)


def copied_in_24_bits(victim):
    source = min(victim.wav.parent.glob("*.wav"))
    wave, rate = soundfile.read(source)
    soundfile.write(victim.wav, wave, rate, subtype="PCM_24")
    shutil.copy(source.with_suffix(".txt"), victim.txt)


def linked(path, target):
    path.unlink()
    path.symlink_to(target)


def folder_of_that_name(victim):
    victim.wav.unlink()
    victim.wav.mkdir()


def swap(rows, number):
    rows[number - 1], rows[number] = rows[number], rows[number - 1]


def by_all(change):
    """Returns a defect: every row of an annotation changed."""

    def spoil(victim):
        rows = [line.split("\t") for line in victim.txt.read_text().splitlines()]
        victim.txt.write_text("".join("\t".join(change(row)) + "\n" for row in rows))

    return spoil


def in_milliseconds(row):
    return [f"{1000 * float(row[0]):.0f}", f"{1000 * float(row[1]):.0f}", *row[2:]]


def prefixed(start):
    return lambda victim: victim.txt.write_bytes(start + victim.txt.read_bytes())


def renamed(change):
    """Returns a defect: both files of a recording under a name, which is returned, made of its five parts."""

    def spoil(victim):
        stem = "_".join(change(*victim.stem.split("_")))
        for path in (victim.wav, victim.txt):
            path.rename(path.with_stem(stem))
        return stem

    return spoil


def split_line(change):
    """Returns a defect: a line more in the split file, made of the recording's own."""

    def spoil(victim):
        victim.resplit(lambda lines, n: lines.append(change(*lines[n].split("\t"))))

    return spoil


def hum_of_zeros(victim):
    victim.resound(lambda wave, rate: wave.fill(0))


def another_device(stem, side):
    head, device = stem.rsplit("_", 1)
    return f"{head}_{'Litt3200' if device == 'Meditron' else 'Meditron'}\t{side}"


PLANTED = {  # what is planted: kind of the defect, what its file is called, how it is made
    "cut wav": ("audio", "{0}.wav", cut),
    "wrong bit in the header": ("", "{0}.wav", flip),
    "stray bytes at the end": ("header", "{0}.wav", extra_bytes),
    "wav of no bytes": ("audio", "{0}.wav", lambda v: v.wav.write_bytes(b"")),
    "wav that is no sound": ("audio", "{0}.wav", lambda v: v.wav.write_bytes(v.random.randbytes(4000))),
    "no wav": ("no recording", "{0}.txt", lambda v: v.wav.unlink()),
    "no annotation": ("no annotation", "{0}.wav", lambda v: v.txt.unlink()),
    "empty annotation": ("empty", "{0}.txt", lambda v: v.txt.write_text("\n")),
    "annotation that is no text": ("encoding", "{0}.txt", lambda v: v.txt.write_bytes(b"0\t1\t0\t\xe9\n")),
    "annotation in UTF-16": ("encoding", "{0}.txt", lambda v: v.txt.write_text("0\t1\t0\t0\n", encoding="utf-16")),
    "time that is no number": ("number", "{0}.txt", replaced(0, "1,5")),
    "time without an end": ("number", "{0}.txt", replaced(1, "inf")),
    "negative time": ("times", "{0}.txt", replaced(0, lambda row: f"-{row[0]}")),
    "end before start": ("times", "{0}.txt", replaced(1, lambda row: f"{float(row[0]) - 0.05:.3f}")),
    "label 2": ("flag", "{0}.txt", replaced(3, "2")),
    "no label": ("columns", "{0}.txt", lambda v: v.edit(lambda rows, n: rows[n].pop())),
    "overlapping cycles": ("overlap", "{0}.txt", overlap),
    "cycle beyond the end": ("outside", "{0}.txt", beyond),
    "the same cycle twice": ("duplicate", "{0}.txt", lambda v: v.edit(twice)),
    "recording under two names": ("copy", "{0}.wav", copied),
    "name against the rule": ("name", "{1}.wav", renamed(lambda *parts: (f"{parts[0]}-{parts[1]}", *parts[2:]))),
    "no line in the split": ("no split", "{0}", lambda v: v.resplit(lambda lines, n: lines.pop(n))),
    "unknown word in the split": ("split line", SPLIT, lambda v: v.resplit(unknown_word)),
    "twice in the split": ("split line", SPLIT, lambda v: v.resplit(lambda lines, n: lines.append(lines[n]))),
    "silent cycle": ("silence", "{0}.wav", silence),
    "not a number among the samples": ("audio", "{0}.wav", sample(np.nan)),
    "infinity among the samples": ("audio", "{0}.wav", sample(np.inf)),
    "minus infinity among the samples": ("audio", "{0}.wav", sample(-np.inf)),
    "wav cut within its header": ("audio", "{0}.wav", lambda v: v.wav.write_bytes(v.wav.read_bytes()[:30])),
    "header that declares no sound": ("audio", "{0}.wav", header(40, "<I", lambda v, was: 0)),
    "header that declares more sound": ("audio", "{0}.wav", header(40, "<I", lambda v, was: was + 2 * RATE)),
    "header with half the rate": ("header", "{0}.wav", header(24, "<I", lambda v, was: was // 2)),
    "header with a rate of 1 Hz": ("audio", "{0}.wav", header(24, "<I", lambda v, was: 1)),
    "header with 7 bits": ("", "{0}.wav", header(34, "<H", lambda v, was: 7)),
    "header with 1024 channels": ("audio", "{0}.wav", header(22, "<H", lambda v, was: 1024)),
    "text instead of sound": ("audio", "{0}.wav", lambda v: v.wav.write_text("see the folder beside it\n")),
    "flac that is cut": ("audio", "{0}.flac", cut_flac),
    "recording in two formats": ("twice", "{0}.wav", in_two_formats),
    "recording that is shorter than its annotation": ("outside", "{0}.txt", shortened),
    "recording saved again in 24 bits under another name": ("copy", "{0}.wav", copied_in_24_bits),
    "recording of silence": ("silence", "{0}.wav", hum_of_zeros),
    "link to a recording that is not there": ("audio", "{0}.wav", lambda v: linked(v.wav, "absent.wav")),
    "link to itself": ("audio", "{0}.wav", lambda v: linked(v.wav, v.wav.name)),
    "folder with the name of a recording": ("audio", "{0}.wav", folder_of_that_name),
    "annotation that links to nothing": ("unreadable", "{0}.txt", lambda v: linked(v.txt, "absent.txt")),
    "annotation with a byte-order mark": ("encoding", "{0}.txt", prefixed(b"\xef\xbb\xbf")),
    "annotation with NUL bytes": ("encoding", "{0}.txt", prefixed(b"\0\0")),
    "annotation with a header line": ("number", "{0}.txt", prefixed(b"start\tend\tcrackle\twheeze\n")),
    "annotation without end": ("size", "{0}.txt", lambda v: v.txt.write_text(v.txt.read_text() * 100_000)),
    "annotation with commas": ("columns", "{0}.txt", by_all(lambda row: [",".join(row)])),
    "annotation in milliseconds": ("outside", "{0}.txt", by_all(in_milliseconds)),
    "fifth column": ("columns", "{0}.txt", replaced(3, "0\t1")),
    "time that is not a number": ("number", "{0}.txt", replaced(1, "nan")),
    "time beyond all numbers": ("number", "{0}.txt", replaced(1, "1e309")),
    "end at start": ("times", "{0}.txt", replaced(1, lambda row: row[0])),
    "label -1": ("flag", "{0}.txt", replaced(2, "-1")),
    "label yes": ("flag", "{0}.txt", replaced(3, "yes")),
    "cycles out of order": ("overlap", "{0}.txt", lambda v: v.edit(swap)),
    "unknown device": ("name", "{1}.wav", renamed(lambda *parts: (*parts[:4], "Phone"))),
    "site in lower case": ("name", "{1}.wav", renamed(lambda *parts: (*parts[:2], parts[2].lower(), *parts[3:]))),
    "name of four parts": ("name", "{1}.wav", renamed(lambda *parts: parts[:4])),
    "name with a space": ("name", "{1}.wav", renamed(lambda *parts: (*parts[:4], f"{parts[4]} copy"))),
    "on both sides of the split": ("split line", SPLIT, split_line(lambda stem, side: f"{stem}\t{OTHER[side]}")),
    "line of the split with three words": ("split line", SPLIT, split_line(lambda stem, side: f"{stem} {side} twice")),
    "line of the split without a word": ("split line", SPLIT, split_line(lambda stem, side: f"{stem}.wav")),
    "name in the split that is none": ("split line", SPLIT, split_line(lambda stem, side: f"{stem[:3]}\t{side}")),
    "in the split with another device": ("split line", SPLIT, split_line(another_device)),
}


def test_60_kinds_are_planted():
    assert len(PLANTED) >= 60


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("seed", [1])
def test_every_planted_defect_is_named_and_nothing_else(tiny, tmp_path, seed, part):
    root = shutil.copytree(tiny, tmp_path / "hurt")
    stems = sorted(path.stem for path in (root / "audio_and_txt_files").glob("*.wav"))[1:]
    chosen = list(PLANTED)[part::PARTS]
    victims = random.Random(f"{seed} {part}").sample(stems, len(chosen))
    stem_of, name_of = dict(zip(chosen, victims, strict=True)), {}
    for name, stem in stem_of.items():
        called = PLANTED[name][2](Victim(root, stem, f"{seed} {name}"))
        name_of[name] = called if isinstance(called, str) else stem
    found = ICBHI(root).validate().defects
    result = CliRunner().invoke(app, ["check", f"icbhi:{root}"])
    assert result.exit_code == 1
    named = {(defect.kind, defect.file) for defect in found}
    for name, stem in stem_of.items():
        kind, file, _ = PLANTED[name]
        file = file.format(stem, name_of[name])
        assert (kind, file) in named or (not kind and file in {other for _, other in named}), name
        assert f"\n  {file}\n" in result.stdout
    hurt = {*stem_of.values(), *name_of.values()}
    assert {file for _, file in named} <= {SPLIT} | {f"{stem}{end}" for stem in hurt for end in ("", *ENDS)}
