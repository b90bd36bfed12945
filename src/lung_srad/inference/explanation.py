"""Which parts of a window an answer hangs on: cells of the spectrogram are covered one by one.

What is found is a property of the network, not of the patient: no clinical evidence. Two checks belong to a map, and
:func:`check` makes both: covering cells in its order has to change the answer sooner than covering them in any order,
and a network whose weights are shuffled has to give another map.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lung_srad.audio import is_silent
from lung_srad.errors import AudioError, ConfigError, message, nearest
from lung_srad.inference.features import BATCH, windows
from lung_srad.inference.model import Model
from lung_srad.inference.sources import Recorded
from lung_srad.models import Classifier
from lung_srad.models.vmamba import Linear

CELLS = (8, 16)  # of frequency and time
LABEL = "no clinical evidence"
_ORDERS = 5  # random orders that the map's order is compared with


@dataclass(frozen=True, eq=False)
class Explanation:
    """The map of one window.

    Attributes:
        start: seconds; ``end`` likewise.
        label: the class whose log-odds are explained.
        log_odds: of that class in the whole window.
        heat: by how much they fall where a cell is covered, lowest frequency and earliest time first: (bands, steps).
        spectrogram: log-mel, not normalised: (mel, frames).
        features: what the network hears of the window: (1, mel, frames).
    """

    start: float
    end: float
    label: str
    log_odds: float
    heat: np.ndarray
    spectrogram: np.ndarray
    features: Tensor


@dataclass(frozen=True)
class Sanity:
    """What says whether a map means anything.

    Attributes:
        deletion: mean log-odds while cells are covered in the order of the map, less those of the whole window.
        random: the same in random orders, the mean of several.
        correlation: of the ranks of the map with those of a network whose weights are shuffled.
    """

    deletion: float
    random: float
    correlation: float

    @property
    def ok(self) -> bool:
        """Whether the map beats chance, and is not that of any network."""
        return self.deletion < self.random and self.correlation < 0.5


def explain(
    model: Model,
    recording: Recorded,
    *,
    rate: int | None = None,
    at: float = 0.0,
    label: str | None = None,
    cells: tuple[int, int] = CELLS,
) -> Explanation:
    """Returns the map of the window that begins at, or last before, ``at`` seconds.

    A covered cell gets each mel bin's median over the window: an event vanishes there, the background stays.

    Args:
        label: the class to explain; by default the one that the window is called by.
        cells: into how many the window is cut, along frequency and time; each is a pass through the network.

    Raises:
        AudioError: the recording cannot be used, or the window is silent.
        ConfigError: no such class, or cells that cannot be.
    """
    names, front = model.class_names, model.frontend
    if label is not None and label not in names:
        raise ConfigError(message("explain: label", repr(label), f"one of {', '.join(names)}", nearest(label, names)))
    clip = _window(model, recording, rate, at)
    spectrogram = None if clip[2] is None else front.spectrogram(clip[2])
    if spectrogram is None or is_silent(spectrogram):
        seen = "nothing to hear"
        raise AudioError(message(f"the window at {clip[0]:g} s", seen, "a window with an answer", "name another"))
    features = front.shape(front.normalize(spectrogram)[None])[0]  # (1, mel, frames)
    if not (1 <= cells[0] <= features.shape[1] and 1 <= cells[1] <= features.shape[2]):
        allowed = f"1 to {features.shape[1]} and 1 to {features.shape[2]}"
        raise ConfigError(message("explain: cells", str(cells), allowed, f"the default is {CELLS}"))
    with torch.inference_mode():
        index = names.index(label) if label else int(model.net(features[None]).argmax())
        whole = float(log_odds(model.net, features[None], index)[0])
    heat = whole - _covered(model.net, features, index, cells)
    return Explanation(*clip[:2], names[index], whole, heat, spectrogram.T.numpy(), features)


def check(model: Model, found: Explanation, *, seed: int = 0) -> Sanity:
    """Returns whether a map beats chance, and whether it depends on what the network has learned."""
    index, draw = model.class_names.index(found.label), np.random.default_rng(seed)
    order = np.argsort(-found.heat, axis=None)
    deletion = deletion_curve(model.net, found, order, index).mean()
    chances = [draw.permutation(order) for _ in range(_ORDERS)]
    random = np.mean([deletion_curve(model.net, found, chance, index).mean() for chance in chances])
    other = -_covered(shuffled(model.net, seed), found.features, index, found.heat.shape)
    ranks = [np.argsort(np.argsort(heat, axis=None)) for heat in (found.heat, other)]
    correlation = float(np.corrcoef(*ranks)[0, 1]) if found.heat.size > 1 else 1.0
    return Sanity(float(deletion - found.log_odds), float(random - found.log_odds), correlation)


def deletion_curve(net: Classifier, found: Explanation, order: Sequence[int] | np.ndarray, index: int) -> np.ndarray:
    """Returns the log-odds after each of the cells, numbered row by row, is covered for good: (cells,)."""
    features, steps = found.features.clone(), []
    cover = _cover(features)
    for cell in order:
        rows, columns = _bounds(features, found.heat.shape, int(cell))
        features[:, rows, columns] = cover[:, rows]
        steps.append(features.clone())
    return _answers(net, steps, index)


def shuffled(net: Classifier, seed: int = 0) -> Classifier:
    """Returns a copy of a network in which the numbers of each weight are in another order."""
    packed = [module.packed for module in net.modules() if isinstance(module, Linear)]
    copy = deepcopy(net, {id(each): None for each in packed})  # what was packed of them would stay as it was
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.copy_(
                parameter.flatten()[torch.randperm(parameter.numel(), generator=generator)].view_as(parameter)
            )
    return copy


def log_odds(net: Classifier, features: Tensor, index: int) -> Tensor:
    """Returns log p / (1 - p) of one class: (B, 1, mel, frames) -> (B,)."""
    logits = net(features).double()
    others = logits.clone()
    others[:, index] = -torch.inf
    return logits[:, index] - others.logsumexp(1)


def _window(model: Model, recording: Recorded, rate: int | None, at: float) -> tuple[float, float, Tensor | None]:
    chosen = None
    for clip in windows(model, recording, rate=rate, hop=model.frontend.seconds / 4):
        if chosen is not None and clip.start > at:
            break
        chosen = clip
    if chosen is None or not 0 <= at < chosen.end:
        end = 0.0 if chosen is None else chosen.end
        raise ConfigError(message("explain: at", f"{at} s", f"0 to {end:g} s", "name a time in the recording"))
    return chosen.start, chosen.end, chosen.wave


def _covered(net: Classifier, features: Tensor, index: int, cells: tuple[int, ...]) -> np.ndarray:
    """Returns the log-odds with each cell covered alone: (bands, steps)."""
    cover, covered = _cover(features), []
    for cell in range(cells[0] * cells[1]):
        rows, columns = _bounds(features, cells, cell)
        one = features.clone()
        one[:, rows, columns] = cover[:, rows]
        covered.append(one)
    return _answers(net, covered, index).reshape(cells)


def _answers(net: Classifier, features: Sequence[Tensor], index: int) -> np.ndarray:
    with torch.inference_mode():
        parts = [log_odds(net, torch.stack(features[at : at + BATCH]), index) for at in range(0, len(features), BATCH)]
    return torch.cat(parts).numpy()


def _cover(features: Tensor) -> Tensor:
    return features.median(2, keepdim=True).values  # (1, mel, 1)


def _bounds(features: Tensor, cells: tuple[int, ...], cell: int) -> tuple[slice, slice]:
    edges = [
        np.linspace(0, size, count + 1).round().astype(int)
        for size, count in zip(features.shape[1:], cells, strict=True)
    ]
    row, column = divmod(cell, cells[1])
    return slice(*edges[0][row : row + 2].tolist()), slice(*edges[1][column : column + 2].tolist())


def draw(found: Explanation, path: str | Path, *, title: str = "", notice: str = "") -> None:
    """Writes the map over its spectrogram as a PNG, labelled as no clinical evidence.

    Raises:
        RunError: it cannot be written.
    """
    from lung_srad.inference.explanation_picture import write_picture

    write_picture(found, Path(path), title=title, notice=notice)
