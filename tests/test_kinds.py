"""The 206 kinds of bad input, counted: every phrase of the specification has its rows, every row its phrase."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "datasets"))
sys.path.insert(0, str(Path(__file__).parent / "inference"))
sys.path.insert(0, str(Path(__file__).parent / "serving"))

from bad_audio import CONTAINER, CONTENT
from bad_corpora import ANNOTATIONS, CORPORA
from bad_weights import WEIGHTS

from bad_configs import CONFIGS

Phrases = dict[str, tuple[str, ...]]
"""Words of the table in spec/reliability.md, A.2, and the rows that are made of them."""

OF_CONTAINER: Phrases = {
    "0 B": ("0 bytes",),
    "43 B": ("43 bytes",),
    "44 B only": ("header only",),
    "truncated half": ("truncated half",),
    "odd tail": ("odd tail",),
    "data size 0 / 0xFFFFFFFF / larger than file": (
        "data size 0",
        "data size 0xFFFFFFFF",
        "data size beyond the file",
    ),
    "RIFF size 0": ("RIFF size 0",),
    "no fmt": ("no fmt",),
    "two fmt": ("two fmt",),
    "no data": ("no data",),
    "data before fmt": ("data before fmt",),
    "fs 0/1/4e9": ("rate 0", "rate 1", "rate 4e9"),
    "ch 0/6/1024/65535": ("0 channels", "6 channels", "1024 channels", "65535 channels"),
    "bits 0/7": ("0 bits", "7 bits"),
    "RF64": ("RF64",),
    "W64": ("W64",),
    "WAVEX": ("WAVEX",),
    "LIST/bext/cue chunks": ("LIST, bext and cue",),
    "ID3 in front": ("ID3 in front",),
    "1 MB junk chunk": ("1 MB of junk",),
    "chunk-size overflow": ("chunk size overflow",),
    "RIFX": ("RIFX",),
    "text, PNG, ZIP, gzip, mp3 named .wav": ("text", "PNG", "ZIP", "gzip", "MP3 named .wav"),
    "4 GB sparse": ("4 GB with a hole",),
    "directory": ("a directory",),
    "FIFO": ("a pipe",),
    "broken symlink": ("a broken link",),
    "no permission": ("no permission",),
}

OF_CONTENT: Phrases = {
    "u8, 16, 24, 32, float32, float64, µ-law, A-law, IMA/MS-ADPCM, GSM": (
        *("8 bits", "16 bits", "24 bits", "32 bits", "float", "double", "µ-law", "A-law"),
        *("IMA ADPCM", "MS ADPCM", "GSM"),
    ),
    "stereo, anti-phase stereo (mean = 0), one dead channel": ("stereo", "anti-phase", "one dead channel"),
    "0/1/100 samples": ("0 samples", "1 sample", "100 samples"),
    "50 ms": ("50 ms",),
    "24 h": ("24 hours",),
    "4/8/10/44.1/48/96/192 kHz": ("4 kHz", "8 kHz", "10 kHz", "44.1 kHz", "48 kHz", "96 kHz", "192 kHz"),
    "all zero": ("all zero",),
    "constant DC": ("constant",),
    "DC+signal": ("offset",),
    "NaN": ("NaN",),
    "Inf": ("infinity",),
    "denormal 1e-30": ("denormal",),
    "float beyond ±1 (×20)": ("20 times full scale",),
    "clipped 0.1/5/50 %": ("clipped 0.1 %", "clipped 5 %", "clipped 50 %"),
    "50 Hz hum only": ("hum alone",),
    "white noise": ("white noise",),
    "sine": ("sine",),
    "speech/music/cough": ("speech", "music", "cough"),
    "time-reversed": ("time-reversed",),
    "peak-normalised spike": ("a spike at full scale",),
}

OF_ANNOTATIONS: Phrases = {
    "missing": ("missing",),
    "empty": ("empty",),
    "header line": ("header line",),
    "BOM": ("byte-order mark",),
    "UTF-16": ("UTF-16",),
    "CRLF": ("CRLF",),
    "CR only": ("CR only",),
    "NUL": ("NUL",),
    "commas": ("commas",),
    "decimal comma": ("decimal comma",),
    "3 or 5 columns": ("3 columns", "5 columns"),
    "NaN/inf/1e309": ("NaN", "infinity", "1e309"),
    "negative start": ("negative start",),
    "end<start": ("end before start",),
    "end=start": ("end at start",),
    "start beyond audio": ("start beyond the audio",),
    "end past audio by 1 sample / 10 s": ("end 1 sample past the audio", "end 10 s past the audio"),
    "overlapping": ("overlapping",),
    "duplicate": ("duplicate",),
    "unsorted": ("unsorted",),
    'label 2/-1/"yes"': ("label 2", "label -1", "label yes"),
    "1 M lines": ("1 million lines",),
    "wav without txt and reverse": ("wav without txt", "txt without wav"),
}

OF_CORPORA: Phrases = {
    "bad name (3 fields)": ("name of 3 fields",),
    "lowercase site": ("lowercase site",),
    "unknown device": ("unknown device",),
    "the 91 alias names in filename_differences.txt": ("91 names of the first release",),
    "duplicate id in split": ("twice in the split",),
    "id in both splits": ("on both sides of the split",),
    "patient in both splits (156, 218)": ("patients on both sides",),
    "id without wav": ("in the split without a wav",),
    "unknown split word": ("unknown word in the split",),
    "missing 1 of 920": ("1 of 920 missing",),
    "extra file": ("extra file",),
    'age/BMI NA or "abc"': ("age NA", "age abc"),
    "diagnosis missing": ("diagnosis missing",),
    "Unicode/space/newline/255-char names": (
        *("name in Unicode", "name with a space", "name with a line break", "name of 255 letters"),
    ),
    "case-only collision": ("names that differ in case",),
    "symlink loop": ("link to itself",),
    "re-encoded (checksum differs) copy": ("encoded again",),
    "wrong corpus (SPRSound JSON)": ("another corpus",),
}

OF_CONFIGS: Phrases = {  # TOML where the table says YAML
    "unknown key (typo)": ("unknown key",),
    "wrong type": ("wrong type",),
    "lr=0/-1/NaN": ("learning rate 0", "learning rate -1", "learning rate NaN"),
    "batch 0/1e9": ("batch of 0", "batch of 1e9"),
    "n_mels > bins": ("more mels than bins",),
    "fmax > Nyquist": ("beyond Nyquist",),
    "0 epochs": ("0 epochs",),
    "duplicated YAML key": ("key twice",),
    "YAML !!python/object": ("what YAML would run",),
    "10 MB / deeply nested / alias-bomb YAML": ("10 MB", "nested deeply", "alias bomb"),
    "path with ..": ("path with ..",),
    "unwritable or existing output": ("output that cannot be written", "output that is there"),
    "unset env": ("environment not set",),
    "class map missing a class": ("class map without a class",),
}

OF_WEIGHTS: Phrases = {
    "pickle payload (os.system, __reduce__, nested in zip, legacy tar, numpy object, joblib)": (
        *("pickle that calls os.system", "pickle with __reduce__", "pickle in a zip", "pickle in a tar"),
        *("numpy objects", "joblib"),
    ),
    "truncated": ("truncated",),
    "1 bit flipped": ("1 bit flipped",),
    "wrong arch": ("another architecture",),
    "missing/extra/renamed keys": ("missing keys", "extra keys", "renamed keys"),
    "wrong dtype": ("another type",),
    "NaN weights": ("NaN",),
    "safetensors header 2^63 / overlapping offsets / dup keys": (
        *("header of 2**63 bytes", "overlapping tensors", "a key twice"),
    ),
    "other class order": ("classes in another order",),
    "other preprocessing hash": ("other preprocessing",),
    "ONNX with external-data path ../../": ("graph with data elsewhere",),
    "zip bomb": ("zip bomb",),
}

FAMILIES: dict[str, tuple[Phrases, dict]] = {
    "wav container (40)": (OF_CONTAINER, CONTAINER),
    "wav content (44)": (OF_CONTENT, CONTENT),
    "annotation txt (30)": (OF_ANNOTATIONS, ANNOTATIONS),
    "names, split, metadata (22)": (OF_CORPORA, CORPORA),
    "config/CLI (20)": (OF_CONFIGS, CONFIGS),
    "checkpoint/ONNX (21)": (OF_WEIGHTS, WEIGHTS),
}
"""The phrases and the rows of each family; that of HTTP is counted beside its table, whose rows are its phrases."""

HTTP = "HTTP (29)"


def count(family: str) -> int:
    """Returns the number of kinds that a family's name says."""
    return int(re.findall(r"\d+", family)[-1])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_row_is_of_one_phrase_and_every_phrase_has_its_rows(family: str) -> None:
    phrases, rows = FAMILIES[family]
    named = [row for each in phrases.values() for row in each]
    assert sorted(named) == sorted(rows)
    assert len(named) == len(set(named)) == count(family)


def test_there_are_206_and_those_of_http() -> None:
    """HTTP's 29 came later: 40 + 44 + 30 + 22 + 20 + 21 are 177, and 206 with them."""
    pytest.importorskip("fastapi")
    from bad_requests import KINDS

    assert len(KINDS) == count(HTTP) == 29
    assert sum(len(rows) for _, rows in FAMILIES.values()) + len(KINDS) == 206


def test_the_phrases_are_those_of_the_specification(shared: Path) -> None:
    text = (shared / "spec" / "reliability.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| ([^|]+\(\d+\)) \| (.+) \|$", text, re.MULTILINE))
    assert {*FAMILIES, HTTP} == table.keys()
    for family, (phrases, _) in FAMILIES.items():
        plain = table[family].replace("**", "").replace("`", "")
        assert [each.strip() for each in plain.split(";")] == list(phrases), family
