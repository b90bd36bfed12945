"""An exported graph without torch: the same answers as the model's, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import lung_srad as ls
from lung_srad.audio import read
from lung_srad.audio import resample as resample_in_torch
from lung_srad.config import load_preset
from lung_srad.errors import AudioError, ConfigError, RunError, ShapeError, WeightsError
from lung_srad.inference import Model, load
from lung_srad.portable import OnnxModel
from lung_srad.portable.sound import read_sound, resample
from lung_srad.runs import TrainedModel, build_model, save_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

CLASSES = ("normal", "crackle", "wheeze", "both")
WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = None
import lung_srad as ls
model = ls.load_onnx(sys.argv[1], threads=1)
found = model.classify(sys.argv[2])
assert not {"torch", "pydantic", "onnx"} & {name for name, module in sys.modules.items() if module}
print(json.dumps([[each.start, each.end, each.probabilities, each.label, each.code] for each in found]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with weights, their graph, and a recording: sound, silence, sound."""
    folder = tmp_path_factory.mktemp("portable")
    preset = load_preset("dass_finetuning", profile="small", overrides=["backbone.frames=32", "backbone.seconds=2.0"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = build_model(preset, len(CLASSES))
        torch.nn.init.normal_(net.head.weight, std=0.3)
    save_model(folder / "weights.safetensors", TrainedModel(net, preset, CLASSES, 0, synthetic=True))
    ls.export_onnx(load(folder / "weights.safetensors"), folder / "model.onnx", inputs=3)
    wave = 0.1 * np.random.default_rng(0).standard_normal((4000 * 11, 2))
    wave[4000 * 4 : 4000 * 8] = 0
    soundfile.write(folder / "a.wav", wave, 4000, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(folder / "weights.safetensors")


@pytest.fixture(scope="module")
def portable(folder: Path) -> OnnxModel:
    return ls.load_onnx(folder / "model.onnx")


def test_without_torch_the_answers_are_those_of_the_model(folder: Path, model: Model) -> None:
    code = [sys.executable, "-c", WITHOUT_TORCH, str(folder / "model.onnx"), str(folder / "a.wav")]
    run = subprocess.run(code, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    wanted, found = model.classify(folder / "a.wav").segments, json.loads(run.stdout)
    assert [(each.start, each.end, each.label, each.code) for each in wanted] == [(*r[:2], *r[3:]) for r in found]
    assert [each.code for each in wanted].count("silence") == 2
    for each, row in zip(wanted, found, strict=True):
        np.testing.assert_allclose(row[2], each.probabilities, atol=2e-4)


@pytest.mark.parametrize("seconds", [0.01, 0.5, 2.0, 3.3])
def test_any_length_of_an_array(folder: Path, model: Model, portable: OnnxModel, seconds: float) -> None:
    wave = 0.1 * np.random.default_rng(1).standard_normal(round(8000 * seconds)).astype(np.float32)
    soundfile.write(folder / "b.wav", wave, 8000, subtype="FLOAT")
    wanted, found = model.classify(folder / "b.wav").segments, portable.classify(wave, rate=8000)
    assert [(each.start, each.end, each.code) for each in found] == [(e.start, e.end, e.code) for e in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=2e-4)


def test_given_cycles_go_through_the_published_path(folder: Path, model: Model, portable: OnnxModel) -> None:
    cycles = [(0.0, 0.7), (0.5, 2.5), (8.2, 11.0), (10.0, np.inf), (5.0, 6.0)]
    wanted = model.classify(folder / "a.wav", cycles=cycles).segments
    found = portable.classify(folder / "a.wav", cycles=cycles, batch_size=2)
    assert [(each.start, each.end, each.code) for each in found] == [(e.start, e.end, e.code) for e in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=2e-4)


@pytest.mark.parametrize("rate", [4000, 10_000, 11_025, 16_000, 44_100, 44_101])
@pytest.mark.parametrize("method", ["sinc", "soxr"])
def test_resampling_is_that_of_torch(rate: int, method: str) -> None:
    if method == "soxr":
        pytest.importorskip("soxr")
    wave = np.random.default_rng(rate).standard_normal(3001).astype(np.float32)
    wanted = resample_in_torch(torch.from_numpy(wave), rate, 16_000, method=method).numpy()
    np.testing.assert_allclose(resample(wave, rate, 16_000, method), wanted, atol=2e-6)


def test_what_it_says_of_itself(portable: OnnxModel) -> None:
    assert portable.class_names == CLASSES
    assert repr(portable).endswith(
        "normal, crackle, wheeze, both; simulated training, research use, not a medical device>"
    )
    assert portable.samples == 32_000


def test_waves_of_another_length_are_refused(portable: OnnxModel) -> None:
    with pytest.raises(ShapeError, match=r"\(1, 16000\); needs \(B, 32000\): 2 s at 16000 Hz"):
        portable.probabilities(np.zeros((1, 16_000)))
    with pytest.raises(ConfigError, match="hop"):
        portable.classify(np.zeros(99), rate=4000, hop=3)
    with pytest.raises(ConfigError, match="rate: None"):
        portable.classify(np.zeros(99))
    with pytest.raises(AudioError, match="not finite"):
        portable.classify(np.full(9999, np.nan), rate=4000)
    with pytest.raises(AudioError, match="the cycle from 9 to 12 s"):
        portable.classify(np.zeros(9999), rate=4000, cycles=[(9, 12)])


def test_recordings_that_cannot_be_used_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="is no file"):
        read_sound(tmp_path)
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "half.wav").write_bytes((folder / "a.wav").read_bytes()[:50_000])
    for name in ("text.wav", "half.wav"):
        with pytest.raises(AudioError, match=name):
            read_sound(tmp_path / name)


@pytest.mark.parametrize(("subtype", "rate"), [("GSM610", 8000), ("G721_32", 8000), ("MS_ADPCM", 4000)])
def test_a_recording_in_which_a_decoder_cannot_seek(tmp_path: Path, subtype: str, rate: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(3200), rate, subtype=subtype)
    samples, found = read_sound(path)
    assert found == rate
    assert np.array_equal(samples, read(path).samples.numpy())


def test_files_that_are_no_graph_of_ours_are_refused(folder: Path, model: Model, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a graph of ours"):
        ls.load_onnx(folder / "a.wav")
    graph = onnx.load(folder / "model.onnx")
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "bare.onnx")
    with pytest.raises(WeightsError, match="not a graph of ours"):
        ls.load_onnx(tmp_path / "bare.onnx")
    ls.export_onnx(model, tmp_path / "features.onnx", given="features", inputs=1)
    with pytest.raises(WeightsError, match="from features; format 1, from wave"):
        ls.load_onnx(tmp_path / "features.onnx")
    with pytest.raises(RunError, match="load_onnx opens it"):
        load(folder / "model.onnx")


def test_weights_outside_the_file_are_refused(folder: Path, tmp_path: Path) -> None:
    graph = onnx.load(folder / "model.onnx")
    onnx.save(graph, tmp_path / "model.onnx", save_as_external_data=True, location="beside.bin", size_threshold=1000)
    assert (tmp_path / "beside.bin").is_file()
    with pytest.raises(WeightsError, match="not a graph of ours"):
        ls.load_onnx(tmp_path / "model.onnx")
