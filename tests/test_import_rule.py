"""The import rule: strictly downward, and only `runs` and above see the config."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "lung_srad"
SOURCE = Path(__file__).parents[1] / "src" / PACKAGE
MODULES = sorted(SOURCE.rglob("*.py"))

# A room imports itself and the levels above its own line; rooms on one line do not know each other.
LEVELS = (
    ("drawing", "errors", "files", "memory", "prompt_texts"),
    ("preset_files",),
    ("literature",),
    ("config",),
    ("method", "audio"),
    ("kernels", "portable"),
    ("models", "datasets"),
    ("objectives",),
    ("evaluation", "analysis"),
    ("runs",),
    ("training", "inference"),
    ("reports",),
    ("serving",),
    ("cli", "__init__"),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
SEES_CONFIG = LEVEL["runs"]


def room_of(name: tuple[str, ...]) -> str:
    """Returns the room of a dotted name below the package; a name that is no room is the package's own."""
    return name[0] if name and name[0] in LEVEL else "__init__"


def imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yields (line, room) of every import of the package's own modules, wherever it stands.

    Args:
        tree: the parsed module.
        package: what a relative import starts from, ``("lung_srad", "models")``.
    """
    for node in ast.walk(tree):
        names: list[list[str]] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) + 1 - node.level]) if node.level else []
            base += node.module.split(".") if node.module else []
            names = [[*base, alias.name] for alias in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
            "import_module",
            "__import__",
        ):
            names = [arg.value.split(".") for arg in node.args[:1] if isinstance(arg, ast.Constant)]
        for first, *rest in names:
            if first == PACKAGE:
                yield node.lineno, room_of(tuple(rest))


def violations(path: Path, text: str) -> list[str]:
    """Returns every import of a module that does not point strictly downward."""
    inside = path.relative_to(SOURCE).with_suffix("").parts
    if inside[0] not in LEVEL:
        return [f"{path.name}: {inside[0]!r} is no room; give it a line in LEVELS"]
    room, package = inside[0], (PACKAGE, *inside[:-1])
    return [
        f"{'/'.join(inside)}.py:{line}: {room} (level {LEVEL[room]}) imports {other} (level {LEVEL[other]})"
        for line, other in imported(ast.parse(text), package)
        if other != room and (LEVEL[other] >= LEVEL[room] or (other == "config" and LEVEL[room] < SEES_CONFIG))
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_imports_point_strictly_downward(path: Path) -> None:
    assert violations(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "text", "other"),
    [
        ("models/dass.py", "from lung_srad.datasets import Cycle", "datasets"),  # same level
        ("models/dass.py", "from ..objectives import OBJECTIVES", "objectives"),
        ("models/dass.py", "from .. import training", "training"),
        ("models/dass.py", "import lung_srad", "__init__"),
        ("models/dass.py", "from lung_srad import fit", "__init__"),
        ("models/dass.py", "import lung_srad.training.fit as loop", "training"),
        ("models/parts/one.py", "from ...runs import folder", "runs"),
        ("models/__init__.py", "from ..config import Preset", "config"),
        ("audio/fbank.py", "def f():\n    from lung_srad.kernels import use", "kernels"),
        (
            "audio/fbank.py",
            "if True:\n    from importlib import import_module\nimport_module('lung_srad.cli')",
            "cli",
        ),
        ("errors.py", "from .config import Preset", "config"),
        ("training/fit.py", "from ..inference import load", "inference"),
        ("cli.py", "from . import create_model", "__init__"),
    ],
)
def test_a_planted_violation_is_caught(module: str, text: str, other: str) -> None:
    found = violations(SOURCE / module, text)
    assert len(found) == 1
    assert f"imports {other} " in found[0]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (
            "models/dass.py",
            "import torch\nfrom .vmamba import VSSM\nfrom ..kernels import ss2d\nfrom ..audio import read",
        ),
        ("config.py", "from .errors import ConfigError"),
        ("runs/build.py", "from ..config import Preset\nfrom lung_srad.evaluation import Scores"),
        ("__init__.py", "from lung_srad.training import fit"),
        ("cli/data.py", "from lung_srad.cli.screen import show"),
    ],
)
def test_what_is_allowed(module: str, text: str) -> None:
    assert violations(SOURCE / module, text) == []


def test_a_module_outside_every_room_is_caught() -> None:
    assert "no room" in violations(SOURCE / "utils.py", "")[0]
