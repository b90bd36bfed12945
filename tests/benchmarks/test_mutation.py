"""The mutator: every fault once, the rest untouched."""

import ast

from mutation import apart, changes, mutants

SOURCE = '''
def f(a: int, b: float) -> int:
    """Text of 1 and 2."""
    if a < 3 and not b:
        raise ValueError("no")
    return a + 1
'''


def test_every_fault_stands_alone() -> None:
    tree = ast.parse(SOURCE)
    found = [ast.unparse(mutant.tree) for mutant in mutants(tree)]
    bodies = [text.split('"""')[2].split() for text in found]
    assert len(set(map(tuple, bodies))) == len(bodies)
    lines = {" ".join(body) for body in bodies}
    start, end = "if a < 3 and (not b): raise ValueError('no')", "return a + 1"
    assert lines == {
        f"if not (a < 3 and (not b)): raise ValueError('no') {end}",
        f"if a < 3 or not b: raise ValueError('no') {end}",
        f"if a <= 3 and (not b): raise ValueError('no') {end}",
        f"if a >= 3 and (not b): raise ValueError('no') {end}",
        f"if a < 4 and (not b): raise ValueError('no') {end}",
        f"if a < 2 and (not b): raise ValueError('no') {end}",
        f"if a < 3 and b: raise ValueError('no') {end}",
        f"if a < 3 and (not b): pass {end}",
        f"{start} return None",
        f"{start} return a - 1",
        f"{start} return a + 2",
        f"{start} return a + 0",
    }
    assert ast.unparse(tree) == ast.unparse(ast.parse(SOURCE))


def test_only_the_place_of_a_fault_is_shown() -> None:
    assert apart("a + 1", "a - 1") == "`a + 1` as `a - 1`"
    left, right = "x" * 60, "y" * 60
    assert (
        apart(f"{left}+{right}", f"{left}-{right}") == f"`…{left[:40]}+{right[:40]}…` as `…{left[:40]}-{right[:40]}…`"
    )


def test_nothing_is_not_made_nothing_again() -> None:
    assert list(changes(ast.parse("def f(): return None").body[0].body[0])) == []
    assert [kind for kind, _ in changes(ast.parse("x if a else b", mode="eval").body)] == ["condition"]
