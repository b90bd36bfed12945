"""A graph in the making: nodes and constants, each value under a name of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from lung_srad.errors import optional_import

Value = str | np.ndarray | float | Sequence[int]
"""A name, or what becomes a constant: whole numbers in int64, everything else in float32."""

_SHARED = 64  # entries up to which equal constants are kept once


class Nodes:
    """Nodes and constants in the order they were made."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._onnx = optional_import("onnx", "onnx")

    def op(self, kind: str, *inputs: Value, settings: Mapping[str, Any] | None = None, name: str = "") -> str:
        """Returns the name of the one result of a new node."""
        return self._add(kind, inputs, settings, [name or self._free(kind)])[0]

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Returns the names of the parts of a value along an axis."""
        if len(sizes) == 1:
            return [x]
        names = [self._free(f"Split{index}") for index in range(len(sizes))]
        return self._add("Split", (x, list(sizes)), {"axis": axis}, names)

    def concat(self, parts: Sequence[str], axis: int) -> str:
        """Returns the name of parts side by side."""
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, settings={"axis": axis})

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Returns the name of a value in another shape; 0 keeps a length, one -1 is what remains."""
        return self.op("Reshape", x, shape)

    def transpose(self, x: str, order: Sequence[int]) -> str:
        """Returns the name of a value with its axes in another order."""
        return self.op("Transpose", x, settings={"perm": list(order)})

    def cut(self, x: str, axis: int, start: int, stop: int, step: int = 1) -> str:
        """Returns the name of ``x[start:stop:step]`` along an axis."""
        return self.op("Slice", x, [start], [stop], [axis], [step])

    def constant(self, value: Value) -> str:
        """Returns the name of a constant; small ones that are equal are kept once."""
        if isinstance(value, str):
            return value
        array = np.asarray(value)
        array = np.ascontiguousarray(array, np.int64 if array.dtype.kind == "i" else np.float32).reshape(array.shape)
        key = (array.dtype.name, array.shape, array.tobytes() if array.size <= _SHARED else b"")
        if array.size <= _SHARED and key in self._known:
            return self._known[key]
        name = f"constant_{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        self._known[key] = name
        return name

    def _add(
        self, kind: str, inputs: Sequence[Value], settings: Mapping[str, Any] | None, names: list[str]
    ) -> list[str]:
        given = [self.constant(value) for value in inputs]
        self.nodes.append(self._onnx.helper.make_node(kind, given, names, **(settings or {})))
        return names

    def _free(self, kind: str) -> str:
        return f"{kind.lower()}_{len(self.nodes)}"


def array(x: Tensor) -> np.ndarray:
    """Returns a weight as numbers in float32."""
    return x.detach().float().contiguous().numpy()
