"""`make install` builds the compiled scan where it can, and goes on with one line where it cannot."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="there is no make")


def make(venv: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Returns what `make` in this project did with a virtual environment that is all there but for the kernels."""
    inherited = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CXX")
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    command = [MAKE, f"VENV={venv}", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment | {"PATH": str(venv / "bin")}, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Returns an environment whose python does nothing, and whose bin is the whole PATH: no compiler on it."""
    (tmp_path / "bin").mkdir()
    for tool in ("rm", "touch"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    write_tool(tmp_path / "bin" / "python", "exit 0")
    (tmp_path / ".installed").touch()
    return tmp_path


def write_tool(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_without_a_compiler_one_line_says_so_and_the_next_time_again(venv: Path) -> None:
    for _ in range(2):
        run = make(venv, "install")
        assert (run.returncode, run.stderr) == (0, "")
        assert len(run.stdout.splitlines()) == 1
        assert "plain torch" in run.stdout
        assert "no C++ compiler on PATH (c++, g++, clang++); install one (apt install g++)" in run.stdout


def test_a_failed_build_names_its_log_and_is_not_tried_twice(venv: Path) -> None:
    write_tool(venv / "bin" / "c++", "exit 1")
    write_tool(venv / "bin" / "python", "echo it broke; exit 1")
    run = make(venv, "install")
    assert (run.returncode, run.stderr) == (0, "")
    assert len(run.stdout.splitlines()) == 1
    assert f"{venv}/kernels.log says why" in run.stdout
    assert "it broke" in (venv / "kernels.log").read_text(encoding="utf-8")
    assert "plain torch" not in make(venv, "install").stdout
    assert "plain torch" in make(venv, "kernels").stdout


def test_a_changed_source_is_built_again(venv: Path) -> None:
    write_tool(venv / "bin" / "c++", "exit 1")
    run = make(venv, "install")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert make(venv, "-q", "install").returncode == 0
    for source in ("pyproject.toml", "CMakeLists.txt", "src/module.cpp", "lung_srad_kernels/__init__.py"):
        assert make(venv, "-q", "-W", f"kernels_cpp/{source}", "install").returncode == 1


def test_an_audit_that_looked_nothing_up_fails(venv: Path) -> None:
    run = make(venv, "-n", "audit")
    assert "pip_audit --strict " in run.stdout
    assert run.stdout.rstrip().endswith("-r constraints.txt")
