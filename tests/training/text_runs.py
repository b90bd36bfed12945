"""A small corpus in the layout of ICBHI with what it knows of its patients, and presets that train on it."""

import tomllib
from pathlib import Path

import numpy as np
import soundfile

from lung_srad.config import Preset, parse_preset

RATE, SECONDS = 4000, 0.5
SITES, DEVICES = ("Al", "Pr", "Tc", "Ll"), ("Meditron", "AKGC417L", "LittC2SE", "Litt3200")
PEOPLE = {  # patient -> age and sex; 107 is not known
    101: "3\tF",
    102: "70\tM",
    103: "15\tM",
    104: "66\tF",
    105: "19\tM",
    106: "NA\tF",
    107: "NA\tNA",
    108: "81\tF",
}
TRAINING = 6  # patients
PRESET = """
name = "bts"
title = "BTS"

[backbone]
name = "clap_tiny"
location = "published"
seconds = 0.5
resampler = "sinc"

[augment]                     # none in the public code
masks = 0
probability = 0.0

[objective]
name = "cross_entropy"
class_weights = false

[optimizer]
name = "adam"
half_step = true
learning_rate = 1e-3

[training]
epochs = 2
batch_size = 4
eval_batch_size = 8
checkpoint_every = 2
"""


def text_preset(
    name: str = "clap_tiny", *, location: str | None = "published", changes: tuple[str, ...] = ()
) -> Preset:
    """Returns the preset of BTS for a small network; ``location`` None is no option, for audio alone."""
    data = tomllib.loads(PRESET)
    data["backbone"] |= {"name": name, "location": location}
    if location is None:
        del data["backbone"]["location"]
    for change in changes:
        key, _, value = change.partition("=")
        table, name = key.split(".")
        data[table][name] = tomllib.loads(f"value = {value}")["value"]
    return parse_preset(data, "text_runs")


def metadata(site: str = "Ar") -> str:
    return "".join(f"{patient}\t{who}\tNA\tNA\tNA\t{site}\n" for patient, who in PEOPLE.items())


def write_icbhi(root: Path) -> Path:
    """Returns the folder of eight patients, six of them to train on, with one recording of four cycles each."""
    folder = root / "audio_and_txt_files"
    folder.mkdir(parents=True)
    split = []
    for place, patient in enumerate(PEOPLE):
        name = f"{patient}_1b1_{SITES[place % 4]}_sc_{DEVICES[place % 4]}"
        draw, lines, parts = np.random.default_rng(patient), [], []
        for cycle in range(4):
            kind = (place + cycle) % 3  # normal, crackle, wheeze
            times = np.arange(int(RATE * SECONDS)) / RATE
            parts.append(0.05 * draw.standard_normal(len(times)) + 0.1 * np.sin(2 * np.pi * (200 + 500 * kind) * times))
            lines.append(f"{cycle * SECONDS}\t{(cycle + 1) * SECONDS}\t{int(kind == 1)}\t{int(kind == 2)}\n")
        soundfile.write(folder / f"{name}.wav", np.concatenate(parts), RATE, subtype="PCM_16")
        (folder / f"{name}.txt").write_text("".join(lines))
        split.append(f"{name}\t{'train' if place < TRAINING else 'test'}\n")
    (root / "official_split.txt").write_text("".join(split))
    (root / "metadata.txt").write_text(metadata())
    return root
