"""Passes through the backbone that several objectives make, and mixes that several processes share."""

from dataclasses import replace

import torch
from torch import Tensor

from lung_srad.method import Mix, draw_mix
from lung_srad.models import Backbone, Side, drawn_depth
from lung_srad.objectives.contract import Step

AXES = {"time": "time", "freq": "frequency", "random": "time"}  # kind of mix -> axis that the grid must have
CPU_ROWS = 2  # samples at once where no graph is kept: their arrays fit into memory that is already mapped


def encode(backbone: Backbone, grid: Tensor, side: Side | None, depth: Tensor, *, graph: bool = True) -> Tensor:
    """Returns the feature vectors of a batch of grids, with the layers that each sample keeps.

    Without a graph, on a CPU, it takes a few samples at a time: the same numbers, and no fresh memory for every
    layer of a large batch.

    Shape:
        grid (B, C, H, W), depth (layers, B) bool -> (B, width)
    """
    if graph:
        with drawn_depth(backbone, depth):
            return backbone.encode(grid, side)
    size = CPU_ROWS if grid.device.type == "cpu" else len(grid)
    features = []
    with torch.no_grad():
        for some in (slice(start, start + size) for start in range(0, len(grid), size)):
            with drawn_depth(backbone, depth[:, some]):
                part = {name: value[some] for name, value in (side or {}).items()}
                features.append(backbone.encode(grid[some], part or None))
    return torch.cat(features)


def draw_mix_for_all(axis: str, grid: Tensor, beta: float, step: Step) -> Mix:
    """Returns one mix for the grids of all processes; each process permutes its own samples only."""
    groups = len(step.own)
    each = len(grid) * step.world // groups
    mix = draw_mix(axis, (each, *grid.shape[1:]), beta, step.shared, perm_generator=step.own[0])
    others = [torch.randperm(each, generator=generator) for generator in step.own[1:]]
    perms = [perm + each * group for group, perm in enumerate([mix.perm, *others])]
    return replace(mix, perm=torch.cat(perms))


def own_mix(mix: Mix, rows: int, step: Step) -> Mix:
    """Returns the mix of this process's ``rows`` samples, numbered from zero."""
    return replace(mix, perm=step.rows(mix.perm) - rows * step.rank)
