"""A whole graph with its inputs, outputs and metadata."""

import json
from collections.abc import Mapping
from typing import Any

from lung_srad.errors import ConfigError, message, nearest, optional_import
from lung_srad.inference.graph.frontend import require_frontend, write_frontend
from lung_srad.inference.graph.network import write_network
from lung_srad.inference.graph.nodes import Nodes
from lung_srad.models import Classifier

INPUTS = ("wave", "features")
OPSET = 18
_IR_VERSION = 9  # that of onnx 1.15 and onnxruntime 1.17; newer ones read it too
_MELS = 128


def build_graph(net: Classifier, facts: Mapping[str, Any], *, given: str = "wave", temperature: float = 1.0) -> Any:
    """Returns an ONNX model, from waves or features to logits, probabilities and the feature vector.

    The batch may have any size. From waves it also says what is silent, and is not to be answered for.

    Args:
        facts: what is known of the model; goes into the metadata, as text, or as JSON where it is no text.
        given: what goes in, one of :data:`INPUTS`.
        temperature: what logits are divided by before they become probabilities.

    Raises:
        ConfigError: another backbone than DASS, or no such input.
        MissingExtraError: onnx is not installed.
    """
    if given not in INPUTS:
        raise ConfigError(message("export to ONNX: input", repr(given), " or ".join(INPUTS), nearest(given, INPUTS)))
    nodes, front = Nodes(), require_frontend(net.backbone.frontend)
    samples, features = round(front.seconds * front.sample_rate), ("batch", 1, _MELS, front.frames)
    named = {"logits": ("batch", net.num_classes), "probabilities": ("batch", net.num_classes)}
    named["embedding"] = ("batch", net.backbone.width)
    if given == "wave":
        write_frontend(nodes, "wave", front)
    _, logits = write_network(nodes, "features", net, front.frames)
    scaled = logits if temperature == 1 else nodes.op("Div", logits, temperature)
    nodes.op("Softmax", scaled, settings={"axis": 1}, name="probabilities")
    inputs = {"wave": ("batch", samples)} if given == "wave" else {"features": features}
    inner = {"features": features} if given == "wave" else {}
    truths = {"silent": ("batch",)} if given == "wave" else {}
    return _model(nodes, (inputs, inner, named, truths), {**facts, "input": given, "temperature": temperature})


def _model(nodes: Nodes, values: tuple[Mapping[str, tuple[Any, ...]], ...], facts: Mapping[str, Any]) -> Any:
    helper, numbers = optional_import("onnx.helper", "onnx"), optional_import("onnx", "onnx").TensorProto
    described = [
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in group.items()]
        for group, kind in zip(values, [numbers.FLOAT] * 3 + [numbers.BOOL], strict=True)
    ]
    inputs, inner, outputs, truths = described
    graph = helper.make_graph(
        nodes.nodes, "lung_srad", inputs, outputs + truths, initializer=nodes.constants, value_info=inner
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, producer_name="lung-srad", opset_imports=opsets, ir_version=_IR_VERSION)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    helper.set_model_props(model, texts)
    return model
