"""Official checkpoints load strictly, whatever wraps them; everything else is one error and leaves the model alone."""

import hashlib
import json
import math
import os
import pickle
import re
import struct
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from lung_srad.errors import WeightsError
from lung_srad.models import BACKBONES, CATALOGUE, Classifier, create_model, load_weights, smooth

TINY = (32, (1, 1, 4, 1))
HEAD = ("classifier.head.weight", "classifier.head.bias")
State = dict[str, Tensor]


def layout(width: int, depths: tuple[int, ...], *, ratio: float = 1, classes: int = 4, stem: int = 1) -> dict:
    """Returns the names and shapes of an official VMamba or DASS file."""
    half, last = width // 2, width * 2 ** (len(depths) - 1)
    shapes = {"patch_embed.0.weight": (half, stem, 3, 3), "patch_embed.0.bias": (half,)}
    shapes |= norm("patch_embed.2", half) | {"patch_embed.5.weight": (width, half, 3, 3)}
    shapes |= {"patch_embed.5.bias": (width,)} | norm("patch_embed.7", width)
    for stage, depth in enumerate(depths):
        outer = width * 2**stage
        inner, rank = int(outer * ratio), math.ceil(outer / 16)
        for block in range(depth):
            at = f"layers.{stage}.blocks.{block}"
            shapes |= norm(f"{at}.norm", outer) | norm(f"{at}.norm2", outer) | norm(f"{at}.op.out_norm", inner)
            shapes |= {f"{at}.op.x_proj_weight": (4, rank + 2, inner), f"{at}.op.A_logs": (4 * inner, 1)}
            shapes |= {f"{at}.op.dt_projs_weight": (4, inner, rank), f"{at}.op.dt_projs_bias": (4, inner)}
            shapes |= {f"{at}.op.Ds": (4 * inner,), f"{at}.op.conv2d.weight": (inner, 1, 3, 3)}
            shapes |= {f"{at}.op.in_proj.weight": (inner, outer), f"{at}.op.out_proj.weight": (outer, inner)}
            shapes |= {f"{at}.mlp.fc1.weight": (4 * outer, outer), f"{at}.mlp.fc1.bias": (4 * outer,)}
            shapes |= {f"{at}.mlp.fc2.weight": (outer, 4 * outer), f"{at}.mlp.fc2.bias": (outer,)}
        if outer != last:
            down = f"layers.{stage}.downsample"
            shapes |= {f"{down}.1.weight": (2 * outer, outer, 3, 3), f"{down}.1.bias": (2 * outer,)}
            shapes |= norm(f"{down}.3", 2 * outer)
    return shapes | norm("classifier.norm", last) | {HEAD[0]: (classes, last), HEAD[1]: (classes,)}


def norm(name: str, width: int) -> dict:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def numbered(shapes: dict) -> State:
    """Returns one number per tensor, stored once however large the tensor is."""
    return {key: torch.tensor(1 + i / 1024).expand(shape) for i, (key, shape) in enumerate(shapes.items())}


@pytest.fixture(scope="module")
def official() -> State:
    """Returns the content of an official file of the tiny topology, with a 527-way head."""
    draw = torch.Generator().manual_seed(5)
    return {key: torch.randn(shape, generator=draw) for key, shape in layout(*TINY, classes=527).items()}


@pytest.fixture
def net() -> Classifier:
    torch.manual_seed(0)
    return create_model("dass_tiny")


@pytest.fixture(scope="module")
def untouched() -> Classifier:
    """Returns a model that no test changes, so that one serves them all."""
    return create_model("dass_tiny")


def linear_as_convolution(state: State) -> State:
    flat = ("in_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight")
    return {key: x[..., None, None] if key.endswith(flat) else x for key, x in state.items()}


def test_the_layout_is_that_of_the_models():
    for name, topology in {
        "dass_tiny": TINY,
        "dass_small": (96, (2, 2, 8, 2)),
        "dass_medium": (96, (2, 2, 20, 2)),
    }.items():
        with torch.device("meta"):
            own = create_model(name).state_dict()
        assert {key: tuple(x.shape) for key, x in own.items()} == layout(*topology)


