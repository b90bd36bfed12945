"""Finished runs, and which of them are seeds of one system."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lung_srad.config import Preset, settings
from lung_srad.datasets import DATASETS
from lung_srad.errors import LungSradError, RunError, message
from lung_srad.evaluation import Scores
from lung_srad.runs import RunFolder

SAME_RESULT = {"workers", "tensorboard", "checkpoint_every"}  # keys of [training] that change no figure


def find_runs(paths: Iterable[str | Path]) -> list[RunFolder]:
    """Returns the runs at or below some paths, sorted.

    Raises:
        RunError: a path holds no run.
    """
    found: set[Path] = set()
    for path in map(Path, paths):
        here = {config.parent for config in path.rglob("config.toml")} if path.is_dir() else set()
        if not here:
            text = message(path, "no run here", "run folders, or folders above them", "check the path, or train first")
            raise RunError(text)
        found |= here
    return [RunFolder(path) for path in sorted(found)]


@dataclass(frozen=True)
class Group:
    """Finished runs of one system: the same settings, data, starting weights and processes; another seed each."""

    runs: tuple[RunFolder, ...]

    @property
    def preset(self) -> Preset:
        """The preset of all of them."""
        return self.runs[0].config()

    @property
    def facts(self) -> dict[str, Any]:
        """The provenance of the first: what is of the system is the same for all."""
        return self.runs[0].facts()

    @property
    def synthetic(self) -> bool:
        """Whether the recordings are simulated."""
        return self.runs[0].synthetic

    @property
    def comparable(self) -> bool:
        """Whether printed figures may stand beside it: ICBHI itself, official split."""
        data = self.facts["data"]
        return not self.synthetic and (data["name"], data.get("split", "official")) == ("icbhi", "official")

    @property
    def split(self) -> dict[str, Any]:
        """The split's name and hash, and the patients on both sides; of the name alone for runs that kept no more."""
        return self.facts.get("split") or {"name": self.facts["data"].get("split", "")}

    @property
    def other_split(self) -> str:
        """The split's name where it is not the one that the corpus is split by unless asked."""
        corpus, name = DATASETS.get(self.facts["data"]["name"]), self.split["name"]
        return "" if corpus is None or name == corpus.default_scheme else name

    @property
    def train_cycles(self) -> int:
        """The number of training cycles, the mean where validation patients make it differ."""
        return round(statistics.fmean(run.result()["train_cycles"] for run in self.runs))

    def scores(self) -> dict[str, list[Scores]]:
        """Returns the scores of each seed by rule, the headline first; a seed without an answer is left out."""
        rules: dict[str, list[Scores]] = {}
        for run in self.runs:
            for choice in sorted(run.result()["rules"], key=lambda choice: not choice["headline"]):
                if choice["scores"] is not None:
                    recalls = tuple(choice["scores"]["recalls"])
                    rules.setdefault(choice["rule"], []).append(Scores(**choice["scores"] | {"recalls": recalls}))
        return rules


def group_runs(runs: Sequence[RunFolder], notes: list[str]) -> list[Group]:
    """Returns the finished runs by system, in order of their paths; what is left out stands in the notes."""
    systems: dict[str, dict[int, RunFolder]] = {}
    for run in runs:
        if not run.finished or not _whole(run, notes):
            continue
        facts = run.facts()
        identity = (facts["data"]["fingerprint"], facts["start"].get("sha256"), facts["processes"])
        first = systems.setdefault(repr((what(run.config()), identity)), {}).setdefault(facts["seed"], run)
        if first is not run:
            notes.append(f"Left out, the same run as {first.path}: {run.path}.")
    return [Group(tuple(seeds.values())) for seeds in systems.values()]


def what(preset: Preset) -> dict[str, Any]:
    """Returns the settings that figures depend on: what seeds of one system share."""
    found = settings(preset)
    del found["overrides"]
    found["training"] = {key: value for key, value in found["training"].items() if key not in SAME_RESULT}
    return found


def _whole(run: RunFolder, notes: list[str]) -> bool:
    """Whether a run's files can be read; says so in the notes where they cannot."""
    try:
        run.config(), run.facts(), run.result()
    except LungSradError as error:
        notes.append(f"Left out: {error}.")
        return False
    return True
