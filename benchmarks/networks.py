"""Whole networks, forward and training step, in turns with the loops, AST and the floor of matrix products."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines import AST, Published, register_loops
from floor import Floor, Product, products
from lung_srad import kernels
from lung_srad.models import Classifier, create_model, for_inference
from settings import BEST, DTYPES, Settings
from timing import Times, on, say, take_turns

Net = Callable[[Tensor], Tensor]
DEPTH = "medium fp32, published stochastic depth"
PLAIN = "medium fp32, pure-torch scan"
INDEXED, UNBOUND = "published layers, indexed loop", "published layers, unbound loop"
ONLY_SCAN = "medium fp32, indexed loop"


def build(name: str, frames: int, **options: float) -> Classifier:
    """Returns a network with random weights, without stochastic depth unless asked for."""
    torch.manual_seed(0)
    return create_model(name, options={"frames": frames, "drop_path": 0.0} | options)


def inference(net: Classifier, dtype: torch.dtype) -> Net:
    """Returns a network for forward passes only."""
    return for_inference(net, dtype=dtype)


def forward(net: Net, x: Tensor, backend: str = BEST) -> Tensor:
    """Returns the logits."""
    with torch.inference_mode(), kernels.use(backend):
        return net(x)


def step(net: Net, x: Tensor, backend: str = BEST, *, dtype: torch.dtype = torch.float32) -> None:
    """Runs forward, cross-entropy and backward."""
    net.zero_grad()
    label = torch.arange(len(x)) % 4
    with kernels.use(backend):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = F.cross_entropy(net(x).float(), label)
        loss.backward()


class Networks:
    """The contestants of one process: the networks in both sizes and precisions, AST, the floors."""

    def __init__(self, settings: Settings, threads: int) -> None:
        register_loops()
        self.settings, self.threads = settings, threads
        self.nets = {size: build(name, settings.frames) for size, name in settings.models.items()}
        torch.manual_seed(0)
        self.ast = AST(settings.frames)

    def features(self, batch: int) -> Tensor:
        """Returns a batch of noise."""
        return torch.randn(batch, 1, 128, self.settings.frames, generator=torch.Generator().manual_seed(0))

    def products(self, size: str, batch: int, *, trained: bool) -> list[Product]:
        """Returns the matrix products of one network."""
        backbone = self.nets[size].backbone
        width = backbone.width >> (len(backbone.depths) - 1)
        found = products(width, backbone.depths, batch=batch, frames=self.settings.frames)
        return [each for product in found for each in product.trained()] if trained else found

    def forward_calls(self, batch: int) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
        """Returns contestants, and how often the slow ones run."""
        x, net, settings, calls, limits = self.features(batch), self.nets["medium"], self.settings, {}, {}
        for size, each in self.nets.items():
            for label, dtype in DTYPES.items():
                calls[f"{size} {label}"] = partial(forward, inference(each, dtype), x)
        calls[PLAIN] = partial(forward, inference(net, torch.float32), x, "torch")
        if batch == 1:
            calls[INDEXED] = partial(forward, Published(net), x, "indexed")
            calls[UNBOUND] = partial(forward, Published(net), x, "unbound")
            calls[ONLY_SCAN] = partial(forward, inference(net, torch.float32), x, "indexed")
        if batch == 1 or (settings.once and self.threads == settings.threads[-1]):
            rounded = AST(settings.frames).bfloat16().eval()
            calls["AST fp32"] = partial(forward, self.ast.eval(), x)
            calls["AST bf16"] = partial(forward, rounded, x.bfloat16())
        if batch > 1:
            limits = dict.fromkeys(["AST fp32", "AST bf16", PLAIN], 1)
        return calls, limits

    def step_calls(self, batch: int) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
        """Returns contestants, and how often the slow ones run."""
        x, net, settings, calls, limits = self.features(batch), self.nets["medium"], self.settings, {}, {}
        last = self.threads == settings.threads[-1]
        for size, each in self.nets.items():
            for label, dtype in DTYPES.items():
                calls[f"{size} {label}"] = partial(step, each.train(), x, dtype=dtype)
        calls[DEPTH] = partial(step, build(settings.models["medium"], settings.frames, drop_path=0.3).train(), x)
        if batch == 1:
            calls[PLAIN] = partial(step, net, x, "torch")
            calls[UNBOUND] = partial(step, Published(net), x, "unbound")
            calls[INDEXED] = partial(step, Published(net), x, "indexed")
            limits = {INDEXED: 1, UNBOUND: 3}
        if batch == 1 or (settings.once and last):
            for label, dtype in DTYPES.items():
                calls[f"AST {label}"] = partial(step, self.ast.train(), x, dtype=dtype)
                limits[f"AST {label}"] = 3 if batch == 1 else 1
        return calls, limits

    def turns(self, kind: str, batch: int, seconds: float) -> tuple[Times, dict[str, list[list[str]]]]:
        """Returns the times of all contestants and of the floors, and the table of the floors."""
        trained = kind == "step"
        wanted = {size: self.products(size, batch, trained=trained) for size in self.nets}
        shapes = {product.shape for each in wanted.values() for product in each}
        floors = {label: Floor(shapes, dtype) for label, dtype in DTYPES.items()}
        calls, limits = self.step_calls(batch) if trained else self.forward_calls(batch)
        timed = {f"(floor {label})": floor for label, floor in floors.items()}
        title, budget = f"{kind}, batch {batch}, {on(self.threads)}", self.settings.pace * seconds
        least = self.settings.least if batch == 1 else min(2, self.settings.least)
        times = take_turns(title, calls | timed, seconds=budget, least=least, limits=limits, singly=timed, at_least=0.2)
        times = {name: taken for name, taken in times.items() if name in calls}
        for size, each in wanted.items():
            for label, floor in floors.items():
                times[f"floor {size} {label}"] = floor.turns(each)
        return times, {label: floor.table(wanted["medium"]) for label, floor in floors.items()}

    def agreement(self) -> dict[str, float]:
        """Returns the largest difference of a logit from float64, as a share of the largest."""
        x, net = self.features(1), self.nets["medium"].eval()
        contestants = {label: (inference(net, dtype), BEST) for label, dtype in DTYPES.items()}
        contestants |= {INDEXED: (Published(net), "indexed"), UNBOUND: (Published(net), "unbound")}
        logits = {name: forward(each, x, backend).double() for name, (each, backend) in contestants.items()}
        exact = forward(build(self.settings.models["medium"], self.settings.frames).double().eval(), x.double())
        shares = {name: ((seen - exact).abs().max() / exact.abs().max()).item() for name, seen in logits.items()}
        say(f"logits against float64: {shares}")
        return shares

    def profile(self) -> dict[str, list[list[str]]]:
        """Returns for a forward and a step the operations that take most: name, calls, milliseconds, share."""
        x, net = self.features(1), self.nets["medium"]
        frozen, found = inference(net, torch.float32), {}
        for name, call in {"forward": partial(forward, frozen, x), "step": partial(step, net.train(), x)}.items():
            call()
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
                call()
            events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
            total = sum(event.self_cpu_time_total for event in events)
            found[name] = [
                [
                    e.key,
                    str(e.count),
                    f"{e.self_cpu_time_total / 1e3:.1f}",
                    f"{100 * e.self_cpu_time_total / total:.0f}",
                ]
                for e in events[:12]
            ]
        return found


def measure(settings: Settings, threads: int) -> dict[str, object]:
    """Returns times, tables of the floors, agreement of the logits, and profiles."""
    contestants = Networks(settings, threads)
    found: dict[str, object] = {"times": {}, "floors": {}}
    seconds = {("forward", 1): 38, ("step", 1): 50, ("forward", 8): 16, ("step", 8): 36}
    for batch in settings.batches:
        for kind in ("forward", "step"):
            times, tables = contestants.turns(kind, batch, seconds[kind, batch])
            found["times"][f"{kind}, batch {batch}"] = times
            found["floors"][f"{kind}, batch {batch}"] = tables
    if threads == settings.threads[-1]:
        found |= {"logits": contestants.agreement(), "profile": contestants.profile()}
    return found
