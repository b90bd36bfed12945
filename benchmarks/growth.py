"""What 10 s of audio cost inside a longer recording, in one forward, and the peak memory: a process per duration."""

import resource
from functools import partial

import torch

from baselines import AST
from networks import build, forward, inference
from settings import DTYPES, Settings
from timing import take_turns


def measure(settings: Settings, model: str, seconds: int, label: str) -> dict[str, object]:
    """Returns the times of the whole recording and, for a state-space model, of 10 s; and the peak in GB.

    The two take turns; a long recording runs three times and is not warmed up. AST has position embeddings for one
    length only, so it gets no yardstick.
    """
    torch.manual_seed(0)
    frames, dtype, unit = seconds * 1024 // 10, DTYPES[label], settings.durations[0]
    calls = {}
    if model == "AST":
        net = AST(frames).to(dtype).eval()
        calls["whole"] = partial(forward, net, torch.randn(1, 1, 128, frames).to(dtype))
    else:
        net = inference(build(settings.models["medium"], 1024), dtype)
        calls["whole"] = partial(forward, net, torch.randn(1, 1, 128, frames))
        calls["yardstick"] = partial(forward, net, torch.randn(1, 1, 128, unit * 1024 // 10))
    title, limits = f"{model} {label}, {seconds} s of audio", {"whole": 3} if seconds >= 60 else {}
    times = take_turns(
        title, calls, seconds=8 * settings.pace, least=min(2, settings.least), most=5, limits=limits, at_least=0.5
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # Linux counts in kibibytes
    return {"model": f"{model} {label}", "seconds": seconds, "times": times, "peak": peak}
