"""BEATs against a slow forward written from the official file, and what may differ in such a file."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lung_srad.errors import ConfigError, ShapeError, WeightsError
from lung_srad.models import Classifier, create_model, draw_depth, drawn_depth, for_inference, load_weights
from lung_srad.models.beats_encoder import PositionConvolution, relative_buckets

WIDTH, LAYERS, HEADS, PATCH = 96, 3, 4, 64  # beats_tiny
CFG = {  # as in the published file, at the tiny size
    "encoder_layers": LAYERS,
    "encoder_embed_dim": WIDTH,
    "encoder_ffn_embed_dim": 4 * WIDTH,
    "encoder_attention_heads": HEADS,
    "activation_fn": "gelu",
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "dropout_input": 0.0,
    "layer_norm_first": False,
    "conv_bias": False,
    "conv_pos": 128,
    "conv_pos_groups": 16,
    "relative_position_embedding": True,
    "num_buckets": 320,
    "max_distance": 800,
    "gru_rel_pos": True,
    "deep_norm": True,
    "input_patch_size": 16,
    "layer_wise_gradient_decay_ratio": 1.0,
    "embed_dim": PATCH,
    "finetuned_model": False,
}
BIAS = "encoder.layers.{}.self_attn.relative_attention_bias.weight"
State = dict[str, Tensor]


def official_layout(width: int, layers: int, heads: int, patch: int) -> dict[str, tuple[int, ...]]:
    """Returns names and shapes of an official file, the bias of relative positions repeated in each block."""
    shapes: dict[str, tuple[int, ...]] = {"patch_embedding.weight": (patch, 1, 16, 16)}
    shapes |= {"layer_norm.weight": (patch,), "layer_norm.bias": (patch,)}
    shapes |= {"post_extract_proj.weight": (width, patch), "post_extract_proj.bias": (width,)}
    shapes |= {"encoder.pos_conv.0.bias": (width,), "encoder.pos_conv.0.weight_g": (1, 1, 128)}
    shapes |= {"encoder.pos_conv.0.weight_v": (width, width // 16, 128)}
    for layer in range(layers):
        at = f"encoder.layers.{layer}"
        shapes |= {f"{at}.self_attn.grep_a": (1, heads, 1, 1), BIAS.format(layer): (320, heads)}
        linear = {f"self_attn.{name}_proj": (width, width) for name in "qkv"}
        linear |= {"self_attn.out_proj": (width, width), "self_attn.grep_linear": (8, width // heads)}
        linear |= {"fc1": (4 * width, width), "fc2": (width, 4 * width)}
        for name, shape in linear.items():
            shapes |= {f"{at}.{name}.weight": shape, f"{at}.{name}.bias": shape[:1]}
        for name in ("self_attn_layer_norm", "final_layer_norm"):
            shapes |= {f"{at}.{name}.weight": (width,), f"{at}.{name}.bias": (width,)}
    return shapes | {"encoder.layer_norm.weight": (width,), "encoder.layer_norm.bias": (width,)}


@pytest.fixture(scope="module")
def official() -> State:
    draw = torch.Generator().manual_seed(5)
    shapes = official_layout(WIDTH, LAYERS, HEADS, PATCH)
    state = {name: 0.2 * torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    return state | {BIAS.format(layer): state[BIAS.format(0)] for layer in range(LAYERS)}


@pytest.fixture(scope="module")
def features() -> Tensor:
    return torch.randn(2, 1, 128, 98, generator=torch.Generator().manual_seed(6))  # 8 x 6 patches


def tiny(classes: int = 4, **options: object) -> Classifier:
    torch.manual_seed(0)
    return create_model("beats_tiny", classes, options=options).eval()


def slow_bucket(query: int, key: int) -> int:
    """Returns the bucket of one pair, from the words of the specification."""
    distance = abs(key - query)
    bucket = distance if distance < 80 else min(159, 80 + int(80 * math.log(distance / 80) / math.log(800 / 80)))
    return bucket + (160 if key > query else 0)


def slow_beats(state: State, features: Tensor) -> Tensor:
    """Returns the tokens of the official network, sample by sample and head by head: -> (B, L, width)."""
    state = {name: x.double() for name, x in state.items()}

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    v = state["encoder.pos_conv.0.weight_v"]
    taps = [v[..., tap] / v[..., tap].norm() * state["encoder.pos_conv.0.weight_g"][0, 0, tap] for tap in range(128)]
    alpha, size = (2 * LAYERS) ** 0.25, WIDTH // HEADS
    samples = []
    for image in features.double()[:, 0].mT:  # (T, mel)
        patches = [
            image[16 * row : 16 * row + 16, 16 * column : 16 * column + 16].flatten()
            for row in range(len(image) // 16)
            for column in range(8)
        ]  # time first
        x = torch.stack(patches) @ state["patch_embedding.weight"].flatten(1).T
        x = linear(norm(x, "layer_norm"), "post_extract_proj")
        length = len(x)
        wide = F.pad(x, (0, 0, 64, 64)).unflatten(1, (16, -1))  # (L + 128, groups, C / 16)
        around = torch.zeros(length, 16, WIDTH // 16, dtype=torch.float64)
        for tap in range(128):
            around += torch.einsum("lgi,goi->lgo", wide[tap : tap + length], taps[tap].unflatten(0, (16, -1)))
        x = norm(x + F.gelu(around.flatten(1) + state["encoder.pos_conv.0.bias"]), "encoder.layer_norm")
        bucket = torch.tensor([[slow_bucket(i, j) for j in range(length)] for i in range(length)])
        for layer in range(LAYERS):
            at = f"encoder.layers.{layer}"
            heads = []
            for head in range(HEADS):
                own = slice(head * size, (head + 1) * size)
                q, k, value = (linear(x, f"{at}.self_attn.{name}_proj")[:, own] for name in "qkv")
                gates = linear(q, f"{at}.self_attn.grep_linear")
                first, second = gates[:, :4].sum(1).sigmoid(), gates[:, 4:].sum(1).sigmoid()
                gate = first * (second * state[f"{at}.self_attn.grep_a"][0, head] - 1).flatten() + 2
                scores = q @ k.T / size**0.5 + gate[:, None] * state[BIAS.format(0)][bucket, head]
                heads.append(scores.softmax(1) @ value)
            x = norm(alpha * x + linear(torch.cat(heads, 1), f"{at}.self_attn.out_proj"), f"{at}.self_attn_layer_norm")
            x = norm(alpha * x + linear(F.gelu(linear(x, f"{at}.fc1")), f"{at}.fc2"), f"{at}.final_layer_norm")
        samples.append(x)
    return torch.stack(samples)


# --- the network


def test_buckets_are_those_of_the_slow_definition():
    length = 1000
    found = relative_buckets(length)
    for query in (0, 1, 79, 500, 998, 999):
        assert found[query].tolist() == [slow_bucket(query, key) for key in range(length)]
    assert found.max() == 319
    assert found.diagonal().unique().tolist() == [0]


@torch.no_grad()
def test_the_official_file_gives_the_official_network(official: State, features: Tensor, tmp_path: Path):
    torch.save({"cfg": CFG, "model": official}, tmp_path / "BEATs.pt")
    net = tiny()
    report = load_weights(net, tmp_path / "BEATs.pt")
    assert (report.loaded, report.head, report.notes) == (len(official) - (LAYERS - 1), "absent", ())
    backbone = net.double().backbone
    tokens = backbone.tokens(backbone.embed(features.double()))
    expected = slow_beats(official, features)
    torch.testing.assert_close(tokens, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(backbone(features.double()), expected.mean(1), rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_weight_normalisation_is_that_of_torch():
    torch.manual_seed(1)
    own = PositionConvolution(32)
    theirs = torch.nn.Conv1d(32, 32, 128, padding=64, groups=16)
    theirs.weight.copy_(own.weight_v)
    theirs.bias.copy_(own.bias.normal_())
    theirs = torch.nn.utils.parametrizations.weight_norm(theirs, dim=2)
    theirs.parametrizations.weight.original0.copy_(own.weight_g.normal_())
    x = torch.randn(2, 50, 32)
    torch.testing.assert_close(own(x), theirs(x.mT)[..., :-1].mT)


@torch.no_grad()
def test_what_is_padded_is_not_heard(features: Tensor):
    backbone = tiny().backbone
    grid = backbone.embed(features)  # (2, 64, 8, 6)
    padded = torch.cat([grid[:1, ..., :4], 9 * torch.randn(1, PATCH, 8, 2)], 3)
    batch = torch.cat([padded, grid[1:]])
    padding = torch.tensor([[False] * 4 + [True] * 2, [False] * 6])
    found, alone = backbone.tokens(batch, {"padding": padding}), backbone.tokens(grid[:1, ..., :4])
    torch.testing.assert_close(found[:1, :32], alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(found[1:], backbone.tokens(grid[1:]), rtol=0, atol=1e-5)
    torch.testing.assert_close(backbone.encode(batch, {"padding": padding})[0], alone.mean(1)[0], rtol=0, atol=1e-5)
    assert not torch.allclose(backbone.tokens(batch)[:1, :32], alone, atol=1e-2)
    assert torch.equal(backbone.encode(batch, {"padding": padding & False})[1], backbone.encode(batch)[1])


@pytest.mark.parametrize("padding", [torch.zeros(2, 5), torch.zeros(1, 6), torch.ones(2, 6), torch.zeros(12)])
def test_padding_of_another_shape_or_of_everything_is_refused(features: Tensor, padding: Tensor):
    backbone = tiny().backbone
    grid = backbone.embed(features)
    with pytest.raises(ShapeError, match=r"side\['padding'\]: shape .*; \(2, 6\), true for columns without sound"):
        backbone.tokens(grid, {"padding": padding})


def test_it_has_the_documented_size_and_grid():
    with torch.device("meta"):
        backbone = create_model("beats").backbone
        assert sum(x.numel() for x in backbone.parameters()) == 90_311_792
        grid = backbone.embed(torch.empty(1, 1, 128, 498))
        assert grid.shape == (1, 512, 8, 31)
        assert backbone.tokens(grid).shape == (1, 248, 768)
    assert backbone.grid_axes == ("frequency", "time")
    assert backbone.encoder.gradient_decay == 0.6


def test_tiny_costs_at_most_a_fifth_of_a_gmac():
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        backbone = create_model("beats_tiny").backbone.eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            backbone(torch.empty(1, 1, 128, 498))
    assert 0.1e9 < counter.get_total_flops() / 2 <= 0.2e9


@torch.no_grad()
def test_rows_of_the_grid_are_frequency_and_tokens_go_column_by_column():
    backbone = tiny().backbone
    quiet = torch.randn(1, 1, 128, 498, generator=torch.Generator().manual_seed(1))
    loud = quiet.clone()
    loud[..., 32:48, 160:176] *= -2  # patch (2, 10)
    before, after = backbone.embed(quiet), backbone.embed(loud)
    assert (after - before).norm(dim=1)[0].nonzero().tolist() == [[2, 10]]
    moved = (backbone.tokens(after) - backbone.tokens(before)).norm(dim=-1)[0]
    assert moved.argmax().item() == 10 * 8 + 2


@pytest.mark.parametrize("shape", [(128, 98), (1, 128, 98), (2, 1, 128, 15), (2, 1, 8, 98), (2, 3, 128, 98)])
def test_features_of_a_wrong_shape_are_refused(shape: tuple[int, ...]):
    with pytest.raises(ShapeError, match=r"features: shape \(.*\); needs \(B, 1, frequency, time\), at least 16"):
        tiny()(torch.zeros(shape))


def test_it_can_be_frozen(features: Tensor):
    net = tiny()
    with torch.no_grad():
        assert torch.equal(for_inference(net)(features), net(features))
    with pytest.raises(ConfigError, match=r"BEATs runs in torch\.float32"):
        for_inference(net, torch.bfloat16)


# --- training


def test_every_block_leaves_its_share_of_the_gradient(features: Tensor):
    grads = []
    for decay in (1.0, 0.5):
        net = tiny(gradient_decay=decay).double()
        net(features.double()).square().sum().backward()
        grads.append({name: x.grad for name, x in net.named_parameters()})
    for name, whole in grads[0].items():
        if name.startswith("encoder.layers.") and "relative" not in name:
            share = 0.5 ** (LAYERS - 1 - int(name.split(".")[2]))
        elif name.startswith("predictor."):
            share = 1.0
        elif "relative" in name:
            continue  # every block's part of it has a share of its own
        else:
            share = 0.5**LAYERS
        torch.testing.assert_close(grads[1][name], share * whole, rtol=1e-6, atol=1e-12)


def test_samples_that_are_drawn_pass_a_block_by(features: Tensor):
    net = tiny(layer_drop=0.5).train()
    keep = torch.tensor([[True, False], [True, True], [False, False]])
    with drawn_depth(net.backbone, keep), torch.no_grad():
        found = net.backbone(features)
    for row in range(2):
        one = tiny()
        kept = [layer for layer, drawn in zip(one.backbone.encoder.layers, keep[:, row], strict=True) if drawn]
        grid = one.backbone.embed(features[row : row + 1])
        encoder = one.backbone.encoder
        with torch.no_grad():
            x = one.backbone.post_extract_proj(one.backbone.layer_norm(grid.mT.flatten(2).mT))
            x = encoder.layer_norm(x + encoder.pos_conv(x))
            for layer in kept:
                x = layer(x, encoder.bias(x.shape[1]), None)
        torch.testing.assert_close(found[row], x.mean(1)[0], rtol=0, atol=1e-5)
    share = draw_depth(net.backbone, 20_000, torch.Generator().manual_seed(0)).float().mean(1)
    torch.testing.assert_close(share, torch.full((LAYERS,), 0.5), rtol=0, atol=0.02)
    assert torch.equal(tiny(layer_drop=0.5)(features), tiny()(features))  # eval: no block is passed by


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"gradient_decay: 0\.0; more than 0"):
        tiny(gradient_decay=0.0)
    with pytest.raises(ConfigError, match=r"drop_path: 1\.5"):
        tiny(layer_drop=1.5)
    assert tiny(scaling="published").backbone.frontend.scaling == "published"


# --- files


def test_a_fine_tuned_file_brings_its_head(official: State, tmp_path: Path):
    head = {"predictor.weight": torch.randn(527, WIDTH), "predictor.bias": torch.randn(527)}
    torch.save({"cfg": CFG, "model": official | head}, tmp_path / "tuned.pt")
    assert load_weights(tiny(), tmp_path / "tuned.pt").head == "left out"
    net = tiny(527)
    assert load_weights(net, tmp_path / "tuned.pt", load_head=True).head == "loaded"
    assert torch.equal(net.head.weight, head["predictor.weight"])


def test_every_published_tensor_has_a_place():
    with torch.device("meta"):
        own = create_model("beats").backbone.state_dict()
        official = {name: torch.empty(shape) for name, shape in official_layout(768, 12, 12, 512).items()}
    repeated = {BIAS.format(layer) for layer in range(1, 12)}
    assert {name: x.shape for name, x in own.items()} == {
        name: x.shape for name, x in official.items() if name not in repeated
    }


def test_the_shared_bias_may_be_there_once_and_must_not_differ(official: State, tmp_path: Path):
    once = {name: x for name, x in official.items() if name not in (BIAS.format(1), BIAS.format(2))}
    torch.save({"cfg": CFG, "model": once}, tmp_path / "once.pt")
    load_weights(tiny(), tmp_path / "once.pt")
    torch.save({"cfg": CFG, "model": official | {BIAS.format(2): torch.ones(320, HEADS)}}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"1 unexpected \('encoder.layers.2.self_attn.relative_attention_bias"):
        load_weights(tiny(), tmp_path / "other.pt")


def test_own_weights_go_round(tmp_path: Path):
    net = tiny()
    torch.save(net.state_dict(), tmp_path / "own.pt")
    assert load_weights(tiny(), tmp_path / "own.pt", load_head=True).loaded == len(net.state_dict())


def test_another_training_is_noted(official: State, tmp_path: Path):
    cfg = CFG | {"encoder_layerdrop": 0.05, "dropout": 0.1, "layer_wise_gradient_decay_ratio": 0.6}
    torch.save({"cfg": cfg, "model": official}, tmp_path / "BEATs.pt")
    assert load_weights(tiny(), tmp_path / "BEATs.pt").notes == (
        "the file was trained with dropout = 0.1, this backbone is with 0.0",
        "the file was trained with encoder_layerdrop = 0.05, this backbone is with 0.0",
        "the file was trained with layer_wise_gradient_decay_ratio = 0.6, this backbone is with 1.0",
    )
    net = tiny(layer_drop=0.05, gradient_decay=0.6)
    assert len(load_weights(net, tmp_path / "BEATs.pt").notes) == 1


SETTINGS = [("max_distance", 1280), ("deep_norm", False), ("layer_norm_first", True), ("activation_fn", "relu")]
SETTINGS += [("encoder_attention_heads", 12), ("num_buckets", [320]), ("conv_pos", torch.ones(2))]


@pytest.mark.parametrize(("key", "value"), SETTINGS)
def test_a_file_that_computes_something_else_is_refused(official: State, tmp_path: Path, key: str, value: Any):
    torch.save({"cfg": CFG | {key: value}, "model": official}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=rf"cfg: {key} = .*; this backbone computes with {key} = .*; take a check"):
        load_weights(tiny(), tmp_path / "other.pt")


KEYS: dict[str, tuple[Callable[[State], State], str]] = {
    "missing": (
        lambda s: {name: x for name, x in s.items() if name != "encoder.layers.1.fc1.bias"},
        r"1 missing \('encoder.layers.1.fc1.bias'\); only the head may differ; take a checkpoint of BEATs",
    ),
    "no bias at all": (lambda s: {name: x for name, x in s.items() if "relative" not in name}, "1 missing"),
    "foreign": (lambda s: s | {"encoder.extra": torch.ones(1)}, r"1 unexpected \('encoder.extra'\)"),
    "shape": (lambda s: s | {"layer_norm.bias": torch.ones(65)}, r"layer_norm.bias is \(65,\), not \(64,\)"),
    "not finite": (lambda s: s | {"layer_norm.bias": torch.full((64,), torch.nan)}, "not finite"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_only_the_head_may_differ(official: State, tmp_path: Path, kind: str):
    change, pattern = KEYS[kind]
    torch.save({"cfg": CFG, "model": change(official)}, tmp_path / "changed.pt")
    net = tiny()
    before = {name: x.clone() for name, x in net.state_dict().items()}
    with pytest.raises(WeightsError, match=pattern):
        load_weights(net, tmp_path / "changed.pt")
    assert all(torch.equal(x, before[name]) for name, x in net.state_dict().items())
