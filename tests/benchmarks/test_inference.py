"""The benchmark of classifying: its folder has as many broken files as it says, and its process counts alone."""

from pathlib import Path

import pytest
import soundfile

import inference as bench
from lung_srad.audio import read
from lung_srad.errors import AudioError


def test_a_folder_has_the_broken_files_that_it_says(tmp_path: Path) -> None:
    broken = bench.write_folder(tmp_path / "ward", 401)
    files = sorted((tmp_path / "ward").rglob("*.wav"))
    failed = []
    for path in files:
        try:
            read(path)
        except AudioError:
            failed.append(path.stem)
    assert (len(files), broken) == (401, 5)
    assert failed == ["00000", "00100", "00200", "00300", "00400"]


def test_a_long_file_is_as_long_as_it_says(tmp_path: Path) -> None:
    bench.write_long(tmp_path / "a.flac", 0.05)
    assert soundfile.info(tmp_path / "a.flac").duration == 180


def test_a_command_reports_its_exit_code_and_its_memory() -> None:
    ran = bench.run("presets")
    assert ran.code == 0
    assert "lung_srad" in ran.output
    assert 0.01 < ran.gigabytes < 1
    assert bench.run("presets", "--nonsense").code == 2


@pytest.mark.parametrize("name", bench.GOALS)
def test_goals_are_of_models_that_are_timed(name: str) -> None:
    assert f'yield "{name}"' in Path(bench.__file__).read_text()
