"""One corpus for all, the small backbone, a cache of its own, and finished runs that tests only read."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # small_runs: also imported by the scripts that run in other processes

import small_runs

from lung_srad.config import Preset
from lung_srad.datasets import Table
from lung_srad.runs import RunFolder
from lung_srad.training import fit


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of the corpus, of the cache and of the finished runs."""
    folder = tmp_path_factory.mktemp("training")
    small_runs.write_corpus(folder / "corpus")
    return folder


@pytest.fixture(autouse=True)
def small_world(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sets the number of threads, the cache and the small backbone for a test of this room."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("LUNG_SRAD_CACHE", str(workplace / "cache"))
    monkeypatch.delenv("LUNG_SRAD_WEIGHTS", raising=False)
    monkeypatch.setitem(small_runs.BACKBONES, small_runs.BACKBONE, small_runs.dass_micro)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def dataset(workplace: Path) -> Table:
    return Table(workplace / "corpus" / "table.csv")


@pytest.fixture
def preset() -> Callable[..., Preset]:
    return small_runs.small_preset


@pytest.fixture(scope="session")
def finished(workplace: Path, dataset: Table) -> Callable[..., RunFolder]:
    """Returns a function, to be called inside a test, that gives a finished run; nobody may write into it."""
    runs: dict[tuple[str, ...], RunFolder] = {}

    def get(name: str = "lung_srad", *overrides: str) -> RunFolder:
        key = (name, *overrides)
        if key not in runs:
            out = workplace / "runs" / str(len(runs))
            runs[key] = fit(small_runs.small_preset(*key), dataset, out=out)
        return runs[key]

    return get