# --- what loads

WRAPPED: dict[str, Callable[[State], Any]] = {
    "plain": lambda state: state,
    "DASS": lambda state: {f"module.v.{key}": x for key, x in state.items()},
    "DataParallel": lambda state: {f"module.{key}": x for key, x in state.items()},
    "VMamba": lambda state: {"model": state},
    "trainer": lambda state: {"epoch": 3, "state_dict": OrderedDict(state), "optimizer": {"lr": 0.1}},
    "both": lambda state: {"model": {f"module.v.{key}": x for key, x in state.items()}},
    "parameters": lambda state: {key: nn.Parameter(x) for key, x in state.items()},
    "linear layers as convolutions": linear_as_convolution,
}


def assert_loaded(net: Classifier, state: State) -> None:
    own = net.state_dict()
    for key, x in state.items():
        assert torch.equal(own[key], x.to(own[key].dtype).view_as(own[key])), key


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_file_loads_whatever_wraps_it(net: Classifier, official: State, tmp_path: Path, wrap: str, legacy: bool):
    path = tmp_path / "official.pth"
    torch.save(WRAPPED[wrap](official), path, _use_new_zipfile_serialization=not legacy)
    own_head = net.head.weight.clone()
    report = load_weights(net, path)
    body = {key: x for key, x in official.items() if key not in HEAD}
    assert_loaded(net, body)
    assert torch.equal(net.head.weight, own_head)
    assert (report.path, report.loaded, report.head) == (str(path), len(body), "left out")
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    expected = ("28 linear layers stored as 1x1 convolutions",) if "convolutions" in wrap else ()
    assert report.notes == expected


def test_safetensors_load(net: Classifier, official: State, tmp_path: Path):
    save_file({f"module.v.{key}": x for key, x in official.items()}, tmp_path / "official.safetensors")
    report = load_weights(net, tmp_path / "official.safetensors")
    assert_loaded(net, {key: x for key, x in official.items() if key not in HEAD})
    assert report.head == "left out"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted(net: Classifier, official: State, tmp_path: Path, dtype: torch.dtype):
    torch.save({key: x.to(dtype) for key, x in official.items()}, tmp_path / "official.pth")
    report = load_weights(net, tmp_path / "official.pth")
    assert_loaded(net, {key: x.to(dtype) for key, x in official.items() if key not in HEAD})
    assert {x.dtype for x in net.state_dict().values()} == {torch.float32}
    kind = str(dtype).removeprefix("torch.")
    assert report.notes == (f"{len(official) - 2} tensors of {kind} converted to float32",)


def test_the_head_is_loaded_when_asked_for(official: State, tmp_path: Path):
    torch.save(official, tmp_path / "official.pth")
    net = create_model("dass_tiny", num_classes=527)
    report = load_weights(net, tmp_path / "official.pth", load_head=True)
    assert (report.head, report.loaded) == ("loaded", len(official))
    assert_loaded(net, official)


def test_a_file_without_head(net: Classifier, official: State, tmp_path: Path):
    torch.save({key: x for key, x in official.items() if key not in HEAD}, tmp_path / "body.pth")
    assert load_weights(net, tmp_path / "body.pth").head == "absent"
    with pytest.raises(WeightsError, match=r"2 missing \('classifier.head.bias', .*leave the head out"):
        load_weights(net, tmp_path / "body.pth", load_head=True)


def test_four_classes_load_into_four(net: Classifier, tmp_path: Path):
    path = tmp_path / "trained.safetensors"
    save_file(net.state_dict(), path)
    other = create_model("dass_tiny")
    assert load_weights(other, path, load_head=True).head == "loaded"
    assert_loaded(other, net.state_dict())


