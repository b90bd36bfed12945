"""An exported graph: what it says of itself, that it is compared before it is written, and that a wrong one fails."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lung_srad.errors import ConfigError, RunError, WeightsError
from lung_srad.inference import Model, load
from lung_srad.inference import model_export as exporting
from lung_srad.inference.graph import build_graph
from lung_srad.inference.model_export import export_onnx
from lung_srad.inference.parity import MARGIN, Parity, Turned, check_onnx
from lung_srad.inference.trust import Trust

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def exported(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    assert export_onnx(model, path, inputs=11).ok
    return path


def test_both_ways_in_are_compared(model: Model, exported: Path) -> None:
    found = check_onnx(model, exported, inputs=14, seed=5)
    assert found.ok, str(found)
    assert [(each.given, each.inputs, each.silent) for each in found.comparisons] == [
        ("wave", 14, 1),
        ("features", 14, 1),
    ]
    assert [each.allowed for each in found.comparisons] == [1e-3, 1e-4]
    assert json.loads(json.dumps(found.to_dict()))["comparisons"][1]["difference"] < 1e-4


def test_a_batch_of_any_size_gives_the_same(model: Model, exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported)
    waves = 0.1 * np.random.default_rng(0).standard_normal((5, 128_000)).astype(np.float32)
    waves[2] = 0
    together = dict(zip([each.name for each in session.get_outputs()], session.run(None, {"wave": waves}), strict=True))
    one = session.run(["probabilities"], {"wave": waves[3:4]})[0]
    np.testing.assert_allclose(one[0], together["probabilities"][3], atol=1e-6)
    assert together["silent"].tolist() == [False, False, True, False, False]
    with torch.inference_mode():
        embedding = model.net.backbone(model.frontend(torch.from_numpy(waves[:2])))
    np.testing.assert_allclose(together["embedding"][:2], embedding.numpy(), atol=1e-4)
    np.testing.assert_allclose(together["probabilities"].sum(1), 1, atol=1e-6)


def test_the_file_says_what_it_is(model: Model, exported: Path) -> None:
    facts = onnxruntime.InferenceSession(exported).get_modelmeta().custom_metadata_map
    assert json.loads(facts["class_names"]) == list(model.class_names)
    assert (facts["sha256"], facts["normal"], facts["input"]) == (model.sha256, "normal", "wave")
    assert (json.loads(facts["seconds"]), json.loads(facts["sample_rate"])) == (8.0, 16_000)
    assert facts["notice"] == "simulated training, research use, not a medical device"


def test_the_temperature_is_in_the_graph(model: Model, tmp_path: Path) -> None:
    calibrated = replace(model, trust=Trust(temperature=2.0))
    assert export_onnx(calibrated, tmp_path / "model.onnx", inputs=3).ok
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    wave = 0.1 * np.random.default_rng(0).standard_normal((1, 128_000)).astype(np.float32)
    logits, found = session.run(["logits", "probabilities"], {"wave": wave})
    np.testing.assert_allclose(found, torch.from_numpy(logits / 2).softmax(1).numpy(), atol=1e-6)
    wanted = calibrated.classify(wave[0], rate=16_000).segments[0].probabilities
    np.testing.assert_allclose(found[0], wanted, atol=1e-4)


def test_features_alone(model: Model, tmp_path: Path) -> None:
    found = export_onnx(model, tmp_path / "features.onnx", given="features", inputs=4)
    assert [each.given for each in found.comparisons] == ["features"]
    session = onnxruntime.InferenceSession(tmp_path / "features.onnx")
    assert [(each.name, each.shape) for each in session.get_inputs()] == [("features", ["batch", 1, 128, 32])]


def changed(path: Path, shape: list[int], change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Returns a copy of a graph in which the first matrix of a shape is another."""
    graph = onnx.load(path)
    matrix = next(each for each in graph.graph.initializer if list(each.dims) == shape)
    values = np.ascontiguousarray(change(onnx.numpy_helper.to_array(matrix)), np.float32)
    matrix.CopyFrom(onnx.numpy_helper.from_array(values, matrix.name))
    onnx.save(graph, path.with_name("changed.onnx"))
    return path.with_name("changed.onnx")


def test_a_changed_graph_fails(model: Model, exported: Path) -> None:
    found = check_onnx(model, changed(exported, [128, 128], lambda x: 1.02 * x), inputs=11)
    assert not found.ok
    assert all(each.difference > each.allowed for each in found.comparisons)
    assert "FAILED" in str(found)


def test_a_turned_answer_is_listed_with_its_margin(model: Model, exported: Path) -> None:
    found = check_onnx(model, changed(exported, [256, 4], lambda x: x[:, ::-1]), inputs=11)
    turned = found.comparisons[0].turned
    assert turned
    assert all(each.labels[0] != each.labels[1] and each.margin > 0 for each in turned)
    assert f"{turned[0].labels[0]} became {turned[0].labels[1]}, margin {turned[0].margin:.2e}" in str(found)


def test_only_a_close_call_may_turn(model: Model, exported: Path) -> None:
    found = check_onnx(model, exported, inputs=3).comparisons[0]
    assert found.ok
    close, clear = (Turned(0, "noise", ("normal", "both"), margin) for margin in (MARGIN / 2, MARGIN * 2))
    assert replace(found, turned=(close,)).ok
    assert not replace(found, turned=(close, clear)).ok
    assert not replace(found, silence_differs=1).ok
    assert not Parity((found, replace(found, silence_differs=1))).ok


def test_what_is_wrong_is_not_written(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(net, facts, *, given, temperature):
        graph = build_graph(net, facts, given=given, temperature=temperature)
        next(node for node in graph.graph.node if node.op_type == "Erf").op_type = "Tanh"
        return graph

    monkeypatch.setattr(exporting, "build_graph", wrong)
    with pytest.raises(WeightsError, match=r"does not compute what the model computes[\s\S]*FAILED"):
        export_onnx(model, tmp_path / "model.onnx", inputs=4)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_compared_is_refused(model: Model, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(WeightsError, match="is not a graph of ours"):
        check_onnx(model, tmp_path / "text.onnx", inputs=1)
    with pytest.raises(WeightsError, match="cannot be read"):
        check_onnx(model, tmp_path / "absent.onnx", inputs=1)
    with pytest.raises(ConfigError, match="0 inputs"):
        export_onnx(model, tmp_path / "model.onnx", inputs=0)
    with pytest.raises(RunError, match="cannot be written"):
        export_onnx(model, tmp_path / "absent" / "model.onnx", inputs=1)


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "inputs"), [("dass_tiny", 1000), ("dass_medium", 50)])
def test_parity(make_run: Callable[..., Path], tmp_path: Path, backbone: str, inputs: int) -> None:
    frames = "backbone.frames=1024" if backbone == "dass_medium" else "backbone.frames=128"
    model = load(make_run(tmp_path / "run", f"backbone.name={backbone}", frames))
    found = export_onnx(model, tmp_path / "model.onnx", inputs=inputs)
    assert found.ok, str(found)
