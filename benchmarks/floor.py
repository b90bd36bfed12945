"""The floor under the model's time: its matrix products alone, each done in the fastest way at hand.

Ways: oneDNN's linear layer with a packed weight, a 1x1 convolution with channels last, and torch's linear. The floor
is the sum over all products of the model, each the median of its fastest way, timed in turns with the model.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from timing import seconds_of

Shape = tuple[int, int, int]
"""(rows m, reduced k, columns n): an m × k matrix times a k × n one."""

LONG = 0.02  # seconds; so long a product gains nothing from operands in the cache
SLOW = 2.0  # a way this many times slower than the best of its shape sits out after the first turn


@dataclass(frozen=True)
class Product:
    """One matrix product of the model, ``count`` times per forward."""

    part: str
    shape: Shape
    count: int = 1
    needs_input_gradient: bool = True

    @property
    def macs(self) -> int:
        """Multiplications and additions of all of them."""
        m, k, n = self.shape
        return m * k * n * self.count

    def trained(self) -> list["Product"]:
        """Returns what a training step does: the product, the gradient of its input, that of its weight."""
        m, k, n = self.shape
        products = [self, Product(f"{self.part}, weight gradient", (n, m, k), self.count)]
        if self.needs_input_gradient:
            products.append(Product(f"{self.part}, input gradient", (m, n, k), self.count))
        return products


def products(
    width: int, depths: tuple[int, ...], *, batch: int = 1, bins: int = 128, frames: int = 1024, classes: int = 4
) -> list[Product]:
    """Returns the matrix products of a forward of VMamba; a convolution counts as one over its patches."""
    height, columns = -(-bins // 2), -(-frames // 2)
    stem = (batch * height * columns, 9, width // 2)
    found = [Product("stem", stem, needs_input_gradient=False)]
    height, columns = -(-height // 2), -(-columns // 2)
    found.append(Product("stem", (batch * height * columns, 9 * width // 2, width)))
    for stage, depth in enumerate(depths):
        tokens, channels, rank = batch * height * columns, width * 2**stage, -(-width * 2**stage // 16)
        found += [
            Product(f"stage {stage}, in_proj and out_proj", (tokens, channels, channels), 2 * depth),
            Product(f"stage {stage}, x_proj", (tokens, channels, 4 * (rank + 2)), depth),
            Product(f"stage {stage}, dt_proj", (tokens, rank, channels), 4 * depth),
            Product(f"stage {stage}, fc1", (tokens, channels, 4 * channels), depth),
            Product(f"stage {stage}, fc2", (tokens, 4 * channels, channels), depth),
        ]
        if stage + 1 < len(depths):
            height, columns = -(-height // 2), -(-columns // 2)
            found.append(Product(f"downsample {stage}", (batch * height * columns, 9 * channels, 2 * channels)))
    return [*found, Product("head", (batch, channels, classes))]


def packed(x: Tensor, weight: Tensor) -> Callable[[], Tensor]:
    """Returns the product by oneDNN with a weight in its own layout."""
    own = torch.ops.mkldnn._reorder_linear_weight(weight, len(x))
    return lambda: torch.ops.mkldnn._linear_pointwise(x, own, None, "none", [], "")


def convolution(x: Tensor, weight: Tensor) -> Callable[[], Tensor]:
    """Returns the product as a 1x1 convolution of an image of one row, channels last."""
    image = x.view(1, 1, *x.shape).permute(0, 3, 1, 2)
    kernel = weight[:, :, None, None].contiguous(memory_format=torch.channels_last)
    return lambda: F.conv2d(image, kernel)


def linear(x: Tensor, weight: Tensor) -> Callable[[], Tensor]:
    """Returns the product as torch does it by default."""
    return lambda: F.linear(x, weight)


WAYS = {"convolution": convolution, "linear": linear}
if torch.backends.mkldnn.is_available():
    WAYS = {"packed": packed, **WAYS}


class Floor:
    """The products of some models in one precision; each call is one turn, the first of which warms up."""

    def __init__(self, shapes: Iterable[Shape], dtype: torch.dtype) -> None:
        shapes = set(shapes)
        pool = torch.randn(max(max(m * k, k * n) for m, k, n in shapes)).to(dtype)
        with torch.inference_mode():
            self.calls = {
                (m, k, n): {name: way(pool[: m * k].view(m, k), pool[: n * k].view(n, k)) for name, way in WAYS.items()}
                for m, k, n in sorted(shapes)
            }
        self.times: dict[Shape, dict[str, list[float]]] = {}

    @torch.inference_mode()
    def __call__(self) -> None:
        """Times every way of every shape once more, with its operands in the cache where they fit."""
        for shape, ways in self.calls.items():
            seen = self.times.setdefault(shape, {name: [] for name in ways})
            for name, call in ways.items():
                if not seen[name] or seen[name][-1] < LONG:
                    call()
                seen[name].append(seconds_of(call, 0.002))
            if len(seen[name]) == 1:
                best = min(taken[0] for taken in seen.values())
                self.calls[shape] = {name: ways[name] for name in ways if seen[name][0] <= SLOW * best}

    def best(self, shape: Shape) -> tuple[str, list[float]]:
        """Returns the fastest way of one shape and its seconds per turn, without the turn that warmed up."""
        ways = {name: self.times[shape][name][1:] for name in self.calls[shape]}
        name = min(ways, key=lambda name: statistics.median(ways[name]))
        return name, ways[name]

    def turns(self, wanted: Iterable[Product]) -> list[float]:
        """Returns the floor of a model in each turn, in seconds."""
        counts = Counter[Shape]()
        for product in wanted:
            counts[product.shape] += product.count
        each = [[count * taken for taken in self.best(shape)[1]] for shape, count in counts.items()]
        return [sum(turn) for turn in zip(*each, strict=True)]

    def table(self, wanted: Iterable[Product]) -> list[list[str]]:
        """Returns rows of: part, m, k, n, how often, fastest way, microseconds, GFLOP/s."""
        rows = []
        for product in wanted:
            (m, k, n), (way, taken) = product.shape, self.best(product.shape)
            once = statistics.median(taken)
            cells = [product.part, m, k, n, product.count, way, f"{1e6 * once:.0f}", f"{2e-9 * m * k * n / once:.0f}"]
            rows.append([str(cell) for cell in cells])
        return rows
