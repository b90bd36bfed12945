"""The training loop: one phase (A or B) of a run, from its checkpoint or from the start."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from lung_srad.config import Preset
from lung_srad.datasets import Batch, derive_seed
from lung_srad.errors import RunError, message
from lung_srad.evaluation import Predictions, Scores, best_epoch
from lung_srad.models import Classifier
from lung_srad.objectives import Losses, Objective, Step
from lung_srad.runs import PhaseFolder, build_optimizer
from lung_srad.runs.state import Progress, load_checkpoint, save_checkpoint
from lung_srad.training.data import Corpus
from lung_srad.training.distributed import World
from lung_srad.training.log import RunLog

Report = Callable[[str, int, int], None]  # (what is being done, steps done, steps in all)


@dataclass(frozen=True)
class Job:
    """What both phases of a run share."""

    preset: Preset
    corpus: Corpus
    seed: int
    world: World
    report: Report


class Phase:
    """One training run over one part of the data, scored on others after every epoch.

    Attributes:
        scores: of each part, those of the epochs so far; the training part is scored after the last epoch only.
    """

    def __init__(
        self, job: Job, folder: PhaseFolder, net: Classifier, objective: Objective, *, part: str, scored: list[str]
    ) -> None:
        self.job, self.folder, self.net, self.objective = job, folder, net, objective
        self.part, self.scored = part, scored
        self.optimizer = build_optimizer(job.preset, net, objective)
        self.steps = job.corpus.steps(part, job.preset, job.world)  # of an epoch
        self.scores: dict[str, list[Scores]] = {name: [] for name in (*scored, part)}

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the best validation Score so far; None where there is no Score."""
        return best_epoch(self.scores["validation"])

    def epochs(self) -> Iterator[int]:
        """Trains, and yields each epoch (from 1) when it is scored, before its checkpoint is written.

        So what the caller keeps of an epoch is on disk before the run can go on without it. A phase that was cut
        off goes on at its checkpoint, to the same bits.
        """
        preset, world = self.job.preset, self.job.world
        if world.leader:
            self.folder.prepare()
        world.wait()
        progress = self._resume()
        with RunLog(self.folder.path, progress, world.leader, preset.training.tensorboard) as log:
            for epoch in range(progress.epoch + 1, preset.training.epochs + 1):
                started = time.perf_counter()
                progress = self._train(epoch, progress, log)
                trained = time.perf_counter()
                self._score(epoch, progress, log)
                log.time({"epoch": epoch, "train_s": trained - started, "score_s": time.perf_counter() - trained})
                yield epoch
                progress = self._save(replace(progress, epoch=epoch), log)

    def _resume(self) -> Progress:
        if not self.folder.checkpoint.exists():
            return Progress()
        progress = load_checkpoint(self.folder.checkpoint, self.net, self.objective, self.optimizer)
        for epoch in range(1, progress.epoch + 1):
            for part in self._parts(epoch):
                self._note(part, self.folder.read_predictions(epoch, part))
        return progress

    def _train(self, epoch: int, progress: Progress, log: RunLog) -> Progress:
        """Takes the steps of an epoch that are not yet taken, and returns the new progress."""
        job = self.job
        done = progress.step - (epoch - 1) * self.steps
        second = self.objective.second_view
        batches = job.corpus.batches(
            self.part, job.preset, seed=job.seed, epoch=epoch, world=job.world, skip=done, second=second
        )
        for batch in batches:
            progress = replace(progress, step=progress.step + 1)
            rate = self._set_learning_rate(epoch, progress.step)
            losses = self.step(batch.to(job.world.device), epoch, progress.step)
            self._log_step(losses, batch.label, {"epoch": epoch, "step": progress.step, "learning_rate": rate}, log)
            self._tell(epoch, progress.step)
            if progress.step % job.preset.training.checkpoint_every == 0:
                progress = self._save(progress, log)
        return progress

    def step(self, batch: Batch, epoch: int, step: int) -> Losses:
        """Takes one optimiser step on this process's share of a batch and returns its losses."""
        job = self.job
        self.net.train()
        self.objective.train()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        progress = (step - 1) / (self.steps * job.preset.training.epochs)
        drawn = draw_step(job.seed, epoch, step, job.world, progress)
        with precision(job.preset, job.world), drawn_dropout(job.seed, epoch, step, job.world):
            losses = self.objective(self.net, batch, drawn)
        self.optimizer.zero_grad()
        losses.total.backward()
        job.world.average_gradients(parameters)
        if not nn.utils.get_total_norm([p.grad for p in parameters]).isfinite():
            raise _not_finite(f"a gradient at epoch {epoch}, step {step}, is not finite")
        before = [p.detach().clone() for p in parameters] if job.preset.optimizer.half_step else []
        self.optimizer.step()
        with torch.no_grad():
            for parameter, old in zip(parameters, before, strict=False):
                parameter.lerp_(old, 0.5)  # DECISIONS: half-step
        return losses

    def _set_learning_rate(self, epoch: int, step: int) -> float:
        """Sets and returns the rate of a step: a cosine over the epochs 1..E, times a linear warm-up over steps."""
        settings = self.job.preset.optimizer
        low = settings.learning_rate * settings.final_fraction
        cosine = (1 + math.cos(math.pi * epoch / self.job.preset.training.epochs)) / 2
        warm = min(1.0, step / max(1, settings.warmup_steps))
        rate = warm * (low + (settings.learning_rate - low) * cosine)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _log_step(self, losses: Losses, label: torch.Tensor, place: dict[str, float], log: RunLog) -> None:
        hits = (losses.logits.argmax(1).cpu() == label).float().mean().item()
        accuracy = sum(self.job.world.collect(hits)) / self.job.world.size
        parts = {"loss": losses.total, **losses.parts}
        values = {name: float(value.detach()) for name, value in parts.items()}
        if not math.isfinite(values["loss"]):
            raise _not_finite(f"the loss at epoch {place['epoch']}, step {place['step']}, is not finite: {values}")
        log.write({**place, **values, "accuracy": accuracy})

    def _score(self, epoch: int, progress: Progress, log: RunLog) -> None:
        """Writes the predictions of this epoch on every part to score, and their scores into the log."""
        self.job.world.share_buffers(self.net)
        for part in self._parts(epoch):
            predictions = predict(
                self.net,
                self.job.corpus,
                part,
                preset=self.job.preset,
                world=self.job.world,
                class_names=self.job.corpus.dataset.class_names,
                progress=partial(self._tell_scoring, epoch, progress.step, part),
            )
            scores = self._note(part, predictions)
            if self.job.world.leader:
                self.folder.write_predictions(epoch, part, predictions)
            log.write({"epoch": epoch, "part": part, **asdict(scores)})

    def _parts(self, epoch: int) -> list[str]:
        last = epoch == self.job.preset.training.epochs
        return [*self.scored, self.part] if last else self.scored

    def _note(self, part: str, predictions: Predictions) -> Scores:
        scores = predictions.scores(normal=self.job.corpus.dataset.normal)
        self.scores[part].append(scores)
        return scores

    def _tell(self, epoch: int, step: int, doing: str = "") -> None:
        epochs = self.job.preset.training.epochs
        self.job.report(f"{self.folder.path.name}, epoch {epoch}/{epochs}{doing}", step, self.steps * epochs)

    def _tell_scoring(self, epoch: int, step: int, part: str, done: int, total: int) -> None:
        self._tell(epoch, step, f", scoring {part} {done}/{total}")

    def _save(self, progress: Progress, log: RunLog) -> Progress:
        progress = replace(progress, log_bytes=log.flush())
        if self.job.world.leader:
            save_checkpoint(self.folder.checkpoint, progress, self.net, self.objective, self.optimizer)
        self.job.world.wait()
        return progress


