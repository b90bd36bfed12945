"""Where a run starts, and that nobody trains a published system from random weights without having said so."""

import pytest
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.config import load_preset, preset_names
from lung_srad.errors import WeightsError
from lung_srad.models import CATALOGUE
from lung_srad.training import require_start
from lung_srad.training.start import starting_point

RUN = CliRunner()


@pytest.fixture
def files(tmp_path):
    """Returns a folder that holds every official file, or folder, by its name."""
    for official in CATALOGUE.values():
        (tmp_path / official.file).touch()
    return tmp_path


def test_random_weights_have_a_name_that_outdoes_the_environment(monkeypatch, tmp_path):
    assert starting_point(None, "ast") is None
    monkeypatch.setenv("LUNG_SRAD_WEIGHTS", str(tmp_path / "a.pth"))
    assert starting_point(None, "ast") == str(tmp_path / "a.pth")
    assert starting_point("random", "ast") is None
    assert starting_point("", "ast") is None
    assert starting_point("b.pth", "ast") == "b.pth"


@pytest.mark.parametrize("backbone", CATALOGUE)
def test_in_a_folder_of_official_files_every_backbone_finds_its_own(backbone, files):
    assert starting_point(files, backbone) == files / CATALOGUE[backbone].file


def test_the_twin_on_the_hub_will_do(tmp_path):
    twin = tmp_path / "ast-finetuned-audioset-10-10-0.4593"
    twin.mkdir()
    assert starting_point(tmp_path, "ast") == twin
    (twin / "model.safetensors").touch()
    assert starting_point(twin, "ast") == twin  # a folder of the hub is a file by itself


def test_a_run_is_no_folder_of_files(tmp_path):
    (tmp_path / "config.toml").touch()
    assert starting_point(tmp_path, "beats") == tmp_path


def test_a_folder_without_the_file_says_which_one_it_wants(tmp_path):
    words = r"holds no BEATs_iter3_plus_AS2M.pt; beats starts from .*about 360 MB; licence: MIT.*download it into"
    with pytest.raises(WeightsError, match=words):
        starting_point(tmp_path, "beats")
    assert starting_point(tmp_path, "beats_tiny") == tmp_path  # the run that is not there is named later


@pytest.mark.parametrize("name", preset_names())
def test_a_system_without_its_weights_is_one_message(name, files, monkeypatch):
    preset = load_preset(name)
    official = CATALOGUE[preset.backbone.name]
    with pytest.raises(WeightsError, match=f"{name}: no weights to start from; it starts from ") as caught:
        require_start([preset], None)
    for text in (official.file, official.page, official.size, official.licence, "--weights", "random", "small"):
        assert text in str(caught.value)
    require_start([preset], "random")
    require_start([preset], files)
    monkeypatch.setenv("LUNG_SRAD_WEIGHTS", str(files))
    require_start([preset], None)
    monkeypatch.delenv("LUNG_SRAD_WEIGHTS")
    require_start([load_preset(name, profile="small")], None)


@pytest.mark.parametrize("verb", [["train", "dass_smoothing"], ["train", "lung_srad", "bts_ensemble"]])
def test_the_shell_refuses_before_it_reads_any_data(verb, tmp_path):
    done = RUN.invoke(app, [*verb, "--data=table:absent.csv", f"--out={tmp_path}"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "DASS_medium_v2.pth" in done.stderr
    said = RUN.invoke(app, [*verb, "--data=table:absent.csv", f"--out={tmp_path}", "--weights=random"])
    assert "absent.csv" in said.stderr


def test_an_ensemble_is_trained_by_its_members(workplace, tmp_path):
    sets = [f"--set={text}" for text in ("training.epochs=1", "training.batch_size=8", "backbone.seconds=0.5")]
    data = f"--data=table:{workplace / 'corpus' / 'table.csv'}"
    words = ["train", "bts_ensemble", "bts", data, f"--out={tmp_path}", "--profile=small", "--no-refit", "--seeds=1-2"]
    done = RUN.invoke(app, [*words, *sets])
    assert done.exit_code == 0, done.output
    assert done.stderr.count(": trained") == 2
    assert "| BTS++ [k = 2] (profile small, " in done.stdout
