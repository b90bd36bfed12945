"""What each process of test_several_processes.py does: torchrun --nproc_per_node 2 together.py CORPUS OUT.

Also says what one process alone has to give: `losses_and_gradients` with two generators and the whole batch.
"""

import sys
from pathlib import Path

import small_runs
import torch
from safetensors.torch import save_file
from torch import Tensor

from lung_srad.datasets import Batch, Table, derive_seed
from lung_srad.errors import RunError
from lung_srad.objectives import Step
from lung_srad.runs import build_model, build_objective
from lung_srad.training import fit
from lung_srad.training.distributed import World, join
from lung_srad.training.phase import draw_step

BATCH, COUNTS = 16, (9, 4, 3)
SYSTEMS = {
    "paper": ("lung_srad",),
    "code": ("lung_srad", "reading=code"),
    "weighted": ("lung_srad", "objective.class_weights=true"),
    "random": ("dass_ast_mix",),
    "plain": ("dass_finetuning", "objective.class_weights=true"),
    "patch_mix_ce": ("dass_finetuning", "objective.name=patch_mix_ce", "objective.class_weights=true"),
    "sg_scl": ("dass_finetuning", "objective.name=sg_scl"),
    "dat": ("dass_finetuning", "objective.name=dat"),
    "pafa": ("dass_finetuning", "objective.name=pafa", "objective.lambda_pcsl=1", "objective.lambda_gpal=1"),
    "pafa_mean": ("dass_finetuning", "objective.name=pafa", "objective.lambda_pcsl=1", "objective.pooling=mean"),
}
PROJECTOR = {"paper", "weighted", "random", "sg_scl", "pafa", "pafa_mean"}  # those that train one
PROCESSES = 2


def whole_batch() -> Batch:
    draw = torch.Generator().manual_seed(5)
    features = torch.randn(BATCH, 1, 128, 32, generator=draw)
    label = torch.tensor([0] * 9 + [1] * 4 + [2] * 3)  # the two halves weigh differently
    device, patient = torch.arange(BATCH) % 3, torch.arange(BATCH) % 5  # every half has some of all
    second = torch.randn(BATCH, 1, 128, 32, generator=draw)
    return Batch(features, label, device, patient, tuple(map(str, range(BATCH))), second=second)


def alone(seed: int, epoch: int, step: int) -> Step:
    """Returns the step of one process that has to give what two give together: permutations stay within halves."""
    own = [torch.Generator().manual_seed(derive_seed(seed, "permutation", epoch, step, r)) for r in range(PROCESSES)]
    return Step(torch.Generator().manual_seed(derive_seed(seed, "step", epoch, step)), tuple(own))


def losses_and_gradients(system: str, world: World | None = None) -> dict[str, Tensor]:
    """Returns losses, gradients and batch statistics of one step, on this process alone or as one of several."""
    preset = small_runs.small_preset(*SYSTEMS[system])
    torch.manual_seed(3)
    net = build_model(preset, len(COUNTS)).train()
    objective = build_objective(preset, net, COUNTS, devices=3).train()
    batch, step = whole_batch(), alone(1, 2, 3)
    if world is not None:
        rows = slice(world.rank * BATCH // world.size, (world.rank + 1) * BATCH // world.size)
        own = (part[rows] for part in (batch.features, batch.label, batch.device, batch.patient))
        batch = Batch(*own, (), second=batch.second[rows])
        step = draw_step(1, 2, 3, world)
    losses = objective(net, batch, step)
    losses.total.backward()
    named = {**dict(net.named_parameters()), **{f"objective.{k}": p for k, p in objective.named_parameters()}}
    trained = {name: parameter for name, parameter in named.items() if parameter.requires_grad}
    (world or World(0, 1, torch.device("cpu"))).average_gradients(trained.values())
    found = {f"loss/{name}": value.detach().clone() for name, value in {"total": losses.total, **losses.parts}.items()}
    found |= {f"gradient/{name}": parameter.grad for name, parameter in trained.items()}
    return found | {f"statistic/{name}": value for name, value in objective.named_buffers() if "running" in name}


class Interrupted(Exception):  # noqa: N818 - no error: it stands for a signal
    """What stands for a run that is cut off."""


def main(corpus: Path, out: Path) -> None:
    with join() as world:
        pass  # they stay together until the program ends
    for system in SYSTEMS:
        save_file(losses_and_gradients(system, world), out / f"{system}{world.rank}.safetensors")
    data = Table(corpus)
    fit(small_runs.small_preset("dass_finetuning", "training.batch_size=4"), data, out=out / "plain")
    preset = small_runs.small_preset("lung_srad", "training.batch_size=4", "training.refit=false")
    fit(preset, data, out=out / "whole")

    def stop(what: str, done: int, total: int) -> None:
        if done == 3 and what.startswith("select"):
            raise Interrupted

    try:
        fit(preset, data, out=out / "cut", report=stop)
    except Interrupted:
        fit(preset, data, out=out / "cut", resume=True)

    # what the leader refuses, all refuse
    for name, change in (("there", {}), ("preset", {"resume": True})):
        changed = small_runs.small_preset("lung_srad", "training.batch_size=5") if change else preset
        try:
            fit(changed, data, out=out / "whole", **change)
        except RunError as error:
            (out / f"{name}{world.rank}.txt").write_text(str(error))


if __name__ == "__main__":
    torch.set_num_threads(1)
    small_runs.register()
    main(Path(sys.argv[1]), Path(sys.argv[2]))
