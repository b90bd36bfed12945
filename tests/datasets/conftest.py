"""Small corpora of noise: whole ones, and ones with a single thing wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lung_srad.datasets import simulate

RATE = 4000
SECONDS = 2.0
RECORDINGS = {  # stem -> split
    "101_1b1_Al_sc_Meditron": "train",
    "102_1b1_Ar_mc_AKGC417L": "train",
    "103_1b1_Tc_sc_LittC2SE": "train",
    "104_1b1_Pl_sc_Litt3200": "test",
}
ANNOTATION = "0.0\t0.9\t0\t0\n0.9\t1.9\t1\t0\n"


@pytest.fixture(scope="session")
def noise() -> Callable[..., None]:
    """Returns a function that writes a wav or flac of noise."""

    def write(path: Path, *, seed: int = 0, seconds: float = SECONDS) -> None:
        samples = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))
        soundfile.write(path, samples.clip(-1, 1), RATE, subtype="PCM_16")

    return write


@pytest.fixture
def corpus(tmp_path: Path, noise: Callable[..., None]) -> Path:
    """Returns an ICBHI folder of four recordings of four patients, two cycles each, without a defect."""
    root = tmp_path / "icbhi"
    folder = root / "audio_and_txt_files"
    folder.mkdir(parents=True)
    for seed, stem in enumerate(RECORDINGS):
        noise(folder / f"{stem}.wav", seed=seed)
        (folder / f"{stem}.txt").write_text(ANNOTATION)
    (root / "official_split.txt").write_text("\n".join(f"{stem}\t{split}" for stem, split in RECORDINGS.items()))
    folds = "".join(f"{patient} {fold}\n" for fold, patient in enumerate((101, 102, 103, 104)))
    (root / "patient_list_foldwise.txt").write_text(folds)
    return root


EVENTS = {  # recording -> record label, events in milliseconds; the first patient's are not in order
    "40000001_4.9_1_p1_11": (
        "CAS & DAS",
        [(1200, 1900, "Wheeze"), (100, 1000, "Fine Crackle"), (1000, 1200, "Normal")],
    ),
    "40000001_5.0_1_p3_12": ("Poor Quality", []),
    "40000002_0.3_0_p2_21": ("Normal", [(0, 900, "Normal"), (900, 2000, "Normal")]),
    "40000003_12.4_0_p4_31": ("CAS", [(200, 800, "Stridor"), (900, 1500, "Rhonchi")]),
    "40000004_1.0_1_p1_41": ("CAS & DAS", [(200, 800, "Wheeze+Crackle"), (900, 1500, "Coarse Crackle")]),
    "40000005_2.2_0_p1_51": ("Normal", [(200, 800, "Normal")]),
}


@pytest.fixture
def sprsound(tmp_path: Path, noise: Callable[..., None]) -> Path:
    """Returns an SPRSound folder of five children in the layout of the training part, without a defect."""
    root = tmp_path / "sprsound"
    for folder in ("train_wav", "train_json"):
        (root / folder).mkdir(parents=True)
    for seed, (stem, (label, rows)) in enumerate(EVENTS.items()):
        noise(root / "train_wav" / f"{stem}.wav", seed=seed)
        events = [{"start": str(start), "end": str(end), "type": kind} for start, end, kind in rows]
        record = {"record_annotation": label, "event_annotation": events}
        (root / "train_json" / f"{stem}.json").write_text(json.dumps(record))
    return root


@pytest.fixture
def table(tmp_path: Path, noise: Callable[..., None]) -> Path:
    """Returns a CSV over two files of two patients, three labelled cycles and one without a label."""
    (tmp_path / "sounds").mkdir()
    noise(tmp_path / "sounds" / "a.wav", seed=1)
    noise(tmp_path / "sounds" / "b.flac", seed=2)
    path = tmp_path / "table.csv"
    path.write_text(
        "path,start,end,label,patient,split,device\n"
        "sounds/a.wav,0,0.9,wheeze,p1,train,phone\n"
        "sounds/a.wav,0.9,1.8,Normal,p1,train,phone\n"
        "sounds/b.flac,,,crackle,p2,test,pen\n"
        "sounds/b.flac,0.5,1,,p2,test,pen\n"
    )
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a simulated corpus of 12 patients; not to be changed."""
    root = tmp_path_factory.mktemp("simulated") / "tiny"
    simulate(root, size="tiny", workers=1)
    return root
