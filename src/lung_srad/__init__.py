"""Respiratory sound classification with a distilled audio state-space model.

The public names are resolved at their first use (PEP 562), so ``import lung_srad`` does not import torch::

    import lung_srad as ls

    net = ls.create_model("dass_medium", num_classes=4)
    run = ls.fit("lung_srad", ls.datasets.ICBHI("path"), seed=1, out="runs/")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lung_srad import audio, datasets, errors, kernels, method
    from lung_srad.config import load_preset
    from lung_srad.inference import export_folder, export_onnx, load
    from lung_srad.method import spectral_response
    from lung_srad.models import create_model, for_inference, mixing_matrix
    from lung_srad.portable import load_onnx
    from lung_srad.training import evaluate, fit, score

    __version__: str

__all__ = [
    "audio",
    "create_model",
    "datasets",
    "errors",
    "evaluate",
    "export_folder",
    "export_onnx",
    "fit",
    "for_inference",
    "kernels",
    "load",
    "load_onnx",
    "load_preset",
    "method",
    "mixing_matrix",
    "score",
    "spectral_response",
]

_ROOMS = frozenset({"audio", "datasets", "errors", "kernels", "method"})
_ROOM_OF = {
    "create_model": "models",
    "evaluate": "training",
    "export_folder": "inference",
    "export_onnx": "inference",
    "fit": "training",
    "for_inference": "models",
    "load": "inference",
    "load_onnx": "portable",
    "load_preset": "config",
    "mixing_matrix": "models",
    "score": "training",
    "spectral_response": "method",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _ROOM_OF:
        value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("lung-srad")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
