"""AST against a slow forward from the original layout, against transformers' own, and its files of both layouts."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from lung_srad.errors import ConfigError, MissingExtraError, ShapeError, WeightsError
from lung_srad.models import Classifier, create_model, for_inference, load_weights, mixing_matrix
from lung_srad.models.ast_layout import fit_positions

WIDTH, LAYERS, HEADS, ROWS, COLUMNS = 64, 4, 4, 8, 49  # ast_tiny: 8 s in patches without overlap
FULL = 64  # columns of an AudioSet clip, 1,024 frames
State = dict[str, Tensor]


def original_layout(width: int, layers: int, patches: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Returns names and shapes of the original file, DataParallel's prefix included."""
    shapes = {"v.cls_token": (1, 1, width), "v.dist_token": (1, 1, width), "v.pos_embed": (1, 2 + patches, width)}
    shapes |= {"v.patch_embed.proj.weight": (width, 1, 16, 16), "v.patch_embed.proj.bias": (width,)}
    for layer in range(layers):
        at = f"v.blocks.{layer}"
        for name, rows, columns in (
            ("attn.qkv", 3 * width, width),
            ("attn.proj", width, width),
            ("mlp.fc1", 4 * width, width),
            ("mlp.fc2", width, 4 * width),
        ):
            shapes |= {f"{at}.{name}.weight": (rows, columns), f"{at}.{name}.bias": (rows,)}
        for name in ("norm1", "norm2"):
            shapes |= {f"{at}.{name}.weight": (width,), f"{at}.{name}.bias": (width,)}
    shapes |= {"v.norm.weight": (width,), "v.norm.bias": (width,)}
    for head in ("v.head", "v.head_dist"):
        shapes |= {f"{head}.weight": (1000, width), f"{head}.bias": (1000,)}
    shapes |= {"mlp_head.0.weight": (width,), "mlp_head.0.bias": (width,)}
    shapes |= {"mlp_head.1.weight": (classes, width), "mlp_head.1.bias": (classes,)}
    return {f"module.{name}": shape for name, shape in shapes.items()}


def hub_layout(official: State) -> State:
    """Returns the same tensors as the file on the hub holds them; DeiT's heads are not there."""
    outer = {"cls_token": "cls_token", "dist_token": "distillation_token", "pos_embed": "position_embeddings"}
    inner = {
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
    }
    hub, body = {}, "audio_spectrogram_transformer"
    for name, x in official.items():
        name = name.removeprefix("module.")
        if name.startswith("mlp_head."):
            _, index, kind = name.split(".")
            hub[f"classifier.{['layernorm', 'dense'][int(index)]}.{kind}"] = x
        elif (name := name.removeprefix("v.")) in outer:
            hub[f"{body}.embeddings.{outer[name]}"] = x
        elif name.startswith("patch_embed.proj."):
            hub[f"{body}.embeddings.patch_embeddings.projection.{name.split('.')[-1]}"] = x
        elif name.startswith("norm."):
            hub[f"{body}.layernorm.{name.split('.')[-1]}"] = x
        elif name.startswith("blocks."):
            _, layer, *part, kind = name.split(".")
            at, part = f"{body}.encoder.layer.{layer}", ".".join(part)
            if part == "attn.qkv":
                for third, one in zip(x.chunk(3), ("query", "key", "value"), strict=True):
                    hub[f"{at}.attention.attention.{one}.{kind}"] = third.clone()
            else:
                hub[f"{at}.{inner[part]}.{kind}"] = x
    return hub


