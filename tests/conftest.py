"""What every test shares: the folder of reference values and real recordings, where there is one."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from _pytest.doctest import DoctestModule


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Leaves doctests to the package: looked for in a file of tests that cannot be imported, they would hide that."""
    found = yield
    return [each for each in found if not isinstance(each, DoctestModule)]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Returns the folder that holds ``reference/`` and ``data/``; the test is skipped where it is absent."""
    folder = Path(os.environ.get("LUNG_SRAD_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "reference").is_dir():
        pytest.skip(f"no reference values at {folder}; set LUNG_SRAD_SHARED to the folder that holds them")
    return folder
