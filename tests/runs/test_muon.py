"""Muon: its orthogonal factor, which parameters take which step, and that it learns and resumes."""

import pytest
import torch
from torch import nn

from lung_srad.config import load_preset
from lung_srad.models import create_model
from lung_srad.runs import build_optimizer
from lung_srad.runs.muon import Muon, _step_by_step, _through_gram, orthogonal_factor
from lung_srad.runs.state import Progress, load_checkpoint, save_checkpoint


@pytest.mark.parametrize("shape", [(12, 12), (5, 30), (30, 5), (4, 9, 20)])
def test_the_factor_has_the_directions_of_the_matrix_and_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    factor = orthogonal_factor(matrix)
    assert factor.shape == matrix.shape
    values = torch.linalg.svdvals(factor)
    assert values.min() > 0.5
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.mT @ factor @ v.mT  # diagonal where the directions are those of the matrix
    torch.testing.assert_close(inside, torch.diag_embed(inside.diagonal(dim1=-2, dim2=-1)), atol=1e-9, rtol=0)


def test_a_long_matrix_takes_the_same_way_through_its_gram_matrix():
    matrix = torch.randn(3, 7, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    matrix /= matrix.norm(dim=(-2, -1), keepdim=True)
    torch.testing.assert_close(_through_gram(matrix), _step_by_step(matrix), atol=1e-12, rtol=1e-10)


def test_the_length_of_a_gradient_does_not_matter_to_a_matrix():
    steps = []
    for factor in (1.0, 1e-4):
        torch.manual_seed(0)
        layer = nn.Linear(6, 4)
        before = layer.weight.detach().clone()
        layer.weight.grad = factor * torch.arange(24.0).view(4, 6)
        Muon([layer], 0.1, 0.0).step()
        steps.append(layer.weight.detach() - before)
    torch.testing.assert_close(*steps)


def test_matrices_take_orthogonal_steps_and_the_rest_those_of_adamw():
    net = create_model("dass_tiny", 4, options={"frames": 32})
    optimizer = Muon([net], 1e-3, 0.1)
    matrices, rest = ({id(p) for p in group["params"]} for group in optimizer.param_groups)
    named = {name: id(p) for name, p in net.named_parameters()}
    assert matrices | rest == set(named.values())
    assert not matrices & rest
    block = "layers.2.blocks.1"
    for name in ("patch_embed.0.weight", f"{block}.mlp.fc1.weight", f"{block}.op.x_proj_weight"):
        assert named[name] in matrices, name
    for name in ("classifier.head.weight", f"{block}.op.conv2d.weight", f"{block}.op.A_logs", f"{block}.norm.bias"):
        assert named[name] in rest, name
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]


def test_the_rest_equals_torchs_adamw():
    weights = []
    for kind in (
        lambda layer: Muon([layer], 0.01, 0.0),
        lambda layer: torch.optim.AdamW(layer.parameters(), 0.01, weight_decay=0),
    ):
        layer = nn.LayerNorm(5)
        optimizer = kind(layer)
        for step in range(4):
            layer.weight.grad = torch.arange(5.0) - step
            layer.bias.grad = torch.ones(5) * (step - 1)
            optimizer.step()
        weights.append(torch.cat([layer.weight, layer.bias]).detach())
    torch.testing.assert_close(*weights)


def test_a_checkpoint_goes_on_to_the_same_bits(tmp_path):
    def start():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7), nn.Linear(7, 2))
        return net, Muon([net], 0.02, 0.01)

    def step(net, optimizer, seed):
        x = torch.randn(8, 5, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        net(x).square().sum().backward()
        optimizer.step()

    whole, optimizer = start()
    for seed in range(6):
        step(whole, optimizer, seed)
    cut, optimizer = start()
    for seed in range(3):
        step(cut, optimizer, seed)
    save_checkpoint(tmp_path / "state", Progress(1, 3), cut, nn.Module(), optimizer)
    resumed, optimizer = start()
    load_checkpoint(tmp_path / "state", resumed, nn.Module(), optimizer)
    for seed in range(3, 6):
        step(resumed, optimizer, seed)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_frozen_parameters_are_left_alone():
    layer = nn.Linear(3, 3)
    layer.weight.requires_grad_(False)
    optimizer = Muon([layer], 0.1, 0.1)
    assert [p is layer.bias for group in optimizer.param_groups for p in group["params"]] == [True]


def test_a_preset_asks_for_it_by_name():
    preset = load_preset("dass_finetuning", profile="small")
    net = create_model("dass_tiny", 4, options={"frames": 32})
    optimizer = build_optimizer(preset, net, nn.Module())
    assert isinstance(optimizer, Muon)
    assert {group["lr"] for group in optimizer.param_groups} == {preset.optimizer.learning_rate}
