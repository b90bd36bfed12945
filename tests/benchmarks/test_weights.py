"""Weights that ship: copied with a card that says how they were made, and only from simulated recordings."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import lung_srad as ls
import weights
from lung_srad.config import load_preset
from lung_srad.runs import RunFolder
from lung_srad.runs import shipped as shipping

SETTINGS = {"size": "tiny", "difficulty": "easy", "confound": 0.5, "leak": None, "seed": 3}
SMALL = ("backbone.frames=32", "training.epochs=1", "training.batch_size=4", "training.refit=false")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns an ICBHI folder of noise that says it was simulated."""
    root = tmp_path_factory.mktemp("shipping") / "simulated"
    root.mkdir()
    stems = [f"{301 + patient}_1b1_Al_sc_Meditron" for patient in range(6)]
    for seed, stem in enumerate(stems):
        soundfile.write(root / f"{stem}.wav", 0.1 * np.random.default_rng(seed).standard_normal(4 * 4000), 4000)
        (root / f"{stem}.txt").write_text("0\t1\t0\t0\n1\t2\t1\t0\n2\t3\t0\t1\n3\t4\t1\t1\n")
    split = "".join(f"{stem}\t{'test' if index > 3 else 'train'}\n" for index, stem in enumerate(stems))
    (root / "official_split.txt").write_text(split)
    counts = {"patients": 6, "recordings": 6, "cycles": 24}
    (root / "simulation.json").write_text(json.dumps({"version": 1, "settings": SETTINGS, **counts}))
    return root


@pytest.fixture(scope="module")
def run(corpus: Path) -> RunFolder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUNG_SRAD_CACHE", str(corpus.parent / "cache"))
        patch.setattr("sys.argv", ["x/lung-srad", "train", "--data", f"icbhi:{corpus}", "--out", str(corpus.parent)])
        preset = load_preset("dass_finetuning", profile="small", overrides=SMALL)
        return ls.fit(preset, ls.datasets.ICBHI(corpus), out=corpus.parent / "runs", start_from="")


def test_what_ships_can_be_loaded_and_says_how_it_was_made(
    run: RunFolder, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights.ship("demo", run, corpus, tmp_path / "weights")
    monkeypatch.setattr(shipping, "SHIPPED", tmp_path / "weights")
    model = ls.load("demo")
    assert model.synthetic
    assert sorted(path.name for path in (tmp_path / "weights").iterdir()) == ["demo.md", "demo.safetensors"]
    for words in (
        "lung-srad simulate simulated --size tiny --difficulty easy --confound 0.5 --seed 3\n",
        "lung-srad train --data icbhi:simulated --out ",
        "Simulated training, research use, not a medical device.",
        "6 recordings and 24 cycles of 6 simulated patients",
        "epoch 1 of 1",
        "| DASS fine-tuning (profile small",
        "SYNTHETIC",
    ):
        assert words in model.card
    assert str(corpus.parent) not in model.card


def test_weights_of_real_recordings_do_not_ship(run: RunFolder, corpus: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(RunFolder, "synthetic", False)
    with pytest.raises(SystemExit, match="was not trained on simulated recordings"):
        weights.ship("demo", run, corpus, tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


def test_weights_of_many_bytes_do_not_ship(run: RunFolder, corpus: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(weights, "LIMIT", 1000)
    with pytest.raises(SystemExit, match="1,000 may ship"):
        weights.ship("demo", run, corpus, tmp_path / "weights")


@pytest.mark.parametrize(
    ("word", "portable"),
    [
        ("icbhi:/home/x/data/corpus", "icbhi:corpus"),
        ("/home/x/runs/", "runs"),
        ("runs/weights", "runs/weights"),
        ("--profile", "--profile"),
        ("training.epochs=3", "training.epochs=3"),
    ],
)
def test_a_card_names_no_folder_of_a_machine(word: str, portable: str) -> None:
    assert weights.portable(["/bin/lung-srad", "train", word]) == f"lung-srad train {portable}"