def precision(preset: Preset, world: World) -> torch.autocast:
    """Returns the context in which a preset's network runs: float32, or bfloat16 where that is safe."""
    return torch.autocast(world.device.type, torch.bfloat16, enabled=preset.training.precision == "bf16")


@contextmanager
def drawn_dropout(seed: int, epoch: int, step: int, world: World) -> Iterator[None]:
    """Lets layers that ask torch's own generators (dropout) draw what depends on (seed, epoch, step, rank) alone."""
    with torch.random.fork_rng([world.device] if world.device.type == "cuda" else []):
        torch.manual_seed(derive_seed(seed, "dropout", epoch, step, world.rank))
        yield


def _not_finite(seen: str) -> RunError:
    remedy = "start anew in another --out with a lower optimizer.learning_rate, or training.precision=fp32"
    return RunError(message("training", seen, "finite numbers; the last checkpoint is kept", remedy))


def draw_step(seed: int, epoch: int, step: int, world: World, progress: float = 0.0) -> Step:
    """Returns the randomness of a step: a function of (seed, epoch, step), and of the rank for permutations."""
    shared = torch.Generator().manual_seed(derive_seed(seed, "step", epoch, step))
    own = [torch.Generator().manual_seed(derive_seed(seed, "permutation", epoch, step, r)) for r in range(world.size)]
    return Step(shared, tuple(own), world.rank, world.gather, world.size, progress)


@torch.inference_mode()
def predict(
    net: nn.Module,
    corpus: Corpus,
    part: str,
    *,
    preset: Preset,
    world: World,
    class_names: tuple[str, ...],
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Returns class probabilities of every cycle of a part; a silent cycle has none.

    ``progress`` is called with this process's cycles, those done and in all.
    """
    net.eval()
    cycles, audible = corpus.parts[part], corpus.audible(part)
    own = audible[world.rank :: world.size]
    rows: list[np.ndarray] = []
    for batch in corpus.evaluation_batches(own, preset):
        batch = batch.to(world.device)
        with precision(preset, world):
            logits = net(batch.features, batch.side)
        if not logits.isfinite().all():  # never mistaken for silence, which has no answer
            raise _not_finite(f"the network's answers for {part!r} are not finite")
        rows += list(logits.double().softmax(1).cpu().numpy())
        if progress is not None:
            progress(len(rows), len(own))
    answers: dict[str, np.ndarray] = {}
    for found in world.collect(dict(zip((cycle.id for cycle in own), rows, strict=True))):
        answers |= found
    silent = np.full(len(class_names), np.nan)
    table = [answers.get(cycle.id, silent) for cycle in cycles]
    return Predictions.of(cycles, table, class_names=class_names)
