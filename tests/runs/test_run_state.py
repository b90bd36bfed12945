"""Checkpoints and tensors on disk: the same bytes for the same content, all of it back, one message for damage."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lung_srad.errors import RunError
from lung_srad.runs.state import (
    Progress,
    cause,
    load_checkpoint,
    read_tensors,
    save_checkpoint,
    write_tensors,
)

PROGRESS = Progress(epoch=2, step=17, log_bytes=1234)


def parts(seed, width=3):
    torch.manual_seed(seed)
    net, objective = nn.Linear(width, 2), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    return net, objective, torch.optim.Adam([*net.parameters(), *objective.parameters()], lr=0.1)


def step(net, objective, optimizer):
    objective(net(torch.arange(12.0).reshape(4, 3))).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.fixture
def saved(tmp_path):
    """Returns a checkpoint after two steps, and the parts it was made of."""
    one = parts(1)
    for _ in range(2):
        step(*one)
    save_checkpoint(tmp_path / "c.safetensors", PROGRESS, *one)
    return tmp_path / "c.safetensors", one


def test_everything_comes_back_and_goes_on_to_the_same_bits(saved):
    path, one = saved
    other = parts(2)
    assert load_checkpoint(path, *other) == PROGRESS
    for each in (one, other):
        step(*each)
    for first, second in zip(
        (*one[0].parameters(), *one[1].parameters()), (*other[0].parameters(), *other[1].parameters()), strict=True
    ):
        assert torch.equal(first, second)
    assert torch.equal(one[1][1].running_mean, other[1][1].running_mean)
    states = [optimizer.state_dict()["state"] for *_, optimizer in (one, other)]
    assert all(torch.equal(states[0][i][key], states[1][i][key]) for i in states[0] for key in states[0][i])


def test_a_checkpoint_before_the_first_step(tmp_path):
    save_checkpoint(tmp_path / "c.safetensors", Progress(), *parts(1))
    other = parts(2)
    assert load_checkpoint(tmp_path / "c.safetensors", *other) == Progress()
    step(*other)


def test_what_was_read_does_not_change_with_the_file(saved):
    path, _ = saved
    tensors, _ = read_tensors(path)
    before = {key: value.clone() for key, value in tensors.items()}
    path.write_bytes(bytes(path.stat().st_size))  # in place, as nobody should
    assert all(torch.equal(tensors[key], before[key]) for key in before)


def test_the_same_content_gives_the_same_bytes(tmp_path):
    """Several keys of metadata would come in an order that safetensors draws for each file."""
    facts, digests = {"x": 1, "y": [2], "z": "3", "u": None}, set()
    for _ in range(20):
        write_tensors(tmp_path / "f", {"a": torch.arange(3.0), "b": torch.ones(2)}, facts)
        digests.add(hashlib.sha256((tmp_path / "f").read_bytes()).hexdigest())
    write_tensors(tmp_path / "f", {"b": torch.ones(2), "a": torch.arange(3.0)}, facts)
    assert digests == {hashlib.sha256((tmp_path / "f").read_bytes()).hexdigest()}
    assert read_tensors(tmp_path / "f")[1] == facts


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(saved, monkeypatch):
    path, one = saved
    before = path.read_bytes()

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lung_srad.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, Progress(epoch=3), *one)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("damage", [b"", b"x" * 100, b"\xff" * 8 + b"{}", b"half"])
def test_a_damaged_file_is_one_message(saved, damage):
    path, one = saved
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if damage == b"half" else damage)
    with pytest.raises(
        RunError, match=r"c.safetensors: cannot be read, or is not ours \(.*; a whole file that train wrote"
    ):
        load_checkpoint(path, *one)


@pytest.mark.parametrize("facts", [None, {}, {"lung_srad": "no JSON"}, {"lung_srad": "[" * 100_000}])
def test_a_foreign_file_is_one_message(tmp_path, facts):
    save_file({"net/weight": torch.ones(2)}, tmp_path / "f.safetensors", facts)
    with pytest.raises(RunError, match=r"f.safetensors: cannot be read, or is not ours \(.{1,220}\); a whole"):
        read_tensors(tmp_path / "f.safetensors")


def test_an_absent_file(tmp_path):
    with pytest.raises(RunError, match=r"absent: is not there; .*--resume"):
        read_tensors(tmp_path / "absent")


@pytest.mark.parametrize(
    ("tensors", "facts"),
    [
        ({"net/weight": torch.ones(2, 4)}, {}),
        ({"other/weight": torch.ones(2, 4)}, {}),
        ({"optimizer/x/step": torch.ones(1)}, {}),
        (None, {"epoch": 1, "turn": 3}),
        (None, [1, 2]),
    ],
)
def test_a_checkpoint_of_something_else_is_one_message(saved, tensors, facts):
    path, one = saved
    write_tensors(path, tensors or read_tensors(path)[0], facts)
    with pytest.raises(RunError, match=r"does not fit this run \(.+\); the checkpoint of this preset"):
        load_checkpoint(path, *one)


def test_the_cause_is_one_short_line():
    assert cause(ValueError("a\n  b")) == "a b"
    assert cause(ValueError()) == "ValueError"
    assert len(cause(ValueError("x" * 1000))) < 210


def test_progress_is_what_json_gives_back():
    assert Progress(**json.loads(json.dumps(PROGRESS.__dict__))) == PROGRESS