@pytest.mark.parametrize(("name", "depth"), [("dass_small", 8), ("dass_medium", 20)])
def test_published_sizes_load_with_smoothing_on(tmp_path: Path, name: str, depth: int):
    state = numbered(layout(96, (2, 2, depth, 2), classes=527))
    torch.save({f"module.v.{key}": x for key, x in state.items()}, tmp_path / "official.pth")
    net = create_model(name)
    smooth(net.backbone)
    report = load_weights(net, tmp_path / "official.pth")
    assert report.loaded == len(state) - 2
    assert_loaded(net, {key: x for key, x in state.items() if key not in HEAD})


def test_imagenet_weights_have_their_stem_summed(net: Classifier, official: State, tmp_path: Path):
    rgb = torch.randn(16, 3, 3, 3, generator=torch.Generator().manual_seed(9))
    torch.save({"model": linear_as_convolution(official | {"patch_embed.0.weight": rgb.half()})}, tmp_path / "rgb.pth")
    report = load_weights(net, tmp_path / "rgb.pth")
    torch.testing.assert_close(net.state_dict()["patch_embed.0.weight"], rgb.half().float().sum(1, keepdim=True))
    assert "1 RGB stem summed to one channel" in report.notes
    assert len(report.notes) == 3  # the stem, its precision, the linear layers


# --- what does not load


