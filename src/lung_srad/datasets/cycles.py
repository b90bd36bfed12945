"""The torch data set: cached spectrograms, normalised, augmented by draws that no restart can change."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.utils.data import Dataset as TorchDataset

from lung_srad.audio import AudioFrontend, SpecMasks, apply_spec_augment, is_silent
from lung_srad.datasets.batch import UNKNOWN_LABEL, Batch, SecondView
from lung_srad.datasets.cache import FeatureCache
from lung_srad.datasets.checks import silence
from lung_srad.datasets.contract import Cycle
from lung_srad.datasets.seeds import derive_seed
from lung_srad.errors import DataError, message, nearest

Augment = Callable[[torch.Generator, int, int], SpecMasks]  # (generator, frames, bins) -> masks


class Item(NamedTuple):
    """One cycle on its way into a batch; features, and those of a second view, are (T, F)."""

    features: torch.Tensor
    label: int
    device: int
    patient: int
    cycle_id: str
    second: torch.Tensor | None = None


class CycleDataset(TorchDataset[Item]):
    """Cycles as normalised spectrograms; ``collate`` makes a :class:`Batch` of a list of them.

    An index is ``(epoch, i)``: the epoch travels with the sampler's index, so persistent workers know it.
    A plain ``i`` is epoch 0::

        loader = DataLoader(dataset, sampler=[(epoch, i) for i in order], collate_fn=dataset.collate)

    With ``(epoch, i, number)`` the masks derive from the number, that of a batch, so that its cycles share them.

    Args:
        cycles: what an index points into.
        cache: gives the un-normalised spectrograms; its front end is the one that normalises and shapes.
        augment: draws the masks of one cycle; None leaves it as it is.
        seed: of the draws; they derive from (seed, epoch, i) alone.
        second: gives every cycle a second view, masked from this; None gives none.
        devices: the words that ``Batch.device`` points into; by default those of the cycles, sorted.
        patients: likewise.
    """

    def __init__(
        self,
        cycles: Sequence[Cycle],
        cache: FeatureCache,
        frontend: AudioFrontend,
        *,
        augment: Augment | None = None,
        seed: int = 0,
        second: SecondView | None = None,
        devices: Sequence[str] | None = None,
        patients: Sequence[str] | None = None,
    ) -> None:
        self.cycles = list(cycles)
        self.cache = cache
        self.frontend = frontend
        self.augment = augment
        self.seed = seed
        self.second = second
        self.devices = _places("device", devices, [cycle.device for cycle in cycles])
        self.patients = _places("patient", patients, [cycle.patient for cycle in cycles])

    def __len__(self) -> int:
        """Returns the number of cycles."""
        return len(self.cycles)

    def __getitem__(self, item: int | tuple[int, ...]) -> Item:
        """Returns a cycle in an epoch.

        Raises:
            DataError: the cycle is silent.
        """
        epoch, index, *batch = item if isinstance(item, tuple) else (0, item)
        cycle = self.cycles[index]
        clean = self.cache.features(cycle)  # (T, F)
        if is_silent(clean):
            raise DataError(str(silence(cycle)))
        clean = self.frontend.normalize(clean)
        whose = ("of a batch", epoch, *batch) if batch else (epoch, index)
        features, second = self._masked(clean, "augment", *whose), None
        if self.second is not None:  # DECISIONS: second-view
            second = self._masked({"clean": clean, "first": features}[self.second], "second view", *whose)
        label = UNKNOWN_LABEL if cycle.label is None else cycle.label
        return Item(features, label, self.devices[cycle.device], self.patients[cycle.patient], cycle.id, second)

    def _masked(self, features: torch.Tensor, *draw: int | str) -> torch.Tensor:
        """Returns features (T, F) under the masks of a draw; as they are where nothing is augmented."""
        if self.augment is None:
            return features
        generator = torch.Generator().manual_seed(derive_seed(self.seed, *draw))
        return apply_spec_augment(features, self.augment(generator, *features.shape))

    def collate(self, items: Sequence[Item]) -> Batch:
        """Returns the batch of some cycles, shaped as the front end's network wants it."""
        features, labels, devices, patients, ids, second = zip(*items, strict=True)
        return Batch(
            features=self.frontend.shape(torch.stack(features)),  # (B, T, F) -> (B, 1, F, T)
            label=torch.tensor(labels),
            device=torch.tensor(devices),
            patient=torch.tensor(patients),
            cycle_id=ids,
            second=None if self.second is None else self.frontend.shape(torch.stack(second)),
        )


def _places(what: str, given: Sequence[str] | None, words: Sequence[str]) -> dict[str, int]:
    """Returns the index of each word in the given list, or in the sorted list of the words themselves.

    Raises:
        DataError: a word is not in the given list.
    """
    known = sorted(set(words)) if given is None else list(given)
    for word in sorted(set(words) - set(known)):
        raise DataError(
            message(
                what,
                f"{word!r} is not among the given",
                f"allowed: {len(known)} known words",
                nearest(word, known),
            )
        )
    return {word: place for place, word in enumerate(known)}
