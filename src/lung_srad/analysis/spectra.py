"""How every layer of a network treats each spatial frequency, over many recordings (paper §3.3, Fig. 1).

A layer's map of one recording becomes two responses: over the flattened tokens, as in the paper, and over the grid of
frequency and time. Both are computed alike for all networks, on the tokens of the grid alone, as shares of DC. The way
of the paper's authors is an option (DECISIONS: responses-alike). Maps are made one at a time and not kept.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lung_srad.errors import ConfigError, message
from lung_srad.method import spectral_response
from lung_srad.models import Backbone, Classifier, LayerMap, mixing_maps, mixing_places

Way = Literal["alike", "authors"]
AUTHORS_BINS = (126, 250)  # how many bins the authors' figures keep, DC included
PICTURE = 192  # cells along one side of a map that is kept to be drawn


@dataclass(frozen=True)
class LayerSpectrum:
    """The responses of one layer to R recordings.

    Attributes:
        place: (stage, block), or (layer,) of a transformer.
        grid: rows of frequency and columns of time.
        line: (R, L), over the flattened tokens, DC first.
        plane: (R, H, W), over the grid, DC first; empty (R, 0, 0) in the authors' way, which has none.
        received: (R, S), what each summary token (class, distillation) gets of the attention of all tokens.
        picture: the map of the first recording, at most :data:`PICTURE` cells wide.
    """

    place: tuple[int, ...]
    grid: tuple[int, int]
    line: Tensor
    plane: Tensor
    received: Tensor
    picture: Tensor

    @property
    def name(self) -> str:
        """The place in words."""
        return place_name(self.place)

    @property
    def line_share(self) -> Tensor:
        """Each recording's response over flattened tokens, as a share of its DC: (R, L)."""
        return self.line / self.line[:, :1]

    @property
    def plane_share(self) -> Tensor:
        """Each recording's response over the grid, as a share of its DC: (R, H, W)."""
        return self.plane / self.plane[:, :1, :1]


@dataclass(frozen=True)
class NetworkSpectrum:
    """The responses of all measured layers of one network.

    Attributes:
        name: what figures call it.
        note: what has to be said of its weights; "" where they are trained.
        seconds: the length of a recording, which the columns of every grid divide.
        labels: the class of each of the R recordings, "" where it is not known.
        way: how the responses were computed.
    """

    name: str
    note: str
    seconds: float
    labels: tuple[str, ...]
    layers: tuple[LayerSpectrum, ...]
    way: Way = "alike"


def place_name(place: tuple[int, ...]) -> str:
    """Returns "stage 2, block 3" or "layer 4"."""
    return f"layer {place[0]}" if len(place) == 1 else f"stage {place[0]}, block {place[1]}"


def layer_spectrum(each: LayerMap, *, way: Way = "alike") -> LayerSpectrum:
    """Returns the responses of one map: R = 1."""
    received = each.matrix[:, : each.summaries].mean(0, keepdim=True)
    patches = each.patches
    if way == "authors":
        line, plane = authors_response(each.matrix, attention=len(each.place) == 1), patches.new_zeros(0, 0)
    else:
        line, plane = spectral_response(patches), spectral_response(patches, each.grid)
    side = min(PICTURE, len(patches))
    picture = F.adaptive_avg_pool2d(patches[None, None], side)[0, 0]
    return LayerSpectrum(each.place, each.grid, line[None], plane[None], received, picture)


def authors_response(matrix: Tensor, *, attention: bool) -> Tensor:
    """Returns the curve as the paper's authors draw it: (L, L) -> (L,), from 0 to 1.

    Of all tokens, also the class token; of the logarithm where the matrix is attention, of a matrix scaled to [0, 1]
    where it is a scan's; the curve is then scaled to [0, 1] itself. Their figures keep the first 126 or 250 bins.
    """
    matrix = matrix.clamp_min(torch.finfo(matrix.dtype).tiny).log() if attention else scaled(matrix)
    return scaled(spectral_response(matrix))


def scaled(x: Tensor) -> Tensor:
    """Returns values from 0 (the least) to 1 (the greatest), zeros where all are the same."""
    least, greatest = x.min(), x.max()
    return (x - least) / (greatest - least) if greatest > least else torch.zeros_like(x)


