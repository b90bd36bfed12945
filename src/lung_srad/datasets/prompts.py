"""Which sentence about a recording (:data:`lung_srad.prompt_texts.PROMPTS`) belongs to a cycle."""

from lung_srad.datasets.contract import Cycle
from lung_srad.prompt_texts import Location, prompt_number

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
