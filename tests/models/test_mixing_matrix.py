"""Mixing matrices: the operator of the layer, the definition of the paper's authors, and large step sizes."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lung_srad.errors import ConfigError, ShapeError
from lung_srad.kernels import merged_scan
from lung_srad.method import cross_merge, cross_scan, recurrence
from lung_srad.models import Classifier, create_model, mixing_maps, mixing_matrix, scan_matrix, smooth
from lung_srad.models.vmamba import SS2D

STAGE, BLOCK, CHANNELS = 2, 2, 128
PLACE = {"stage": STAGE, "block": BLOCK}


@pytest.fixture(scope="module", params=[1, 3], ids=["1 state", "3 states"])
def net(request: pytest.FixtureRequest) -> Classifier:
    torch.manual_seed(0)
    net = create_model("dass_tiny").eval()
    block = net.backbone.layers[STAGE].blocks[BLOCK]
    block.op = SS2D(CHANNELS, states=request.param)
    nn.init.normal_(block.op.in_proj.weight, std=0.3)
    nn.init.normal_(block.op.dt_projs_bias)  # steps of about one, so that decays are neither 0 nor 1
    return net.double()


@pytest.fixture(scope="module")
def features() -> Tensor:
    """Returns one recording whose grid is 4 × 5 tokens in stage 2."""
    return torch.randn(1, 1, 64, 80, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def layer(net: Classifier, features: Tensor) -> tuple[SS2D, Tensor]:
    """Returns the layer and what its scan reads, (1, H, W, C)."""
    block = net.backbone.layers[STAGE].blocks[BLOCK]
    grid = net.backbone.patch_embed(features)
    for stage in net.backbone.layers[:STAGE]:
        grid = stage(grid)
    grid = net.backbone.layers[STAGE].blocks[:BLOCK](grid)
    return block.op, block.op.tokens(grid, block.norm)


def along_paths(op: SS2D, x: Tensor) -> tuple[Tensor, ...]:
    """Returns the scan's u, Δ, A, B, C of four paths: (4, C, L), (4, C, L), (4, C, N), (4, N, L), (4, N, L)."""
    weight, bias, A, _ = op.scan_parameters()
    paths = cross_scan(x.permute(0, 3, 1, 2))[0]
    states = A.shape[1]
    low, B, C = torch.einsum("kpc,kcl->kpl", op.x_proj_weight, paths).split([weight.shape[2], states, states], dim=1)
    return paths, F.softplus(weight @ low + bias.unsqueeze(2)), A.unflatten(0, (4, -1)), B, C


def scanned(op: SS2D, x: Tensor, directions: list[int]) -> Tensor:
    """Returns the layer's scan without D, as the method defines it, along some directions only: (L, C)."""
    u, delta, A, B, C = along_paths(op, x)
    ys = torch.zeros(1, *u.shape, dtype=u.dtype)
    for k in directions:
        ys[0, k] = recurrence(u[k : k + 1], delta[k : k + 1], A[k], B[None, k : k + 1], C[None, k : k + 1])[0]
    return cross_merge(ys, x.shape[1:3])[0].flatten(1).T


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("frames", [32, 80], ids=["4 × 2 tokens", "4 × 5 tokens"])
@torch.no_grad()
def test_is_the_scan_that_the_network_runs(dtype: torch.dtype, tolerance: float, frames: int):
    """Matrix times u is what the kernel gives before ``out_norm``, without D·u; each direction and their sum."""
    torch.manual_seed(0)
    net = create_model("dass_tiny").eval().to(dtype)
    features = torch.randn(1, 1, 64, frames, generator=torch.Generator().manual_seed(1), dtype=dtype)
    op, x = layer(net, features)
    nn.init.normal_(op.dt_projs_bias)
    weight, bias, A, _ = op.scan_parameters()
    for direction in (None, 0, 1, 2, 3):
        chosen = torch.ones(4, 1) if direction is None else torch.eye(4)[direction, :, None]
        read = op.project(x).unflatten(-1, (4, -1)) * 1.0
        read[..., -1] *= chosen.flatten().to(dtype)  # C of the other directions: they say nothing
        y = merged_scan(x.clone(), read.flatten(-2), weight, bias, A, torch.zeros_like(op.Ds))
        for channel in (0, 101):
            matrix = mixing_matrix(net, features, **PLACE, delta=True, channel=channel, direction=direction)
            assert matrix.dtype == dtype
            expected = y.flatten(1, 2)[0, :, channel]
            error = (matrix @ x.flatten(1, 2)[0, :, channel] - expected).abs().max() / expected.abs().max()
            assert error < tolerance


