"""Objectives in the loop: what they need beyond a batch of features reaches them."""

import json

import pytest
import torch

from lung_srad.errors import ConfigError
from lung_srad.objectives import DomainAdversarial, StethoscopeContrast
from lung_srad.training import fit

PARTS = {
    "patch_mix_ce": {"ce"},
    "sg_scl": {"ce", "scl"},
    "dat": {"ce", "device"},
    "pafa": {"ce", "pcsl", "gpal"},
}


@pytest.fixture
def train(dataset, preset, tmp_path):
    """Returns a function that trains an objective for two epochs, without a refit."""

    def go(name, *overrides, data=dataset):
        changes = (f"objective.name={name}", "training.refit=false", *overrides)
        return fit(preset("dass_finetuning", *changes), data, out=tmp_path)

    return go


def log_of(run):
    lines = (run.select.path / "log.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if "loss" in entry]


@pytest.mark.parametrize("name", PARTS)
def test_every_part_of_the_loss_is_logged(train, name):
    entries = log_of(train(name))
    assert entries
    for entry in entries:
        assert entry.keys() == {"epoch", "step", "learning_rate", "loss", "accuracy", *PARTS[name]}


def test_the_ramp_of_the_reversal_follows_the_steps_of_the_whole_training(train, monkeypatch):
    seen, strength = [], DomainAdversarial.strength
    monkeypatch.setattr(DomainAdversarial, "strength", lambda self, p: seen.append(p) or strength(self, p))
    steps = len(log_of(train("dat", "objective.ramp=corrected")))
    assert seen == pytest.approx([step / steps for step in range(steps)])


@pytest.mark.parametrize(("views", "again"), [("published", True), ("corrected", False)])
def test_the_second_view_is_that_of_the_preset(train, monkeypatch, views, again):
    """The published one hides what the first hides, so it differs from the cycle wherever the first does."""
    batches, forward = [], StethoscopeContrast.forward
    monkeypatch.setattr(
        StethoscopeContrast,
        "forward",
        lambda self, net, batch, step: batches.append(batch) or forward(self, net, batch, step),
    )
    changes = "augment.freq_mask=0", "backbone.frames=49", "augment.time_mask=20", "augment.probability=1.0"
    train("sg_scl", f"objective.views={views}", *changes)
    flat = [[view[:, 0].std(1) < 1e-6 for view in (batch.features, batch.second)] for batch in batches]
    kept = torch.cat([second[first] for first, second in flat])  # of the columns that the first view hides
    assert kept.all() if again else not kept.all()
    assert not all(torch.equal(first, second) for first, second in flat)


def test_data_of_one_device_are_refused_before_training(train, dataset):
    table = dataset.location
    lines = (line.replace("phone", "pen") for line in table.read_text().splitlines())
    other = table.with_name("one_device.csv")
    other.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match=r"dat: 1 device among the training cycles; two or more"):
        train("dat", data=str(other))
