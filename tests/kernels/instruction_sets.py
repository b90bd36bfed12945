"""Prints what one instruction set of the compiled kernels makes of a few scans; test_instruction_sets.py runs it."""

import json
import sys

import lung_srad_kernels
import torch
from kernel_cases import error, gradients, leaves, scan_inputs, ss2d_inputs, trained_inputs, weights_like

from lung_srad import kernels

SCANS = [(2, 2, 40, 3, 70), (1, 3, 5, 16, 33), (3, 1, 17, 1, 1)]
GRIDS = [((5, 19), 1, 2, 21, 2), ((1, 40), 3, 1, 70, 17), ((33, 1), 1, 3, 8, 1)]


def worst(function, given: list[torch.Tensor]) -> tuple[float, float]:
    """Returns the errors of the output and of the worst gradient; in bfloat16 those are of one rounding."""
    own, whole = leaves(given), leaves(given, dtype=torch.float64)
    y, expected = function(*own), function(*whole)
    grad_y = weights_like(expected.detach()).to(y.dtype)
    pairs = zip(gradients(y, own, grad_y), gradients(expected, whole, grad_y.double()), strict=True)
    return error(y.detach(), expected.detach()), max(error(*pair) for pair in pairs)


def on_other_threads(function, given: list[torch.Tensor]) -> bool:
    """Returns whether the output is the same on 1, 2 and 5 threads, but for its last bits."""
    results = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append(function(*given))
    allowed = 1e-6 if given[0].dtype == torch.float32 else 2.0**-7
    return all(error(y, results[0]) <= allowed for y in results)


def main() -> None:
    scans = [(kernels.selective_scan, scan_inputs(*shape, torch.float32), (0, 1, 3, 4)) for shape in SCANS]
    grids = [ss2d_inputs(*shape, torch.float32) for shape in GRIDS] + [trained_inputs((8, 64), 96)]
    found = {"isa": lung_srad_kernels.ISA, "same on all threads": True, "float32": [], "bfloat16": []}
    for function, given, activations in scans + [(kernels.ss2d, given, (0, 1)) for given in grids]:
        for dtype in (torch.float32, torch.bfloat16):
            own = [x.to(dtype) if i in activations else x for i, x in enumerate(given)]
            torch.set_num_threads(1)
            found[str(dtype).removeprefix("torch.")].append(worst(function, own))
            found["same on all threads"] &= on_other_threads(function, own)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
