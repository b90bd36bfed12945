"""Helpers of this folder and of the training room can be imported; what is found goes to a page."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "training"), str(HERE.parent)]

PAGE = HERE.parents[1] / "benchmarks" / "faults.md"


@pytest.fixture(scope="session")
def faults_page() -> Iterator[dict[str, Any]]:
    """Yields a dictionary for what is found; the page is written when all of it is there, and is asked for."""
    from pages import PARTS, text_of

    found: dict[str, Any] = {}
    yield found
    if os.environ.get("LUNG_SRAD_RESULTS") and found.keys() == PARTS:
        PAGE.write_text(text_of(found), encoding="utf-8")
