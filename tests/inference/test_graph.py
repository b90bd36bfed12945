"""The graph's parts against torch: the scan at any length, softplus, front ends, smoothing, odd sizes."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lung_srad.errors import ConfigError, MissingExtraError
from lung_srad.inference import load
from lung_srad.inference.graph import OPSET, build_graph
from lung_srad.inference.graph.nodes import Nodes
from lung_srad.inference.graph.scan import recurrence, softplus
from lung_srad.inference.parity import compare
from lung_srad.kernels import torch_scan
from lung_srad.models import create_model

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(nodes: Nodes, result: str, given: dict[str, np.ndarray]) -> np.ndarray:
    """Returns what a graph of a few nodes computes."""
    kinds = [(name, onnx.TensorProto.FLOAT, [None] * value.ndim) for name, value in given.items()]
    inputs = [onnx.helper.make_tensor_value_info(*kind) for kind in kinds]
    output = onnx.helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph(nodes.nodes, "part", inputs, [output], initializer=nodes.constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, given)[0]


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("length", [1, 2, 32, 33, 100, 1000])
def test_the_recurrence_at_any_length(length: int, backward: bool) -> None:
    generator = torch.Generator().manual_seed(length)
    a = torch.rand(3, 2, length, 5, generator=generator)
    b = torch.randn(3, 2, length, 5, generator=generator)
    nodes = Nodes()
    name = recurrence(nodes, "a", "b", (length, 5), backward=backward)
    found = run(nodes, name, {"a": a.numpy(), "b": b.numpy()})
    wanted = torch_scan.recurrence(a.flatten(0, 1), b.flatten(0, 1), reverse=backward).view_as(b)
    np.testing.assert_allclose(found, wanted.numpy(), atol=2e-6)


def test_softplus_keeps_small_step_sizes() -> None:
    x = np.linspace(-40, 40, 4001, dtype=np.float32)
    nodes = Nodes()
    found = run(nodes, softplus(nodes, "x"), {"x": x})
    np.testing.assert_allclose(found, F.softplus(torch.from_numpy(x).double()).numpy(), rtol=4e-7)


@pytest.mark.parametrize(
    "overrides",
    [
        ("backbone.normalize=mel_mean", "backbone.seconds=1.0", "backbone.frames=100"),  # nothing fits into chunks
        ("backbone.normalize=audioset", "backbone.frames=64", "smoothing.site=a"),
        ("backbone.seconds=0.7", "backbone.frames=68", "smoothing.site=b"),  # no frame is resized
    ],
)
def test_every_front_end_and_size(make_run: Callable[..., Path], tmp_path: Path, overrides: tuple[str, ...]) -> None:
    model = load(make_run(tmp_path / "run", *overrides))
    content = build_graph(model.net, {}).SerializeToString()
    found = compare(model, content, inputs=22)
    assert found.ok, str(found)
    assert [each.silent for each in found.comparisons] == [2, 2]


def test_there_is_no_loop_in_the_graph() -> None:
    net = create_model("dass_tiny", 4, options={"frames": 64})
    graph = build_graph(net, {}).graph
    assert not {node.op_type for node in graph.node} & {"Scan", "Loop", "If"}
    assert {node.domain for node in graph.node} == {""}


def test_another_backbone_or_input_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Beats.*DASS"):
        build_graph(create_model("beats_tiny", 4), {})
    with pytest.raises(ConfigError, match="input: 'waves'; wave or features; did you mean 'wave'"):
        build_graph(create_model("dass_tiny", 4), {}, given="waves")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lung-srad\[onnx\]'"):
        build_graph(create_model("dass_tiny", 4), {})
