"""DASS as nodes: stem, four stages of blocks, pooling and head. Maps have their channels last, (B, H, W, C)."""

import numpy as np
from torch import nn

from lung_srad.errors import ConfigError, message
from lung_srad.inference.graph.nodes import Nodes, array
from lung_srad.inference.graph.scan import merged_scan
from lung_srad.models import Classifier, GaussianSmoothing
from lung_srad.models.vmamba import SS2D, TO_FIRST, TO_LAST, VMamba, VSSBlock

Grid = tuple[int, int]


def require_known(net: Classifier) -> VMamba:
    """Returns the backbone, if there are nodes for it.

    Raises:
        ConfigError: another backbone than DASS.
    """
    backbone = net.backbone
    if not isinstance(backbone, VMamba) or any(layer.A_logs.shape[1] != 1 for layer in _scans(backbone)):
        seen, allowed = type(backbone).__name__, "DASS with one state per channel"
        raise ConfigError(message("export to ONNX", seen, allowed, "export it as a folder, which takes any backbone"))
    return backbone


def _scans(backbone: nn.Module) -> list[SS2D]:
    return [module for module in backbone.modules() if isinstance(module, SS2D)]


def write_network(nodes: Nodes, features: str, net: Classifier, frames: int) -> tuple[str, str]:
    """Returns the names of the feature vector and of the logits: (B, 1, mel, frames) -> (B, width), (B, classes)."""
    backbone = require_known(net)
    x, grid = _stem(nodes, features, backbone.patch_embed, (128, frames))
    for stage in backbone.layers:
        for block in stage.blocks:
            x = _block(nodes, x, grid, block)
        if not isinstance(stage.downsample, nn.Identity):
            _, convolution, _, norm = stage.downsample
            x, grid = _convolution(nodes, nodes.transpose(x, TO_FIRST), convolution, grid)
            x = _norm(nodes, nodes.transpose(x, TO_LAST), norm)
    x = _norm(nodes, x, backbone.classifier["norm"])
    embedding = nodes.op("ReduceMean", x, [1, 2], settings={"keepdims": 0}, name="embedding")
    head = net.head
    logits = nodes.op("MatMul", embedding, array(head.weight).T)
    return embedding, nodes.op("Add", logits, array(head.bias), name="logits")


def _stem(nodes: Nodes, x: str, layers: nn.Sequential, grid: Grid) -> tuple[str, Grid]:
    first, _, norm, _, _, second, _, last = layers
    x, grid = _convolution(nodes, x, first, grid)
    x = nodes.transpose(_norm(nodes, nodes.transpose(x, TO_LAST), norm), TO_FIRST)
    x, grid = _convolution(nodes, gelu(nodes, x), second, grid)
    return _norm(nodes, nodes.transpose(x, TO_LAST), last), grid


def _convolution(nodes: Nodes, x: str, layer: nn.Conv2d, grid: Grid) -> tuple[str, Grid]:
    """Returns the name and grid of a convolution of (B, C, H, W) that halves the grid."""
    settings = {"strides": list(layer.stride), "pads": list(layer.padding) * 2}
    return nodes.op("Conv", x, array(layer.weight), array(layer.bias), settings=settings), (
        (grid[0] - 1) // layer.stride[0] + 1,
        (grid[1] - 1) // layer.stride[1] + 1,
    )


def _block(nodes: Nodes, x: str, grid: Grid, block: VSSBlock) -> str:
    op, channels = block.op, block.norm.weight.shape[0]
    y = nodes.op("MatMul", _norm(nodes, x, block.norm), array(op.in_proj.weight).T)
    y = nodes.transpose(y, TO_FIRST)
    y = nodes.op("Conv", y, array(op.conv2d.weight), settings={"pads": [1, 1, 1, 1], "group": channels})
    y = nodes.transpose(nodes.op("Mul", y, nodes.op("Sigmoid", y)), TO_LAST)
    y = _smoothed(nodes, merged_scan(nodes, y, grid, op), op.smooth_scan, channels)
    y = nodes.op("MatMul", _norm(nodes, y, op.out_norm), array(op.out_proj.weight).T)
    x = nodes.op("Add", x, _smoothed(nodes, y, block.smooth_op, channels))
    return _smoothed(nodes, nodes.op("Add", x, _mlp(nodes, x, block)), block.smooth_block, channels)


def _mlp(nodes: Nodes, x: str, block: VSSBlock) -> str:
    first, second = block.mlp.fc1, block.mlp.fc2
    hidden = nodes.op("MatMul", _norm(nodes, x, block.norm2), array(first.weight).T)
    hidden = gelu(nodes, nodes.op("Add", hidden, array(first.bias)))
    return nodes.op("Add", nodes.op("MatMul", hidden, array(second.weight).T), array(second.bias))


def _smoothed(nodes: Nodes, x: str, slot: nn.Module, channels: int) -> str:
    """Returns the name of what a slot for smoothing makes of a map (Eq. 5)."""
    if not isinstance(slot, GaussianSmoothing):
        return x
    kernel = array(slot.kernel)
    size = len(kernel)
    x = nodes.transpose(x, TO_FIRST)
    for shape, pads in (((1, size), [0, size // 2] * 2), ((size, 1), [size // 2, 0] * 2)):
        weight = np.broadcast_to(kernel.reshape(shape), (channels, 1, *shape))
        x = nodes.op("Conv", x, weight, settings={"pads": pads, "group": channels})
    return nodes.transpose(x, TO_LAST)


def _norm(nodes: Nodes, x: str, layer: nn.LayerNorm) -> str:
    settings = {"axis": -1, "epsilon": layer.eps}
    return nodes.op("LayerNormalization", x, array(layer.weight), array(layer.bias), settings=settings)


def gelu(nodes: Nodes, x: str) -> str:
    """Returns the name of the exact GELU, x (1 + erf(x / √2)) / 2."""
    whole = nodes.op("Add", nodes.op("Erf", nodes.op("Div", x, 2**0.5)), 1.0)
    return nodes.op("Mul", nodes.op("Mul", x, whole), 0.5)
