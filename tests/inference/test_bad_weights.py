"""21 kinds of bad checkpoint and graph: each is refused in one line, the network stays as it was, nothing is run."""

import contextlib
import pickle
import shutil
import sys
import warnings
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch

import lung_srad as ls
from lung_srad.errors import WeightsError
from lung_srad.inference import export_folder
from lung_srad.models import Classifier, create_model, load_weights

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from bad_weights import WEIGHTS, Evaluated, Kind, Payload

from measuring import require_message, within


@pytest.fixture(scope="module")
def net() -> Classifier:
    return create_model("dass_tiny", 4)


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "exported"
    export_folder(run, folder)
    return folder


def test_all_kinds_are_there() -> None:
    assert len(WEIGHTS) == 21


@pytest.mark.parametrize("kind", WEIGHTS)
def test_each_kind_is_refused(
    net: Classifier, exported: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # not even then
    row: Kind = WEIGHTS[kind]
    if row.opens == "graph":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime").InferenceSession  # noqa: B018  (imported before the clock runs)
    path = tmp_path / row.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if row.opens == "own":
        shutil.copytree(exported, path)
    state = {key: x.clone() for key, x in net.state_dict().items()}
    row.build(path, state)
    opening = {"official": lambda: load_weights(net, path), "own": lambda: ls.load(path)}
    with within(), pytest.raises(WeightsError) as caught:
        opening.get(row.opens, lambda: ls.load_onnx(path))()
    text = str(caught.value)
    require_message(text, text.partition(": ")[0], row.words)
    assert text.startswith(str(path))
    assert not list(tmp_path.rglob("canary"))
    assert all(torch.equal(x, state[key]) for key, x in net.state_dict().items())


def careless(path: Path) -> None:
    """Opens a file in every way that runs what is in it."""
    for read in (joblib.load, partial(np.load, allow_pickle=True), partial(torch.load, weights_only=False)):
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)


@pytest.mark.parametrize("kind", [kind for kind in WEIGHTS if kind.startswith(("pickle", "numpy", "joblib"))])
def test_a_careless_reader_runs_every_payload(tmp_path: Path, kind: str) -> None:
    row = WEIGHTS[kind]
    row.build(tmp_path / row.name, {"a": torch.ones(2)})
    assert not (tmp_path / "canary").exists()
    careless(tmp_path / row.name)
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("payload", [Payload, Evaluated])
def test_the_payloads_are_alive(tmp_path: Path, payload: type[Payload]) -> None:
    pickle.loads(pickle.dumps(payload(tmp_path / "w.pth")))
    assert (tmp_path / "canary").exists()


def test_what_is_whole_is_accepted(net: Classifier, exported: Path, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "w.pth")
    assert load_weights(net, tmp_path / "w.pth").loaded
    assert ls.load(exported).class_names == ("normal", "crackle", "wheeze", "both")
