"""Calibration and rejection: planted temperatures are found, foreign sounds get no answer, wrong files are refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from foreign import KINDS, foreign_waves
from lung_srad.cli import app
from lung_srad.datasets import Cycle
from lung_srad.errors import ConfigError, RunError, WeightsError
from lung_srad.evaluation import Predictions
from lung_srad.inference import Model, load
from lung_srad.inference.calibration import calibrate, fit_temperature, gaussian, rows_of
from lung_srad.inference.descriptors import describe
from lung_srad.inference.trust import Known, Trust, read_trust, trust_file, write_trust
from lung_srad.runs import RunFolder


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_planted_temperature_is_found_again(temperature: float) -> None:
    draw = np.random.default_rng(0)
    logits = 2 * draw.standard_normal((20_000, 4))
    labels = np.array([draw.choice(4, p=row) for row in softmax(logits)])
    found = fit_temperature(softmax(logits * temperature), labels)
    assert found == pytest.approx(temperature, rel=0.05)
    empty = np.full((1, 4), np.nan)
    assert fit_temperature(np.vstack([softmax(logits * temperature), empty]), np.append(labels, 0)) == found


def test_a_judgement_divides_by_the_temperature_and_withholds() -> None:
    logits, nothing = np.log([[0.6, 0.2, 0.1, 0.1], [0.3, 0.3, 0.2, 0.2]]), np.zeros((2, 3))
    as_it_is = Trust().judge(logits, nothing, [])
    np.testing.assert_allclose(as_it_is[0].probabilities, [0.6, 0.2, 0.1, 0.1])
    assert [each.code for each in as_it_is] == ["", ""]
    assert np.isnan(as_it_is[0].ood_score)
    sharper = Trust(temperature=0.5).judge(logits, nothing, [])
    np.testing.assert_allclose(sharper[0].probabilities, np.array([0.36, 0.04, 0.01, 0.01]) / 0.42)
    unsure = Trust(least=0.5).judge(logits, nothing, [])
    assert [(each.code, len(each.probabilities)) for each in unsure] == [("", 4), ("unsure", 0)]
    with pytest.raises(ConfigError, match="temperature 0"):
        Trust(temperature=0)


def test_what_is_far_from_training_is_foreign() -> None:
    draw = np.random.default_rng(0)
    rows = draw.standard_normal((4000, 3)) * [1, 10, 0.1]
    known = gaussian(rows[::2], rows[1::2])
    assert np.mean(known.distance(rows[1::2]) < 1) == pytest.approx(0.99, abs=0.002)
    trust = Trust(known={"embedding": known})
    found = trust.judge(np.zeros((3, 4)), np.array([[0, 0, 0], [0, 12, 0], [0, 0, 8]]), [np.zeros((40, 128))] * 3)
    assert [each.code for each in found] == ["", "", "foreign"]


def test_a_description_hears_breath_and_not_loudness() -> None:
    draw = np.random.default_rng(0)
    steady = draw.standard_normal((400, 128))
    breathing = steady + 3 * np.sin(np.arange(400) / 30)[:, None]
    np.testing.assert_allclose(describe(steady + 5), describe(steady), atol=1e-9)
    slow = slice(16, 32)
    assert describe(breathing)[slow].min() > 5 * describe(steady)[slow].max()


def lungs(seconds: float, count: int, seed: int) -> list[torch.Tensor]:
    """Returns breath-like noise: rising and falling, duller towards high frequencies."""
    draw, waves = np.random.default_rng(seed), []
    time = np.arange(round(seconds * 16_000)) / 16_000
    for _ in range(count):
        wave = np.convolve(draw.standard_normal(len(time)), np.hanning(24) / 12, "same")
        wave *= 0.1 + np.abs(np.sin(np.pi * time / draw.uniform(1.0, 2.0))) * draw.uniform(0.5, 1)
        waves.append(torch.from_numpy((0.1 * wave).astype(np.float32)))
    return waves


@pytest.mark.parametrize("kind", KINDS)
def test_sounds_that_are_no_lung_are_further_away(kind: str) -> None:
    model = load("demo")
    seconds = model.frontend.seconds
    first, second, third = (rows_of(model, lungs(seconds, 24, seed)) for seed in range(3))
    known = {name: gaussian(first[name], second[name]) for name in first}
    others = rows_of(model, [torch.from_numpy(wave) for wave in islice(foreign_waves(kind, seconds), 6)])
    distances = [np.max([known[name].distance(rows[name]) for name in known], axis=0) for rows in (third, others)]
    assert np.median(distances[0]) < 1
    assert distances[1].min() > np.median(distances[0])
    assert np.median(distances[1]) > 1.3


def test_answers_carry_scores_and_codes(model: Model, record: Callable[..., Path]) -> None:
    path = record(seconds=9)
    plain = model.classify(path).segments
    rows = rows_of(model, lungs(8.0, 60, 1))
    known = {name: gaussian(rows[name][::2], rows[name][1::2]) for name in rows}
    strict = replace(model, trust=Trust(known=known, threshold=1e-6)).classify(path)
    assert {each.code for each in strict.segments} == {"foreign"}
    assert all(not each.probabilities and each.ood_score > 1e-6 for each in strict.segments)
    assert strict.summary.codes == {"foreign": len(plain)}
    assert strict.to_dict()["segments"][0]["ood_score"] == strict.segments[0].ood_score
    kind = replace(model, trust=Trust(known=known, threshold=1e6)).classify(path)
    assert [each.probabilities for each in kind.segments] == [each.probabilities for each in plain]
    assert kind.model["trust"]["foreign_from"] == 1e6
    assert plain[0].ood_score is None


def test_the_file_belongs_to_its_weights(run: Path, model: Model, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes((run / "weights.safetensors").read_bytes())
    known = {"sound": Known(np.arange(48.0), np.eye(48), 2.0)}
    write_trust(trust_file(weights), Trust(1.5, known, 1.25, 0.4, "here"), model.sha256)
    found = load(weights).trust
    assert (found.temperature, found.threshold, found.least, found.origin) == (1.5, 1.25, 0.4, "here")
    rows = np.random.default_rng(0).standard_normal((3, 48))
    np.testing.assert_allclose(found.known["sound"].distance(rows), known["sound"].distance(rows), rtol=1e-6)
    write_trust(trust_file(weights), Trust(1.5), "0" * 64)
    with pytest.raises(WeightsError, match=r"is of weights 000000000000"):
        load(weights)
    trust_file(weights).write_text("{}")
    with pytest.raises(WeightsError, match="cannot be used"):
        load(weights)
    trust_file(weights).unlink()
    assert read_trust(weights, model.sha256).origin == "not calibrated"


class Corpus:
    """Stands for a dataset: its training cycles are all that is asked for."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def cycles(self, split: str) -> list[Cycle]:
        assert split == "train"
        return [Cycle(f"{path.stem}#0", path, 0.2, 3.0, 0, "1", path.stem) for path in self.paths]


