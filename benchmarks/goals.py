"""The goals of speed, as data: what is divided by what, in which group of contestants, and what is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from networks import INDEXED, ONLY_SCAN, UNBOUND
from timing import Times, on, ratio, weighted_sum

DEPTHS = (2, 2, 20, 2)
Results = dict[str, Any]
FORWARD, STEP = "forward, batch 1", "step, batch 1"


@dataclass(frozen=True)
class Row:
    """One line of the table of goals; ``asked`` is None where a ratio stands beside a goal for comparison.

    A ratio below ``credible`` cannot be: the machine was busy.
    """

    what: str
    reached: tuple[float, float, float]
    asked: float | None = None
    at_most: bool = False
    digits: str = ".2f"
    credible: float = 0.0

    @property
    def verdict(self) -> str:
        """Returns "reached", "**missed**", "not credible" or nothing."""
        if self.reached[0] < self.credible:
            return "**not credible**"
        if self.asked is None:
            return ""
        good = self.reached[0] <= self.asked if self.at_most else self.reached[0] >= self.asked
        return "reached" if good else "**missed**"

    def cells(self) -> list[str]:
        """Returns what, asked, reached, spread and verdict as text."""
        middle, low, high = (format(value, self.digits) for value in self.reached)
        asked = "" if self.asked is None else f"{'at most' if self.at_most else 'at least'} {self.asked:g}"
        return [self.what, asked, middle, "" if low == high else f"{low} to {high}", self.verdict]


# (what, group, slower, faster, asked, at most)
RATIOS = (
    ("forward fp32, over the published network with the indexed loop", FORWARD, INDEXED, "medium fp32", 10, False),
    ("forward bf16, over the same in fp32", FORWARD, INDEXED, "medium bf16", 16, False),
    ("forward fp32, over the published network with the unbound loop", FORWARD, UNBOUND, "medium fp32", None, False),
    ("forward fp32, over this network with the indexed loop", FORWARD, ONLY_SCAN, "medium fp32", None, False),
    ("forward fp32, over AST fp32", FORWARD, "AST fp32", "medium fp32", 12, False),
    ("forward bf16, over AST bf16", FORWARD, "AST bf16", "medium bf16", None, False),
    ("forward bf16, over AST fp32", FORWARD, "AST fp32", "medium bf16", None, False),
    ("forward fp32, in GEMM floors", FORWARD, "medium fp32", "floor medium fp32", 1.2, True),
    ("forward bf16, in GEMM floors", FORWARD, "medium bf16", "floor medium bf16", 1.4, True),
    ("step fp32, over the published network with the indexed loop", STEP, INDEXED, "medium fp32", 80, False),
    ("step fp32, over the published network with the unbound loop", STEP, UNBOUND, "medium fp32", None, False),
    ("step fp32, over AST fp32", STEP, "AST fp32", "medium fp32", 11, False),
    ("step bf16, over AST bf16", STEP, "AST bf16", "medium bf16", None, False),
    ("step bf16, over AST fp32", STEP, "AST fp32", "medium bf16", None, False),
    ("step fp32, in its GEMM floors", STEP, "medium fp32", "floor medium fp32", 1.5, True),
    ("step bf16, in its GEMM floors", STEP, "medium bf16", "floor medium bf16", 1.5, True),
    ("step fp32, batch 8, in its GEMM floors", "step, batch 8", "medium fp32", "floor medium fp32", 1.5, True),
    ("step bf16, batch 8, in its GEMM floors", "step, batch 8", "medium bf16", "floor medium bf16", 1.5, True),
)
SCANS = (
    ("SS2D forward, over the indexed loop", "SS2D, forward", "indexed", 60),
    ("SS2D forward, over the best pure-torch scan", "SS2D, forward", "torch", 6),
    ("SS2D forward + backward, over the best pure-torch scan", "SS2D, forward + backward", "torch", 6),
    ("SS2D forward + backward, over the indexed loop", "SS2D, forward + backward", "indexed", None),
)


def per_clip(times: Times, backend: str) -> list[float | None]:
    """Returns per turn the seconds of all blocks of DASS-medium with one back end."""
    return weighted_sum([(depth, times[f"{backend} {stage}"]) for stage, depth in enumerate(DEPTHS)])


def both_ran(slow: list[float | None], fast: list[float | None]) -> bool:
    """Returns whether there is a turn in which both ran."""
    return any(a is not None and b is not None for a, b in zip(slow, fast, strict=True))


def rows(results: Results) -> list[Row]:
    """Returns every line of the table of goals, most threads first."""
    return [*speed_rows(results), *other_rows(results)]


def speed_rows(results: Results) -> Iterator[Row]:
    """Yields the ratios of times, with the most threads first; the goals of a forward are for these."""
    order = sorted(results["networks"], reverse=True)
    for threads in order:
        end = f"; {on(threads)}"
        for what, group, slow, fast, asked, at_most in RATIOS:
            times = results["networks"][threads]["times"].get(group, {})
            if {slow, fast} <= times.keys() and both_ran(times[slow], times[fast]):
                holds = threads == order[0] or group != FORWARD
                credible = 0.95 if fast.startswith("floor") else 0.0
                reached = ratio(times[slow], times[fast])
                yield Row(what + end, reached, asked if holds else None, at_most, credible=credible)
        for what, group, slow, asked in SCANS:
            times = results["scans"][threads][group]
            pair = per_clip(times, slow), per_clip(times, results["best"])
            if both_ran(*pair):
                yield Row(what + end, ratio(*pair), asked)


def other_rows(results: Results) -> Iterator[Row]:
    """Yields agreement, growth, memory and the cost of a Lung-SRAD step."""
    for backend, errors in results["agreement"].items():
        for part, asked in (("outputs", 1e-6), ("gradients", 5e-6)):
            what = f'scan and SS2D, "{backend}", {part} against float64'
            yield Row(what, (errors[part],) * 3, asked, True, ".1e")
        what = f'scan, "{backend}", NaN and infinities from inputs at the edge of what is promised'
        yield Row(what, (errors["not finite"],) * 3, 0, True, ".0f")
    for label, share in next(each["logits"] for each in results["networks"].values() if "logits" in each).items():
        asked = {"fp32": 5e-6, "bf16": 1e-2}.get(label)
        yield Row(f"logits, {label}, random weights, against float64", (share,) * 3, asked, True, ".1e")
    for each in results["growth"]:
        longest = each["seconds"] == max(one["seconds"] for one in results["growth"])
        if longest and "yardstick" in each["times"]:
            unit, name = results["unit"], f"{each['model']}, {each['seconds']} s in one forward"
            whole = [taken and taken * unit / each["seconds"] for taken in each["times"]["whole"]]
            what = f"{name}: time per {unit} s over that of {unit} s alone"
            yield Row(what, ratio(whole, each["times"]["yardstick"]), 1.15, True)
            yield Row(f"{name}: peak memory, GB", (each["peak"],) * 3, 4, True)
    cost = ratio(results["systems"]["Lung-SRAD"], results["systems"]["cross-entropy"])
    yield Row("Lung-SRAD step in cross-entropy steps", cost, 1.9, True)
