"""A network, a batch and the randomness of a step, small enough for a slow reference beside them."""

from collections.abc import Callable

import pytest
import torch

from lung_srad.audio import Frontend
from lung_srad.datasets import Batch
from lung_srad.models import Classifier
from lung_srad.models.vmamba import VMamba
from lung_srad.objectives import Step

BATCH, CLASSES = 6, 3


@pytest.fixture
def net() -> Classifier:
    torch.manual_seed(1)
    backbone = VMamba(4, (1, 1, 1, 1), drop_path=0.5, frontend=Frontend(seconds=0.5, frames=32))
    return Classifier(backbone, CLASSES).train()


@pytest.fixture
def batch() -> Batch:
    features = torch.randn(BATCH, 1, 128, 32, generator=torch.Generator().manual_seed(2))
    label = torch.tensor([0, 1, 2, 0, 1, 0])
    return Batch(features, label, label, label, tuple(map(str, range(BATCH))))


@pytest.fixture
def step() -> Callable[..., Step]:
    """Returns a function that gives the same randomness each time, or another for another seed."""

    def make(seed: int = 3) -> Step:
        return Step(torch.Generator().manual_seed(seed), (torch.Generator().manual_seed(seed + 1),))

    return make