def slow_ast(state: State, features: Tensor, positions: Tensor) -> Tensor:
    """Returns the logits of the original network, written down from its file: (B, 1, 128, T) -> (B, classes)."""
    state = {name.removeprefix("module.").removeprefix("v."): x.double() for name, x in state.items()}

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(x: Tensor, name: str, eps: float = 1e-6) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps)

    x = F.conv2d(features.double(), state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=16)
    x = torch.stack([x[:, :, row, column] for row in range(ROWS) for column in range(COLUMNS)], 1)
    first = torch.cat([state["cls_token"], state["dist_token"]], 1).expand(len(x), -1, -1)
    x = torch.cat([first, x], 1) + positions.double()
    for layer in range(LAYERS):
        at = f"blocks.{layer}"
        q, k, v = linear(norm(x, f"{at}.norm1"), f"{at}.attn.qkv").split(WIDTH, -1)
        heads = []
        for head in torch.arange(WIDTH).split(WIDTH // HEADS):
            scores = q[..., head] @ k[..., head].mT / (WIDTH // HEADS) ** 0.5
            heads.append(scores.softmax(-1) @ v[..., head])
        x = x + linear(torch.cat(heads, -1), f"{at}.attn.proj")
        x = x + linear(F.gelu(linear(norm(x, f"{at}.norm2"), f"{at}.mlp.fc1")), f"{at}.mlp.fc2")
    x = norm(x, "norm")
    return linear(norm((x[:, 0] + x[:, 1]) / 2, "mlp_head.0", 1e-5), "mlp_head.1")


def slow_positions(embedding: Tensor, rows: int, columns: int, width: int, mode: str) -> Tensor:
    """Returns the fitted embeddings patch by patch, from the words of the specification."""
    patches = embedding[0, 2:].double().numpy().reshape(rows, columns, -1)
    middle = columns // 2
    if mode == "correct":
        out = patches[:, middle - width // 2 :][:, :width]
    else:
        cut = patches[:, middle - rows // 2 :][:, :rows]  # (rows, rows, C): frequency taken for time
        out = np.empty((width, rows, patches.shape[2]))  # as many rows as there are columns of time
        for row in range(width):
            place = min(max((row + 0.5) * rows / width - 0.5, 0), rows - 1)
            below, share = int(place), place - int(place)
            out[row] = (1 - share) * cut[below] + share * cut[min(below + 1, rows - 1)]
    fitted = out.reshape(1, rows * width, -1)  # row after row, whichever way the grid lies
    return torch.cat([embedding[:, :2].double(), torch.from_numpy(np.ascontiguousarray(fitted))], 1)


@pytest.fixture(scope="module")
def official() -> State:
    """Returns a file of the original layout, AudioSet's 527 classes and 1,024 frames, of ast_tiny's width."""
    draw = torch.Generator().manual_seed(5)
    shapes = original_layout(WIDTH, LAYERS, ROWS * FULL, classes=527)
    return {name: 0.2 * torch.randn(shape, generator=draw) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def features() -> Tensor:
    return torch.randn(2, 1, 128, 798, generator=torch.Generator().manual_seed(6))


def tiny(classes: int = 527, **options: object) -> Classifier:
    torch.manual_seed(0)
    return create_model("ast_tiny", classes, options=options).eval()


# --- positions


@pytest.mark.parametrize("mode", ["correct", "published"])
@pytest.mark.parametrize(
    ("rows", "columns", "width"), [(12, 101, 79), (12, 101, 49), (8, 64, 49), (12, 101, 12), (12, 101, 100)]
)
def test_positions_are_fitted_as_specified(rows: int, columns: int, width: int, mode: str):
    embedding = torch.randn(1, 2 + rows * columns, 3, generator=torch.Generator().manual_seed(7))
    found = fit_positions(embedding.double(), (rows, columns), (rows, width), positions=mode)
    torch.testing.assert_close(found, slow_positions(embedding, rows, columns, width, mode))


def test_positions_of_eight_seconds_are_columns_11_to_90():
    embedding = torch.arange(2 + 12 * 101.0).view(1, -1, 1)
    found = fit_positions(embedding, (12, 101), (12, 79), positions="correct")
    grid = embedding[0, 2:, 0].view(12, 101)
    assert torch.equal(found[0, 2:, 0].view(12, 79), grid[:, 11:90])
    assert torch.equal(found[0, :2], embedding[0, :2])


def test_published_positions_are_scrambled():
    """What a token at (row, column) adds there was learnt for the place k // 12, k % 12 of the stretched crop."""
    row = torch.arange(12.0).view(12, 1).expand(12, 101)
    column = torch.arange(101.0).expand(12, 101)
    embedding = torch.cat([torch.zeros(1, 2, 2), torch.stack([row, column], -1).view(1, -1, 2)], 1)
    found = fit_positions(embedding, (12, 101), (12, 79), positions="published")[0, 2:]  # (948, 2)
    k = torch.arange(948)
    torch.testing.assert_close(found[:, 1], 44.0 + k % 12)
    torch.testing.assert_close(found[:, 0], ((k // 12 + 0.5) * 12 / 79 - 0.5).clamp(0, 11))


def test_a_longer_clip_stretches_the_positions():
    embedding = torch.randn(1, 2 + 12 * 101, 3)
    found = fit_positions(embedding, (12, 101), (12, 150), positions="correct")
    assert found.shape == (1, 2 + 12 * 150, 3)
    same = fit_positions(embedding, (12, 101), (12, 101), positions="correct")
    assert torch.equal(same, embedding)


# --- the network


@pytest.mark.parametrize("mode", ["correct", "published"])
def test_the_original_file_gives_the_original_network(official: State, features: Tensor, tmp_path: Path, mode: str):
    torch.save(official, tmp_path / "audioset.pth")
    net = tiny(positions=mode)
    report = load_weights(net, tmp_path / "audioset.pth", load_head=True)
    assert report.head == "loaded"
    assert report.loaded == len(net.state_dict())
    assert report.notes == (
        "4 tensors of DeiT's own heads left out",
        f"1 position embedding fitted from 8x64 to 8x49 patches (positions = '{mode}')",
    )
    positions = slow_positions(official["module.v.pos_embed"], ROWS, FULL, COLUMNS, mode)
    with torch.no_grad():
        found = net.double()(features.double())
    torch.testing.assert_close(found, slow_ast(official, features, positions), rtol=1e-9, atol=1e-9)


def test_transformers_agrees_and_its_files_load(features: Tensor, tmp_path: Path):
    from transformers import ASTConfig, ASTForAudioClassification

    config = ASTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        frequency_stride=16,
        time_stride=16,
        max_length=798,
        num_labels=527,
    )
    torch.manual_seed(1)
    theirs = ASTForAudioClassification(config).eval()
    for x in theirs.parameters():
        torch.nn.init.normal_(x, std=0.1)
    theirs.save_pretrained(tmp_path)  # the names of the hub
    net = tiny()
    report = load_weights(net, tmp_path, load_head=True)
    assert (report.loaded, report.notes) == (len(net.state_dict()), ())
    with torch.no_grad():
        expected = theirs(features[:, 0].mT)
        vector = theirs.audio_spectrogram_transformer(features[:, 0].mT).pooler_output
        torch.testing.assert_close(net.backbone(features), vector, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(net(features), expected.logits, rtol=1e-4, atol=1e-4)


def test_every_layout_gives_the_same_weights(official: State, tmp_path: Path):
    wraps: dict[str, Callable[[State], State]] = {
        "original": lambda state: state,
        "without DataParallel": lambda state: {name.removeprefix("module."): x for name, x in state.items()},
        "without DeiT's heads": lambda state: {name: x for name, x in state.items() if "v.head" not in name},
        "hub": hub_layout,
        "hub, without a prefix": lambda state: {
            name.removeprefix("audio_spectrogram_transformer."): x for name, x in hub_layout(state).items()
        },
    }
    states = []
    for name, wrap in wraps.items():
        save_file(wrap(official), tmp_path / f"{name}.safetensors")
        net = tiny()
        load_weights(net, tmp_path / f"{name}.safetensors", load_head=True)
        states.append(net.state_dict())
    save_file(states[0], tmp_path / "own.safetensors")
    load_weights(tiny(), tmp_path / "own.safetensors", load_head=True)
    for state in states[1:]:
        assert all(torch.equal(x, states[0][name]) for name, x in state.items())


def test_the_body_alone_loads_and_the_head_keeps_its_own(official: State, tmp_path: Path):
    body = {name: x for name, x in official.items() if "mlp_head" not in name}
    torch.save(official, tmp_path / "whole.pth")
    torch.save(body, tmp_path / "body.pth")
    for name, outcome in (("whole", "left out"), ("body", "absent")):
        net = tiny(4)
        before = [x.clone() for x in net.head.parameters()]
        report = load_weights(net, tmp_path / f"{name}.pth")
        assert (report.head, report.loaded) == (outcome, len(net.state_dict()) - 4)
        assert all(torch.equal(x, old) for x, old in zip(net.head.parameters(), before, strict=True))


@pytest.mark.parametrize("layout", ["original", "hub"])
def test_the_published_size_has_a_place_for_every_tensor(layout: str):
    """On the meta device: names and shapes of the published file, none of its values."""
    with torch.device("meta"):
        net = create_model("ast", 527)
        official = {k: torch.empty(s) for k, s in original_layout(768, 12, 12 * 101, 527).items()}
    file = official if layout == "original" else hub_layout({k: x for k, x in official.items() if "v.head" not in k})
    from lung_srad.models.layout import Checkpoint

    own, kind = net.state_dict(), net.backbone.layout
    stripped = {name.removeprefix("module."): x for name, x in file.items()}
    named = kind.named(Checkpoint(stripped, {})).tensors
    assert named.keys() == own.keys()
    for name, x in named.items():
        assert kind.change(name, x, own[name]).apply(x).shape == own[name].shape


NORM = "module.v.blocks.1.norm1.weight"
KEYS: dict[str, tuple[Callable[[State], State], str]] = {
    "missing": (
        lambda s: {name: x for name, x in s.items() if name != NORM},
        r"1 missing \('transformer.layers.1.layernorm_before.weight'\); only the head .*; take AudioSet weights",
    ),
    "no qkv": (lambda s: {name: x for name, x in s.items() if name != "module.v.blocks.0.attn.qkv.bias"}, "3 missing"),
    "foreign": (lambda s: s | {"module.v.extra": torch.ones(1)}, r"1 unexpected \('extra'\)"),
    "layer": (lambda s: s | {"module.v.blocks.4.norm1.bias": torch.ones(64)}, r"1 unexpected \('transformer.layers.4"),
    "twice": (lambda s: s | {"module.v.layernorm.weight": torch.ones(64)}, r"1 unexpected \('v.layernorm.weight'\)"),
    "shape": (lambda s: s | {NORM: torch.ones(65)}, r"1 unusable \('.*layernorm_before.weight is \(65,\), not \(64,\)"),
    "qkv of two": (lambda s: s | {"module.v.blocks.0.attn.qkv.bias": torch.ones(128)}, "3 unusable"),
    "scalar qkv": (lambda s: s | {"module.v.blocks.0.attn.qkv.bias": torch.ones(())}, "1 unexpected .*3 missing"),
    "not finite": (lambda s: s | {NORM: torch.full((64,), torch.nan)}, "not finite"),
    "no grid": (lambda s: s | {"module.v.pos_embed": torch.ones(1, 500, 64)}, r"is \(1, 500, 64\), not \(1, 394, 64\)"),
    "flat": (lambda s: s | {"module.v.pos_embed": torch.ones(5)}, r"is \(5,\), not \(1, 394, 64\)"),
    "one token": (lambda s: s | {"module.v.pos_embed": torch.ones(1, 1, 64)}, r"is \(1, 1, 64\), not"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_only_the_head_may_differ(official: State, tmp_path: Path, kind: str):
    change, pattern = KEYS[kind]
    torch.save(change(official), tmp_path / "changed.pth")
    net = tiny(4)
    before = {name: x.clone() for name, x in net.state_dict().items()}
    with pytest.raises(WeightsError, match=pattern):
        load_weights(net, tmp_path / "changed.pth")
    assert all(torch.equal(x, before[name]) for name, x in net.state_dict().items())


def test_half_precision_is_converted_before_it_is_fitted(official: State, tmp_path: Path):
    torch.save({name: x.half() for name, x in official.items()}, tmp_path / "half.pth")
    net = tiny()
    report = load_weights(net, tmp_path / "half.pth", load_head=True)
    assert any("tensors of float16 converted to float32" in note for note in report.notes)
    assert {x.dtype for x in net.state_dict().values()} == {torch.float32}


# --- sizes, inputs, neighbours


def test_the_backbone_has_the_documented_size_and_grid():
    with torch.device("meta"):
        net = create_model("ast")
        assert sum(x.numel() for x in net.backbone.parameters()) == 85_984_512  # 85.98 M
        grid = net.backbone.embed(torch.empty(1, 1, 128, 798))
        assert grid.shape == (1, 768, 12, 79)
        assert net.backbone.tokens(grid).shape == (1, 2 + 948, 768)
    assert net.backbone.grid_axes == ("frequency", "time")
    assert net.backbone.frontend.normalization == "audioset"


def test_tiny_costs_at_most_a_fifth_of_a_gmac():
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        backbone = create_model("ast_tiny").backbone.eval()  # on the meta device attention is counted, too
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            backbone(torch.empty(1, 1, 128, 798))
    assert 0.1e9 < counter.get_total_flops() / 2 <= 0.2e9


def test_rows_of_the_grid_are_frequency():
    backbone = tiny().backbone
    quiet = torch.zeros(1, 1, 128, 798)
    loud = quiet.clone()
    loud[..., 32:48, 160:176] = 5  # patch (2, 10)
    with torch.no_grad():
        change = (backbone.embed(loud) - backbone.embed(quiet)).norm(dim=1)[0]
    assert change.nonzero().tolist() == [[2, 10]]


def test_other_lengths_have_grids_of_their_own(official: State, tmp_path: Path):
    torch.save(official, tmp_path / "audioset.pth")
    net = tiny(seconds=5.0)
    load_weights(net, tmp_path / "audioset.pth", load_head=True)
    assert net.backbone.grid == (8, 31)
    assert net(net.backbone.frontend(torch.randn(2, 80_000))).shape == (2, 527)
    with pytest.raises(ConfigError, match=r"seconds: 0\.1 \(8 frames\); at least 16 frames"):
        tiny(seconds=0.1)


@pytest.mark.parametrize("shape", [(128, 798), (1, 128, 798), (2, 1, 128, 1024), (2, 1, 64, 798), (2, 3, 128, 798)])
def test_features_of_a_wrong_shape_are_refused(shape: tuple[int, ...]):
    with pytest.raises(ShapeError, match=r"features: shape \(.*\); needs \(B, 1, 128, 798\); backbone.frontend"):
        tiny()(torch.zeros(shape))


def test_unknown_positions_are_refused():
    with pytest.raises(ConfigError, match="positions: 'publishd'; one of correct, published; did you mean 'published'"):
        tiny(positions="publishd")


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lung-srad\[baselines\]'"):
        tiny()


def test_importing_the_models_does_not_import_transformers():
    code = "import sys, json, lung_srad.models, lung_srad.runs; print(json.dumps('transformers' in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(run.stdout) is False


def test_it_can_be_frozen_in_float32_only(features: Tensor):
    net = tiny()
    frozen = for_inference(net)
    with torch.no_grad():
        assert torch.equal(frozen(features), net(features))
    assert not any(x.requires_grad for x in frozen.parameters())
    assert all(x.requires_grad for x in net.parameters())
    with pytest.raises(ConfigError, match=r"dtype: torch\.bfloat16; AST runs in torch\.float32; bfloat16 is for DASS"):
        for_inference(net, torch.bfloat16)


def test_it_has_no_state_space_layer_to_look_into(features: Tensor):
    with pytest.raises(ConfigError, match="AST; only state-space backbones"):
        mixing_matrix(tiny(), features[:1])
