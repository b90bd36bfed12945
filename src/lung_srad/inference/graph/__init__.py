"""A model written down as one ONNX graph, node by node: front end, network and scan, in plain operators only."""

from lung_srad.inference.graph.build import INPUTS, OPSET, build_graph

__all__ = ["INPUTS", "OPSET", "build_graph"]
