"""22 changes of content or parameter, each of which misses the feature cache; what does not matter hits it.

The key is the hash of the file and every parameter, so a stale file cannot be met: it has another name.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from lung_srad.audio import AudioFrontend, BeatsFrontend, ClapFrontend, Frontend
from lung_srad.audio import frontend as frontend_module
from lung_srad.datasets import ICBHI, Cycle, FeatureCache
from lung_srad.datasets import cache as cache_module

SECONDS = 1.0


@dataclass
class Case:
    """What is asked of a cache: the cycles of a recording, and a front end."""

    patch: pytest.MonkeyPatch
    cycles: list[Cycle]
    frontend: AudioFrontend = field(default_factory=lambda: Frontend(seconds=SECONDS))

    @property
    def path(self) -> Path:
        return self.cycles[0].path

    def resound(self, change: Callable[[np.ndarray], np.ndarray] = lambda wave: wave, **options: object) -> None:
        """Writes the samples again."""
        wave, rate = soundfile.read(self.path, dtype="int16")
        options = {"samplerate": rate, "format": "WAV", "subtype": "PCM_16", **options}
        soundfile.write(self.path, change(wave), **options)


Change = Callable[[Case], object]


def sample(wave: np.ndarray) -> np.ndarray:
    wave[4000] ^= 1
    return wave


def chunk(case: Case) -> None:
    """Puts a chunk that says nothing of the sound behind it."""
    content = case.path.read_bytes() + b"LIST\x04\x00\x00\x00INFO"
    case.path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])


def secretly(case: Case) -> None:
    """Changes a sample in place and sets the time of change back, as some copying programs do."""
    before = case.path.stat()
    case.resound(sample)
    os.utime(case.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = case.path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def swapped(case: Case) -> None:
    """Puts another recording in the place of this one."""
    other = next(path for path in sorted(case.path.parent.glob("*.wav")) if path != case.path)
    case.path.write_bytes(other.read_bytes())


def cycle(**named: float) -> Change:
    def change(case: Case) -> None:
        case.cycles[0] = replace(case.cycles[0], **named)

    return change


def front(make: Callable[..., AudioFrontend], **named: object) -> Change:
    def change(case: Case) -> None:
        case.frontend = make(**{"seconds": SECONDS, **named})

    return change


def constant(module: object, name: str, value: object) -> Change:
    """Returns a change of the program itself: a later version, or another constant."""
    return lambda case: case.patch.setattr(module, name, value)


def more(case: Case) -> None:
    case.cycles.append(replace(case.cycles[0], id="more", start=0.2, end=0.7))


CHANGES: dict[str, Change] = {
    "one bit of one sample": lambda case: case.resound(sample),
    "one bit, size and time of change as before": secretly,
    "a sample more": lambda case: case.resound(lambda wave: np.append(wave, wave[-1:])),
    "24 bits": lambda case: case.resound(subtype="PCM_24"),
    "FLAC under the same name": lambda case: case.resound(format="FLAC"),
    "another rate in the header": lambda case: case.resound(samplerate=4001),
    "a second channel": lambda case: case.resound(lambda wave: np.stack([wave, wave[::-1]], axis=1)),
    "a chunk that says nothing": chunk,
    "another recording in its place": swapped,
    "another start": cycle(start=0.1),
    "another end": cycle(end=0.8),
    "an open end": cycle(end=float("inf")),
    "a cycle more": more,
    "a cycle less": lambda case: case.cycles.pop(),
    "another length": front(Frontend, seconds=2.0),
    "another rate": front(Frontend, sample_rate=8000),
    "the front end of BEATs": front(BeatsFrontend),
    "the front end of CLAP": front(ClapFrontend),
    "another lowest frequency": constant(frontend_module, "LOW_HZ", 50.0),
    "another pre-emphasis": constant(frontend_module, "PREEMPHASIS", 0.5),
    "a later version of the front end": constant(frontend_module, "_VERSION", 1000),
    "a later layout of the file": constant(cache_module, "LAYOUT", 1000),
}
SAME: dict[str, Change] = {
    "nothing": lambda case: None,
    "another name and label": lambda case: cycle(id="x", label=3)(case),
    "the file copied onto itself": lambda case: case.path.write_bytes(case.path.read_bytes()),
    "another normalisation": front(Frontend, normalize="audioset"),
    "another width": front(Frontend, frames=64),
}


@pytest.fixture
def case(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    first = min((each.path for each in ICBHI(corpus).cycles()), key=str)
    return Case(monkeypatch, [each for each in ICBHI(corpus).cycles() if each.path == first])


def asked(case: Case, folder: Path) -> list[torch.Tensor]:
    """Returns the features that a cache in a folder gives."""
    cache = FeatureCache(folder, case.frontend)
    cache.prepare(case.cycles)
    return [cache.features(each) for each in case.cycles]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_there_are_20_changes_and_more() -> None:
    assert len(CHANGES) >= 20


@pytest.mark.parametrize("kind", CHANGES)
def test_each_change_misses_the_cache(case: Case, tmp_path: Path, kind: str) -> None:
    asked(case, tmp_path / "cache")
    (before,) = names(tmp_path / "cache")
    CHANGES[kind](case)
    found, fresh = asked(case, tmp_path / "cache"), asked(case, tmp_path / "fresh")
    assert len(names(tmp_path / "cache")) == 2
    assert names(tmp_path / "cache") == {before} | names(tmp_path / "fresh")
    assert all(torch.equal(one, other) for one, other in zip(found, fresh, strict=True))


@pytest.mark.parametrize("kind", SAME)
def test_what_does_not_matter_hits_the_cache(case: Case, tmp_path: Path, kind: str) -> None:
    asked(case, tmp_path)
    before = names(tmp_path)
    SAME[kind](case)
    asked(case, tmp_path)
    assert names(tmp_path) == before
