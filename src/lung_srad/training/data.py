"""The cycles of one run, by part, and the batches of an epoch."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from lung_srad.audio import AudioFrontend
from lung_srad.config import Preset
from lung_srad.datasets import (
    Batch,
    Cycle,
    CycleDataset,
    Dataset,
    FeatureCache,
    Partition,
    Prompt,
    Prompted,
    SecondView,
    derive_seed,
    partition,
    validation_patients,
)
from lung_srad.errors import ConfigError, DataError, message
from lung_srad.prompt_texts import unknown_parts
from lung_srad.runs.build import build_augment
from lung_srad.training.distributed import World


def cache_folder() -> Path:
    """Returns where spectrograms are kept: ``LUNG_SRAD_CACHE``, or the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lung_srad"
    return Path(os.environ.get("LUNG_SRAD_CACHE", default))


@dataclass(frozen=True)
class Corpus:
    """What a run trains and is scored on.

    Attributes:
        parts: "train" (all training patients), "fit" (those that are not set aside), "validation", "test".
        silent: ids of cycles that hold nothing to classify.
        unmet: what the validation patients could not have, in words.
        prompt: gives a cycle's sentence to a network that reads one.
    """

    dataset: Dataset
    parts: Mapping[str, Sequence[Cycle]]
    silent: frozenset[str]
    unmet: tuple[str, ...]
    cache: FeatureCache
    frontend: AudioFrontend
    prompt: Prompt | None = None

    def audible(self, part: str) -> list[Cycle]:
        """Returns the cycles of a part that can be classified."""
        return [cycle for cycle in self.parts[part] if cycle.id not in self.silent]

    def class_counts(self, part: str) -> tuple[int, ...]:
        """Returns the number of audible cycles of each class."""
        labels = [cycle.label for cycle in self.audible(part)]
        return tuple(labels.count(index) for index in range(len(self.dataset.class_names)))

    def sentences(self) -> dict[str, Any]:
        """Returns which sentences a network reads, as a digest and counts of unknowns; nothing where it reads none.

        They are not in the fingerprint of the data: no other network depends on them.
        """
        if self.prompt is None:
            return {}
        numbers = {cycle.id: self.prompt(cycle) for part in ("train", "test") for cycle in self.parts[part]}
        digest = hashlib.sha256(repr(sorted(numbers.items())).encode()).hexdigest()
        unknown = Counter(part for number in numbers.values() for part in unknown_parts(number))
        return {"sentences": {"sha256": digest, "unknown": dict(sorted(unknown.items()))}}

    def partition(self) -> Partition:
        """Returns who trains and who is tested, as :meth:`Dataset.partition` does for the same corpus.

        Raises:
            DataError: a patient is on both sides of a split that promises otherwise.
        """
        sides = [(cycle, part) for part in ("train", "test") for cycle in self.parts[part]]
        found = partition(self.dataset.scheme, sides)
        return found.require_disjoint(self.dataset.location) if self.dataset.keeps_patients_apart else found

    def validation(self) -> Partition:
        """Returns who trains in run A and who chooses its epoch.

        Raises:
            DataError: a patient is among both.
        """
        sides = [(cycle, part) for part in ("fit", "validation") for cycle in self.parts[part]]
        return partition("validation", sides).require_disjoint(self.dataset.location)

    @property
    def devices(self) -> list[str]:
        """The devices of all training patients, sorted: what ``Batch.device`` points into in either phase."""
        return sorted({cycle.device for cycle in self.parts["train"]})

    def steps(self, part: str, preset: Preset, world: World) -> int:
        """Returns the number of steps of an epoch; the last, smaller batch is left out.

        Raises:
            ConfigError: the part is smaller than one step's batch.
        """
        cycles, size = len(self.audible(part)), preset.training.batch_size
        if cycles < size * world.size:
            seen = f"{size} x {world.size} processes"
            allowed = f"at most {cycles}, the training cycles at hand"
            raise ConfigError(message("training.batch_size", seen, allowed, "--set training.batch_size=..."))
        return cycles // (size * world.size)

    def batches(
        self,
        part: str,
        preset: Preset,
        *,
        seed: int,
        epoch: int,
        world: World,
        skip: int = 0,
        second: SecondView | None = None,
    ) -> Iterable[Batch]:
        """Returns this process's augmented batches of one epoch (from 1), after the first ``skip``.

        They are the same however often the epoch is started. ``second`` is that of :class:`CycleDataset`.
        """
        cycles, size, steps = self.audible(part), preset.training.batch_size, self.steps(part, preset, world)
        generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
        order = torch.randperm(len(cycles), generator=generator)[: steps * size * world.size]
        own = order.view(steps, world.size, size)[skip:, world.rank]  # (steps, B)
        augment, devices = build_augment(preset), self.devices
        dataset = CycleDataset(
            cycles, self.cache, self.frontend, augment=augment, seed=seed, second=second, devices=devices
        )
        shared = preset.augment.per == "batch"
        whose = [(number,) if shared else () for number in range(skip, steps)]
        batches = [[(epoch, index, *of) for index in step] for of, step in zip(whose, own.tolist(), strict=True)]
        return self._loader(dataset, batches, preset)

    def evaluation_batches(self, cycles: Sequence[Cycle], preset: Preset) -> Iterable[Batch]:
        """Returns the cycles in order, not augmented."""
        size = preset.training.eval_batch_size
        batches = [list(range(start, min(start + size, len(cycles)))) for start in range(0, len(cycles), size)]
        return self._loader(CycleDataset(cycles, self.cache, self.frontend), batches, preset)

    def _loader(self, dataset: CycleDataset, batches: list[list], preset: Preset) -> DataLoader:
        workers = min(preset.training.workers, len(batches))
        own = torch.Generator()  # else the loader draws from torch's, for seeds of workers that draw nothing
        collate = dataset.collate if self.prompt is None else Prompted(dataset, self.prompt)
        return DataLoader(dataset, batch_sampler=batches, collate_fn=collate, num_workers=workers, generator=own)


