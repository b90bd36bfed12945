"""The house: light imports, public names, nothing that executes foreign bytes, files that stay readable."""

import ast
import subprocess
import sys
from collections.abc import Iterator
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


# --- nothing in the package executes what it reads

EXECUTES = {"eval", "exec", "compile", "__import__"}
UNPICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
LOADERS = {"torch.load", "torch.serialization.load"}
HARMLESS = "pickle.UnpicklingError"  # what torch raises at a hostile file; whoever catches it imports pickle


def unsafe(text: str) -> Iterator[str]:
    """Yields whatever in a module's text could execute what it reads."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names):
                # plain pickle may be there for its error: its attributes are looked at below
                foreign = [name.name for name in names if name.name != "pickle" or name.asname]
                yield from (name for name in foreign if name.partition(".")[0] in UNPICKLES)
            case ast.ImportFrom(module, names):
                dotted = {f"{module}.{name.name}" for name in names} - {HARMLESS}
                yield from (name for name in dotted if name in LOADERS or name.partition(".")[0] in UNPICKLES)
            case ast.Attribute() if ast.unparse(node).startswith("pickle.") and ast.unparse(node) != HARMLESS:
                yield ast.unparse(node)
            case ast.Call(func, _, keywords):
                called = ast.unparse(func)
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in keywords}
                if called in EXECUTES or (called in LOADERS and given.get("weights_only") != "True"):
                    yield called
                if given.get("allow_pickle", "False") != "False":
                    yield f"{called}(allow_pickle)"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_nothing_executes_what_it_reads(path: Path) -> None:
    assert list(unsafe(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "torch.load(f, weights_only=safe)",
        "from torch import load",
        "import pickle\npickle.loads(b)",
        "from pickle import loads",
        "import pickle as p",
        "import joblib",
        "def f():\n    from yaml import load",
        "eval(text)",
        "np.load(f, allow_pickle=True)",
    ],
)
def test_a_planted_danger_is_caught(text: str) -> None:
    assert len(list(unsafe(text))) == 1


def test_harmless_calls_are_not_caught() -> None:
    harmless = "model.eval(); torch.load(f, weights_only=True); re.compile(x); np.load(f); json.load(f)"
    harmless += "\nimport pickle\ntry: pass\nexcept pickle.UnpicklingError: pass"
    assert list(unsafe(harmless)) == []


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