@pytest.mark.parametrize("direction", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("channel", [0, 77, 127])
@torch.no_grad()
def test_is_the_operator_of_the_layer(net: Classifier, features: Tensor, channel: int, direction: int | None):
    op, x = layer(net, features)
    matrix = mixing_matrix(net, features, **PLACE, delta=True, channel=channel, direction=direction)
    y = scanned(op, x, list(range(4)) if direction is None else [direction])
    assert matrix.shape == (20, 20)
    assert y.abs().max() > 0.01
    torch.testing.assert_close(matrix @ x.flatten(1, 2)[0, :, channel], y[:, channel], rtol=1e-9, atol=1e-12)


@torch.no_grad()
def test_without_delta_is_the_definition_of_the_authors(net: Classifier, features: Tensor):
    """M_k[i, j] = mean over channels of C_i (w_i / w_j) B_j, here as the quotient it was written as."""
    op, x = layer(net, features)
    _, delta, A, B, C = along_paths(op, x)
    w = (delta.unsqueeze(-1) * A.unsqueeze(2)).cumsum(2).exp()  # (4, C, L, N)
    paths = torch.einsum("kni,kcin,kcjn,knj->kij", C, w, 1 / w, B).tril() / CHANNELS
    row_major = torch.arange(20.0).view(1, 1, 4, 5)
    orders = cross_scan(row_major)[0, :, 0].long()
    parts = []
    for k, order in enumerate(orders):
        part = torch.zeros(20, 20, dtype=torch.float64)
        part[order.unsqueeze(1), order] = paths[k]
        parts.append(part)
        torch.testing.assert_close(mixing_matrix(net, features, **PLACE, direction=k), part, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(mixing_matrix(net, features, **PLACE), sum(parts), rtol=1e-9, atol=1e-12)


def test_the_mean_over_channels(features: Tensor):
    net = create_model("dass_tiny").double()
    first = {"stage": 0, "block": 0, "delta": True, "direction": 1}  # 32 channels
    each = [mixing_matrix(net, features[..., :16, :20], **first, channel=channel) for channel in range(32)]
    whole = mixing_matrix(net, features[..., :16, :20], **first)
    torch.testing.assert_close(whole, torch.stack(each).mean(0), rtol=1e-9, atol=1e-12)


def test_paths_look_back_only(net: Classifier, features: Tensor):
    rows, columns, rows_back, columns_back = (mixing_matrix(net, features, **PLACE, direction=k) for k in range(4))
    assert not rows.triu(1).any()
    assert not rows_back.tril(-1).any()
    order = torch.arange(20).view(4, 5).T.flatten()
    assert not columns[order][:, order].triu(1).any()
    assert not columns_back[order][:, order].tril(-1).any()


@pytest.mark.parametrize(("leaf", "held"), [(1, 1), (3, 2**22), (7, 20 * CHANNELS), (64, 1)])
def test_tiles_do_not_show(net: Classifier, features: Tensor, monkeypatch: pytest.MonkeyPatch, leaf: int, held: int):
    whole = mixing_matrix(net, features, **PLACE)
    monkeypatch.setattr(scan_matrix, "LEAF", leaf)
    monkeypatch.setattr(scan_matrix, "HELD", held)
    torch.testing.assert_close(mixing_matrix(net, features, **PLACE), whole, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("change", [lambda op: op.dt_projs_bias.fill_(1e3), lambda op: op.A_logs.fill_(7.0)])
@torch.no_grad()
def test_large_steps_stay_finite(features: Tensor, change: Callable[[SS2D], None]):
    torch.manual_seed(0)
    other = create_model("dass_tiny").eval()
    op = other.backbone.layers[STAGE].blocks[BLOCK].op
    change(op)
    for delta in (False, True):
        matrix = mixing_matrix(other, features.float(), **PLACE, delta=delta, direction=0)
        assert matrix.isfinite().all()
        assert matrix.diagonal().all()


def test_float32_in_float32_out(features: Tensor):
    torch.manual_seed(0)
    net = create_model("dass_tiny").eval()
    single = mixing_matrix(net, features.float(), **PLACE)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, mixing_matrix(net.double(), features, **PLACE).float(), rtol=1e-4, atol=1e-6)


def test_the_network_stays_as_it_was(net: Classifier, features: Tensor):
    before = {key: x.clone() for key, x in net.state_dict().items()}
    expected = mixing_matrix(net.eval(), features, **PLACE)
    assert torch.equal(mixing_matrix(net.train(), features, **PLACE), expected)  # no stochastic depth in it
    assert net.training
    assert all(module.training for module in net.modules())
    assert torch.equal(mixing_matrix(net.eval().backbone, features, **PLACE), expected)
    assert not any(module._forward_pre_hooks for module in net.modules())
    assert all(torch.equal(x, before[key]) for key, x in net.state_dict().items())


def test_smoothing_before_the_layer_is_seen(features: Tensor):
    torch.manual_seed(0)
    net = create_model("dass_tiny").eval().double()
    plain = mixing_matrix(net, features, **PLACE)
    smooth(net.backbone, stage=STAGE, blocks=(BLOCK + 1,))
    assert torch.equal(mixing_matrix(net, features, **PLACE), plain)
    smooth(net.backbone, stage=STAGE, blocks=(BLOCK - 1,))
    assert not torch.allclose(mixing_matrix(net, features, **PLACE), plain)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stage": 4}, "stage: no stage 4; stages 0-3; "),
        ({"block": 4}, "block: no block 4; stage 2 has the blocks 0-3; "),
        ({"channel": 128}, "channel: no channel 128; 0-127; or leave it out"),
        ({"channel": -1}, "channel: no channel -1"),
        ({"direction": 4}, "direction: no direction 4; 0-3; "),
    ],
)
def test_a_place_that_is_not_there_is_named(net: Classifier, features: Tensor, options: dict, text: str):
    with pytest.raises(ShapeError, match=text):
        mixing_matrix(net, features, **options)


