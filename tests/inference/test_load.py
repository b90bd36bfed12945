"""Where a model comes from: a run, a file, or the package; and what is refused."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import lung_srad as ls
from lung_srad.errors import RunError, WeightsError
from lung_srad.inference import Model, shipped
from lung_srad.runs import load_model
from lung_srad.runs import shipped as shipping

RESEARCH = "research use, not a medical device"


def ship(run: Path, folder: Path, name: str = "demo") -> Path:
    """Returns the weights file of a model that ships, its card beside it."""
    folder.mkdir(exist_ok=True)
    target = folder / f"{name}.safetensors"
    shutil.copy(run / "weights.safetensors", target)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    target.with_suffix(".md").write_text(f"---\nsha256: {digest}\n---\n# A card\n")
    return target


@pytest.fixture
def package(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the weights folder of a package that ships an untrained model."""
    monkeypatch.setattr(shipping, "SHIPPED", tmp_path / "weights")
    return ship(run, tmp_path / "weights").parent


def test_the_compiler_is_not_imported_for_a_model() -> None:
    code = "import sys, lung_srad; lung_srad.load('demo'); sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_of_a_run(run: Path, model: Model) -> None:
    assert model.name == "lung_srad-small/seed1"
    assert model.class_names == ("normal", "crackle", "wheeze", "both")
    assert (model.normal, model.system, model.frontend.seconds) == (0, "Lung-SRAD", 8)
    assert model.sha256 == hashlib.sha256((run / "weights.safetensors").read_bytes()).hexdigest()
    assert (model.synthetic, model.notice) == (True, f"simulated training, {RESEARCH}")
    for words in ("# lung_srad-small/seed1", "dass_tiny", "`lung_srad`", "profile small", "Simulated training"):
        assert words in model.card
    assert "Lung-SRAD" in repr(model)
    assert model.notice in repr(model)


def test_its_network_is_that_of_the_file_made_ready(run: Path, model: Model) -> None:
    trained = load_model(run / "weights.safetensors").net
    features = torch.randn(2, 1, 128, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model.net(features), trained(features))
    assert not any(parameter.requires_grad for parameter in model.net.parameters())


def test_a_file_alone_is_the_same_model(run: Path, model: Model, tmp_path: Path) -> None:
    shutil.copy(run / "weights.safetensors", tmp_path / "mine.safetensors")
    found = ls.load(tmp_path / "mine.safetensors")
    assert (found.name, found.sha256, found.synthetic) == ("mine", model.sha256, True)


def test_training_on_real_recordings_is_no_simulated_training(make_run: Callable[..., Path], tmp_path: Path) -> None:
    found = ls.load(str(make_run(tmp_path / "run", synthetic=False)))
    assert (found.synthetic, found.notice) == (False, RESEARCH)


def test_the_folder_of_a_run_may_be_the_working_directory(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    assert ls.load(".").name == "lung_srad-small/seed1"


# --- what ships


def test_a_shipped_model_has_its_card(package: Path) -> None:
    assert shipped() == ("demo",)
    for found in (ls.load("demo"), ls.load()):
        assert found.name == "demo"
        assert found.card.endswith("# A card\n")


def test_a_name_goes_before_a_folder_of_that_name(package: Path, run: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(run, tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    assert ls.load("demo").name == "demo"
    assert ls.load("./demo").name == f"{tmp_path.name}/demo"
    assert ls.load(Path("demo")).name == f"{tmp_path.name}/demo"


def test_shipped_weights_that_are_not_those_of_the_card(package: Path, make_run, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", "backbone.drop_path=0.2") / "weights.safetensors"
    shutil.copy(other, package / "demo.safetensors")
    with pytest.raises(WeightsError, match=r"has the SHA-256 [0-9a-f]{64}; its card, demo.md, says [0-9a-f]{64}; inst"):
        ls.load("demo")
    (package / "demo.md").write_text("# no hash\n")
    with pytest.raises(WeightsError, match="says none"):
        ls.load("demo")
    (package / "demo.md").unlink()
    with pytest.raises(WeightsError, match=r"demo.md: cannot be read \(No such file"):
        ls.load("demo")


def test_an_installation_without_weights_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "SHIPPED", tmp_path / "absent")
    assert shipped() == ()
    with pytest.raises(WeightsError, match=r"model 'demo': its weights are not in this installation; .*make weights"):
        ls.load("demo")


def test_the_model_that_ships(record: Callable[..., Path]) -> None:
    if "demo" not in shipped():
        pytest.skip("the demo weights are not in the package yet; `make weights` makes them")
    found = ls.load("demo")
    assert (shipping.SHIPPED / "demo.safetensors").stat().st_size <= 8_000_000
    assert found.notice == f"simulated training, {RESEARCH}"
    for words in (found.notice.capitalize(), "lung-srad simulate", "lung-srad train"):
        assert words in found.card
    answer = found.classify(record(seconds=20))
    assert (answer.summary.n, answer.model["notice"]) == (9, found.notice)  # 4 s every 2 s


# --- what cannot be


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("deno", r"model 'deno': is not there; a run's folder, a weights.safetensors of one, or a model that ships"),
        ("runs/absent", "model 'runs/absent': is not there"),
        (".", r"no run here \(no config.toml\)"),
        ("text.safetensors", "cannot be read, or is not ours"),
        ("empty.safetensors", "cannot be read, or is not ours"),
    ],
)
def test_a_source_that_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.safetensors").write_text("weights")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match=words) as caught:
        ls.load(source)
    assert "\n" not in str(caught.value)


def test_a_run_that_has_no_weights_yet(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    os.remove(tmp_path / "run" / "weights.safetensors")
    with pytest.raises(RunError, match=r"weights.safetensors: is not there; .*--resume"):
        ls.load(tmp_path / "run")
