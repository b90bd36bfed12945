"""Adapters: the pretrained network at first, a small share of its parameters, and nothing else ever moves."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lung_srad.errors import ConfigError, WeightsError
from lung_srad.models import Classifier, create_model, load_weights
from lung_srad.models.adapter import Adapter


@pytest.fixture(scope="module")
def features() -> Tensor:
    return torch.randn(2, 1, 128, 798, generator=torch.Generator().manual_seed(6))


def tiny(**options: object) -> Classifier:
    torch.manual_seed(0)
    return create_model("ast_adapter_tiny", options=options).eval()


def awake(net: Classifier) -> Classifier:
    """Returns the classifier with adapters that add something."""
    for name, x in net.named_parameters():
        if name.endswith("up.weight"):
            torch.nn.init.normal_(x, std=0.1)
    return net


def test_it_trains_the_published_share():
    with torch.device("meta"):
        net = create_model("ast_adapter")
        ast = create_model("ast").backbone
    trained = {name: x.numel() for name, x in net.named_parameters() if x.requires_grad}
    assert sum(trained.values()) == 2_436_100
    assert round(100 * 2_436_100 / sum(x.numel() for x in ast.parameters()), 2) == 2.83
    assert all(".adapter_" in name or name.startswith("mlp_head.") for name in trained)
    each = [sum(n for name, n in trained.items() if f"layers.{layer}." in name) for layer in range(12)]
    assert each == [2 * (2 * 768 * 64 + 64 + 768 + 2 * 768 + 640)] * 12


@torch.no_grad()
def test_it_begins_as_the_network_that_it_adapts(features: Tensor, tmp_path: Path):
    torch.manual_seed(1)
    plain = create_model("ast_tiny").eval()
    torch.save(plain.state_dict(), tmp_path / "ast.pth")
    net = tiny()
    report = load_weights(net, tmp_path / "ast.pth", load_head=True)
    assert report.loaded == len(plain.state_dict())
    torch.testing.assert_close(net(features), plain(features), rtol=0, atol=1e-6)
    assert not torch.allclose(awake(net)(features), plain(features), atol=1e-3)


def test_only_adapters_may_be_absent_from_a_file(tmp_path: Path):
    whole = awake(tiny()).state_dict()
    for key in ("transformer.layers.2.mlp.fc1.bias", "transformer.embeddings.cls_token"):
        torch.save({name: x for name, x in whole.items() if name != key}, tmp_path / "less.pth")
        with pytest.raises(WeightsError, match=rf"1 missing \('{key}'\)"):
            load_weights(tiny(), tmp_path / "less.pth")
    own = {name: x for name, x in whole.items() if "mlp_head" not in name}
    torch.save(own, tmp_path / "whole.pth")
    net = tiny()
    assert load_weights(net, tmp_path / "whole.pth").loaded == len(own)
    assert all(torch.equal(x, net.state_dict()[name]) for name, x in own.items())
    plain = create_model("ast_tiny")
    with pytest.raises(WeightsError, match=r"64 unexpected \('transformer.layers.0.adapter_attention.conv.bias'"):
        load_weights(plain, tmp_path / "whole.pth")


@torch.no_grad()
def test_an_adapter_is_what_it_says():
    torch.manual_seed(2)
    adapter = Adapter(12, 5, (3, 4)).double()
    torch.nn.init.normal_(adapter.up.weight)
    tokens = torch.randn(2, 2 + 12, 12, dtype=torch.float64)
    x = F.layer_norm(tokens, (12,), adapter.norm.weight, adapter.norm.bias)
    x = F.gelu(x @ adapter.down.weight.T + adapter.down.bias)  # (2, 14, 5)
    wide = F.pad(x[:, 2:].reshape(2, 3, 4, 5), (0, 0, 1, 1, 1, 1))
    for row in range(3):
        for column in range(4):
            around = wide[:, row : row + 3, column : column + 3]  # (2, 3, 3, 5)
            found = torch.einsum("bijc,cij->bc", around, adapter.conv.weight[:, 0]) + adapter.conv.bias
            x[:, 2 + 4 * row + column] += found
    torch.testing.assert_close(adapter(tokens), x @ adapter.up.weight.T + adapter.up.bias)


@torch.no_grad()
def test_class_and_distillation_token_go_past_the_convolution():
    torch.manual_seed(3)
    adapter, tokens = Adapter(12, 5, (3, 4)), torch.randn(1, 14, 12)
    torch.nn.init.normal_(adapter.up.weight)
    before = adapter(tokens)
    torch.nn.init.normal_(adapter.conv.weight)
    after = adapter(tokens)
    assert torch.equal(before[:, :2], after[:, :2])
    assert (before[:, 2:] != after[:, 2:]).any(2).all()


def test_a_step_moves_adapters_and_head_alone(features: Tensor):
    net = awake(tiny()).train()
    before = {name: x.clone() for name, x in net.state_dict().items()}
    optimizer = torch.optim.AdamW((x for x in net.parameters() if x.requires_grad), lr=1e-2, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(net(features), torch.tensor([0, 1])).backward()
        optimizer.step()
    moved = {name for name, x in net.state_dict().items() if not torch.equal(x, before[name])}
    assert moved == {name for name, x in net.named_parameters() if x.requires_grad}
    assert all(".adapter_" in name or name.startswith("mlp_head.") for name in moved)


def test_the_rank_is_an_option():
    sizes = [sum(x.numel() for x in tiny(rank=rank).parameters() if x.requires_grad) for rank in (4, 8)]
    assert sizes[1] - sizes[0] == 8 * 4 * (2 * 64 + 1 + 10)
    with pytest.raises(ConfigError, match="rank: 0; 1 or more"):
        tiny(rank=0)