def test_one_recording_at_a_time(net: Classifier, features: Tensor):
    with pytest.raises(ShapeError, match="features: 2 recordings; one at a time"):
        mixing_matrix(net, features.expand(2, -1, -1, -1))
    with pytest.raises(ShapeError, match="features: shape"):
        mixing_matrix(net, features[0])


def test_a_backbone_without_state_space_layers():
    with pytest.raises(ConfigError, match="backbone: Linear; only state-space backbones"):
        mixing_matrix(nn.Linear(2, 2), torch.zeros(1, 2))


@torch.no_grad()
def test_all_maps_come_from_one_pass(net: Classifier, features: Tensor, monkeypatch: pytest.MonkeyPatch):
    passes = []
    monkeypatch.setattr(net.backbone, "tokens", lambda grid, whole=net.backbone.tokens: passes.append(1) or whole(grid))
    maps = {each.place: each for each in mixing_maps(net, features)}
    assert list(maps) == [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (3, 0)]
    assert len(passes) == 1
    assert (maps[0, 0].grid, maps[2, 2].grid, maps[2, 2].summaries) == ((16, 20), (4, 5), 0)
    for place in ((0, 0), (2, 2)):
        alone = mixing_matrix(net, features, stage=place[0], block=place[1])
        torch.testing.assert_close(maps[place].patches, alone, rtol=1e-12, atol=1e-15)
    (one,) = mixing_maps(net, features, delta=True, places=[(2, 2)])
    torch.testing.assert_close(one.matrix, mixing_matrix(net, features, **PLACE, delta=True), rtol=1e-12, atol=1e-15)
    with pytest.raises(ShapeError, match=r"place: \(2, 4\); places of this network: \(0, 0\)"):
        list(mixing_maps(net, features, places=[(2, 4)]))
