"""Building by name: sizes, stochastic depth, options, errors."""

from pathlib import Path

import pytest
import torch

from lung_srad.errors import ConfigError, WeightsError
from lung_srad.models import BACKBONES, StochasticDepth, create_model

PARAMETERS = {  # with a 4-way head
    "dass_tiny": 1_859_428,
    "dass_small": 29_482_276,
    "dass_medium": 48_246_052,
    "ast_tiny": 242_244,
    "ast": 85_984_512 + 4_612,  # the published 87.7 M count two heads of 1,000 classes that AST never reads
    "ast_adapter_tiny": 252_676,
    "ast_adapter": 85_984_512 + 2_436_100,
    "beats_tiny": 434_696,
    "beats": 90_314_868,
    "clap_tiny": 1_567_527,
    "clap": 153_496_988,
    "clap_audio_tiny": 1_447_399,
    "clap_audio": 28_192_924,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_sizes_are_as_documented(name: str):
    with torch.device("meta"):
        net = create_model(name)
    assert sum(x.numel() for x in net.parameters()) == PARAMETERS[name]


def test_every_backbone_has_a_documented_size():
    assert PARAMETERS.keys() == BACKBONES.keys()


def test_stochastic_depth_grows_from_zero_to_drop_path():
    net = create_model("dass_tiny", options={"drop_path": 0.2})
    rates = [layer.rate for layer in net.modules() if isinstance(layer, StochasticDepth)]
    assert rates[::2] == rates[1::2]  # both branches of a block
    assert rates[::2] == pytest.approx([0.2 * block / 6 for block in range(7)])


def test_options_reach_the_frontend():
    net = create_model("dass_tiny", options={"frames": 512, "normalize": "mel_mean"})
    assert net.backbone.frontend(torch.randn(1, 128_000)).shape == (1, 1, 128, 512)
    assert net.backbone.frontend.normalization == "mel_mean"


def test_the_same_seed_gives_the_same_weights():
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(create_model("dass_tiny").state_dict())
    assert all(torch.equal(x, states[1][key]) for key, x in states[0].items())


def test_step_sizes_start_between_a_thousandth_and_a_tenth():
    block = create_model("dass_tiny").backbone.layers[2].blocks[0]
    steps = torch.nn.functional.softplus(block.op.dt_projs_bias)
    assert 1e-3 <= steps.min() < 1e-2 < 5e-2 < steps.max() <= 0.1
    assert torch.equal(block.op.scan_parameters()[2], -torch.ones(4 * 128, 1))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"'das_medium'; one of dass_tiny, .*; did you mean 'dass_medium'"):
        create_model("das_medium")


@pytest.mark.parametrize("rate", [-0.1, 1.0, 30, float("nan")])
def test_an_impossible_rate_is_refused(rate: float):
    with pytest.raises(ConfigError, match="drop_path: "):
        create_model("dass_tiny", options={"drop_path": rate})


def test_weights_are_loaded(tmp_path: Path):
    torch.save(create_model("dass_tiny").state_dict(), tmp_path / "tiny.pth")
    torch.save(create_model("dass_tiny", 7).state_dict(), tmp_path / "seven.pth")
    first, second = (create_model("dass_tiny", weights=tmp_path / "tiny.pth", load_head=True) for _ in range(2))
    assert all(torch.equal(x, second.state_dict()[key]) for key, x in first.state_dict().items())
    create_model("dass_tiny", weights=str(tmp_path / "seven.pth"))
    with pytest.raises(WeightsError, match=r"seven\.pth: 2 unusable"):
        create_model("dass_tiny", weights=tmp_path / "seven.pth", load_head=True)
