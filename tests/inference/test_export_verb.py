"""lung-srad export, and the folder in the layout of Hugging Face: offline, the same answers, nothing overwritten."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lung_srad as ls
from lung_srad.cli import app
from lung_srad.errors import RunError, WeightsError
from lung_srad.files import sha256
from lung_srad.inference import Model


def test_a_folder_answers_as_the_run(run: Path, model: Model, tmp_path: Path, record: Callable[..., Path]) -> None:
    ls.export_folder(run, tmp_path / "hub")
    assert {path.name for path in (tmp_path / "hub").iterdir()} == {"model.safetensors", "config.json", "README.md"}
    loaded = ls.load(tmp_path / "hub")
    assert (loaded.name, loaded.sha256, loaded.class_names) == ("hub", model.sha256, model.class_names)
    path = record()
    assert loaded.classify(path).segments == model.classify(path).segments


def test_what_the_folder_says(run: Path, model: Model, tmp_path: Path) -> None:
    ls.export_folder(run, tmp_path / "hub")
    config = json.loads((tmp_path / "hub/config.json").read_text())
    assert config["id2label"] == {"0": "normal", "1": "crackle", "2": "wheeze", "3": "both"}
    assert config["sha256"] == sha256(tmp_path / "hub/model.safetensors") == model.sha256
    assert config["notice"].endswith("research use, not a medical device")
    _, front, body = (tmp_path / "hub/README.md").read_text().split("---\n", 2)
    lines = dict(line.split(": ", 1) for line in front.strip().splitlines())
    assert lines["library_name"] == "lung_srad"
    assert lines["license"] == "unknown"
    assert "ot a medical device" in body
    assert 'ls.load("hub")' in body


def test_the_shipped_model_keeps_its_card_and_licence(tmp_path: Path) -> None:
    ls.export_folder("demo", tmp_path / "demo-hub")
    card = (tmp_path / "demo-hub/README.md").read_text()
    assert card.count("---\n") >= 2
    assert "license: apache-2.0" in card.lower().split("---\n")[1]
    assert "It has never heard a patient" in card
    assert ls.load(tmp_path / "demo-hub").sha256 == ls.load("demo").sha256


def test_nothing_is_overwritten_and_other_weights_are_refused(run: Path, tmp_path: Path) -> None:
    ls.export_folder(run, tmp_path / "hub")
    with pytest.raises(RunError, match="is there already"):
        ls.export_folder(run, tmp_path / "hub")
    weights = tmp_path / "hub/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match=r"config\.json says"):
        ls.load(tmp_path / "hub")
    (tmp_path / "hub/config.json").write_text("[]")
    with pytest.raises(WeightsError, match="cannot be read"):
        ls.load(tmp_path / "hub")


def test_the_verb(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    command = ["export", str(run), "model.onnx", "--check", "3", "--report", "parity.json"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    assert "wave to logits: ok; 3 inputs" in found.output
    assert "features to logits: ok" in found.output
    assert json.loads(Path("parity.json").read_text())["ok"] is True
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 1
    assert "is there already" in again.output
    folder = CliRunner().invoke(app, ["export", str(run), "hub"])
    assert folder.exit_code == 0, folder.output
    assert "wrote hub: model.safetensors" in folder.output
