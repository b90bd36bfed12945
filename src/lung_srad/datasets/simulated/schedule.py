"""When and where patients are recorded, how they breathe meanwhile, and what each breath holds.

Each draw derives from (seed, patient, recording or session), so a recording is the same whatever else is planned,
but for one number: the log-odds of all patients are shifted together until the corpus has its shares of the classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from lung_srad.datasets.simulated.plan import DIFFICULTIES, CyclePlan, Mode, RecordingPlan, Site, Split
from lung_srad.datasets.simulated.population import SIZES, Member, draw_members, generator

SITES: dict[Site, int] = {"Ar": 168, "Al": 162, "Pl": 139, "Pr": 132, "Tc": 130, "Lr": 112, "Ll": 77}  # recordings
CRACKLE_AT: dict[Site, float] = {"Pl": 0.5, "Lr": 0.5, "Ll": 0.5, "Pr": -0.1, "Al": -0.3, "Ar": -0.3, "Tc": -1.1}
MODES: dict[str, Mode] = {"AKGC417L": "mc", "LittC2SE": "mc", "Litt3200": "sc", "Meditron": "sc"}
SIMULTANEOUS = "AKGC417L"  # the one device that was taped to several sites at once
SHARES = (0.53, 0.27, 0.13, 0.07)  # of the cycles: normal, crackle, wheeze, both
PERSISTENCE = 0.6  # of the state of the cycle before
HEARD_EVERYWHERE = (0.2, 0.6)  # crackles, wheezes: how often a state is that of all sites of a session
_SITES_AT_ONCE = ((5, 0.27), (6, 0.39), (7, 0.34))  # number of sites of a session of the AKG, its probability
_WITHIN = 0.29  # standard deviation of the log length of cycles within a recording, as in ICBHI's annotations
_SHORTEST = 0.3  # seconds, of a cycle
_CLOSE = 0.01  # of every share; a population that misses it is drawn again
_ATTEMPTS = 30


@dataclass(frozen=True, slots=True)
class _Take:
    """A recording before it is known what its cycles hold; ``drawn`` (n, 2) are the draws that decide it."""

    member: Member
    index: int
    session: int
    visit: int
    site: Site
    seconds: float
    edges: np.ndarray  # (n + 1,)
    drawn: np.ndarray  # (n, 2): the log-odds from which on the cycle holds a crackle, a wheeze


def plan_corpus(size: str, difficulty: str, confound: float, leak: str | None, seed: int) -> tuple[RecordingPlan, ...]:
    """Returns every recording of a corpus, by patient and in the order of recording.

    Args:
        size: a key of :data:`SIZES`.
        difficulty: a key of :data:`DIFFICULTIES`; of the plan it changes only the labels that err.
        confound: 0: what a patient has is independent of the device; 1: tied to it as in ICBHI.
        leak: ``icbhi``: two test patients have half of their recordings in the training part, as there.
    """
    takes, shift = _population(size, confound, seed)
    leaked = _leaked(takes) if leak == "icbhi" else frozenset()
    guess = _Guess.of(takes, shift, DIFFICULTIES[difficulty].label_flips)
    return tuple(_recording(take, shift, guess, take.member.patient.number in leaked, seed) for take in takes)


def _population(size: str, confound: float, seed: int) -> tuple[list[_Take], np.ndarray]:
    """Returns the recordings of the first population whose classes have their shares, or of the closest one.

    Crackles and wheezes have theirs by the shift, the second value; how often they meet is up to the patients drawn.
    """
    tries = []
    for attempt in range(_ATTEMPTS):
        takes = [t for member in draw_members(SIZES[size], confound, seed, attempt) for t in _takes(member, seed)]
        shift = np.array([_shift(takes, part) for part in (0, 1)])
        states = np.concatenate([take.drawn <= shift for take in takes])
        counts = np.bincount(states @ [1, 2], minlength=4)
        tries.append((float(np.abs(counts / counts.sum() - SHARES).max()), takes, shift))
        if tries[-1][0] < _CLOSE:
            break
    _, takes, shift = min(tries, key=lambda found: found[0])
    return takes, shift


def _takes(member: Member, seed: int) -> list[_Take]:
    """Returns the recordings of a patient.

    The AKG hears several sites at once: one session, the same breaths. The other devices go from site to site:
    every recording is a session of its own, several of them make up a visit.
    """
    number = member.patient.number
    rng = generator(seed, "visits", number)
    together = member.device == SIMULTANEOUS
    takes: list[_Take] = []
    visit = 0
    while len(takes) < member.recordings:
        visit += 1
        counts, chances = zip(*_SITES_AT_ONCE, strict=True)
        count = min(int(rng.choice(counts, p=chances)), member.recordings - len(takes))
        shares = np.array(list(SITES.values())) / sum(SITES.values())
        for site in rng.choice(list(SITES), size=count, replace=False, p=shares).tolist():
            index = len(takes)
            session = visit if together else index + 1
            seconds, edges = _breaths(member.patient.cycle_seconds, generator(seed, "breaths", number, session))
            drawn = _thresholds(len(edges) - 1, seed, number, session, index)
            drawn[:, 0] -= member.patient.crackle_logit + CRACKLE_AT[site]
            drawn[:, 1] -= member.patient.wheeze_logit
            takes.append(_Take(member, index, session, visit, site, seconds, edges, drawn))
    return takes


def _breaths(median: float, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Returns the length of a session in seconds, and where its cycles begin and end, without gaps.

    Nine in ten are 20 s long, and the last cycle ends within their last three seconds.
    """
    kind = rng.random()
    seconds = 20.0
    if kind < 0.045:
        seconds = float(np.round(rng.uniform(8, 17), 2))
    elif kind > 0.96:
        seconds = float(np.round(min(21 + rng.exponential(15), 86), 2))
    first = min(rng.exponential(0.55), 2.4)
    left = rng.uniform(0.02, 0.2) if rng.random() < 0.5 else rng.uniform(0.2, 1.8)
    span = seconds - left - first
    pace = median * float(np.exp(rng.normal(0, 0.1)))
    lengths = np.exp(rng.normal(0, _WITHIN, size=max(2, round(span / pace))))
    lengths = np.maximum(lengths / lengths.sum() * span, _SHORTEST)
    edges = first + span * np.concatenate([[0.0], np.cumsum(lengths) / lengths.sum()])
    return seconds, np.round(edges, 3)


