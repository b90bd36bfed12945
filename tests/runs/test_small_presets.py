"""The small profile of every preset: it is built, and takes a training step on noise."""

import pytest
import torch

from lung_srad.config import load_preset, preset_names
from lung_srad.datasets import Batch
from lung_srad.objectives import Step
from lung_srad.runs import build_model, build_objective, build_optimizer, build_prompt

BATCH = 4


def noise(net, objective):
    """Returns a batch of two patients, two devices and two classes, with all that a system may ask for."""
    frontend, draw = net.backbone.frontend, torch.Generator().manual_seed(1)
    wave = 0.1 * torch.randn(BATCH, round(frontend.seconds * frontend.sample_rate), generator=draw)
    places = torch.arange(BATCH) % 2
    features = frontend(wave)
    return Batch(
        features=features,
        label=places,
        device=places,
        patient=places,
        cycle_id=tuple("abcd"),
        text_ids=None if build_prompt(net) is None else torch.arange(BATCH),
        second=features.flip(0) if objective.second_view else None,
    )


@pytest.mark.parametrize("name", preset_names())
def test_it_takes_a_step(name):
    preset = load_preset(name, profile="small")
    torch.manual_seed(2)
    net = build_model(preset, 2 if preset.training.two_class else 4).train()
    assert sum(parameter.numel() for parameter in net.parameters()) < 2e6
    objective = build_objective(preset, net, (2,) * net.num_classes, devices=2).train()
    optimizer = build_optimizer(preset, net, objective)
    before = {key: value.detach().clone() for key, value in net.named_parameters()}
    step = Step(*(torch.Generator().manual_seed(3), (torch.Generator().manual_seed(4),)))
    losses = objective(net, noise(net, objective), step)
    losses.total.backward()
    optimizer.step()
    assert losses.total.isfinite()
    assert losses.logits.shape == (BATCH, net.num_classes)
    moved = {key for key, value in net.named_parameters() if not torch.equal(value, before[key])}
    assert moved
    assert moved <= {key for key, value in net.named_parameters() if value.requires_grad}
