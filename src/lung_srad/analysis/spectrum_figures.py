"""The figures of the spectral analysis: Fig. 1 of the paper, and the whole network as one map."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from lung_srad.analysis.spectra import LayerSpectrum, NetworkSpectrum, mean_and_deviation
from lung_srad.drawing import INK, drawing_style, head, system_colours

DEPTHS = 4  # layers of each network that Fig. 1 draws
BINS = 128  # of the network map's flattened response
LOWEST = 1e-3  # share of DC at which maps and curves end
CYCLES = "cycles per token"
SHARE = "share of DC"


def shown_places(places: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Returns the places that Fig. 1 draws: the third block of each stage, or its last; layers evenly in depth."""
    if len(places[0]) == 1:
        return [places[round(x)] for x in np.linspace(0, len(places) - 1, min(DEPTHS, len(places)))]
    stages = sorted({stage for stage, _ in places})
    return [max(place for place in places if place[0] == stage and place[1] <= 2) for stage in stages]


def layers_figure(networks: Sequence[NetworkSpectrum], *, bins: int | None = None) -> Figure:
    """Returns Fig. 1: responses by depth, the maps behind them, and the attention that summary tokens receive.

    Args:
        networks: one, or two to compare; both are drawn in the same axes.
        bins: of curves in the authors' way, how many to draw.
    """
    alike = networks[0].way == "alike"
    chosen = [_chosen(each) for each in networks]
    columns = max(map(len, chosen))
    summaries = [each for each in networks if each.layers[0].received.shape[1]]
    curves = 3 if alike else 1
    heights = [1.0] * curves + [1.25] * len(networks) + [0.9] * bool(summaries)
    with drawing_style():
        figure = Figure(figsize=(2.45 * columns + 0.6, 1.75 * sum(heights) + 0.9), layout="constrained")
        grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
        for column in range(columns):
            layers = [(index, each[column]) for index, each in enumerate(chosen) if column < len(each)]
            rows = [figure.add_subplot(grid[row, column]) for row in range(curves)]
            _draw_curves(rows, networks, layers, bins)
            for index, layer in layers:
                _draw_map(figure.add_subplot(grid[curves + index, column]), networks[index], layer, column == 0)
            for axes in rows if column else ():
                axes.set_ylabel("")
        figure.legend(handles=figure.axes[0].lines, loc="outside lower center", ncols=2, fontsize=8)
        if summaries:
            _draw_received(figure.add_subplot(grid[-1, :]), networks, summaries[0])
        head(figure, _heading(networks))
    return figure


def network_map(network: NetworkSpectrum) -> Figure:
    """Returns the responses of every layer of a network as one map, a row for each: shares of DC in colour.

    Flattened tokens (the greatest of each of 128 bins); then over the grid: along time alone, along frequency alone,
    and the mean of everything that changes along both.
    """
    layers = network.layers
    with drawing_style():
        figure = Figure(figsize=(10.4, 0.17 * len(layers) + 1.9), layout="constrained")
        panels = figure.subplots(1, 4, sharey=True, width_ratios=[4, 4, 3, 0.5])
        for row, layer in enumerate(layers):
            line, plane = layer.line_share.mean(0), layer.plane_share.mean(0)
            strips = [_greatest(_half(line)), _half(plane[0]), _half(plane[:, 0])]
            for axes, strip, size in zip(panels, strips, (0, plane.shape[1], plane.shape[0]), strict=False):
                reach = 0.5 / size if size else 0.0
                picture = _strip(axes, strip, (-reach, 0.5 + reach), row)
            both = plane[1:, 1:]
            _strip(panels[3], both.mean().view(1) if both.numel() else torch.tensor([np.nan]), (0, 1), row)
        for axes, title in zip(panels, ("flattened tokens", "along time", "along frequency", "both"), strict=True):
            axes.set_title(title)
            axes.set_ylim(len(layers) - 0.5, -0.5)
            axes.set_facecolor("none")
            axes.spines[:].set_visible(False)
            axes.tick_params(left=False)
        for axes in panels[:3]:
            axes.set(xlabel=CYCLES, xlim=(0, 0.5))
        panels[3].set_xticks([])
        panels[0].set_yticks(range(len(layers)), [layer.name for layer in layers], fontsize=7.5)
        figure.colorbar(picture, ax=panels, label=SHARE, fraction=0.03, pad=0.01)
        head(figure, _heading([network]))
    return figure


def _heading(networks: Sequence[NetworkSpectrum]) -> str:
    """Returns who is drawn, of how many recordings, and what has to be said of the weights."""
    count = len(networks[0].labels)
    names = "; ".join(f"{each.name} ({each.note})" if each.note else each.name for each in networks)
    way = " The authors' way: scaled from 0 to 1, of the logarithm for attention." * (networks[0].way == "authors")
    return f"{names}. {count} recording{'s' * (count != 1)}.{way}"


