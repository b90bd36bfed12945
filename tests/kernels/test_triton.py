"""The Triton kernels: interpreted on any machine, on the GPU where there is one, compiled where there is none.

Triton reads TRITON_INTERPRET when it is imported, so that each way has processes of its own.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

WAYS = {"interpreted": "1"} | ({"on the GPU": "0"} if torch.cuda.is_available() else {})
pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")

COMPILES = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from lung_srad.kernels import triton_scan, triton_ss2d, triton_tiles as tiles

WHOLE = {"K", "width", "L", "N", "H", "W", "R", "groups", "samples", "count", "chunks", "inner"}
HALF = {"source", "factor", "projected", "u", "delta", "B", "C", "x", "y", "grad_y", "grad_x", "grad_u", "grad_delta"}
TILE = {"STEPS": tiles.CHUNK, "CHANNELS": tiles.CHANNELS, "RANK": tiles.RANK, "LANES": tiles.LANES}

def compiles(kernel, **constants):
    constants = {name: value for name, value in (TILE | constants).items() if name in kernel.arg_names}
    kinds = {name: "i32" if name in WHOLE else "*bf16" if name in HALF else "*fp32" for name in kernel.arg_names}
    source = ASTSource(kernel, kinds | dict.fromkeys(constants, "constexpr"), constants)
    triton.compile(source, target=GPUTarget("cuda", 90, 32), options=tiles.LAUNCH)

compiles(tiles._join, FOUR=1, ADJOINT=0)
for k, single in enumerate(({"N": 1}, dict.fromkeys(WHOLE, 1))):  # Triton makes constants of arguments that are one
    compiles(triton_ss2d._ends, ADJOINT=bool(k), **single)
    compiles(triton_ss2d._outputs, PAIR=k, **single)
    compiles(triton_ss2d._gradients, PAIR=k, **single)
    compiles(triton_scan._ends, ADJOINT=bool(k), SOFTPLUS=True, **single)
    compiles(triton_scan._outputs, SOFTPLUS=bool(k), **single)
    compiles(triton_scan._gradients, SOFTPLUS=bool(k), **single)
"""


def in_a_new_process(*words: str, **variables: str) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    run = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=600, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("way", WAYS)
def test_agrees_with_float64(way: str):
    cases = str(Path(__file__).with_name("triton_cases.py"))

    def these(which: str) -> None:
        in_a_new_process("-m", "pytest", cases, "-k", which, "-p", "no:cacheprovider", TRITON_INTERPRET=WAYS[way])

    with ThreadPoolExecutor() as pool:  # the slowest test of all: a process for each kernel, at once
        list(pool.map(these, ("ss2d", "not ss2d")))


def test_compiles_for_a_gpu(tmp_path: Path):
    in_a_new_process("-c", COMPILES, TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))
