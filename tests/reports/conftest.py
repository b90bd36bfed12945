"""Answers of systems that nobody trained, and runs without any training."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))  # made_runs, small_runs
sys.path.insert(0, str(Path(__file__).parent))  # made_predictions

from made_predictions import made_predictions

from lung_srad.evaluation import Predictions


@pytest.fixture
def predictions() -> Callable[..., Predictions]:
    return made_predictions
