"""Two real processes give what one gives with the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_runs
import together
import torch
from safetensors.torch import load_file

from lung_srad.runs import RunFolder
from lung_srad.training import fit

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def out(workplace, tmp_path_factory):
    """Returns what two processes wrote."""
    folder = tmp_path_factory.mktemp("together")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    script = [str(HERE / "together.py"), str(workplace / "corpus" / "table.csv"), str(folder)]
    setting = {"LUNG_SRAD_CACHE": str(workplace / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*torchrun, *script], env=os.environ | setting, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("system", together.SYSTEMS)
def test_losses_gradients_and_statistics_are_those_of_one_process(out, system):
    expected = together.losses_and_gradients(system)
    for rank in range(2):
        found = load_file(out / f"{system}{rank}.safetensors")
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5, msg=f"{name} on process {rank}")
    gradients = {name: value for name, value in expected.items() if name.startswith("gradient/")}
    assert all(value.abs().max() > 1e-4 for name, value in gradients.items() if "mlp" in name)
    assert (gradients.keys() >= {"gradient/objective.projector.0.weight"}) == (system in together.PROJECTOR)


def test_a_permutation_over_the_whole_batch_would_be_noticed(out):
    other = together.Step(together.alone(1, 2, 3).shared, (together.alone(1, 2, 3).own[0],))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(together, "alone", lambda *_: other)
        changed = together.losses_and_gradients("paper")
    found = load_file(out / "paper0.safetensors")
    assert not torch.allclose(changed["loss/mix_time"], found["loss/mix_time"], rtol=1e-4)


def test_two_processes_train_as_one_with_the_whole_batch(out, dataset, preset, tmp_path):
    one = fit(preset("dass_finetuning"), dataset, out=tmp_path)
    two = RunFolder(out / "plain" / "dass_finetuning-small" / "seed1")
    assert two.facts()["processes"] == 2
    assert small_runs.digests(two).keys() == small_runs.digests(one).keys()
    assert two.result()["selected_epoch"] == one.result()["selected_epoch"]
    for phase in ("select", "refit"):
        ours, theirs = (getattr(run, phase).read_predictions(2, "test") for run in (one, two))
        assert ours.id.tolist() == theirs.id.tolist()
        assert np.abs(ours.probabilities - theirs.probabilities).max() < 1e-3


@pytest.mark.parametrize(("name", "words"), [("there", "a run here already"), ("preset", "a run of other preset")])
def test_what_the_leader_refuses_all_refuse_and_go_on_together(out, name, words):
    first, second = ((out / f"{name}{rank}.txt").read_text() for rank in range(2))
    assert words in first
    assert first == second


def test_two_processes_resume_to_the_same_bits(out):
    whole, cut = (small_runs.digests(RunFolder(out / name / "lung_srad-small" / "seed1")) for name in ("whole", "cut"))
    assert whole == cut
    assert len([name for name in whole if name.endswith(".csv")]) == 5
