"""What a wheel of the compiled kernels has to pass, on the one that is installed."""

import runpy
from pathlib import Path

import pytest

from lung_srad import kernels


@pytest.mark.skipif("cpu" not in kernels.available(), reason="the compiled kernels are not installed")
def test_the_installed_kernels_pass_the_check_of_a_wheel():
    runpy.run_path(str(Path(__file__).parents[2] / "kernels_cpp" / "tests" / "check_wheel.py"))
