"""How much is measured: everything, or a quick look that shows only that the suite runs."""

from dataclasses import dataclass

import torch

from lung_srad import kernels

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
BEST = "cpu" if "cpu" in kernels.available() else "torch"
"""The back end whose speed is asked for: the compiled one where it is built."""
BACKENDS = ("indexed", "unbound", *dict.fromkeys(("torch", BEST)))
"""Of the scan, slowest first."""


@dataclass(frozen=True)
class Settings:
    """Models by the name that tables give them, sizes, and how long each group of contestants takes turns.

    Attributes:
        pace: factor on the seconds that each group may take.
        least: turns of a group whatever its time.
        once: also runs the contestants that take so long that they run once or twice.
        durations: seconds of audio whose cost per 10 s is compared; the first is the yardstick.
        attention: the durations that AST is measured at.
    """

    models: dict[str, str]
    frames: int = 1024
    threads: tuple[int, ...] = (1, 2)
    batches: tuple[int, ...] = (1, 8)
    pace: float = 1.0
    least: int = 3
    once: bool = True
    durations: tuple[int, ...] = (10, 30, 60, 300, 1800)
    attention: tuple[int, ...] = (10, 30, 60)


FULL = Settings({"small": "dass_small", "medium": "dass_medium"})
QUICK = Settings(
    {"small": "dass_tiny", "medium": "dass_small"},
    frames=256,
    threads=(1,),
    batches=(1,),
    pace=0.0,
    least=1,
    once=False,
    durations=(10, 30),
    attention=(10,),
)
