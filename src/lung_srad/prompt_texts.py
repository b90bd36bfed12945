"""The sentences that BTS reads: where, on whom and with what a recording was made, as a closed list in a fixed order.

Datasets choose a sentence by its number and text backbones keep the tokens of all of them, so neither needs to know
the other, and a trained model needs no tokenizer. The order is part of every saved text model: it never changes.
"""

from itertools import product
from typing import Literal

Location = Literal["published", "filename"]
"""Which site a sentence names: the one per patient that ICBHI's metadata.txt lists, or the recording's own."""

SITES = {  # as in the names of ICBHI's recordings
    "Tc": "trachea",
    "Al": "left anterior chest",
    "Ar": "right anterior chest",
    "Pl": "left posterior chest",
    "Pr": "right posterior chest",
    "Ll": "left lateral chest",
    "Lr": "right lateral chest",
}
AGES = ("adult", "pediatric")
SEXES = ("male", "female")
DEVICES = {
    "AKGC417L": "an AKGC417L microphone",
    "Litt3200": "a Litt3200 stethoscope",
    "LittC2SE": "a LittC2SE stethoscope",
    "Meditron": "a Meditron stethoscope",
}
_PARTS = {"site": tuple(SITES), "age": AGES, "sex": SEXES, "device": tuple(DEVICES)}
UNKNOWN = 0  # the number of the sentence in which nothing is known


def prompt_number(*, site: str = "", age: str = "", sex: str = "", device: str = "") -> int:
    """Returns the place in :data:`PROMPTS` of the sentence about a site, an age, a sex and a device.

    A word that is not one of :data:`SITES`, :data:`AGES`, :data:`SEXES` or :data:`DEVICES` is unknown.

    >>> PROMPTS[prompt_number(site="Al", age="adult", sex="male", device="Meditron")]
    'This sound was recorded from the left anterior chest of an adult male patient, using a Meditron stethoscope.'
    """
    number = 0
    for word, known in zip((site, age, sex, device), _PARTS.values(), strict=True):
        number = number * (len(known) + 1) + (1 + known.index(word) if word in known else 0)
    return number


def unknown_parts(number: int) -> list[str]:
    """Returns which of site, age, sex and device a sentence calls unknown.

    >>> unknown_parts(prompt_number(age="adult", device="Meditron"))
    ['sex', 'site']
    """
    unknown = []
    for part, known in reversed(_PARTS.items()):
        number, word = divmod(number, len(known) + 1)
        unknown += [] if word else [part]
    return unknown


def _sentence(site: str, age: str, sex: str, device: str) -> str:
    """Returns the sentence of BTS; "" is unknown (DECISIONS: unknown-metadata)."""
    where = f"the {SITES[site]}" if site else "an unknown region"
    known = " ".join((age, sex) if age == "adult" else (sex, age)).strip()
    missing = " and ".join(name for name, word in (("age", age), ("sex", sex)) if not word)
    whose = f"{'an' if known.startswith('adult') else 'a'} {known} patient".replace("  ", " ")
    whose += f" with unknown {missing}" if missing else ""
    return f"This sound was recorded from {where} of {whose}, using {DEVICES.get(device, 'an unknown device')}."


PROMPTS = tuple(_sentence(*words) for words in product(*(("", *known) for known in _PARTS.values())))
