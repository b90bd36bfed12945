"""A weights file is a model: everything in it comes back, and nothing else passes for one."""

import pytest
import torch
from safetensors.torch import save_file

from lung_srad.config import dump_preset, load_preset
from lung_srad.errors import RunError
from lung_srad.models import create_model
from lung_srad.runs import load_model, save_model
from lung_srad.runs import model as run_model
from lung_srad.runs.state import read_tensors, write_tensors

FILE = "weights.safetensors"


def test_a_model_comes_back_whole(model, tmp_path):
    save_model(tmp_path / FILE, model)
    found = load_model(tmp_path / FILE)
    assert (found.preset, found.class_names, found.normal) == (model.preset, model.class_names, model.normal)
    assert not found.net.training
    x = torch.randn(2, 1, 128, 32)
    with torch.inference_mode():
        assert torch.equal(found.net(x), model.net(x))


def test_a_file_for_which_there_is_no_memory_is_not_called_damaged(model, tmp_path, monkeypatch):
    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    save_model(tmp_path / FILE, model)
    monkeypatch.setattr("lung_srad.runs.model.build_model", full)
    with pytest.raises(RuntimeError, match="can't allocate memory") as caught:
        load_model(tmp_path / FILE)
    assert not isinstance(caught.value, RunError)


def test_the_keys_are_those_of_an_official_checkpoint(model, tmp_path):
    save_model(tmp_path / FILE, model)
    tensors, _ = read_tensors(tmp_path / FILE)
    assert set(tensors) == set(create_model("dass_tiny", 4).state_dict())
    assert "classifier.head.weight" in tensors


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class_names": ["normal", "crackle"]}, r"head\.\w+' is float32 \(4.*has float32 \(2"),
        ({"class_names": []}, "class names"),
        ({"class_names": [1, 2, 3, 4]}, "class names"),
        ({"class_names": None}, "NoneType"),
        ({"normal": 4}, "of which 4 is the normal one"),
        ({"normal": "normal"}, "of which 'normal' is the normal one"),
        ({"preset": "name = 'x'"}, "'title' is missing"),
        ({"preset": "= ="}, "statement"),
        ({"preset": 3}, "str|int"),
        ({"preset": "x = " + "[" * 5000}, "recursion|Invalid"),
    ],
)
def test_facts_that_do_not_hold_are_one_message(model, tmp_path, change, words):
    facts = {"preset": dump_preset(model.preset), "class_names": list(model.class_names), "normal": 0}
    write_tensors(tmp_path / FILE, model.net.state_dict(), facts | change)
    with pytest.raises(RunError, match=rf"not a model of ours \(.*({words})") as caught:
        load_model(tmp_path / FILE)
    assert "\n" not in str(caught.value)
    assert "a weights file that train wrote; give weights.safetensors of a run" in str(caught.value)


def test_weights_that_do_not_hold_are_one_message(model, tmp_path):
    facts = {"preset": dump_preset(model.preset), "class_names": list(model.class_names), "normal": 0}
    state = model.net.state_dict()
    first = next(iter(state))
    for wrong, words in (
        ({key: value for key, value in state.items() if key != first}, "is missing, its preset has float32"),
        (state | {"more": torch.ones(1)}, "'more' is float32 .*its preset has no such tensor"),
        (state | {first: state[first] * torch.nan}, "values that are not finite"),
        (state | {first: torch.ones(3)}, r"is float32 \(3,\), its preset has float32"),
        (state | {first: state[first].long()}, "is int64 .*its preset has float32"),
    ):
        write_tensors(tmp_path / FILE, wrong, facts)
        with pytest.raises(RunError, match=rf"not a model of ours \(.*({words})"):
            load_model(tmp_path / FILE)


def test_a_few_letters_do_not_make_a_large_network(model, tmp_path, monkeypatch):
    """A preset in a file may name any network; only one that its tensors fit is made."""
    made = []
    build = run_model.build_model

    def watched(preset, classes):
        made.append((preset.backbone.name, torch.ones(1).device.type))
        return build(preset, classes)

    monkeypatch.setattr(run_model, "build_model", watched)
    large = load_preset("lung_srad")
    facts = {"preset": dump_preset(large), "class_names": list(model.class_names), "normal": 0}
    write_tensors(tmp_path / FILE, model.net.state_dict(), facts)
    with pytest.raises(RunError, match="its preset has"):
        load_model(tmp_path / FILE)
    assert made == [("dass_medium", "meta")]


@pytest.mark.parametrize("facts", [{"epoch": 1}, [1], "x"])
def test_another_file_of_ours_is_no_model(tmp_path, facts):
    write_tensors(tmp_path / FILE, {"net/x": torch.ones(1)}, facts)
    with pytest.raises(RunError, match="not a model of ours"):
        load_model(tmp_path / FILE)


def test_an_official_checkpoint_is_no_run(model, tmp_path):
    save_file(dict(model.net.state_dict()), tmp_path / FILE, {"format": "pt"})
    with pytest.raises(RunError, match="is not ours"):
        load_model(tmp_path / FILE)


def test_nothing_in_a_file_is_run(tmp_path):
    """A pickle under our name is damage, not a program."""
    canary = tmp_path / "canary"
    payload = f"cos\nsystem\n(S'touch {canary}'\ntR.".encode()
    (tmp_path / FILE).write_bytes(payload)
    with pytest.raises(RunError, match="cannot be read"):
        load_model(tmp_path / FILE)
    assert not canary.exists()
