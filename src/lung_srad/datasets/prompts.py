"""Which sentence about a recording (:data:`lung_srad.prompt_texts.PROMPTS`) belongs to a cycle."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from lung_srad.datasets.batch import Batch
from lung_srad.datasets.contract import Cycle
from lung_srad.datasets.cycles import CycleDataset, Item
from lung_srad.prompt_texts import Location, prompt_number

Prompt = Callable[[Cycle], int]
"""What gives a cycle the number of its sentence."""

ADULT = 19  # years from which the public code calls a patient adult


def prompt_index(cycle: Cycle, location: Location) -> int:
    """Returns the number of the sentence about a cycle's site, its patient's age and sex, and its device.

    ``published`` names the chest location that metadata.txt lists for the patient, as the public code does: it is
    wrong for 698 of the 920 recordings of ICBHI. ``filename`` names the recording's own. What is not known is
    called unknown (DECISIONS: prompt-location, unknown-metadata).
    """
    age = "" if cycle.age is None else "adult" if cycle.age >= ADULT else "pediatric"
    site = cycle.listed_site if location == "published" else cycle.site
    return prompt_number(site=site, age=age, sex={"M": "male", "F": "female"}.get(cycle.sex, ""), device=cycle.device)


class Prompted:
    """Collates as a data set does, and gives the batch the number of each cycle's sentence: for text backbones.

    ::

        loader = DataLoader(dataset, collate_fn=Prompted(dataset, partial(prompt_index, location="published")))
    """

    def __init__(self, dataset: CycleDataset, prompt: Prompt) -> None:
        self.collate = dataset.collate
        self.numbers = {cycle.id: prompt(cycle) for cycle in dataset.cycles}

    def __call__(self, items: Sequence[Item]) -> Batch:
        """Returns the batch of some cycles, with ``text_ids`` (B,)."""
        batch = self.collate(items)
        return replace(batch, text_ids=torch.tensor([self.numbers[name] for name in batch.cycle_id]))
