"""From a preset to objects: all of them, and every parameter that is to be trained."""

import pytest
import torch

from lung_srad.config import load_preset, preset_names
from lung_srad.errors import ConfigError
from lung_srad.models import GaussianSmoothing, StochasticDepth
from lung_srad.objectives import OBJECTIVES
from lung_srad.runs import build_augment, build_model, build_objective, build_optimizer, check_preset

COUNTS = (3, 2, 1, 1)


def build(name="lung_srad", *overrides, profile="small"):
    short = ["backbone.frames=32"] if "frames" in load_preset(name).backbone.options else []
    preset = load_preset(name, profile=profile, overrides=[*short, *overrides])
    net = build_model(preset, len(COUNTS))
    objective = build_objective(preset, net, COUNTS, devices=2)
    return preset, net, objective, build_optimizer(preset, net, objective)


@pytest.mark.parametrize("name", preset_names())
def test_every_system_becomes_objects(name):
    preset, net, objective, optimizer = build(name)
    assert net.num_classes == 4
    smoothed = [module for module in net.modules() if isinstance(module, GaussianSmoothing)]
    assert len(smoothed) == (len(preset.smoothing.blocks) if preset.smoothing else 0)
    assert objective.axes == tuple(preset.objective.options["axes"]) if hasattr(objective, "axes") else True
    assert optimizer.param_groups[0]["lr"] == preset.optimizer.learning_rate


@pytest.mark.parametrize(("reading", "kind"), [("paper", torch.optim.Adam), ("code", torch.optim.AdamW)])
def test_the_optimiser_has_every_parameter_that_is_to_be_trained(reading, kind):
    _, net, objective, optimizer = build("lung_srad", "backbone.name=dass_tiny", f"reading={reading}", profile=None)
    assert type(optimizer) is kind
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert held >= {id(parameter) for parameter in net.parameters()}
    projector = {id(parameter) for parameter in objective.projector.parameters()}
    assert len(projector) == 6
    assert held & projector == (projector if reading == "paper" else set())
    assert optimizer.param_groups[0]["weight_decay"] == 1e-6


def test_options_reach_their_parts():
    changes = ["backbone.drop_path=0.25", "backbone.normalize=audioset", "smoothing.site=a", "smoothing.sigma=2.0"]
    _, net, *_ = build("lung_srad", *changes)
    assert max(layer.rate for layer in net.modules() if isinstance(layer, StochasticDepth)) == pytest.approx(0.25)
    assert (net.backbone.frontend.frames, net.backbone.frontend.normalization) == (32, "audioset")
    assert isinstance(net.backbone.layers[2].blocks[2].op.smooth_scan, GaussianSmoothing)


@pytest.mark.parametrize(("reading", "masks", "probability"), [("paper", 1, 1.0), ("code", 2, 0.841)])
def test_augmentation_is_that_of_the_reading(reading, masks, probability):
    draw = build_augment(load_preset("lung_srad", overrides=[f"reading={reading}"]))
    found = [draw(torch.Generator().manual_seed(seed), 798, 128) for seed in range(600)]
    masked = [each for each in found if each.time]
    assert {(len(each.time), len(each.freq)) for each in masked} == {(masks, masks)}
    assert len(masked) / len(found) == pytest.approx(probability, abs=0.05)
    assert max(width for each in masked for _, width in each.time) in range(140, 161)
    assert max(width for each in masked for _, width in each.freq) in range(40, 49)


AST_PATCH_MIX = {  # what presets of the other systems say, as TOML
    "axes": '["random"]',
    "temperature": "0.06",
    "stop_gradient": "original",
    "project_on": "mixed",
    "form": "mean_of_logs",
    "anchor": "mixed",
}
OPTIONS = {
    "cross_entropy": {"class_weights": "true"},
    "patch_mix": AST_PATCH_MIX,
    "patch_mix_ce": {"axis": "random", "beta": "1.0", "lam": "true"},
    "sg_scl": {"views": "published", "temperature": "0.06", "weight": "1.0"},
    "dat": {"ramp": "corrected", "coefficient": "1", "weight": "1.0"},
    "pafa": {"pooling": "attention", "lambda_pcsl": "50", "lambda_gpal": "0.0005"},
}
STRINGS = {"lam": '"true"'}  # true without quotes is no string


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_is_built_from_a_preset(name):
    options = {key: STRINGS.get(key, value) for key, value in OPTIONS[name].items()}
    changes = [f"objective.{key}={value}" for key, value in {"name": name, **options}.items()]
    preset = load_preset("dass_finetuning", profile="small", overrides=["backbone.frames=32", *changes])
    check_preset(preset)
    net = build_model(preset, len(COUNTS))
    objective = build_objective(preset, net, COUNTS, devices=4)
    assert type(objective) is OBJECTIVES[name]
    held = {id(p) for group in build_optimizer(preset, net, objective).param_groups for p in group["params"]}
    assert held == {id(p) for module in (net, objective) for p in module.parameters()}


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("sg_scl", "views=both", "objective.views: 'both'; Input should be 'published' or 'corrected'"),
        ("pafa", "pooling=max", "objective.pooling: 'max'; Input should be 'attention' or 'mean'"),
        ("dat", "rampe=corrected", r"unknown key 'rampe'; dat takes ramp, coefficient.*did you mean 'ramp'"),
        ("sgscl", "weight=1", r"objective.name: 'sgscl'; known: .*; did you mean 'sg_scl'"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_its_key(name, change, words):
    preset = load_preset("dass_finetuning", overrides=[f"objective.name={name}", f"objective.{change}"])
    with pytest.raises(ConfigError, match=words):
        check_preset(preset)


def test_checking_a_preset_draws_nothing_and_makes_nothing_large():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_preset(load_preset("lung_srad"))
    assert torch.equal(torch.get_rng_state(), before)
