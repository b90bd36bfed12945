"""Every kind of bad checkpoint and graph, 21: what opens it, and what it is refused with. Payloads touch a canary."""

import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

State = dict[str, Tensor]
Build = Callable[[Path, State], object]
NORM = "layers.1.blocks.0.norm.weight"


@dataclass(frozen=True)
class Kind:
    """One row.

    Attributes:
        name: of the file or folder.
        build: writes it; is given the weights of a network that the rest fits.
        words: of the refusal.
        opens: "official" (``--weights``), "own" (``load``) or "graph" (``load_onnx``).
    """

    name: str
    build: Build
    words: str
    opens: str = "official"


class Payload:
    """Touches the canary when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.canary = path.parent / "canary"

    def __reduce__(self) -> tuple:
        return os.system, (f"touch '{self.canary}'",)


class Evaluated(Payload):
    """Does so in Python."""

    def __reduce__(self) -> tuple:
        return eval, (f"open({str(self.canary)!r}, 'w').close()",)


def in_a_zip(path: Path, state: State) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(path), 2))
        archive.writestr("archive/version", "3\n")


def in_a_tar(path: Path, state: State) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            member = path.with_name(name)
            member.write_bytes(pickle.dumps(Payload(path), 2))
            archive.add(member, name)


def numpy_objects(path: Path, state: State) -> None:
    with path.open("wb") as file:  # under this name, whatever its suffix
        np.save(file, np.array([Payload(path)], dtype=object), allow_pickle=True)


def dumped_by_joblib(path: Path, state: State) -> None:
    """Writes what scikit-learn's models are kept in: a pickle, the bytes of its arrays between its instructions."""
    joblib.dump({"coefficients": np.ones((4, 3)), "model": Payload(path)}, path)


def bomb(path: Path, state: State) -> None:
    """Writes an archive of some 3 MB that unpacks to 600 MiB."""
    torch.save({"a": torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            with archive.open(name, "w") as file:
                for _ in range(600 if name.endswith("/data/0") else 0):
                    file.write(bytes(2**20))
                file.write(content)


def saved(change: Callable[[State], State]) -> Build:
    return lambda path, state: save_file({key: x.contiguous() for key, x in change(state).items()}, path)


def without(state: State, *starts: str) -> State:
    return {key: x for key, x in state.items() if not key.startswith(starts)}


def raw(content: bytes) -> Build:
    return lambda path, state: path.write_bytes(content)


def header(text: str, data: bytes = bytes(16), size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text.encode() + data


def described(**tensors: list) -> str:
    return json.dumps({name: {"dtype": "F32", "shape": [4], "data_offsets": at} for name, at in tensors.items()})


def cut(path: Path, state: State) -> None:
    save_file(state, path)
    os.truncate(path, path.stat().st_size // 2)


def flipped(path: Path, state: State) -> None:
    """Turns one bit of one weight in a folder that export wrote, which stands there already."""
    content = bytearray((path / "model.safetensors").read_bytes())
    content[-1000] ^= 1
    (path / "model.safetensors").write_bytes(content)


def configured(**changes: object) -> Build:
    """Returns what changes config.json in a folder that export wrote."""

    def build(path: Path, state: State) -> None:
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(config | changes))

    return build


def outside(path: Path, state: State) -> None:
    """Writes a graph whose weights lie in a file two folders above it; the file is there."""
    import onnx
    from onnx import TensorProto, helper

    tensor = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret.bin")
    path.parents[2].joinpath("secret.bin").write_bytes(bytes(8))
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("wave", "logits")]
    node = helper.make_node("Add", ["wave", "w"], ["logits"])
    graph = helper.make_graph([node], "g", given[:1], given[1:], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    assert onnx.load(path, load_external_data=False)


UNREAD = "bytes that cannot be read"
OTHER_ORDER = ["wheeze", "crackle", "normal", "both"]
WEIGHTS: dict[str, Kind] = {
    "pickle that calls os.system": Kind("w.pth", lambda p, s: p.write_bytes(pickle.dumps(Payload(p), 2)), "asks for "),
    "pickle with __reduce__": Kind("w.pth", lambda p, s: torch.save(s | {"x": Evaluated(p)}, p), "asks for "),
    "pickle in a zip": Kind("w.pth", in_a_zip, "asks for "),
    "pickle in a tar": Kind("w.pth", in_a_tar, UNREAD),
    "numpy objects": Kind("w.npy", numpy_objects, UNREAD),
    "joblib": Kind("w.joblib", dumped_by_joblib, UNREAD),
    "truncated": Kind("w.safetensors", cut, UNREAD),
    "1 bit flipped": Kind("exported", flipped, "has the SHA-256", "own"),
    "another architecture": Kind(
        "w.safetensors",
        saved(lambda s: without(s, "layers.2.blocks.3.")),
        "depths 1/1/3/1, ssm_ratio 1; this backbone is",
    ),
    "missing keys": Kind("w.safetensors", saved(lambda s: without(s, NORM)), f"1 missing ('{NORM}')"),
    "extra keys": Kind("w.safetensors", saved(lambda s: s | {"layers.1.x": torch.ones(1)}), "1 unexpected"),
    "renamed keys": Kind(
        "w.safetensors", saved(lambda s: without(s, NORM) | {"layers.1.n": s[NORM]}), "1 unexpected ('layers.1.n'), 1"
    ),
    "another type": Kind("w.safetensors", saved(lambda s: s | {NORM: s[NORM].long()}), "is int64, not floating point"),
    "NaN": Kind("w.safetensors", saved(lambda s: s | {NORM: s[NORM] * torch.nan}), "values that are not finite"),
    "header of 2**63 bytes": Kind("w.safetensors", raw(header("{}", size=2**63)), UNREAD),
    "overlapping tensors": Kind("w.safetensors", raw(header(described(a=[0, 16], b=[0, 16]))), UNREAD),
    "a key twice": Kind(
        "w.safetensors", raw(header(described(a=[0, 16])[:-1] + "," + described(a=[16, 32])[1:], bytes(32))), UNREAD
    ),
    "classes in another order": Kind("exported", configured(class_names=OTHER_ORDER), "class_names = ['wheeze'", "own"),
    "other preprocessing": Kind("exported", configured(sample_rate=8000), "sample_rate = 8000", "own"),
    "graph with data elsewhere": Kind("a/b/w.onnx", outside, "not a graph of ours", "graph"),
    "zip bomb": Kind("w.pth", bomb, "that unpack to 629,"),
}
