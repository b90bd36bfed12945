"""The house: light imports, public names, files and functions that stay readable."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import lung_srad

SOURCE = Path(lung_srad.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
FILE_LINES, FUNCTION_LINES = 330, 60


def in_a_new_process(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


LOADED = "print(*sorted({name.partition('.')[0] for name in sys.modules}))"


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = in_a_new_process(f"import sys, lung_srad; {LOADED}").split()
    assert "lung_srad" in loaded
    assert not {"torch", "numpy", "pydantic", "typer"} & set(loaded)


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import runpy, sys
sys.argv = ["lung-srad", "--help"]
try:
    runpy.run_module("lung_srad.cli", run_name="__main__")
except SystemExit as stop:
    assert stop.code == 0, stop.code
{LOADED}
"""
    output = in_a_new_process(code)
    assert "Usage" in output
    assert not {"torch", "numpy", "soundfile", "pydantic", "matplotlib"} & set(output.splitlines()[-1].split())


def test_public_names_are_sorted_and_listed() -> None:
    assert lung_srad.__all__ == sorted(set(lung_srad.__all__))
    assert {*lung_srad.__all__, "__version__"} <= set(dir(lung_srad))


@pytest.mark.parametrize("name", [*lung_srad.__all__, "__version__"])
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(lung_srad, name) is getattr(lung_srad, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'lung_srad' has no attribute 'fitt'"):
        lung_srad.fitt  # noqa: B018


@pytest.mark.parametrize("module", ["torchvision", "torchaudio", "timm"])
def test_packages_that_break_others_are_not_installed(module: str) -> None:
    assert find_spec(module) is None


# --- files and functions stay readable


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= FILE_LINES, f"{path.name} has {lines} lines; split it at its seam"
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    }
    assert not long, f"{path.name}: functions over {FUNCTION_LINES} lines: {long}"