def refused(net: Classifier, path: Path, pattern: str, **options: bool) -> str:
    """Asserts one line of four parts that names the file, and a model that stayed as it was; returns the line."""
    before = {key: x.clone() for key, x in net.state_dict().items()}
    with pytest.raises(WeightsError, match=pattern) as caught:
        load_weights(net, path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert len(text.split("; ")) >= 3  # where and what was seen; what is allowed; what to do
    assert "\n" not in text
    assert len(text) < 2000
    assert all(torch.equal(x, before[key]) for key, x in net.state_dict().items())
    return text


@pytest.mark.parametrize(
    ("width", "depths", "ratio", "text"),
    [
        (128, (2, 2, 15, 2), 2, r"VMamba-B \(vssm1_base_0229\): width 128, depths 2/2/15/2, ssm_ratio 2"),
        (128, (2, 2, 20, 2), 1, r"VMamba-B \(vssm1_base_0229s\): width 128"),
        (96, (2, 2, 15, 2), 2, r"VMamba-S \(vssm1_small_0229\): .* ssm_ratio 2"),
        (96, (2, 2, 5, 2), 2, r"VMamba-T \(vssm1_tiny_0230\): "),
        (96, (2, 2, 8, 2), 1, r"DASS-small or VMamba-T \(vssm1_tiny_0230s\): "),
        (96, (2, 2, 27, 2), 1, "a VMamba: width 96, depths 2/2/27/2"),
    ],
)
def test_another_topology_is_refused_by_name(tmp_path: Path, width: int, depths: tuple, ratio: float, text: str):
    torch.save({"model": numbered(layout(width, depths, ratio=ratio, classes=1000, stem=3))}, tmp_path / "other.pth")
    own = r"this backbone is DASS-medium or VMamba-S \(vssm1_small_0229s\): width 96, depths 2/2/20/2, ssm_ratio 1"
    with torch.device("meta"):
        net = create_model("dass_medium")
    with pytest.raises(WeightsError, match=f"other.pth: {text}.*; {own}; take a checkpoint of this backbone"):
        load_weights(net, tmp_path / "other.pth")


NORM = "layers.1.blocks.0.norm.weight"
KEYS: dict[str, tuple[Callable[[State], Any], str]] = {
    "missing": (lambda s: without(s, NORM), rf"1 missing \('{NORM}'\); only the head"),
    "several missing": (lambda s: dict(list(s.items())[20:]), r"20 missing \('layers.0.blocks.*', \.\.\.\)"),
    "extra": (lambda s: s | {"layers.1.extra": torch.ones(1)}, r"1 unexpected \('layers.1.extra'\); only the head"),
    "renamed": (
        lambda s: without(s, NORM) | {"layers.1.blocks.0.ln.weight": s[NORM]},
        rf"1 unexpected \('layers.1.blocks.0.ln.weight'\), 1 missing \('{NORM}'\);",
    ),
    "foreign": (
        lambda s: {"conv1.weight": torch.ones(3)},
        r"1 unexpected \('conv1.weight'\), 148 missing \('classifier.norm.bias', .*, \.\.\.\)",
    ),
    "no block": (lambda s: {k: x for k, x in s.items() if "layers.2.blocks.3" not in k}, "depths 1/1/3/1"),
    "wrong shape": (lambda s: s | {NORM: torch.ones(65)}, rf"1 unusable \('{NORM} is \(65,\), not \(64,\)'\);"),
    "scalar": (lambda s: s | {"patch_embed.7.bias": torch.ones(())}, "a VMamba: width 1, "),
    "empty": (lambda s: s | {"patch_embed.7.bias": torch.ones(0)}, r"is \(0,\), not \(32,\)"),
    "integers": (lambda s: s | {NORM: torch.ones(64).long()}, f"'{NORM} is int64, not floating point'"),
    "complex": (lambda s: s | {NORM: torch.ones(64).cfloat()}, f"'{NORM} is complex64, not floating"),
    "eight bits": (lambda s: s | {NORM: torch.ones(64).to(torch.float8_e5m2)}, f"'{NORM} is float8_e5m2, not floating"),
    "NaN": (lambda s: s | {NORM: torch.full((64,), math.nan)}, f"'{NORM} holds values that are not finite'"),
    "infinite in float32": (lambda s: s | {NORM: torch.full((64,), 1e300, dtype=torch.double)}, "not finite"),
    "huge": (lambda s: s | {NORM: torch.ones(1).expand(10**12)}, "1000000000000"),
    "four colours": (
        lambda s: s | {"patch_embed.0.weight": torch.ones(16, 4, 3, 3)},
        r"is \(16, 4, 3, 3\), not \(16, 1, 3, 3\)",
    ),
    "endless stage": (lambda s: s | {f"layers.{10**30}.blocks.0.x": torch.ones(1)}, "1 unexpected"),
    "line break": (lambda s: s | {"a\nb\x1b[31m": torch.ones(1)}, r"1 unexpected \('a\\nb\\x1b\[31m'\)"),
    "long name": (lambda s: s | {"x" * 9999: torch.ones(1)}, r"1 unexpected \('x{119}\);"),
    "two prefixes": (
        lambda s: {f"module.{'v.' * (i % 2)}{k}": x for i, (k, x) in enumerate(s.items())},
        r"unexpected \('v\.",
    ),
    "sparse": (lambda s: s | {NORM: torch.ones(64).to_sparse()}, f"'{NORM}' is not a name with a plain tensor"),
    "meta": (lambda s: s | {NORM: torch.ones(64, device="meta")}, f"'{NORM}' is not a name with a plain tensor"),
    "number": (lambda s: s | {"epoch": 7}, r"'epoch' is not a name with a plain tensor \(int\)"),
    "number as name": (lambda s: s | {7: torch.ones(1)}, "7 is not a name"),
    "list": (lambda s: list(s.values()), r"holds no named tensors \(list\)"),
    "one tensor": (lambda s: s[NORM], r"holds no named tensors \(Tensor\)"),
    "nothing": (lambda s: {}, r"holds no named tensors \(dict\)"),
    "empty model": (lambda s: {"model": {}}, r"holds no named tensors \(dict\)"),
}


def without(state: State, key: str) -> State:
    return {name: x for name, x in state.items() if name != key}


@pytest.mark.parametrize("kind", KEYS)
def test_only_the_head_may_differ(untouched: Classifier, official: State, tmp_path: Path, kind: str):
    change, pattern = KEYS[kind]
    torch.save(change(official), tmp_path / "changed.pth")
    text = refused(untouched, tmp_path / "changed.pth", pattern)
    assert "leave the head out" not in text


def test_whatever_the_head_holds_is_left_out(net: Classifier, official: State, tmp_path: Path):
    head = {"classifier.head.weight": torch.full((2, 2), math.nan), "classifier.head.scale": torch.ones(1).int()}
    torch.save(official | head, tmp_path / "odd.pth")
    assert load_weights(net, tmp_path / "odd.pth").head == "left out"


def test_a_head_of_another_size_says_what_to_do(untouched: Classifier, official: State, tmp_path: Path):
    torch.save(official, tmp_path / "official.pth")
    text = refused(
        untouched,
        tmp_path / "official.pth",
        r"2 unusable \('classifier.head.bias is \(527,\), not \(4,\)'",
        load_head=True,
    )
    assert text.endswith(
        "leave the head out (load_head=False), or build the model with as many classes as the file has"
    )


def header(text: str | bytes, data: bytes = bytes(16), size: int | None = None) -> bytes:
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def described(**tensors: list) -> str:
    return json.dumps({name: {"dtype": "F32", "shape": [4], "data_offsets": at} for name, at in tensors.items()})


WHOLE = save({"a": torch.ones(4)})
BYTES: dict[str, bytes] = {
    "empty.pth": b"",
    "text.pth": b"hello world, these are no weights\n" * 9,
    "random.pth": np.random.default_rng(0).bytes(5000),
    "zeros.pth": bytes(5000),
    "picture.pth": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "empty.safetensors": b"",
    "text.safetensors": b"hello world, these are no weights\n" * 9,
    "random.safetensors": np.random.default_rng(1).bytes(5000),
    "short.safetensors": WHOLE[:20],
    "truncated.safetensors": WHOLE[:-4],
    "longer.safetensors": WHOLE + bytes(4),
    "header of 2**63 bytes.safetensors": header(WHOLE[8:], size=2**63),
    "list.safetensors": header("[1, 2]"),
    "no json.safetensors": header("{" * 40),
    "bytes.safetensors": header(b"\xff\xfe{}"),
    "overlapping.safetensors": header(described(a=[0, 16], b=[0, 16])),
    "twice.safetensors": header(described(a=[0, 16])[:-1] + "," + described(a=[16, 32])[1:], bytes(32)),
    "outside.safetensors": header(described(a=[0, 2**40])),
    "unknown type.safetensors": header(described(a=[0, 16]).replace("F32", "F99")),
    "negative.safetensors": header(described(a=[0, 16]).replace("[4]", "[-4]")),
}


@pytest.mark.parametrize("name", BYTES)
def test_damaged_bytes_are_refused(untouched: Classifier, tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(BYTES[name])
    refused(untouched, path, f"{len(BYTES[name])} bytes that cannot be read; a whole .* file; download it again")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(
    untouched: Classifier, official: State, tmp_path: Path, share: float, legacy: bool
):
    path = tmp_path / "cut.pth"
    torch.save(official, path, _use_new_zipfile_serialization=not legacy)
    os.truncate(path, int(path.stat().st_size * share))
    refused(untouched, path, "bytes that cannot be read")


def test_what_is_no_file_is_refused(untouched: Classifier, tmp_path: Path):
    refused(untouched, tmp_path / "absent.pth", "no such file; a .safetensors or .pth checkpoint; check the path")
    refused(untouched, tmp_path, "not a file")
    (tmp_path / "link.pth").symlink_to(tmp_path / "nowhere.pth")
    refused(untouched, tmp_path / "link.pth", "no such file")


@pytest.mark.parametrize("name", CATALOGUE.keys() & BACKBONES.keys())
def test_a_missing_official_file_is_one_message_that_says_where_it_is(name: str, tmp_path: Path):
    with torch.device("meta"):
        net = create_model(name)
    official = CATALOGUE[name]
    with pytest.raises(WeightsError) as caught:
        load_weights(net, tmp_path / official.file)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / official.file}: no such file; this backbone starts from {official.file} ")
    for word in (official.page, official.size, f"licence: {official.licence}", "download it to this path", "--weights"):
        assert word in text
    assert "\n" not in text


def test_official_files_have_a_page_a_size_and_a_licence():
    for official in CATALOGUE.values():
        assert "https://" in official.page
        assert re.fullmatch(r"(a folder of )?about \d+ MB", official.size)
        assert official.licence


def test_a_folder_of_the_hub_stands_for_its_file(net: Classifier, official: State, tmp_path: Path):
    torch.save(official, tmp_path / "pytorch_model.bin")
    assert load_weights(net, tmp_path).path == str(tmp_path / "pytorch_model.bin")
    save_file(official, tmp_path / "model.safetensors")
    assert load_weights(net, tmp_path).path == str(tmp_path / "model.safetensors")


def test_a_file_that_may_not_be_read(
    untouched: Classifier, official: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    torch.save(official, tmp_path / "locked.pth")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(torch, "load", denied)
    refused(untouched, tmp_path / "locked.pth", "may not be read")


# --- what would run


class Payload:
    """Touches the canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple:
        return os.system, (f"touch '{self.canary}'",)


class Evaluated(Payload):
    def __reduce__(self) -> tuple:
        return eval, (f"open({str(self.canary)!r}, 'w').close()",)


def in_a_zip(path: Path, payload: object, *, protocol: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(payload, protocol))
        archive.writestr("archive/version", "3\n")


def in_a_tar(path: Path, payload: object) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            member = path.with_name(name)
            member.write_bytes(pickle.dumps(payload, 2))
            archive.add(member, name)


HOSTILE: dict[str, Callable[[Path, Payload, State], object]] = {
    "zip": lambda path, payload, state: torch.save(state | {"x": payload}, path),
    "legacy": lambda path, payload, state: torch.save(
        state | {"x": payload}, path, _use_new_zipfile_serialization=False
    ),
    "beside the model": lambda path, payload, state: torch.save({"model": state, "config": payload}, path),
    "eval": lambda path, payload, state: torch.save({"x": Evaluated(payload.canary)}, path),
    "archive by hand": lambda path, payload, state: in_a_zip(path, payload, protocol=2),
    "archive of protocol 4": lambda path, payload, state: in_a_zip(path, payload, protocol=4),
    "tar": lambda path, payload, state: in_a_tar(path, payload),
    "numpy objects": lambda path, payload, state: torch.save({"x": np.array([payload], dtype=object)}, path),
    "numpy": lambda path, payload, state: torch.save({"x": np.ones(3)}, path),
    "module": lambda path, payload, state: torch.save(nn.Linear(2, 2), path),
    **{
        f"pickle {protocol}": lambda path, payload, state, protocol=protocol: path.write_bytes(
            pickle.dumps({"x": payload}, protocol)
        )
        for protocol in range(6)
    },
}


def test_the_payload_is_alive(tmp_path: Path):
    for payload in (Payload(tmp_path / "one"), Evaluated(tmp_path / "two")):
        pickle.loads(pickle.dumps(payload))
        assert payload.canary.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_in_a_file_is_run(
    untouched: Classifier, official: State, tmp_path: Path, kind: str, suffix: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # not even then
    canary, path = tmp_path / "canary", tmp_path / f"hostile{suffix}"
    HOSTILE[kind](path, Payload(canary), official)
    text = refused(untouched, path, "asks for|bytes that cannot be read")
    assert not canary.exists()
    if suffix == ".pth" and kind in ("zip", "legacy", "beside the model", "archive by hand", "numpy objects"):
        wanted = "numpy" if "numpy" in kind else os.system.__module__
        assert f"asks for {wanted}." in text
        assert "only tensors are read, nothing is run" in text


def test_a_refusal_is_one_error_and_no_warnings(untouched: Classifier, tmp_path: Path):
    path = tmp_path / "hostile.pth"
    path.write_bytes(pickle.dumps({"x": Payload(tmp_path / "canary")}, 4))  # torch warns of protocol 4
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        refused(untouched, path, "hostile.pth")
    assert seen == []