def _chosen(network: NetworkSpectrum) -> list[LayerSpectrum]:
    by_place = {layer.place: layer for layer in network.layers}
    return [by_place[place] for place in shown_places(list(by_place))]


def _half(values: Tensor) -> Tensor:
    """Returns the first axis up to half of the sampling rate; the rest mirrors it."""
    return values[: len(values) // 2 + 1]


def _greatest(line: Tensor) -> Tensor:
    """Returns the greatest value of each of some bins, where there are more values than bins."""
    return line if len(line) <= BINS else torch.stack([part.max() for part in line.tensor_split(BINS)])


def _strip(axes: Axes, values: Tensor, reach: tuple[float, float], row: int):
    """Draws one layer's values as a row of cells, and returns the picture."""
    norm, extent = LogNorm(LOWEST, 1), (*reach, row + 0.5, row - 0.5)
    image: NDArray = values.clamp_min(LOWEST).numpy()[None]
    return axes.imshow(image, extent=extent, norm=norm, cmap="viridis", aspect="auto", interpolation="nearest")


def _draw_curves(
    rows: Sequence[Axes],
    networks: Sequence[NetworkSpectrum],
    layers: Sequence[tuple[int, LayerSpectrum]],
    bins: int | None,
) -> None:
    """Draws the mean responses of one depth, with the deviation over recordings as a band."""
    colours = system_colours([each.name for each in networks])
    for index, layer in layers:
        look = {"color": colours[index], "linewidth": 1.1}
        authors = networks[index].way == "authors"
        views = [layer.line if authors else layer.line_share]
        views += [] if authors else [layer.plane_share[:, 0], layer.plane_share[:, :, 0]]
        for axes, shares in zip(rows, views, strict=True):
            mean, spread = (_half(each).numpy() for each in mean_and_deviation(shares))
            mean, spread = (each[:bins] if bins else each for each in (mean, spread))
            turns = np.arange(len(mean)) / shares.shape[1]
            axes.plot(turns, mean, **look, label=networks[index].name, marker="." * (len(mean) < 40))
            low = np.maximum(mean - spread, 0 if authors else LOWEST / 10)
            axes.fill_between(turns, low, mean + spread, color=look["color"], alpha=0.25, linewidth=0)
    rows[0].set_title("; ".join(layer.name for _, layer in layers), fontsize=8)
    names = ["flattened tokens", "along time", "along frequency"] if len(rows) > 1 else ["flattened tokens"]
    for axes, name in zip(rows, names, strict=True):
        axes.set(xlabel=CYCLES, ylabel=f"{name}\n{SHARE if len(rows) > 1 else 'response, 0 to 1'}")
        if len(rows) > 1:
            axes.set(yscale="log", ylim=(LOWEST / 5, 1.6), xlim=(-0.01, 0.51))


def _draw_map(axes: Axes, network: NetworkSpectrum, layer: LayerSpectrum, first: bool) -> None:
    """Draws which token feeds which, brighter where more; one row of the picture is one token that is fed."""
    picture = layer.picture.numpy()
    low, high = np.percentile(picture, (1, 99))
    tokens = layer.grid[0] * layer.grid[1]
    axes.imshow(picture, cmap="magma", vmin=low, vmax=high, extent=(0, tokens, tokens, 0), interpolation="nearest")
    axes.set_title(f"{layer.name}, {layer.grid[0]} × {layer.grid[1]}", fontsize=8)
    axes.set(xlabel="from token", ylabel=f"{network.name}\nto token" if first else "")
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def _draw_received(axes: Axes, networks: Sequence[NetworkSpectrum], network: NetworkSpectrum) -> None:
    """Draws what the class and the distillation token get of all attention, layer by layer."""
    colour = system_colours([each.name for each in networks])[networks.index(network)]
    depths = [layer.place[0] for layer in network.layers]
    grid, summaries = network.layers[0].grid, network.layers[0].received.shape[1]
    received = torch.stack([layer.received for layer in network.layers])  # (layers, R, S)
    received = received * (grid[0] * grid[1] + summaries)
    for token, (name, style) in enumerate((("class token", "o-"), ("distillation token", "s--"))):
        spread = received[..., token].std(1) if received.shape[1] > 1 else torch.zeros(len(depths))
        mean = received[..., token].mean(1)
        axes.errorbar(depths, mean, spread, fmt=style, color=colour, markersize=3.5, linewidth=1.2, label=name)
    axes.axhline(1, color=INK, linewidth=1, linestyle=(0, (2, 3)), label="the same for all tokens")
    axes.set(xlabel=f"layer of {network.name}", ylabel="attention received\n(equal share = 1)", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best", ncols=3, fontsize=8)
