"""The four-directional selective scan as plain operators: no loop, and nothing divided by a decay.

The chunks are those of :mod:`lung_srad.kernels.torch_scan`. ONNX has an operator ``Scan``, which one of its runtimes
computes wrongly without a word (DECISIONS: scan-in-onnx); additions, products and slices are right everywhere.
"""

from itertools import pairwise

import numpy as np

from lung_srad.inference.graph.nodes import Nodes, array
from lung_srad.kernels.torch_scan import CHUNK
from lung_srad.models.vmamba import SS2D

WALKED = 32  # steps up to which a sequence is walked step by step


def merged_scan(nodes: Nodes, x: str, grid: tuple[int, int], layer: SS2D) -> str:
    """Returns the name of the merged scan of a grid (Eq. 3): (B, H, W, C) -> (B, H, W, C).

    Rows and columns are scanned side by side, once forward and once backward.
    """
    (height, width), channels = grid, layer.Ds.shape[0] // 4
    length = height * width
    rows = nodes.reshape(x, [0, 1, length, channels])
    columns = nodes.reshape(nodes.transpose(x, [0, 2, 1, 3]), [0, 1, length, channels])
    tokens = nodes.concat([rows, columns], 1)  # (B, 2, L, C)
    forward, backward = _directions(nodes, tokens, length, layer)
    rows, columns = nodes.split(nodes.op("Add", forward, backward), [1, 1], 1)
    rows = nodes.reshape(rows, [0, height, width, channels])
    columns = nodes.transpose(nodes.reshape(columns, [0, width, height, channels]), [0, 2, 1, 3])
    direct = nodes.op("Mul", x, array(layer.Ds).reshape(4, channels).sum(0))
    return nodes.op("Add", nodes.op("Add", rows, columns), direct)


def _directions(nodes: Nodes, tokens: str, length: int, layer: SS2D) -> tuple[str, str]:
    """Returns the names of y of the two forward scans and of the two backward ones: (B, 2, L, C) each."""
    weight, bias, decay, _ = (array(value) for value in layer.scan_parameters())  # (4, C, R), (4, C), (4C, 1)
    channels, rank = weight.shape[1:]
    decay = decay.reshape(4, channels)
    project = array(layer.x_proj_weight).transpose(0, 2, 1)  # (4, C, R + 2)
    both = np.concatenate([project[:2], project[2:]], -1)
    parts = nodes.split(nodes.op("MatMul", tokens, both), [rank, 1, 1] * 2, -1)
    results = []
    for pair, (low, into, out) in ((slice(0, 2), parts[:3]), (slice(2, 4), parts[3:])):
        step = nodes.op("Add", nodes.op("MatMul", low, weight[pair].transpose(0, 2, 1)), bias[pair][:, None])
        step = softplus(nodes, step)
        decays = nodes.op("Exp", nodes.op("Mul", step, decay[pair][:, None]))
        drive = nodes.op("Mul", nodes.op("Mul", step, into), tokens)
        states = recurrence(nodes, decays, drive, (length, channels), backward=pair.start > 0)
        results.append(nodes.op("Mul", states, out))
    return results[0], results[1]


def softplus(nodes: Nodes, x: str) -> str:
    """Returns the name of log(1 + exp(x)), as exact for small results as for large ones.

    ONNX has no log1p, and step sizes are small: log(1 + z) z / ((1 + z) - 1) takes back what 1 + z rounds away.
    """
    z = nodes.op("Exp", nodes.op("Neg", nodes.op("Abs", x)))  # in (0, 1]
    whole = nodes.op("Add", z, 1.0)
    kept = nodes.op("Sub", whole, 1.0)
    lost = nodes.op("Equal", kept, 0.0)  # there log(1 + z) is z
    ratio = nodes.op("Div", nodes.op("Mul", nodes.op("Log", whole), z), nodes.op("Where", lost, 1.0, kept))
    return nodes.op("Add", nodes.op("Relu", x), nodes.op("Where", lost, z, ratio))


def recurrence(nodes: Nodes, a: str, b: str, size: tuple[int, int], *, backward: bool = False) -> str:
    """Returns the name of h with h_t = a_t h_{t-1} + b_t, or a_t h_{t+1} + b_t: (B, 2, L, C) -> (B, 2, L, C).

    Args:
        size: L and C.
    """
    length, channels = size
    if length <= WALKED:
        return nodes.concat(_walk(nodes, a, b, (length, 2), backward, decays=False)[1], 2)
    chunks = -(-length // CHUNK)
    if missing := chunks * CHUNK - length:  # zeros decay to zero: harmless at the end, in both directions
        a, b = (nodes.op("Pad", x, [0, 0, 0, 0, 0, 0, missing, 0]) for x in (a, b))
    a, b = (nodes.reshape(x, [0, 2, chunks, CHUNK, channels]) for x in (a, b))
    decays, local = _walk(nodes, a, b, (CHUNK, 3), backward, decays=True)
    last = 0 if backward else CHUNK - 1
    ends = (nodes.reshape(x, [0, 2, chunks, channels]) for x in (decays[last], local[last]))
    start = _shifted(nodes, recurrence(nodes, *ends, (chunks, channels), backward=backward), chunks, backward)
    start = nodes.reshape(start, [0, 2, chunks, 1, channels])
    carried = nodes.op("Mul", nodes.concat(decays, 3), start)
    states = nodes.reshape(nodes.op("Add", nodes.concat(local, 3), carried), [0, 2, chunks * CHUNK, channels])
    return nodes.cut(states, 2, 0, length) if missing else states


def _walk(
    nodes: Nodes, a: str, b: str, steps: tuple[int, int], backward: bool, *, decays: bool
) -> tuple[list[str], list[str]]:
    """Returns the names of the product of all decays up to each step, if asked for, and of each state.

    Args:
        steps: how many there are, and along which axis.
    """
    count, axis = steps
    a_parts, b_parts = (nodes.split(x, [1] * count, axis) for x in (a, b))
    products, states = list(a_parts), list(b_parts)
    order = range(count - 1, -1, -1) if backward else range(count)
    for before, step in pairwise(order):
        if decays:
            products[step] = nodes.op("Mul", a_parts[step], products[before])
        states[step] = nodes.op("Add", nodes.op("Mul", a_parts[step], states[before]), b_parts[step])
    return products, states


def _shifted(nodes: Nodes, ends: str, chunks: int, backward: bool) -> str:
    """Returns the name of the state in which each chunk begins: the end of the one before it, zero for the first."""
    kept = nodes.cut(ends, 2, 1, chunks) if backward else nodes.cut(ends, 2, 0, chunks - 1)
    return nodes.op("Pad", kept, [0, 0, 0, 0, 0, 0, 1, 0] if backward else [0, 0, 1, 0, 0, 0, 0, 0])