def network_spectrum(
    net: Classifier | Backbone,
    recordings: Sequence[Tensor],
    *,
    name: str,
    labels: Sequence[str] = (),
    delta: bool = False,
    places: Sequence[tuple[int, ...]] | None = None,
    way: Way = "alike",
    note: str = "",
    report: Callable[[str, int, int], None] | None = None,
) -> NetworkSpectrum:
    """Returns the responses of every layer (or of some ``places``) to recordings, each (1, 1, F, T).

    Args:
        name: what figures call the network; ``note`` what they say of its weights.
        labels: the class of each recording.
        delta: with the factor Δ_j, as the layer applies it; without, as the authors (DECISIONS: mixing-matrix).
        report: called with (what is being done, maps done, maps in all).

    Raises:
        ConfigError: no recording, or a backbone that cannot be looked into.
        ShapeError: no such place.
    """
    if not recordings:
        raise ConfigError(message("recordings", "none", "at least one", "choose a part of the data that has cycles"))
    backbone = net.backbone if isinstance(net, Classifier) else net
    count = len(places) if places is not None else len(mixing_places(net))
    found: dict[tuple[int, ...], list[LayerSpectrum]] = {}
    for index, features in enumerate(recordings):
        for done, each in enumerate(mixing_maps(net, features, delta=delta, places=places), start=1):
            found.setdefault(each.place, []).append(layer_spectrum(each, way=way))
            if report is not None:
                report(f"{name}: maps", index * count + done, len(recordings) * count)
    layers = tuple(_joined(parts) for parts in found.values())
    known = tuple(labels) or ("",) * len(recordings)
    return NetworkSpectrum(name, note, float(backbone.frontend.seconds), known, layers, way)


def _joined(parts: Sequence[LayerSpectrum]) -> LayerSpectrum:
    """Returns the spectra of several recordings as one."""
    line, plane, received = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("line", "plane", "received")
    )
    return LayerSpectrum(parts[0].place, parts[0].grid, line, plane, received, parts[0].picture)


def mean_and_deviation(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mean and standard deviation over recordings (the first axis); zeros for one recording."""
    spread = shares.std(0) if len(shares) > 1 else torch.zeros_like(shares[0])
    return shares.mean(0), spread


def spectra_csv(networks: Sequence[NetworkSpectrum]) -> str:
    """Returns every response as a table: mean and deviation over recordings, and the mean of each class.

    Shares are of DC (in the authors' way of the curve's range). Frequencies are in cycles per token along each axis,
    those of time also in hertz. Half of all frequencies is there: the other half mirrors it.
    """
    classes = sorted({label for each in networks for label in each.labels if label})
    head = ["system", "layer", "view", "bin_frequency", "bin_time", "cycles_per_token_frequency"]
    head += ["cycles_per_token_time", "hertz", "recordings", "share", "share_deviation", "response"]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*head, *(f"share_{name}" for name in classes)])
    for network in networks:
        for layer in network.layers:
            for row in _rows(network, layer, classes):
                writer.writerow([network.name, layer.name, *row])
    return file.getvalue()


def _rows(network: NetworkSpectrum, layer: LayerSpectrum, classes: Sequence[str]) -> Iterator[list[object]]:
    """Yields the rows of one layer: first those of the flattened tokens, then those of the grid."""
    labels = network.labels
    authors = network.way == "authors"
    views = [("flattened", layer.line if authors else layer.line_share, layer.line)]
    if not authors:
        views.append(("grid", layer.plane_share, layer.plane))
    for view, shares, raw in views:
        size = shares.shape[1:]
        half = (*map(slice, size[:-1]), slice(size[-1] // 2 + 1))
        mean, spread = mean_and_deviation(shares)
        members = [[place for place, label in enumerate(labels) if label == name] for name in classes]
        columns = [mean, spread, raw.mean(0)] + [
            shares[rows].mean(0) if rows else torch.full_like(mean, torch.nan) for rows in members
        ]
        places = torch.cartesian_prod(*(torch.arange(n)[part] for n, part in zip(size, half, strict=True)))
        values = torch.stack([column[half].flatten() for column in columns], 1).tolist()
        for place, row in zip(places.view(len(values), -1).tolist(), values, strict=True):
            yield [view, *_frequency(place, size, network.seconds), len(shares), *(f"{value:.6g}" for value in row)]


def _frequency(place: list[int], size: tuple[int, ...], seconds: float) -> list[object]:
    """Returns bins and frequencies of a row, empty where a view has no such axis."""
    turns = [f"{(k - n if 2 * k > n else k) / n:.6g}" for k, n in zip(place, size, strict=True)]
    if len(place) == 1:
        return ["", place[0], "", turns[0], ""]
    return [*place, *turns, f"{place[1] / seconds:.6g}"]
