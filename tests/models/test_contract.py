"""What every backbone promises: DASS, the transformers, and a small token model with side input alike."""

import copy
import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lung_srad.audio import AudioFrontend, is_silent
from lung_srad.errors import ConfigError, ShapeError
from lung_srad.kernels.linear import product_dtype
from lung_srad.models import BACKBONES, Backbone, Classifier, Side, draw_depth, drawn_depth, smooth
from lung_srad.models.vmamba import VMamba


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


LARGE = {"ast", "ast_adapter", "beats", "clap", "clap_audio"}  # too large for every step here; NAME_tiny is the same
BUILD: dict[str, Callable[[], Backbone]] = {
    **{name: build for name, build in BACKBONES.items() if name not in LARGE},
    "token_model": TokenModel,
}
UNREAD = tuple(  # of the last block: they change patches only, and the answer is read from the two tokens in front
    f"transformer.layers.3.adapter_{place}.conv." for place in ("attention", "mlp")
)
SIDE = {"text_ids": torch.tensor([[3, 1, 4], [1, 5, 9], [2, 6, 5]])}


@pytest.fixture(scope="module", params=BUILD)
def net(request: pytest.FixtureRequest) -> Classifier:
    torch.manual_seed(0)
    net = Classifier(BUILD[request.param](), num_classes=5).eval()
    for x in net.parameters():
        if x.requires_grad and x.dim() > 1 and not x.any():
            nn.init.normal_(x, std=0.05)  # an adapter begins at zero, and what lies before it learns nothing at first
    return net


@pytest.fixture(scope="module")
def features(net: Classifier) -> Tensor:
    """Returns what the backbone takes: of any size where it is free to choose, else of its front end's."""
    generator, front = torch.Generator().manual_seed(1), net.backbone.frontend
    if isinstance(net.backbone, VMamba | TokenModel):
        return torch.randn(3, 1, 64, 32, generator=generator)
    wave = torch.randn(1, round(front.seconds * front.sample_rate), generator=generator)
    return torch.randn(3, *front(wave).shape[1:], generator=generator)


@pytest.fixture(scope="module")
def small() -> Tensor:
    return torch.randn(3, 1, 64, 32, generator=torch.Generator().manual_seed(1))


def test_every_large_backbone_has_a_tiny_version_here():
    assert {f"{name}_tiny" for name in LARGE} <= BUILD.keys()


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
    learns = [(name, x.grad) for name, x in net.named_parameters() if x.requires_grad]
    still = [name for name, grad in learns if grad is None or not grad.any()]
    assert [name for name in still if not name.startswith(UNREAD)] == []
    assert all(x.grad is None for x in net.parameters() if not x.requires_grad)


def test_names_are_official_everywhere(net: Classifier):
    head = net.backbone.head_name
    names = [name for name, _ in net.named_parameters()]
    of_head = [name for name in names if name.startswith(f"{head}.")]
    assert names[-len(of_head) :] == of_head
    assert [name.rpartition(".")[2] for name in of_head[-2:]] == ["weight", "bias"]
    assert len(of_head) == len(list(net.head.parameters()))
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
    assert {x.dtype for x in double.state_dict().values() if x.is_floating_point()} == {torch.float64}
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
def test_dass_keeps_its_residual_sums_in_float32_under_autocast(small: Tensor):
    backbone, seen = BACKBONES["dass_tiny"]().eval(), set()
    for stage in backbone.layers:
        for block in stage.blocks:
            block.register_forward_hook(lambda _, x, y: seen.update([x[0].dtype, y.dtype]))
            block.mlp.fc1.register_forward_hook(lambda _, x, y: seen.update([str(y.dtype)]))
    with torch.autocast("cpu", torch.bfloat16):
        backbone(small)
    branches = product_dtype(torch.bfloat16, small.device)  # float32 where the CPU gains nothing from less
    assert seen == {torch.float32, str(branches)}  # sums, and what the branches compute in


def test_its_front_end_is_one_like_all_others(net: Classifier):
    front = net.backbone.frontend
    if isinstance(net.backbone, TokenModel):
        return
    assert isinstance(front, AudioFrontend)
    wave = 0.1 * torch.randn(2, round(front.seconds * front.sample_rate), generator=torch.Generator().manual_seed(8))
    spec = front.spectrogram(wave)  # (2, T, mel)
    features = front(wave)
    assert torch.equal(features, front.shape(front.normalize(spec)))
    assert features.shape[:2] == (2, 1)
    assert features.shape[2] == spec.shape[2]
    torch.testing.assert_close(front.normalize(front.spectrogram(wave[1])), front.normalize(spec)[1], rtol=0, atol=1e-4)
    assert is_silent(front.spectrogram(torch.zeros(2, wave.shape[1]))).tolist() == [True, True]
    assert front.spectrogram(wave[0, : front.min_samples]).isfinite().all()
    assert json.loads(json.dumps(front.cache_key())) == front.cache_key()
    assert not front.state_dict()
    assert net.backbone(features).shape == (2, net.backbone.width)


def test_mixing_along_an_axis_that_is_not_there_is_refused(net: Classifier):
    for axis in ("time", "frequency", "phase"):
        if axis in (net.backbone.grid_axes or ()):
            net.backbone.require_axis(axis)
        else:
            with pytest.raises(ShapeError, match=f"mixing along {axis}; has .*; choose another axis or backbone"):
                net.backbone.require_axis(axis)


def test_side_input_reaches_the_tokens(small: Tensor):
    net = Classifier(TokenModel(), num_classes=5).eval()
    with_text, without = net(small, SIDE), net(small)
    assert not torch.equal(with_text, without)
    other = {"text_ids": SIDE["text_ids"].flip(0)}
    assert torch.equal(net(small, other)[1], with_text[1])  # the middle row is its own mirror image
    assert not torch.equal(net(small, other)[0], with_text[0])
    assert net.state_dict().keys() >= {"head.weight", "text_head.weight"}


def test_a_backbone_must_define_every_step():
    class Half(Backbone):
        def embed(self, features: Tensor) -> Tensor:
            return features

    with pytest.raises(TypeError, match="abstract"):
        Half()


def test_the_grid_of_dass_is_a_quarter_of_the_spectrogram(small: Tensor):
    backbone = BACKBONES["dass_tiny"]().eval()
    assert backbone.grid_axes == ("frequency", "time")
    assert backbone.embed(small).shape == (3, 32, 16, 8)
    assert backbone.tokens(backbone.embed(small)).shape == (3, 2 * 1, 256)
    assert backbone.embed(small[..., :51, :30]).shape == (3, 32, 13, 8)  # odd sizes are rounded up


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


def test_smoothing_needs_a_backbone_with_slots(net: Classifier):
    if isinstance(net.backbone, VMamba):
        smooth(copy.deepcopy(net.backbone), stage=2, blocks=(0,))
    else:
        name = type(net.backbone).__name__
        with pytest.raises(ConfigError, match=f"{name}; only state-space backbones .*; take dass_medium, or leave"):
            smooth(net.backbone)


@torch.no_grad()
def test_depth_can_be_drawn_ahead_of_every_backbone(net: Classifier, features: Tensor):
    twin = copy.deepcopy(net).train()
    keep = draw_depth(twin.backbone, 3, torch.Generator().manual_seed(4))
    assert keep.shape[1:] == (3,)
    answers = []
    with drawn_depth(twin.backbone, keep):
        for _ in range(2):
            torch.manual_seed(5)  # dropout, where there is any, asks torch's own generator
            answers.append(twin(features))
    assert torch.equal(*answers)