def open_corpus(
    dataset: Dataset,
    preset: Preset,
    frontend: AudioFrontend,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    prompt: Prompt | None = None,
) -> Corpus:
    """Returns the dataset's cycles, every spectrogram in the cache, with validation patients set aside.

    Raises:
        DataError: there is nothing to train on, to validate on or to test on, a label of a training cycle is not
            known, or a silent cycle is not to be skipped.
    """
    train, test = _cycles(dataset, "train"), _cycles(dataset, "test")
    if unknown := [cycle for cycle in train if cycle.label is None]:
        seen = f"cycle {unknown[0].id} has no label, {len(unknown)} in all"
        remedy = "label them, or take them out of the part 'train'"
        raise DataError(message(unknown[0].path, seen, "every training cycle needs one", remedy))
    if all(cycle.label is None for cycle in test):
        allowed = "at least one, to score the run on"
        raise DataError(message(dataset.location, "no test cycle has a label", allowed, "label them"))
    if len(dataset.class_names) < 2:
        seen = f"{len(dataset.class_names)} class ({', '.join(dataset.class_names)})"
        raise DataError(message(dataset.location, seen, "two or more classes", "label cycles of another class"))
    chosen = validation_patients(
        train,
        fraction=preset.training.validation_fraction,
        seed=seed,
        class_names=dataset.class_names,
        tested={cycle.patient for cycle in test},
    )
    if not chosen.patients:
        allowed, remedy = "at least two: one to train on, one to choose the epoch", "add recordings of other patients"
        raise DataError(message(dataset.location, chosen.unmet[0], allowed, remedy))
    parts = {
        "train": train,
        "fit": [cycle for cycle in train if cycle.patient not in chosen.patients],
        "validation": [cycle for cycle in train if cycle.patient in chosen.patients],
        "test": test,
    }
    cache = FeatureCache(cache_folder(), frontend)
    silent = cache.prepare([*train, *test], progress)
    if silent and preset.training.silent == "refuse":
        found = next(cycle for cycle in (*train, *test) if cycle.id == silent[0])
        seen = f"cycle {found.id} ({found.start:g}-{found.end:g} s) is silent, {len(silent)} in all"
        remedy = "remove it, or leave silence out with --set training.silent=skip"
        raise DataError(message(found.path, seen, "a log-mel standard deviation of at least 1e-4", remedy))
    corpus = Corpus(dataset, parts, frozenset(silent), chosen.unmet, cache, frontend, prompt)
    corpus.partition(), corpus.validation()  # both refuse what they find on two sides
    return corpus


def _cycles(dataset: Dataset, part: str) -> list[Cycle]:
    """Returns the cycles of a part that must be there."""
    found = dataset.cycles(part) if part in dataset.splits else []
    if not found:
        parts = {name: len(dataset.cycles(name)) for name in dataset.splits}
        has = ", ".join(f"{count} in {name!r}" for name, count in parts.items())
        allowed = f"cycles in 'train' and in 'test' are needed; this data has {has or 'none'}"
        remedy = "choose another --split, or write these two words into the table's column split"
        raise DataError(message(dataset.location, f"no cycle in {part!r}", allowed, remedy))
    return found
