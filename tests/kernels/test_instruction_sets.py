"""The compiled kernels in the instruction sets that are not this processor's best, each in a process of its own."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from kernel_cases import GRADIENT, OUTPUT, needs_compiled

ONE_ROUNDING = 2.0**-8  # to bfloat16


def found_by(isa: str) -> dict:
    """Returns what instruction_sets.py found; the instruction set is chosen when the kernels are loaded."""
    script = str(Path(__file__).with_name("instruction_sets.py"))
    environment = os.environ | {"LUNG_SRAD_KERNELS_ISA": isa, "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, env=environment)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@needs_compiled
@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_agrees_with_float64(isa: str):
    if isa == import_module("lung_srad_kernels").ISA:
        pytest.skip("the other tests run it")
    found = found_by(isa)
    if found["isa"] != isa:
        pytest.skip(f"this processor does not run {isa}")
    for output, gradient in found["float32"]:
        assert output <= OUTPUT
        assert gradient <= GRADIENT
    assert max(map(max, found["bfloat16"])) <= ONE_ROUNDING
    assert found["same on all threads"]
