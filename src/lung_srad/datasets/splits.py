"""Who is on which side: the split files of ICBHI, and validation patients."""

import random
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from lung_srad.datasets.contract import Cycle
from lung_srad.datasets.report import Defect
from lung_srad.datasets.seeds import derive_seed
from lung_srad.errors import ConfigError, message, shown

_HOLDERS = 3  # a class or device of fewer training patients cannot be asked for on both sides
_TRIES = 200


def read_pairs(path: Path, words: Iterable[str]) -> tuple[dict[str, str], list[Defect]]:
    """Returns name -> word of a file of lines ``name word``, and what is wrong in it."""
    file, allowed = shown(path.name), sorted(words)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        remedy = "copy the file again from the database"
        return {}, [Defect(file, "split file", f"cannot be read ({shown(str(error))})", "lines: name, word", remedy)]
    pairs: dict[str, str] = {}
    defects = []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2 or fields[1] not in allowed:
            seen, rule = f"line {number}: {shown(line[:60])!r}", f"a name and one of {', '.join(allowed)}"
        elif fields[0] in pairs:
            seen, rule = f"line {number}: {shown(fields[0])} is there twice", "each name once"
        else:
            pairs[fields[0]] = fields[1]
            continue
        defects.append(Defect(file, "split line", seen, rule, "correct the line"))
    return pairs, defects


@dataclass(frozen=True, slots=True)
class Validation:
    """Patients to validate on, and in words what could not be had."""

    patients: frozenset[str]
    unmet: tuple[str, ...]


def validation_patients(
    cycles: Sequence[Cycle],
    *,
    fraction: float = 0.2,
    seed: int = 0,
    class_names: Sequence[str] = (),
    tested: Set[str] = frozenset(),
) -> Validation:
    """Returns training patients to set aside: close to a share of the patients and of the cycles.

    Every class and every device of at least three patients occurs among them and among those who remain, even
    where that takes more patients than the share. The same cycles and seed give the same patients.

    Args:
        cycles: all cycles of the training part.
        class_names: for the words in ``unmet``.
        tested: patients who are tested too, as in ICBHI's official split: they choose no epoch (DECISIONS:
            validation-untested), unless hardly anyone else is there.

    Raises:
        ConfigError: the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        remedy = "0.2 sets a fifth of the patients aside"
        raise ConfigError(message("fraction", f"{fraction!r}", "allowed: between 0 and 1", remedy))
    holders: dict[str, set[str]] = {}  # what has to be on both sides -> the patients who have it
    cycles_of: dict[str, int] = {}
    for cycle in sorted(cycles, key=lambda cycle: cycle.id):
        cycles_of[cycle.patient] = cycles_of.get(cycle.patient, 0) + 1
        if cycle.label is not None:
            word = class_names[cycle.label] if class_names else cycle.label
            holders.setdefault(f"class {word}", set()).add(cycle.patient)
        if cycle.device:
            holders.setdefault(f"device {cycle.device}", set()).add(cycle.patient)
    leaked = sorted(tested & cycles_of.keys())
    if leaked and len(cycles_of) - len(leaked) >= 2:
        untested = [cycle for cycle in cycles if cycle.patient not in tested]
        return validation_patients(untested, fraction=fraction, seed=seed, class_names=class_names)
    if len(cycles_of) < 2:
        return Validation(frozenset(), (f"{len(cycles_of)} training patient(s): none can be set aside",))
    wanted = {name: who for name, who in holders.items() if len(who) >= _HOLDERS}
    generator = random.Random(derive_seed("validation", seed))
    tries = [_draw(generator, sorted(cycles_of), wanted, fraction) for _ in range(_TRIES)]

    def cost(chosen: frozenset[str]) -> tuple[int, float]:
        patients = len(chosen) / len(cycles_of)
        share = sum(cycles_of[patient] for patient in chosen) / len(cycles)
        return len(_missing(chosen, wanted)), abs(patients - fraction) + abs(share - fraction)

    best = min(tries, key=cost)
    few = [
        f"{name}: only {len(who)} training patient(s), {_HOLDERS} are needed to ask for it on both sides"
        for name, who in sorted(holders.items())
        if name not in wanted
    ]
    known = [f"patient {patient}: is tested too, and may choose the epoch" for patient in leaked]
    return Validation(best, (*_missing(best, wanted), *few, *known))


def _draw(
    generator: random.Random, patients: Sequence[str], wanted: dict[str, set[str]], fraction: float
) -> frozenset[str]:
    """Returns a candidate: a random patient for each class and device, rarest first, then anyone."""
    order = generator.sample(patients, len(patients))
    chosen: list[str] = []
    for _, who in sorted(wanted.items(), key=lambda item: (len(item[1]), item[0])):
        if not who.intersection(chosen):
            chosen.append(next(patient for patient in order if patient in who))
    target = min(max(1, round(fraction * len(patients))), len(patients) - 1)
    rest = (patient for patient in order if patient not in chosen)
    while len(chosen) < target:
        chosen.append(next(rest))
    return frozenset(chosen)


def _missing(chosen: frozenset[str], wanted: dict[str, set[str]]) -> list[str]:
    """Returns in words which class or device is not on both sides."""
    absent = [f"{name}: in no validation patient" for name, who in sorted(wanted.items()) if not who & chosen]
    return absent + [f"{name}: in no remaining patient" for name, who in sorted(wanted.items()) if who <= chosen]
