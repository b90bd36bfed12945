"""CLAP gives what transformers' models give, and reads the sentence that it is told to read."""

import copy
import sys

import pytest
import torch
import transformers
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lung_srad.errors import ConfigError, MissingExtraError, ShapeError
from lung_srad.models import BACKBONES, Classifier, create_model, smooth
from lung_srad.models.clap import _TINY, _TINY_AUDIO, _TINY_TEXT
from lung_srad.models.prompt_tokens import PAD, word_count
from lung_srad.prompt_texts import PROMPTS, UNKNOWN, prompt_number


@pytest.fixture(scope="module")
def net() -> Classifier:
    torch.manual_seed(0)
    return create_model("clap_tiny").eval()


@pytest.fixture(scope="module")
def features(net: Classifier) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return net.backbone.frontend(0.1 * torch.randn(3, 8 * 48_000, generator=draw))


def numbers(*values: int) -> dict[str, Tensor]:
    return {"text_ids": torch.tensor(values)}


@torch.no_grad()
def test_the_feature_is_that_of_transformers(net: Classifier, features: Tensor):
    """One behind the other: text and audio, each of unit length, with sentences padded to 64 tokens."""
    text = {**_TINY_TEXT, "vocab_size": word_count()}
    theirs = transformers.ClapModel(transformers.ClapConfig(text_config=text, audio_config=_TINY_AUDIO, **_TINY)).eval()
    state = {key: value for key, value in net.state_dict().items() if not key.startswith(("head.", "prompt_ids"))}
    lacks = theirs.load_state_dict(state, strict=False)
    assert (set(lacks.missing_keys), lacks.unexpected_keys) == ({"logit_scale_a", "logit_scale_t"}, [])
    side = numbers(7, 300, 7)
    ids = net.backbone.prompt_ids[side["text_ids"]]
    given = {"input_ids": ids, "attention_mask": (ids != PAD).long(), "input_features": features.mT}
    out = theirs(**given)
    feature = net.backbone(features, side)
    torch.testing.assert_close(feature, torch.cat([out.text_embeds, out.audio_embeds], 1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(feature.unflatten(1, (2, -1)).norm(dim=2), torch.ones(3, 2))


@torch.no_grad()
def test_the_audio_alone_is_the_embedding_as_it_is(features: Tensor):
    torch.manual_seed(0)
    net = create_model("clap_audio_tiny").eval()
    config = transformers.ClapAudioConfig(**_TINY_AUDIO, **_TINY)
    theirs = transformers.ClapAudioModelWithProjection(config).eval()
    theirs.load_state_dict({key: value for key, value in net.state_dict().items() if not key.startswith("head.")})
    torch.testing.assert_close(net.backbone(features), theirs(input_features=features.mT).audio_embeds)
    assert net.backbone.prompt_location is None


@torch.no_grad()
def test_the_sentence_counts_and_without_one_nothing_is_known(net: Classifier, features: Tensor):
    known = prompt_number(site="Al", age="adult", sex="male", device="Meditron")
    told, other = net(features, numbers(known, UNKNOWN, known)), net(features)
    assert torch.equal(net(features, numbers(UNKNOWN, UNKNOWN, UNKNOWN)), other)
    torch.testing.assert_close(told[1], other[1], rtol=0, atol=1e-6)
    assert (told[0] - other[0]).abs().max() > 1e-4
    text = [net.backbone.text(torch.tensor([number])) for number in range(len(PROMPTS))]
    assert len(torch.cat(text).round(decimals=5).unique(dim=0)) == len(PROMPTS)


def test_in_training_every_sample_has_a_dropout_of_its_own(net: Classifier, features: Tensor):
    twin = copy.deepcopy(net).train().requires_grad_(False)
    twin.backbone.audio_model.eval()
    first, second, _ = twin.backbone(features[:1].expand(3, -1, -1, -1), numbers(5, 5, 5))
    half = len(first) // 2
    assert not torch.equal(first[:half], second[:half])  # text
    torch.testing.assert_close(first[half:], second[half:])  # audio, which was left in eval mode


def test_where_the_site_comes_from_is_an_option():
    with torch.device("meta"):
        assert BACKBONES["clap_tiny"]().prompt_location == "published"
        assert BACKBONES["clap_tiny"](location="filename").prompt_location == "filename"
        assert BACKBONES["clap_tiny"](seconds=5.0).frontend.seconds == 5.0
        with pytest.raises(
            ConfigError, match=r"location: 'file'; allowed: published, filename; did you mean 'filename'"
        ):
            BACKBONES["clap_tiny"](location="file")


@pytest.mark.parametrize(
    ("name", "millions", "width"),
    [("clap", 153.49, 1024), ("clap_audio", 28.19, 512), ("clap_tiny", 1.57, 128), ("clap_audio_tiny", 1.45, 64)],
)
def test_sizes(name: str, millions: float, width: int):
    with torch.device("meta"):
        backbone = BACKBONES[name]()
    assert sum(parameter.numel() for parameter in backbone.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)
    assert backbone.width == width
    assert all(parameter.requires_grad for parameter in backbone.parameters())


@torch.no_grad()
@pytest.mark.parametrize("name", ["clap_tiny", "clap_audio_tiny"])
def test_the_small_ones_are_cheap(name: str, features: Tensor):
    net = create_model(name).eval()
    with FlopCounterMode(display=False) as counter:
        net(features[:1])
    assert 0.02e9 < counter.get_total_flops() / 2 < 0.2e9  # multiply-accumulates of a cycle


def test_there_is_no_grid_to_mix_or_to_smooth(net: Classifier):
    with pytest.raises(ShapeError, match="Clap: mixing along time; has no grid; choose another axis or backbone"):
        net.backbone.require_axis("time")
    with pytest.raises(ConfigError, match="Clap; only state-space backbones"):
        smooth(net.backbone)


@pytest.mark.parametrize("shape", [(64, 32), (1, 64, 32), (2, 2, 64, 32), (2, 1, 128, 32), (2, 1, 64, 1025)])
def test_features_of_a_wrong_shape_are_refused(net: Classifier, shape: tuple[int, ...]):
    with pytest.raises(ShapeError, match=r"features: shape \(.*\); needs \(B, 1, 64, 1 to 1024\)"):
        net(torch.zeros(shape))


def test_sentences_of_a_wrong_shape_are_refused(net: Classifier, features: Tensor):
    with pytest.raises(ShapeError, match=r"text_ids: shape \(3, 64\); needs \(3,\), a number of a sentence each"):
        net(features, {"text_ids": torch.zeros(3, 64, dtype=torch.long)})


@pytest.mark.parametrize("name", ["clap_tiny", "clap_audio_tiny"])
def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        MissingExtraError, match=r"transformers is not installed; .*pip install 'lung-srad\[baselines\]'"
    ):
        create_model(name)