def _thresholds(count: int, seed: int, number: int, session: int, index: int) -> np.ndarray:
    """Returns for every cycle the log-odds from which on it holds a crackle and a wheeze.

    A Markov chain: a cycle keeps the state of the one before with probability :data:`PERSISTENCE`, else both are
    drawn anew. Sites of one session share when that happens, and a part of the draws.

    Shape:
        (count, 2)
    """
    chest = generator(seed, "states", number, session)
    spot = generator(seed, "states here", number, index)
    anew = chest.random(count) >= PERSISTENCE
    anew[0] = True
    everywhere, here = chest.random((count, 2)), spot.random((count, 2))
    uniform = np.where(spot.random((count, 2)) < HEARD_EVERYWHERE, everywhere, here)
    uniform = uniform[np.maximum.accumulate(np.where(anew, np.arange(count), 0))]
    return np.log(uniform) - np.log1p(-uniform)


def _shift(takes: Sequence[_Take], part: int) -> float:
    """Returns what has to be added to all log-odds so that crackles (0) or wheezes (1) have their share."""
    missing = np.sort(np.concatenate([take.drawn[:, part] for take in takes]))
    wanted = round((SHARES[1 + part] + SHARES[3]) * len(missing))
    at, after = missing[wanted - 1 : wanted + 1].tolist()
    return (at + after) / 2 if math.isfinite(after) else float(missing[np.isfinite(missing)].max()) + 1


@dataclass(frozen=True, slots=True)
class _Guess:
    """How the annotator errs: at a share ``rate`` of the crackles, and of the wheezes, there is no listening.

    The guess goes by how common they are in the patient. So the classes keep their shares, and patients who have
    no crackles have none in their annotations.
    """

    rate: float
    chances: dict[int, np.ndarray]  # patient -> (2,): crackle, wheeze

    @classmethod
    def of(cls, takes: Sequence[_Take], shift: np.ndarray, flips: float) -> "_Guess":
        """Returns the guesses with which a share ``flips`` of all cycles is not what it is."""
        states: dict[int, list[np.ndarray]] = {}
        for take in takes:
            states.setdefault(take.member.patient.number, []).append(take.drawn <= shift)
        chances = {number: np.concatenate(found).mean(0) for number, found in states.items()}
        cycles = [sum(map(len, found)) for found in states.values()]
        wrong = np.array([2 * chance * (1 - chance) for chance in chances.values()])  # how likely a guess is wrong
        # mean of 1 - (1 - rate wrong_0)(1 - rate wrong_1) over the cycles = flips, solved for the rate
        total, product = np.average(wrong.sum(1), weights=cycles), np.average(wrong.prod(1), weights=cycles)
        rate = 2 * flips / (total + math.sqrt(max(total**2 - 4 * product * flips, 0)) or 1)
        return cls(min(float(rate), 1.0), chances)

    def annotated(self, true: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
        """Returns what the annotator writes of a recording of a patient, (n, 2)."""
        here, guess = rng.random(true.shape) < self.rate, rng.random(true.shape) < self.chances[number]
        return np.where(here, guess, true)


def _recording(take: _Take, shift: np.ndarray, guess: _Guess, leaked: bool, seed: int) -> RecordingPlan:
    """Returns the recording with its cycles."""
    member, patient = take.member, take.member.patient
    number = patient.number
    true = take.drawn <= shift  # (n, 2)
    label = guess.annotated(true, number, generator(seed, "annotator", number, take.index))
    rows = np.column_stack([true, label]).tolist()
    edges = take.edges.tolist()
    mode = MODES[member.device]
    split: Split = "train" if leaked and take.session % 2 == 0 else member.split
    crackle_logit, wheeze_logit = (np.array([patient.crackle_logit, patient.wheeze_logit]) + shift).tolist()
    return RecordingPlan(
        patient=replace(patient, crackle_logit=crackle_logit, wheeze_logit=wheeze_logit),
        index=take.index,
        name=f"{number}_{take.visit}b1_{take.site}_{mode}_{member.device}",
        site=take.site,
        mode=mode,
        device=member.device,
        seconds=take.seconds,
        cycles=tuple(CyclePlan(*times, *row) for times, row in zip(pairwise(edges), rows, strict=True)),
        split=split,
        seed=(seed, number, take.index, 0),
        session=take.session,
        session_seed=(seed, number, take.session, 1),
    )


def _leaked(takes: Sequence[_Take]) -> frozenset[int]:
    """Returns the two test patients who are also trained on: those with the most sessions, of two devices."""
    sessions: dict[int, int] = {}
    device_of: dict[int, str] = {}
    for take in takes:
        if take.member.split == "test":
            sessions[take.member.patient.number] = take.session
            device_of[take.member.patient.number] = take.member.device
    leaked: dict[str, int] = {}
    for number in sorted(sessions, key=lambda number: -sessions[number]):
        if sessions[number] > 1 and len(leaked) < 2:
            leaked.setdefault(device_of[number], number)
    return frozenset(leaked.values())
