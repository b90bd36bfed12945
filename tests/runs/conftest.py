"""A small model as training would save it."""

import pytest
import torch

from lung_srad.config import load_preset
from lung_srad.runs import TrainedModel, build_model

CLASSES = ("normal", "crackle", "wheeze", "both")


@pytest.fixture(scope="session")
def model() -> TrainedModel:
    changes = ["backbone.frames=32", "backbone.seconds=0.5"]
    preset = load_preset("lung_srad", profile="small", overrides=changes)
    torch.manual_seed(1)
    return TrainedModel(build_model(preset, len(CLASSES)).eval(), preset, CLASSES, 0)
