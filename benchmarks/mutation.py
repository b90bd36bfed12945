"""Writes benchmarks/mutation.md: which small faults in the metrics their tests notice.

    python benchmarks/mutation.py

Each mutant is the module with one fault: another operator, another number, a condition turned round, a statement left
out, nothing returned. It is tested in a forked process, which has everything imported already; what survives is listed.
Texts of messages are not changed. `make mutation` does it.
"""

import argparse
import ast
import datetime
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
import sklearn.metrics  # noqa: F401  what the tests import is imported once, before the forks

from timing import say

ROOT = Path(__file__).parents[1]
MODULE, TESTS = "lung_srad.evaluation.metrics", ("tests/evaluation/test_metrics.py",)
CPU_SECONDS = 30  # a mutant that takes longer does not end
ASKED = 90.0
SHOWN = 40  # characters of a statement to either side of its fault
OTHERS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
PAGE = """\
# Mutants of the metrics

Made {date} by `make mutation` in {minutes:.1f} minutes, at {machine}.

`{module}` with one fault at a time, under `{tests}`: {killed} of {total} mutants are noticed, **{share:.1f} %**.
Asked: at least {asked:.0f} %. {verdict}

{table}
## What survives

{survivors}"""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: its kind, its line, the statement as it is and with the fault, and the whole tree."""

    kind: str
    line: int
    before: str
    after: str
    tree: ast.Module


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yields (kind, node) of everything that may stand in the place of a node."""
    match node:
        case ast.Compare(left, ops, comparators):
            for index, op in enumerate(ops):
                for other in OTHERS.get(type(op), ()):
                    yield "comparison", ast.Compare(left, [*ops[:index], other(), *ops[index + 1 :]], comparators)
        case ast.BinOp(left, op, right):
            for other in OTHERS.get(type(op), ()):
                yield "arithmetic", ast.BinOp(left, other(), right)
        case ast.BoolOp(op, values):
            yield "and, or", ast.BoolOp(OTHERS[type(op)][0](), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield "sign, not", operand
        case ast.Constant(bool() as value):
            yield "constant", ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield from (("constant", ast.Constant(value + step)) for step in (1, -1))
        case ast.Return(ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "return", ast.Return(ast.Constant(None))
        case ast.IfExp(test, body, orelse):
            yield "condition", ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.If(test, body, orelse):
            yield "condition", ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Raise() | ast.Expr(ast.Call()):
            yield "statement", ast.Pass()


def mutants(tree: ast.Module) -> Iterator[Mutant]:
    """Yields every module that differs in one place; annotations and docstrings stay."""

    def walk(node: ast.AST, statement: ast.stmt | None, put: Callable[[ast.AST], None]) -> Iterator[Mutant]:
        statement = node if isinstance(node, ast.stmt) else statement
        line, before = (statement.lineno, text(statement)) if statement else (0, "")
        for kind, other in changes(node):
            put(ast.copy_location(other, node))
            # the statement itself may have been replaced
            after = text(other if node is statement else statement) if statement else ""
            yield Mutant(kind, line, before, after, ast.fix_missing_locations(deepcopy(tree)))
            put(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns"):
                continue
            if isinstance(value, ast.AST):
                yield from walk(value, statement, lambda new, at=node, key=name: setattr(at, key, new))
            elif isinstance(value, list):
                for index, each in enumerate(value):
                    if isinstance(each, ast.AST):
                        yield from walk(each, statement, lambda new, at=value, key=index: at.__setitem__(key, new))

    yield from walk(tree, None, lambda new: None)


def apart(before: str, after: str) -> str:
    """Returns both texts around the place where they differ."""

    def alike(one: str, other: str) -> int:
        pairs = enumerate(zip(one, other, strict=False))
        return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))

    start = alike(before, after)
    end = alike(before[start:][::-1], after[start:][::-1])
    first, last = max(0, start - SHOWN), SHOWN - end
    dots = "…" if first else "", "…" if last < 0 else ""
    cut = (f"`{dots[0]}{each[first : last if last < 0 else None]}{dots[1]}`" for each in (before, after))
    return " as ".join(cut)


def text(node: ast.AST) -> str:
    """Returns the first line of a node, or what differs in a definition: its decorators and arguments."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        node = deepcopy(node)
        node.body = [ast.Pass()]
        return " ".join(ast.unparse(node).split())
    return ast.unparse(node).splitlines()[0]


def survives(mutant: Mutant) -> bool:
    """Returns whether all tests pass with the mutant in the module's place, in a forked process."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            put_in_place(mutant.tree)
            code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *TESTS]))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return status == 0


def put_in_place(tree: ast.Module) -> None:
    """Runs a mutated module in the place of the true one, and hands its names to all who imported them."""
    module = sys.modules[MODULE]
    old = dict(vars(module))
    exec(compile(tree, str(module.__file__), "exec"), vars(module))
    for other in [each for name, each in sys.modules.items() if name.startswith("lung_srad.") and each is not module]:
        for name, value in list(vars(other).items()):
            if name in old and value is old[name] and getattr(value, "__module__", None) == MODULE:
                setattr(other, name, vars(module)[name])


def page(found: list[tuple[Mutant, bool]], minutes: float) -> str:
    """Returns the page: how many of each kind are noticed, and each that is not."""
    from lung_srad.runs import machine_line  # torch, which takes long and must not be there when a mutant is tested

    kinds = dict.fromkeys(mutant.kind for mutant, _ in found)
    lines = []
    for kind in kinds:
        own = [alive for mutant, alive in found if mutant.kind == kind]
        lines.append(f"| {kind} | {len(own)} | {len(own) - sum(own)} |")
    alive = [
        f"- line {mutant.line}, {mutant.kind}: {apart(mutant.before, mutant.after)}" for mutant, alive in found if alive
    ]
    killed = len(found) - len(alive)
    share = 100 * killed / len(found)
    return PAGE.format(
        date=datetime.date.today().isoformat(),
        minutes=minutes,
        machine=machine_line(),
        module=MODULE,
        tests=", ".join(TESTS),
        killed=killed,
        total=len(found),
        share=share,
        asked=ASKED,
        verdict="Reached." if share >= ASKED else "Not reached.",
        table="\n".join(["| fault | mutants | noticed |", "|---|---:|---:|", *lines]) + "\n",
        survivors="\n".join(alive or ["Nothing."]) + "\n",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    args = parser.parse_args()
    os.chdir(ROOT)
    start = time.perf_counter()
    module = import_module(MODULE)
    import_module("lung_srad.evaluation")
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    untouched = Mutant("none", 0, "", "", tree)
    if not survives(untouched):
        raise SystemExit(f"error: {', '.join(TESTS)} fail as they are; make them pass first")
    found = []
    for number, mutant in enumerate(mutants(tree), start=1):
        found.append((mutant, survives(mutant)))
        if found[-1][1]:
            say(f"mutant {number} survives: line {mutant.line}: {apart(mutant.before, mutant.after)}")
        elif number % 20 == 0:
            say(f"{number} mutants")
    args.out.write_text(page(found, (time.perf_counter() - start) / 60), encoding="utf-8")
    say(f"wrote {args.out}")


if __name__ == "__main__":
    main()
