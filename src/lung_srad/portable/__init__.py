"""An exported graph at work: recordings in, answers out, with numpy, soundfile and onnxruntime and without torch."""

from lung_srad.portable.model import Answer, OnnxModel, load_onnx

__all__ = ["Answer", "OnnxModel", "load_onnx"]
