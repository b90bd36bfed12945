"""Whole runs of the transformers: other front ends, frozen weights, blocks that samples pass by."""

from pathlib import Path

import pytest
import small_runs
import torch

from lung_srad.config import Preset, dump_preset, parse_preset
from lung_srad.datasets import Table
from lung_srad.inference import load
from lung_srad.models import create_model
from lung_srad.runs.state import read_tensors
from lung_srad.training import evaluate, fit

SECONDS = 0.5


def transformer_preset(name: str, *overrides: str, **options: object) -> Preset:
    """Returns Patch-Mix on both axes, or cross-entropy, around a small transformer."""
    settings = small_runs.small_preset(*overrides).model_dump(exclude_none=True)
    settings.pop("smoothing", None)
    settings["backbone"] = {"name": name, "seconds": SECONDS, **options}
    return parse_preset(settings, "test")


@pytest.mark.parametrize("name", ["ast_tiny", "ast_adapter_tiny", "beats_tiny"])
def test_a_run_trains_scores_and_classifies(dataset: Table, tmp_path: Path, name: str):
    preset = transformer_preset(name, "lung_srad", "training.epochs=1", "training.refit=false")
    run = fit(preset, dataset, out=tmp_path)
    assert run.finished
    assert dump_preset(run.config()) == dump_preset(preset)
    again = evaluate(run, dataset)
    assert len(again.probabilities) == 12
    model = load(run.path)
    assert model.frontend.seconds == SECONDS
    recording = dataset.cycles("test")[0].path
    whole = model.classify(recording, cycles=[(0.0, SECONDS)]).segments[0]
    row = again.id.tolist().index(dataset.cycles("test")[0].id)
    assert whole.probabilities == pytest.approx(again.probabilities[row].tolist(), abs=1e-5)


def test_what_is_frozen_is_bit_for_bit_that_of_the_checkpoint(dataset: Table, tmp_path: Path):
    torch.manual_seed(3)
    official = create_model("ast_tiny", 527, options={"seconds": SECONDS}).state_dict()
    torch.save(official, tmp_path / "ast.pth")
    changes = ["optimizer.weight_decay=0.1", "optimizer.half_step=true", "optimizer.learning_rate=1e-2"]
    preset = transformer_preset("ast_adapter_tiny", "lung_srad", "training.epochs=1", *changes)
    run = fit(preset, dataset, out=tmp_path / "runs", start_from=tmp_path / "ast.pth")
    assert run.facts()["start"]["loaded"] == len(official) - 4
    trained = read_tensors(run.weights)[0]
    frozen = {name for name in trained if ".adapter_" not in name and not name.startswith("mlp_head.")}
    assert frozen == {name for name in official if not name.startswith("mlp_head.")}
    assert all(torch.equal(trained[name], official[name]) for name in frozen)
    assert any(trained[name].any() for name in trained if name.endswith("adapter_mlp.up.weight"))


def test_blocks_that_are_passed_by_are_drawn_from_the_seed(dataset: Table, tmp_path: Path):
    changes = ("lung_srad", "training.epochs=1", "training.refit=false")
    preset = transformer_preset("beats_tiny", *changes, layer_drop=0.4)
    first, second = (fit(preset, dataset, out=tmp_path / out) for out in ("one", "two"))
    assert small_runs.digests(first) == small_runs.digests(second)
    none = fit(transformer_preset("beats_tiny", *changes), dataset, out=tmp_path / "none")
    assert small_runs.digests(none) != small_runs.digests(first)
