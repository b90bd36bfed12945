"""Attention matrices of the transformers: what a layer applies, in the order of the tokens."""

import pytest
import torch
from torch import Tensor

from lung_srad.errors import ConfigError, ShapeError
from lung_srad.models import Classifier, attention_matrix, create_model, mixing_maps, mixing_matrix, mixing_places

NAMES = ["ast_tiny", "ast_adapter_tiny", "beats_tiny"]


def net(name: str) -> Classifier:
    torch.manual_seed(0)
    return create_model(name, options={"seconds": 1.0}).double()


@pytest.fixture(scope="module")
def features() -> Tensor:
    return torch.randn(1, 1, 128, 98, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layer", [0, 2])
def test_it_is_what_the_layer_applies(name: str, layer: int, features: Tensor):
    """A value at one token alone shows one column of the matrix."""
    model = net(name)
    matrix = attention_matrix(model, features, layer=layer)
    size = len(matrix)
    assert matrix.shape == (size, size)
    assert size == {"a": 2 + 8 * 6, "b": 8 * 6}[name[0]]
    assert model.training
    torch.testing.assert_close(matrix.sum(1), torch.ones(size, dtype=torch.float64))
    part, applied = model.backbone.attentions[layer], []
    (part.o_proj if "ast" in name else part.out_proj).register_forward_pre_hook(lambda _, x: applied.append(x[0]))
    for token in (0, 7, size - 1):
        only = torch.zeros(1, size, 1, dtype=torch.float64)
        only[:, token] = 1
        hook = part.v_proj.register_forward_hook(lambda _, x, y, only=only: only.expand_as(y))
        with torch.no_grad():
            model.backbone(features)
        hook.remove()
        heads = applied.pop()[0].unflatten(1, (4, -1))  # (L, heads, d)
        torch.testing.assert_close(heads.mean((1, 2)), matrix[:, token])


def test_what_cannot_be_looked_into_is_refused(features: Tensor):
    with pytest.raises(ShapeError, match="layer: no layer 4; 0-3"):
        attention_matrix(net("ast_tiny"), features, layer=4)
    with pytest.raises(ShapeError, match="features: 2 recordings; one at a time"):
        attention_matrix(net("beats_tiny"), features.expand(2, -1, -1, -1), layer=0)
    with pytest.raises(
        ConfigError, match=r"VMamba; only transformers \(ast, beats\) .*; mixing_matrix looks into DASS"
    ):
        attention_matrix(create_model("dass_tiny"), features)


def test_one_head_is_a_channel_of_it(features: Tensor):
    model = net("ast_tiny")
    heads = [attention_matrix(model, features, layer=2, head=head) for head in range(4)]
    torch.testing.assert_close(torch.stack(heads).mean(0), attention_matrix(model, features, layer=2))
    assert not torch.allclose(heads[0], heads[1])
    assert torch.equal(mixing_matrix(model, features, layer=2, channel=3), heads[3])
    with pytest.raises(ShapeError, match="head: no head 4; 0-3"):
        attention_matrix(model, features, layer=2, head=4)


def test_maps_of_all_layers_are_row_by_row(features: Tensor):
    model = net("ast_tiny")
    maps = list(mixing_maps(model, features))
    assert [each.place for each in maps] == mixing_places(model) == [(0,), (1,), (2,), (3,)]
    torch.testing.assert_close(maps[2].matrix, attention_matrix(model, features, layer=2))
    assert (maps[2].grid, maps[2].summaries, maps[2].patches.shape) == ((8, 6), 2, (48, 48))
    beats = net("beats_tiny")
    (one,) = mixing_maps(beats, features, places=[(1,)])
    by_columns = attention_matrix(beats, features, layer=1).view(6, 8, 6, 8)
    assert one.grid == (8, 6)
    assert torch.equal(one.patches.view(8, 6, 8, 6), by_columns.permute(1, 0, 3, 2))
    with pytest.raises(ConfigError, match="only DASS, AST and BEATs can be looked into"):
        mixing_places(create_model("clap_audio_tiny"))
