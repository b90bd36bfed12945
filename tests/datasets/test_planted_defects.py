"""Defects planted at random places of a simulated corpus: `lung-srad check` names the file of each."""

import random
import shutil

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.datasets import ICBHI

SPLIT = "official_split.txt"


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


def misnamed(victim):
    for path in (victim.wav, victim.txt):
        path.rename(path.with_stem(victim.stem.replace("_", "-", 1)))


def unknown_word(lines, number):
    lines[number] = lines[number].split("\t")[0] + "\tvalidation"


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
    "name against the rule": ("name", "{1}.wav", misnamed),
    "no line in the split": ("no split", "{0}", lambda v: v.resplit(lambda lines, n: lines.pop(n))),
    "unknown word in the split": ("split line", SPLIT, lambda v: v.resplit(unknown_word)),
    "twice in the split": ("split line", SPLIT, lambda v: v.resplit(lambda lines, n: lines.append(lines[n]))),
    "silent cycle": ("silence", "{0}.wav", silence),
    "not a number among the samples": ("audio", "{0}.wav", sample(np.nan)),
    "infinity among the samples": ("audio", "{0}.wav", sample(np.inf)),
}


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("seed", [1])
def test_every_planted_defect_is_named_and_nothing_else(tiny, tmp_path, seed, part):
    root = shutil.copytree(tiny, tmp_path / "hurt")
    stems = sorted(path.stem for path in (root / "audio_and_txt_files").glob("*.wav"))[1:]
    chosen = list(PLANTED)[part::2]
    assert len(PLANTED) >= 20
    victims = random.Random(f"{seed} {part}").sample(stems, len(chosen))
    for name, stem in zip(chosen, victims, strict=True):
        PLANTED[name][2](Victim(root, stem, f"{seed} {name}"))
    found = ICBHI(root).validate().defects
    result = CliRunner().invoke(app, ["check", f"icbhi:{root}"])
    assert result.exit_code == 1
    named = {(defect.kind, defect.file) for defect in found}
    for name, stem in zip(chosen, victims, strict=True):
        kind, file, _ = PLANTED[name]
        file = file.format(stem, stem.replace("_", "-", 1))
        assert (kind, file) in named or (not kind and file in {other for _, other in named}), name
        assert f"\n  {file}\n" in result.stdout
    hurt = {*victims, *(stem.replace("_", "-", 1) for stem in victims), SPLIT}
    assert {file for _, file in named} <= {f"{stem}{suffix}" for stem in hurt for suffix in ("", ".wav", ".txt")}
