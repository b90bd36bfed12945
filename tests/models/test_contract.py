"""What every backbone promises, DASS and a small token model with side input alike."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lung_srad.errors import ConfigError, ShapeError
from lung_srad.models import BACKBONES, Backbone, Classifier, Side, smooth


class TokenModel(Backbone):
    """Attends from the patches of a spectrogram to the ids of a text; its tokens are no grid of time and frequency."""

    width, grid_axes, head_name = 12, None, "text_head"

    def __init__(self) -> None:
        super().__init__()
        self.frontend = nn.Identity()
        self.patches = nn.Conv2d(1, self.width, 16, stride=16)
        self.words = nn.Embedding(50, self.width)
        self.attention = nn.MultiheadAttention(self.width, 2, batch_first=True)
        self.head = nn.Linear(self.width, self.width)  # a name that the classifier uses too

    def embed(self, features: Tensor) -> Tensor:
        return self.patches(features)

    def tokens(self, grid: Tensor, side: Side | None = None) -> Tensor:
        tokens = grid.flatten(2).mT  # (B, L, width)
        if side is not None:
            words = self.words(side["text_ids"])
            tokens = tokens + self.attention(tokens, words, words, need_weights=False)[0]
        return self.head(tokens)

    def pool(self, tokens: Tensor) -> Tensor:
        return tokens.mean(1)


BUILD: dict[str, Callable[[], Backbone]] = {**BACKBONES, "token_model": TokenModel}
SIDE = {"text_ids": torch.tensor([[3, 1, 4], [1, 5, 9], [2, 6, 5]])}


@pytest.fixture(scope="module", params=BUILD)
def net(request: pytest.FixtureRequest) -> Classifier:
    torch.manual_seed(0)
    return Classifier(BUILD[request.param](), num_classes=5).eval()


@pytest.fixture(scope="module")
def features() -> Tensor:
    return torch.randn(3, 1, 64, 32, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_steps_of_a_backbone_lead_to_its_vector(net: Classifier, features: Tensor):
    backbone = net.backbone
    grid = backbone.embed(features)  # (B, C, H, W)
    assert grid.dim() == 4
    assert len(grid) == 3
    tokens = backbone.tokens(grid)
    assert (len(tokens), tokens.shape[2]) == (3, backbone.width)
    vector = backbone.pool(tokens)
    assert vector.shape == (3, backbone.width)
    assert torch.equal(vector, backbone.encode(grid))
    assert torch.equal(vector, backbone(features))
    assert torch.equal(net.head(vector), net(features))
    assert net(features).shape == (3, net.num_classes) == (3, 5)


@torch.no_grad()
def test_eval_is_the_same_each_time_and_sample_by_sample(net: Classifier, features: Tensor):
    logits = net(features)
    assert torch.equal(logits, net(features))
    for row in range(3):
        torch.testing.assert_close(net(features[row : row + 1])[0], logits[row], rtol=0, atol=1e-5)


def test_every_parameter_learns(net: Classifier, features: Tensor):
    side = SIDE if isinstance(net.backbone, TokenModel) else None
    net.zero_grad()
    net(features, side).square().sum().backward()
    assert [name for name, x in net.named_parameters() if x.grad is None or not x.grad.any()] == []


def test_names_are_official_everywhere(net: Classifier):
    head = net.backbone.head_name
    names = [name for name, _ in net.named_parameters()]
    assert names[-2:] == [f"{head}.weight", f"{head}.bias"]
    assert not any(name.startswith("backbone.") for name in names)
    buffers = {net.official_name(name) for name, _ in net.named_buffers()}
    assert set(names) <= net.state_dict().keys() <= set(names) | buffers
    assert [name for name, _ in net.named_parameters(prefix="a")] == [f"a.{name}" for name in names]
    assert list(net.named_parameters(recurse=False)) == []


@torch.no_grad()
def test_a_copy_stands_alone_and_a_state_dict_goes_round(net: Classifier, features: Tensor):
    logits, state, twin = net(features), net.state_dict(), copy.deepcopy(net)
    before = list(state)
    assert torch.equal(twin(features), logits)
    for x in twin.parameters():
        x.zero_()
    assert not twin(features).any()
    assert torch.equal(net(features), logits)
    twin.load_state_dict(state, strict=True)
    assert list(twin.state_dict()) == list(state) == before
    assert torch.equal(twin(features), logits)
    with pytest.raises(RuntimeError, match=r"not\.a\.key"):
        twin.load_state_dict(state | {"not.a.key": torch.zeros(1)})


def test_a_state_dict_goes_round_inside_another_module(net: Classifier):
    outer = nn.ModuleDict({"net": net, "extra": nn.Linear(2, 2)})
    state = outer.state_dict()
    assert {key.removeprefix("net.") for key in state if key.startswith("net.")} == net.state_dict().keys()
    assert {"extra.weight", "extra.bias"} <= state.keys()
    outer.load_state_dict(state, strict=True)


@torch.no_grad()
def test_float64_agrees_with_float32(net: Classifier, features: Tensor):
    double = copy.deepcopy(net).to(torch.float64)
    assert {x.dtype for x in double.state_dict().values()} == {torch.float64}
    logits = double(features.double())
    assert logits.dtype == torch.float64
    torch.testing.assert_close(net(features).double(), logits, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_bf16_autocast_agrees_with_float32(net: Classifier, features: Tensor):
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(features).float()
    exact = net(features)
    assert (logits - exact).norm() < 0.03 * exact.norm()


@torch.no_grad()
def test_dass_keeps_its_residual_sums_in_float32_under_autocast(features: Tensor):
    backbone, seen = BACKBONES["dass_tiny"]().eval(), set()
    for stage in backbone.layers:
        for block in stage.blocks:
            block.register_forward_hook(lambda _, x, y: seen.update([x[0].dtype, y.dtype]))
            block.mlp.fc1.register_forward_hook(lambda _, x, y: seen.update([str(y.dtype)]))
    with torch.autocast("cpu", torch.bfloat16):
        backbone(features)
    assert seen == {torch.float32, "torch.bfloat16"}  # sums, and what the branches compute in


def test_mixing_along_an_axis_that_is_not_there_is_refused(net: Classifier):
    for axis in ("time", "frequency", "phase"):
        if axis in (net.backbone.grid_axes or ()):
            net.backbone.require_axis(axis)
        else:
            with pytest.raises(ShapeError, match=f"mixing along {axis}; has .*; choose another axis or backbone"):
                net.backbone.require_axis(axis)


def test_side_input_reaches_the_tokens(features: Tensor):
    net = Classifier(TokenModel(), num_classes=5).eval()
    with_text, without = net(features, SIDE), net(features)
    assert not torch.equal(with_text, without)
    other = {"text_ids": SIDE["text_ids"].flip(0)}
    assert torch.equal(net(features, other)[1], with_text[1])  # the middle row is its own mirror image
    assert not torch.equal(net(features, other)[0], with_text[0])
    assert net.state_dict().keys() >= {"head.weight", "text_head.weight"}


def test_a_backbone_must_define_every_step():
    class Half(Backbone):
        def embed(self, features: Tensor) -> Tensor:
            return features

    with pytest.raises(TypeError, match="abstract"):
        Half()


def test_the_grid_of_dass_is_a_quarter_of_the_spectrogram(features: Tensor):
    backbone = BACKBONES["dass_tiny"]().eval()
    assert backbone.grid_axes == ("frequency", "time")
    assert backbone.embed(features).shape == (3, 32, 16, 8)
    assert backbone.tokens(backbone.embed(features)).shape == (3, 2 * 1, 256)
    assert backbone.embed(features[..., :51, :30]).shape == (3, 32, 13, 8)  # odd sizes are rounded up


@pytest.mark.parametrize("shape", [(128, 64), (1, 128, 64), (2, 3, 128, 64), (2, 1, 128, 0)])
def test_features_of_a_wrong_shape_are_refused(shape: tuple[int, ...]):
    net = Classifier(BACKBONES["dass_tiny"](), num_classes=4)
    with pytest.raises(ShapeError, match=r"features: shape \(.*\); needs \(B, 1, frequency, time\)"):
        net(torch.zeros(shape))


def test_tokens_of_dass_are_row_major():
    """A change in one corner of the spectrogram is largest at the token of that corner."""
    torch.manual_seed(0)
    backbone = BACKBONES["dass_tiny"]().eval()
    quiet = torch.zeros(1, 1, 128, 96)  # 4 x 3 tokens
    for row, column in ((0, 2), (3, 0)):
        loud = quiet.clone()
        loud[..., 32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = 5
        change = (backbone.tokens(backbone.embed(loud)) - backbone.tokens(backbone.embed(quiet))).norm(dim=-1)
        assert change.argmax().item() == 3 * row + column


def test_smoothing_needs_a_backbone_with_slots():
    with pytest.raises(ConfigError, match="TokenModel; only state-space backbones"):
        smooth(TokenModel())
