"""Which cycles of some data an analysis looks at, and what a network sees of them."""

import random
from collections.abc import Sequence

from torch import Tensor

from lung_srad.audio import is_silent, load_cycle
from lung_srad.datasets import Cycle, Dataset, derive_seed
from lung_srad.errors import DataError, message
from lung_srad.models import Backbone, Classifier


def choose_cycles(dataset: Dataset, *, part: str | None, count: int, seed: int = 0) -> list[Cycle]:
    """Returns some cycles of a part, of all classes in turn, in each class of as many patients as it has.

    The choice depends on the data, the count and the seed alone. ``part=None`` is all of the data.

    Raises:
        DataError: the part has no cycle.
    """
    cycles = dataset.cycles(part)
    if not cycles:
        raise DataError(message(dataset.location, f"no cycle in {part!r}", "at least one", "choose another part"))
    draw = random.Random(derive_seed(seed, "spectrum"))
    classes: dict[int | None, list[Cycle]] = {}
    for cycle in draw.sample(cycles, len(cycles)):
        classes.setdefault(cycle.label, []).append(cycle)
    queues = [_patients_in_turn(each) for _, each in sorted(classes.items(), key=lambda item: str(item[0]))]
    chosen: list[Cycle] = []
    for turn in range(max(map(len, queues))):
        chosen += [queue[turn] for queue in queues if turn < len(queue)]
    return chosen[:count]


def _patients_in_turn(cycles: Sequence[Cycle]) -> list[Cycle]:
    """Returns the cycles so that no patient comes again before every other has had a turn."""
    seen: dict[str, int] = {}
    turns = []
    for cycle in cycles:
        seen[cycle.patient] = seen.get(cycle.patient, 0) + 1
        turns.append(seen[cycle.patient])
    return [cycle for _, cycle in sorted(zip(turns, cycles, strict=True), key=lambda pair: pair[0])]


def choose_recordings(
    net: Classifier | Backbone, dataset: Dataset, *, part: str | None = "test", count: int = 16, seed: int = 0
) -> tuple[list[Tensor], list[str]]:
    """Returns what a network sees of some cycles, each (1, 1, F, T), and their classes ("" where not known).

    The same cycles for every network. Silent ones are left out.

    Raises:
        DataError: no cycle, or none with sound.
        AudioError: a recording cannot be used.
    """
    frontend = (net.backbone if isinstance(net, Classifier) else net).frontend
    features, labels = [], []
    for cycle in choose_cycles(dataset, part=part, count=count, seed=seed):
        how = {"sample_rate": frontend.sample_rate, "resampler": frontend.resampler}
        wave = load_cycle(cycle.path, cycle.start, cycle.end, frontend.seconds, **how)
        spectrogram = frontend.spectrogram(wave)
        if is_silent(spectrogram):
            continue
        features.append(frontend.shape(frontend.normalize(spectrogram)[None]))
        labels.append("" if cycle.label is None else dataset.class_names[cycle.label])
    if not features:
        remedy = "choose more recordings, or another part"
        raise DataError(message(dataset.location, "all chosen cycles are silent", "at least one with sound", remedy))
    return features, labels
