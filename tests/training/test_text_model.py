"""A network that reads a sentence about each recording, from data to answers: trained, resumed, saved, used."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import small_runs
import text_runs
import torch

from lung_srad.datasets import ICBHI, prompt_index
from lung_srad.errors import RunError
from lung_srad.inference import load
from lung_srad.prompt_texts import PROMPTS, UNKNOWN
from lung_srad.runs import RunFolder, build_model, build_prompt, load_model
from lung_srad.training import evaluate, fit, score
from lung_srad.training.data import open_corpus
from lung_srad.training.distributed import World


@pytest.fixture(scope="module")
def icbhi(tmp_path_factory: pytest.TempPathFactory) -> ICBHI:
    return ICBHI(text_runs.write_icbhi(tmp_path_factory.mktemp("icbhi")))


@pytest.fixture(scope="module")
def bts(icbhi: ICBHI, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Returns a finished run; nobody may write into it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUNG_SRAD_CACHE", str(tmp_path_factory.mktemp("cache")))
        return fit(text_runs.text_preset(), icbhi, out=tmp_path_factory.mktemp("runs"))


def test_batches_say_which_sentence_belongs_to_each_cycle(icbhi: ICBHI):
    preset = text_runs.text_preset()
    net = build_model(preset, 4)
    corpus = open_corpus(icbhi, preset, net.backbone.frontend, 1, None, build_prompt(net))
    of = {cycle.id: cycle for cycle in icbhi.cycles()}
    world = World(0, 1, torch.device("cpu"))
    training = list(corpus.batches("train", preset, seed=1, epoch=1, world=world))
    every = [*training, *corpus.evaluation_batches(corpus.parts["test"], preset)]
    for batch in every:
        assert batch.text_ids.tolist() == [prompt_index(of[name], "published") for name in batch.cycle_id]
    said = {PROMPTS[number] for batch in every for number in batch.text_ids.tolist()}
    start = "This sound was recorded from the right anterior chest of "
    assert said == {
        f"{start}a female pediatric patient, using a Meditron stethoscope.",
        f"{start}an adult male patient, using an AKGC417L microphone.",
        f"{start}a male pediatric patient, using a LittC2SE stethoscope.",
        f"{start}an adult female patient, using a Litt3200 stethoscope.",
        f"{start}an adult male patient, using a Meditron stethoscope.",
        f"{start}a female patient with unknown age, using an AKGC417L microphone.",
        f"{start}a patient with unknown age and sex, using a LittC2SE stethoscope.",
    }
    own = open_corpus(icbhi, preset, net.backbone.frontend, 1)
    assert next(iter(own.evaluation_batches(own.parts["test"], preset))).text_ids is None


def test_a_run_says_which_sentences_it_read(bts: RunFolder, icbhi: ICBHI):
    sentences = bts.facts()["sentences"]
    assert sentences["unknown"] == {"age": 8, "sex": 4}  # cycles of patients 106 and 107
    assert len(sentences["sha256"]) == 64
    assert bts.result()["train_cycles"] == 24
    assert set(bts.refit.read_predictions(2, "test").id) == {cycle.id for cycle in icbhi.cycles("test")}


def test_the_sentence_is_given_in_evaluation_too(bts: RunFolder, icbhi: ICBHI, tmp_path: Path):
    recorded = bts.refit.read_predictions(bts.result()["selected_epoch"], "test")
    computed = evaluate(bts, icbhi)
    assert np.array_equal(computed.probabilities, recorded.probabilities)
    assert score(bts, icbhi) == recorded.scores()
    shutil.copytree(icbhi.location, tmp_path / "other")
    (tmp_path / "other" / "metadata.txt").write_text(text_runs.metadata("Tc"))
    other = evaluate(bts, ICBHI(tmp_path / "other"))
    assert not np.array_equal(other.probabilities, recorded.probabilities)


def test_what_is_saved_needs_no_tokenizer_and_classifies_bare_recordings(bts: RunFolder, icbhi: ICBHI):
    model = load(bts.path)
    assert model.frontend.sample_rate == 48_000
    cycle = icbhi.cycles("test")[0]
    found = model.classify(cycle.path, cycles=[(cycle.start, cycle.end)])
    net = load_model(bts.weights).net
    unknown = {"text_ids": torch.tensor([UNKNOWN])}
    corpus = open_corpus(icbhi, text_runs.text_preset(), net.backbone.frontend, 1)
    batch = next(iter(corpus.evaluation_batches([cycle], text_runs.text_preset())))
    with torch.inference_mode():
        expected = net(batch.features, unknown).double().softmax(1)[0].tolist()
    assert list(found.segments[0].probabilities) == pytest.approx(expected, abs=1e-6)
    windows = model.classify(cycle.path, hop=0.25)
    assert len(windows.segments) == 7
    assert all(len(segment.probabilities) == 4 for segment in windows.segments)


class Cut(Exception):  # noqa: N818 - no error: it stands for a signal
    """What stands for anything that ends a run from outside."""


@pytest.mark.parametrize("place", [11, 13, 17])  # of the report's calls; eight are for recordings
def test_it_resumes_to_the_same_bits_dropout_included(bts: RunFolder, icbhi: ICBHI, tmp_path: Path, place: int):
    calls = count(1)

    def cut(what: str, done: int, total: int) -> None:
        if next(calls) == place:
            raise Cut

    with pytest.raises(Cut):
        fit(text_runs.text_preset(), icbhi, out=tmp_path, report=cut)
    torch.manual_seed(place)  # whatever the process drew before
    state = torch.random.get_rng_state()
    again = fit(text_runs.text_preset(), icbhi, out=tmp_path, resume=True)
    assert small_runs.digests(again) == small_runs.digests(bts)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_other_sentences_are_another_run(icbhi: ICBHI, tmp_path: Path):
    shutil.copytree(icbhi.location, tmp_path / "data")
    calls = count(1)

    def cut(what: str, done: int, total: int) -> None:
        if next(calls) == 11:
            raise Cut

    with pytest.raises(Cut):
        fit(text_runs.text_preset(), ICBHI(tmp_path / "data"), out=tmp_path / "runs", report=cut)
    (tmp_path / "data" / "metadata.txt").unlink()
    with pytest.raises(RunError, match="a run of other sentences"):
        fit(text_runs.text_preset(), ICBHI(tmp_path / "data"), out=tmp_path / "runs", resume=True)


def test_dropout_differs_from_step_to_step(icbhi: ICBHI):
    from lung_srad.training.phase import drawn_dropout

    world, drawn = World(0, 1, torch.device("cpu")), []
    for epoch, step, rank in ((1, 1, 0), (1, 1, 0), (1, 2, 0), (2, 1, 0), (1, 1, 1)):
        with drawn_dropout(1, epoch, step, replace(world, rank=rank)):
            drawn.append(torch.rand(8))
    assert torch.equal(drawn[0], drawn[1])
    assert len(torch.stack(drawn).unique(dim=0)) == 4


def test_audio_alone_reads_nothing(icbhi: ICBHI, tmp_path: Path):
    run = fit(text_runs.text_preset("clap_audio_tiny", location=None), icbhi, out=tmp_path)
    assert "sentences" not in run.facts()
    recorded = run.refit.read_predictions(run.result()["selected_epoch"], "test")
    assert np.array_equal(evaluate(run, icbhi).probabilities, recorded.probabilities)


def test_two_processes_answer_with_the_weights_of_one(icbhi: ICBHI, workplace: Path, tmp_path: Path):
    """A batch norm's statistics are of each process's own batches; answers and weights are the leader's."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    script = [str(Path(__file__).with_name("text_together.py")), str(icbhi.location), str(tmp_path)]
    setting = os.environ | {"LUNG_SRAD_CACHE": str(workplace / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*torchrun, *script], env=setting, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    run = RunFolder(tmp_path / "bts" / "seed1")
    recorded = run.select.read_predictions(1, "test")
    assert run.facts()["processes"] == 2
    assert np.abs(evaluate(run, icbhi).probabilities - recorded.probabilities).max() < 1e-6


def test_the_recordings_own_site_is_a_line_in_the_preset(icbhi: ICBHI):
    net = build_model(text_runs.text_preset(location="filename"), 4)
    cycle = icbhi.cycles("train")[0]
    assert "the left anterior chest" in PROMPTS[build_prompt(net)(cycle)]
