"""20 kinds of bad configuration and command line: each is one line on stderr and exit code 1."""

import sys
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from lung_srad.cli import app

sys.path.insert(0, str(Path(__file__).parent))
from bad_configs import CONFIGS, Kind
from measuring import require_message, within


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a corpus of one recording."""
    root, stem = tmp_path_factory.mktemp("corpus"), "101_1b1_Al_sc_Meditron"
    soundfile.write(root / f"{stem}.wav", [0.1, -0.1] * 4000, 4000)
    (root / f"{stem}.txt").write_text("0\t1\t0\t0\n")
    (root / "official_split.txt").write_text(f"{stem}\ttest\n")
    return root


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Imports what verbs import when they are called, so that no row pays for it."""
    CliRunner().invoke(app, ["presets", "lung_srad", "--set", "training.epochs=1"])


def test_all_kinds_are_there() -> None:
    assert len(CONFIGS) == 20


@pytest.mark.parametrize("kind", CONFIGS)
def test_each_kind_is_one_line(kind: str, tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUNG_SRAD_WEIGHTS", raising=False)
    row: Kind = CONFIGS[kind]
    path = tmp_path / "mine.toml"
    path.write_bytes(row.content.replace(b"{folder}", str(tmp_path).encode()))
    arguments = [part.format(file=path, folder=tmp_path, corpus=corpus) for part in row.arguments]
    with within():
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    require_message(result.stderr.removesuffix("\n"), "error", row.words)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_good_is_accepted() -> None:
    assert CliRunner().invoke(app, ["presets", "lung_srad", "--set", "training.batch_size=65536"]).exit_code == 0
