"""One run: preset × dataset × seed, with an epoch that the test part did not choose (DECISIONS: epoch-selection)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lung_srad.config import Preset, load_preset, settings
from lung_srad.datasets import Dataset, derive_seed, open_dataset
from lung_srad.errors import RunError, message
from lung_srad.evaluation import select, write_facts
from lung_srad.files import replacing
from lung_srad.models import Classifier
from lung_srad.runs import (
    PhaseFolder,
    RunFolder,
    TrainedModel,
    build_dataset,
    build_model,
    build_objective,
    build_prompt,
    check_preset,
    provenance,
    save_model,
)
from lung_srad.runs.folder import write_json
from lung_srad.training.data import Corpus, open_corpus
from lung_srad.training.distributed import World, join
from lung_srad.training.mishaps import reported
from lung_srad.training.phase import Job, Phase, Report
from lung_srad.training.start import start_weights, starting_point


def fit(
    preset: str | Path | Preset,
    dataset: Dataset | str | Path,
    *,
    seed: int = 1,
    out: str | Path = "runs",
    start_from: str | Path | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> RunFolder:
    """Trains one system with one seed and returns its run folder, ``out/<system>/seed<seed>``, see :func:`run_name`.

    Run A trains without the validation patients; its best validation epoch is e*. Run B trains on all training
    patients and reports epoch e* (``training.refit = false`` leaves it out). A run that was cut off is continued
    with ``resume=True`` to the same bits; a finished one is returned as it is.

    Args:
        dataset: a dataset, or where one is: ``"icbhi:PATH"``, ``"table:PATH"``.
        start_from: an official checkpoint, a folder of them, or a run whose weights to start from; by default what
            ``LUNG_SRAD_WEIGHTS`` names, or random weights; ``"random"`` is random weights whatever that says.
        report: called with (what is being done, steps done, steps in all).

    Raises:
        ConfigError: the preset does not hold.
        DataError: the data do not hold, or a cycle is silent.
        BusyError: another process works on the run.
        RunError: a run is there already, of other data or another preset; the disk or the memory is full; a process
            that makes batches was lost.
        WeightsError: the checkpoint does not fit.
    """
    preset = preset if isinstance(preset, Preset) else load_preset(preset)
    check_preset(preset)
    dataset = build_dataset(preset, open_dataset(dataset))
    folder = RunFolder(Path(out) / run_name(preset, dataset) / f"seed{seed}")
    start_from = starting_point(start_from, preset.backbone.name)
    with reported(folder.path), join() as world, ExitStack() as held:
        alive = world.lead(lambda: _admit(folder, preset, dataset, resume, held))
        if not folder.finished:
            _Run(preset, dataset, seed, folder, start_from, world, _told(report, alive)).go()
    return folder


def run_name(preset: Preset, dataset: Dataset | None = None) -> str:
    """Returns the folder name of a system: its preset, then reading, profile and split where not the default."""
    split = "" if dataset is None or dataset.scheme == dataset.default_scheme else dataset.scheme
    parts = [preset.name, "code" if preset.reading == "code" else "", preset.profile or "", split]
    return "-".join(part for part in parts if part)


def _admit(
    folder: RunFolder, preset: Preset, dataset: Dataset, resume: bool, held: ExitStack
) -> Callable[[], None] | None:
    """Locks the run, unless it is finished, and returns its sign of life.

    Raises:
        BusyError: another process works on it.
        RunError: a run is there already, and it is not to be resumed, or is of another preset or data.
    """
    if folder.started:
        if not resume:
            state = "finished" if folder.finished else "unfinished"
            remedy = "continue it with --resume, or choose another --out or --seeds"
            raise RunError(message(folder.path, f"there is a run here already, {state}", "a new folder", remedy))
        _require_same(folder, preset, {"data": _data_facts(dataset)} if folder.finished else {})
    return None if folder.finished else held.enter_context(folder.lock())


def _data_facts(dataset: Dataset) -> dict[str, Any]:
    """Returns which data these are; ``synthetic`` is there where it is true, as runs of real data never had it."""
    facts = {"name": dataset.name, "split": dataset.scheme, "fingerprint": dataset.fingerprint()}
    return facts | ({"synthetic": True} if dataset.synthetic else {})


def _require_same(folder: RunFolder, preset: Preset, facts: Mapping[str, Any]) -> None:
    """Raises a RunError unless the run in a folder is of this preset and has these facts."""
    before = folder.facts()
    other = [key for key, value in facts.items() if before.get(key) != value]
    if settings(folder.config()) != settings(preset):
        other.append("preset")
    if other:
        remedy = "resume with the command that started it, or choose another --out"
        raise RunError(message(folder.path, f"a run of other {', '.join(other)}", "the run that was started", remedy))


def _told(report: Report | None, alive: Callable[[], None] | None) -> Report:
    """Returns a report that also tells other machines that this process lives."""

    def tell(what: str, done: int, total: int) -> None:
        if alive is not None:
            alive()
        if report is not None:
            report(what, done, total)

    return tell


@dataclass(frozen=True)
class _Run:
    """Both phases of one run, on one process."""

    preset: Preset
    dataset: Dataset
    seed: int
    folder: RunFolder
    start_from: str | Path | None
    world: World
    report: Report

    def go(self) -> None:
        """Trains what is not yet trained and writes the result."""
        net, start = self._new_model()
        corpus = self._open_corpus(net)
        self.world.lead(lambda: self._write_facts(corpus, start))
        job = Job(self.preset, corpus, self.seed, self.world, self.report)
        final = first = self._phase(job, self.folder.select, net, "fit", ["validation", "test"])
        best = first.folder.path / "best.safetensors"
        for epoch in first.epochs():
            if first.best_epoch in (epoch, None):
                self._keep(first, best)
        chosen = first.best_epoch or self.preset.training.epochs
        if self.preset.training.refit:
            final = self._phase(job, self.folder.refit, self._new_model()[0], "train", ["test"])
            for epoch in final.epochs():
                if epoch == chosen:
                    self._keep(final, self.folder.weights)
        elif self.world.leader:
            with replacing(self.folder.weights) as file:
                file.write(best.read_bytes())
        if self.world.leader:
            self._write_result(corpus, first, final, chosen)
        self.world.wait()

    def _new_model(self) -> tuple[Classifier, dict[str, Any]]:
        """Returns the model as it is before the first step, the same on every process, and what it starts from."""
        with _seeded(self.seed, "model"):
            net = build_model(self.preset, len(self.dataset.class_names))
        start = start_weights(net, self.start_from, self.dataset.class_names)
        return net.to(self.world.device), start

    def _open_corpus(self, net: Classifier) -> Corpus:
        """Returns the corpus as a network hears it; the leader fills the cache while the others wait."""
        progress, frontend = partial(self.report, "reading recordings"), net.backbone.frontend.cpu()
        opened = partial(open_corpus, self.dataset, self.preset, frontend, self.seed, progress, build_prompt(net))
        return self.world.lead(opened) or opened()

    def _phase(self, job: Job, folder: PhaseFolder, net: Classifier, part: str, scored: list[str]) -> Phase:
        with _seeded(self.seed, "objective"):
            counts, devices = job.corpus.class_counts(part), len(job.corpus.devices)
            objective = build_objective(self.preset, net, counts, devices, self.dataset.normal)
        return Phase(job, folder, net, objective.to(self.world.device), part=part, scored=scored)

    def _keep(self, phase: Phase, path: Path) -> None:
        if self.world.leader:
            data = self.dataset
            save_model(path, TrainedModel(phase.net, self.preset, data.class_names, data.normal, data.synthetic))

    def _write_facts(self, corpus: Corpus, start: dict[str, Any]) -> None:
        """Writes preset and provenance, or checks that an earlier start was of the same run."""
        facts = {
            "seed": self.seed,
            "data": _data_facts(self.dataset),
            "class_names": list(self.dataset.class_names),
            "normal": self.dataset.normal,
            "cycles": {part: len(corpus.audible(part)) for part in corpus.parts},
            "validation_patients": sorted({cycle.patient for cycle in corpus.parts["validation"]}),
            "validation_unmet": list(corpus.unmet),
            "silent": sorted(corpus.silent),
            "start": start,
            "processes": self.world.size,
        } | corpus.sentences()
        if self.folder.started:
            _require_same(self.folder, self.preset, facts)
        else:
            started = str(self.start_from) if self.start_from else None
            # not among the facts that are compared: the fingerprint of the data has it, and older runs lack it
            split = corpus.partition().facts() | {"validation_sha256": corpus.validation().sha256}
            if any((known := self.dataset.patient_facts()).values()):
                write_facts(self.folder.patients, known)
            self.folder.write_config(self.preset, provenance(**facts, split=split, start_from=started))

    def _write_result(self, corpus: Corpus, first: Phase, final: Phase, chosen: int) -> None:
        """Writes the scores of the four rules; from here on the run is finished."""
        validation = first.scores["validation"]
        result = {
            "system": self.preset.title,
            "selected_epoch": chosen,
            "selected_by": "last epoch (no Score on validation)" if first.best_epoch is None else "validation",
            "headline": final.folder.path.name,
            "train_cycles": len(corpus.audible(final.part)),
            "split": {"name": self.dataset.scheme, "sha256": corpus.partition().sha256},
            "rules": [asdict(choice) for choice in select(validation, final.scores["test"])],
            "validation": asdict(validation[chosen - 1]),
            "train_last_epoch": asdict(final.scores[final.part][-1]),
        }
        write_json(self.folder.path / "result.json", result)


@contextmanager
def _seeded(seed: int, purpose: str) -> Iterator[None]:
    """Lets torch draw what depends on (seed, purpose) alone; its own generator is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, purpose))
        yield
