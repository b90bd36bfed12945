"""Smoothing slots: names stay, each site does what it says, the rest of the network stays as it was."""

import pytest
import torch
from torch import Tensor, nn

from lung_srad.errors import ConfigError, ShapeError
from lung_srad.method import gaussian_kernel, gaussian_smooth
from lung_srad.models import Classifier, GaussianSmoothing, create_model, smooth

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


@pytest.fixture
def net() -> Classifier:
    torch.manual_seed(0)
    return create_model("dass_tiny").eval()


@pytest.fixture(scope="module")
def features() -> Tensor:
    return torch.randn(2, 1, 128, 160, generator=torch.Generator().manual_seed(1))


def smoothed(x: Tensor, size: int = 5, sigma: float = 3.0) -> Tensor:
    """Returns a channels-last map (B, H, W, C) smoothed by the method's own function."""
    return gaussian_smooth(x.permute(TO_FIRST), gaussian_kernel(size, sigma)).permute(TO_LAST)


@pytest.mark.parametrize("site", "abc")
def test_each_site_does_what_it_says(net: Classifier, features: Tensor, site: str):
    """The same change, made from outside by hooks."""
    blocks = [net.backbone.layers[2].blocks[i] for i in (1, 3)]
    if site == "a":  # what the norm behind the scan receives
        hooks = [block.op.out_norm.register_forward_pre_hook(lambda _, x: smoothed(x[0])) for block in blocks]
    else:  # what SS2D, or the block, returns
        modules = blocks if site == "c" else [block.op for block in blocks]
        hooks = [module.register_forward_hook(lambda _, x, y: smoothed(y)) for module in modules]
    plain_of_hooks = net(features)
    for hook in hooks:
        hook.remove()
    plain = net(features)
    smooth(net.backbone, stage=2, blocks=(1, 3), site=site)
    assert torch.equal(net(features), plain_of_hooks)
    assert not torch.allclose(net(features), plain, atol=1e-4)


def test_sites_differ(features: Tensor):
    outputs = []
    for site in "abc":
        torch.manual_seed(0)
        net = create_model("dass_tiny").eval()
        smooth(net.backbone, site=site)
        outputs.append(net(features))
    assert not any(torch.equal(x, y) for x, y in zip(outputs, outputs[1:] + outputs[:1], strict=True))


def test_names_of_weights_stay(net: Classifier):
    before = {key: x.clone() for key, x in net.state_dict().items()}
    names = [name for name, _ in net.named_parameters()]
    smooth(net.backbone)
    assert net.state_dict().keys() == before.keys()
    assert [name for name, _ in net.named_parameters()] == names
    net.load_state_dict(before, strict=True)
    create_model("dass_tiny").load_state_dict(net.state_dict(), strict=True)


def test_it_is_on_in_training_and_at_test(net: Classifier, features: Tensor):
    plain = net(features)
    smooth(net.backbone)
    assert not torch.allclose(net(features), plain, atol=1e-4)
    slots = [module for module in net.modules() if isinstance(module, GaussianSmoothing)]
    x = torch.randn(1, 6, 7, 3)
    assert torch.equal(slots[0].train()(x), slots[0].eval()(x))


def test_only_the_named_blocks_are_smoothed(net: Classifier):
    smooth(net.backbone, stage=2, blocks=(0, 2), site="b")
    places = [name for name, module in net.named_modules() if isinstance(module, GaussianSmoothing)]
    assert places == ["backbone.layers.2.blocks.0.smooth_op", "backbone.layers.2.blocks.2.smooth_op"]


def test_the_defaults_are_those_of_the_paper():
    with torch.device("meta"):
        net = create_model("dass_medium")
    smooth(net.backbone)
    found = {name: module for name, module in net.named_modules() if isinstance(module, GaussianSmoothing)}
    assert list(found) == [f"backbone.layers.2.blocks.{block}.smooth_block" for block in (2, 3)]
    for module in found.values():
        assert torch.equal(module.kernel, gaussian_kernel(5, 3.0))


def test_size_and_sigma_reach_the_kernel():
    x = torch.randn(2, 9, 8, 4)
    assert torch.equal(GaussianSmoothing(3, 0.7)(x), smoothed(x, 3, 0.7))
    double = GaussianSmoothing(3, 0.7).to(torch.float64)
    torch.testing.assert_close(double(x.double()).float(), smoothed(x, 3, 0.7))


def test_gradients_pass(net: Classifier, features: Tensor):
    smooth(net.backbone)
    net(features).sum().backward()
    assert all(x.grad.isfinite().all() for x in net.parameters())


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"stage": 4}, ShapeError, "stage: no stage 4; stages 0-3; the paper"),
        ({"stage": -1}, ShapeError, "no stage -1"),
        ({"blocks": (2, 4)}, ShapeError, "block: no block 4; stage 2 has the blocks 0-3; "),
        ({"stage": 0, "blocks": (1,)}, ShapeError, "no block 1; stage 0 has the blocks 0-0"),
        ({"site": "d"}, ConfigError, "smoothing.site: 'd'; one of a, b, c; "),
        ({"kernel_size": 4}, ConfigError, "gaussian_kernel: size: 4; odd"),
        ({"sigma": 0.0}, ConfigError, "gaussian_kernel: sigma: 0.0; greater than 0"),
    ],
)
def test_what_cannot_be_smoothed_is_named_and_nothing_is_changed(net: Classifier, options, error, text):
    with pytest.raises(error, match=text):
        smooth(net.backbone, **options)
    assert not any(isinstance(module, GaussianSmoothing) for module in net.modules())


def test_a_backbone_without_blocks_is_refused():
    with pytest.raises(ConfigError, match="backbone: Linear; only state-space backbones"):
        smooth(nn.Linear(2, 2))


@pytest.mark.parametrize("site", "abc")
def test_autocast_leaves_the_residual_sum_in_float32(net: Classifier, features: Tensor, site: str):
    smooth(net.backbone, stage=2, blocks=(1,), site=site)
    seen = []
    net.backbone.layers[2].blocks[1].register_forward_hook(lambda _, x, y: seen.append(y.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        net(features)
    assert seen == [torch.float32]
