"""Small corpora of noise: whole ones, and ones with a single thing wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

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
