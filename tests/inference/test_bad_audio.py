"""84 kinds of audio, each with the outcome that the rule gives: none silent, none a traceback, none slow or large."""

import os
import sys
from functools import partial
from pathlib import Path

import pytest

from lung_srad.errors import AudioError
from lung_srad.inference import Model
from lung_srad.inference.bulk import Options, OutFolder, Task, Worker, classify_all, settings_of
from lung_srad.inference.sources import open_sound, require_length

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from bad_audio import CONTAINER, CONTENT, KINDS, Kind

from measuring import require_message, within


def test_all_kinds_are_there() -> None:
    assert (len(CONTAINER), len(CONTENT), len(KINDS)) == (40, 44, 84)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch):
    """Returns a function that makes a path unreadable also for root, who may read everything."""

    def refuse(path: Path) -> None:
        real = os.open

        def opening(target, *rest, **named):
            if str(target) == str(path):
                raise PermissionError(13, "Permission denied")
            return real(target, *rest, **named)

        monkeypatch.setattr(os, "open", opening)

    return refuse


def heard(model: Model, kind: str, path: Path) -> tuple[str, ...]:
    """Returns the codes of a recording; of the longest one those of its first minute, of which a day is made."""
    if kind != "24 hours":
        return model.classify(path).codes
    with open_sound(path, None) as sound:
        require_length(sound)
        assert sound.seconds == 24 * 3600
        listener, block = model.listen(sound.rate), next(iter(sound.blocks))
        assert len(listener.push(block)) == 11
        return listener.close().codes


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_gets_what_the_rule_gives(model: Model, tmp_path: Path, refusing, kind: str) -> None:
    row: Kind = KINDS[kind]
    path = row.make(tmp_path / "it.wav")
    if kind == "no permission":
        refusing(path)
    codes, refused = frozenset(), ""
    with within():
        try:
            codes = frozenset(heard(model, kind, path))
        except AudioError as error:
            refused = str(error)
    assert bool(refused) == bool(row.refused), refused
    assert codes == row.codes
    if refused:
        require_message(refused, str(path), row.refused)


def test_a_folder_of_all_kinds(model: Model, tmp_path: Path, refusing) -> None:
    tasks = []
    for number, (kind, row) in enumerate(KINDS.items()):
        if kind != "24 hours":  # it takes minutes
            path = row.make(tmp_path / f"{number:02d}.wav")
            tasks.append(Task(str(path), path.name))
            if kind == "no permission":
                refusing(path)
    options = Options(hop=8.0)
    out = OutFolder(tmp_path / "out", settings_of(model, options))
    rows = list(classify_all(partial(map, Worker(model, options, out.path)), tasks, out))
    assert len(rows) == 83
    for row, kind in zip(rows, (kind for kind in KINDS if kind != "24 hours"), strict=True):
        assert (row["status"] == "failed") == bool(KINDS[kind].refused), kind
        if row["status"] == "failed":
            assert KINDS[kind].refused in row["error"]
        else:
            assert set(row["codes"]) == KINDS[kind].codes, kind
            doubts = set(row["codes"]) - {"mixed_down", "trimmed", "repeated"}
            assert (row["status"] == "accept") == (not doubts), kind
