"""The verb spectrum: from a preset or a run and some data to figures, values and a suggestion."""

import csv

import pytest
import small_runs
import torch
from typer.testing import CliRunner

from lung_srad.analysis import choose_cycles
from lung_srad.cli import app
from lung_srad.datasets import Table
from lung_srad.inference.spectra import open_system
from lung_srad.models import create_model
from lung_srad.runs import TrainedModel, save_model

RUN = CliRunner()


@pytest.fixture
def corpus(tmp_path):
    return small_runs.write_corpus(tmp_path / "corpus")


def look(corpus, out, *words):
    return RUN.invoke(app, ["spectrum", *words, f"--data=table:{corpus}", f"--out={out}", "--recordings=3"])


SMALL = ["--profile=small", "--set=backbone.seconds=0.5", "--set=backbone.frames=32"]


def test_a_preset_at_random_weights_beside_another(corpus, tmp_path):
    out = tmp_path / "found"
    done = look(corpus, out, "dass_smoothing", *SMALL, "--compare=ast_finetuning", "--suggest")
    assert done.exit_code == 0, done.output
    names = {path.name for path in out.iterdir()}
    assert {"responses.svg", "responses.png", "responses.csv", "scores.csv"} <= names
    assert {name for name in names if name.startswith(("network_", "smoothing_"))} == {
        "network_dass_smoothing_dass_tiny.svg",
        "network_dass_smoothing_dass_tiny.png",
        "network_ast_fine_tuning_ast_tiny.svg",
        "network_ast_fine_tuning_ast_tiny.png",
        "smoothing_dass_smoothing_dass_tiny.svg",
        "smoothing_dass_smoothing_dass_tiny.png",
    }
    assert "random weights" in (out / "responses.svg").read_text()
    rows = list(csv.DictReader((out / "responses.csv").read_text().splitlines()))
    assert {row["system"] for row in rows} == {"DASS + smoothing (dass_tiny)", "AST fine-tuning (ast_tiny)"}
    assert "share_wheeze" in rows[0]
    scores = list(csv.DictReader((out / "scores.csv").read_text().splitlines()))
    assert len(scores) == 7 + 4
    assert "--set smoothing.stage=" in done.stdout
    assert "no smoothing slots" in done.stdout


def test_a_trained_file_in_the_authors_way(corpus, tmp_path):
    preset = small_runs.small_preset("lung_srad", "backbone.name=dass_tiny", "smoothing.blocks=[2,3]")
    torch.manual_seed(0)
    net = create_model("dass_tiny", 3, options={**preset.backbone.options, "start": "official"})
    file = tmp_path / "model.safetensors"
    save_model(file, TrainedModel(net, preset, small_runs.CLASSES, 0, synthetic=True))
    assert open_system(file).note == "trained on SYNTHETIC recordings"
    out = tmp_path / "found"
    done = look(corpus, out, str(file), "--authors=126")
    assert done.exit_code == 0, done.output
    assert {path.suffix for path in out.iterdir()} == {".svg", ".png", ".csv"}
    assert not (out / "scores.csv").exists()
    assert "The authors" in (out / "responses.svg").read_text()


def test_random_weights_are_the_same_each_time_and_disturb_nobody():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second = (open_system("dass_smoothing", profile="small") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    pairs = zip(first.net.parameters(), second.net.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert (first.kernel, first.smoothed_places) == ((5, 3.0), ((2, 2), (2, 3)))


def test_cycles_are_of_all_classes_and_patients_in_turn(corpus):
    dataset = Table(corpus)
    chosen = choose_cycles(dataset, part=None, count=12)
    assert [cycle.label for cycle in chosen] == [0, 1, 2] * 4
    assert len({cycle.patient for cycle in chosen if cycle.label == 0}) == 4
    assert chosen == choose_cycles(dataset, part=None, count=12)
    assert chosen != choose_cycles(dataset, part=None, count=12, seed=1)
    assert len(choose_cycles(dataset, part="test", count=99)) == 12


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["nowhere"], 1, "nowhere"),
        (["dass_smothing"], 1, "did you mean 'dass_smoothing'?"),
        (["clap_audio", "--profile=small"], 1, "only DASS, AST and BEATs"),
        (["dass_smoothing", *SMALL, "--suggest", "--score=papr"], 1, "did you mean 'paper'?"),
        (["dass_smoothing", *SMALL, "--suggest", "--authors=126"], 2, "no --suggest"),
        (["dass_smoothing", *SMALL, "--part=dev"], 1, "dev"),
    ],
)
def test_wrong_words_end_in_one_message(corpus, tmp_path, words, code, text):
    done = look(corpus, tmp_path / "found", *words)
    assert done.exit_code == code, done.output
    assert text in done.stderr.replace("\n│ ", " ")