def test_a_finished_run_is_calibrated(
    make_run: Callable[..., Path], tmp_path: Path, record: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(make_run(tmp_path / "runs" / "seed1", "backbone.seconds=0.5", "backbone.frames=32"))
    draw = np.random.default_rng(0)
    logits = 2 * draw.standard_normal((400, 4))
    labels = np.array([draw.choice(4, p=row) for row in softmax(logits)])
    cycles = [Cycle(str(index), Path("a.wav"), 0, 1, label, "1", "a") for index, label in enumerate(labels)]
    run.select.prepare()
    given = Predictions.of(cycles, softmax(2 * logits), class_names=("normal", "crackle", "wheeze", "both"))
    run.select.write_predictions(3, "validation", given)
    result = {"rules": [], "selected_epoch": 3, "headline": "select", "train_cycles": 4}
    (run.path / "result.json").write_text(json.dumps(result))
    assert calibrate(run.path).temperature == pytest.approx(2, rel=0.2)
    assert not load(run.path).trust.known
    corpus = Corpus([record(f"{name}.wav", seconds=28, seed=seed) for seed, name in enumerate("abcd")])
    monkeypatch.setattr("lung_srad.datasets.open_dataset", lambda data, split: corpus)
    found = CliRunner().invoke(app, ["calibrate", str(run.path), "--data", "icbhi:x", "--least", "0.2"])
    assert found.exit_code == 0, found.output
    trust = load(run.path).trust
    assert trust.least == 0.2
    assert "temperature on 400 validation cycles of the run; foreign against 228 clips" in trust.origin
    own = load(run.path).classify(record("e.wav", seconds=28, seed=9), hop=0.5).segments
    assert np.mean([each.code == "foreign" for each in own]) < 0.3
    others = load(run.path).classify(next(foreign_waves("speech-like", 10.0)), rate=16_000, hop=0.5).segments
    assert np.mean([each.code == "foreign" for each in others]) > 0.7


def test_a_run_that_is_not_finished_is_not_calibrated(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not finished"):
        calibrate(run)
    with pytest.raises(RunError, match="no run here"):
        calibrate(tmp_path)
