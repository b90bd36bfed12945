"""Maps: planted evidence is found, both checks can fail, and what is drawn says what it is not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.errors import AudioError, ConfigError
from lung_srad.inference import Model, load
from lung_srad.inference.explanation import Sanity, check, deletion_curve, draw, explain, shuffled
from lung_srad.inference.features import embed


class Spot(torch.nn.Module):
    """Stands for a network that looks at one cell alone: bright there is a crackle."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        level = features[:, 0, 32:48, 8:10].mean((1, 2))
        return torch.stack([-level, level, -level, -level], 1)


@pytest.fixture
def spotted(model: Model) -> Model:
    net = Spot()
    net.backbone = model.net.backbone
    return replace(model, net=net)


def test_the_cell_that_matters_is_the_hottest(spotted: Model, record: Callable[..., Path]) -> None:
    found = explain(spotted, record(), label="crackle", cells=(8, 16))
    others = found.heat.copy()
    others[2, 4] = 0
    assert abs(found.heat[2, 4]) > 1e-4
    assert np.abs(others).max() < 1e-6


def test_covering_all_cells_ends_at_the_background(model: Model, record: Callable[..., Path]) -> None:
    found = explain(model, record(), cells=(4, 4))
    curves = [deletion_curve(model.net, found, order, 0) for order in (range(16), range(15, -1, -1))]
    assert curves[0].shape == (16,)
    np.testing.assert_allclose(curves[0][-1], curves[1][-1], atol=1e-5)


def test_the_order_of_the_map_beats_chance_and_its_opposite(record: Callable[..., Path]) -> None:
    model = load("demo")
    found = explain(model, record(seconds=4, seed=1), label="wheeze", cells=(4, 8))
    sane = check(model, found)
    assert sane.deletion < sane.random
    upside_down = check(model, replace(found, heat=-found.heat))
    assert upside_down.deletion > sane.deletion


def test_a_map_that_the_weights_have_no_part_in_fails(spotted: Model, record: Callable[..., Path]) -> None:
    found = explain(spotted, record(), label="crackle", cells=(4, 4))  # nothing of this network can be shuffled
    assert check(spotted, found).correlation == pytest.approx(1)
    assert not check(spotted, found).ok
    assert Sanity(-2.0, -1.0, 0.1).ok
    assert not Sanity(-1.0, -2.0, 0.1).ok


def test_shuffled_weights_are_other_weights(model: Model) -> None:
    other = shuffled(model.net)
    features = torch.randn(1, 1, 128, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = model.net(features)
        assert not torch.allclose(other(features), before, atol=1e-2)
        assert torch.equal(model.net(features), before)
    weights = zip(model.net.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.equal(one.flatten().sort().values, two.flatten().sort().values) for one, two in weights)


def test_what_cannot_be_explained_is_refused(model: Model, record: Callable[..., Path]) -> None:
    path = record()
    with pytest.raises(ConfigError, match=r"label: 'crackles'.*did you mean 'crackle'"):
        explain(model, path, label="crackles")
    with pytest.raises(ConfigError, match=r"at: 20 s; 0 to 9\.5 s"):
        explain(model, path, at=20)
    with pytest.raises(ConfigError, match=r"cells: \(0, 4\)"):
        explain(model, path, cells=(0, 4))
    with pytest.raises(AudioError, match="nothing to hear"):
        explain(model, np.zeros(40_000, np.float32), rate=4000)


def test_the_picture(model: Model, record: Callable[..., Path], tmp_path: Path) -> None:
    draw(explain(model, record(), at=3, cells=(4, 4)), tmp_path / "map.png", title="a.wav", notice=model.notice)
    assert (tmp_path / "map.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_verbs(run: Path, record: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record("a.wav", seconds=4)
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["explain", "a.wav", "--model", str(run), "--out", "map.png", "--no-check"])
    assert found.exit_code == 0, found.output
    assert "no clinical evidence" in found.output
    assert Path("map.png").is_file()
    found = CliRunner().invoke(app, ["embed", "a.wav", "--model", str(run), "--out", "features.npz"])
    assert found.exit_code == 0, found.output
    with np.load("features.npz") as content:
        assert content["ids"].tolist() == ["a.wav@0.000-4.000"]
        assert content["embeddings"].shape == (1, 256)


def test_embeddings_are_what_the_head_reads(model: Model, record: Callable[..., Path]) -> None:
    path = record(seconds=13)
    found, segments = embed(model, [path], hop=4.0), model.classify(path, hop=4.0).segments
    assert found.ids == tuple(f"{path}@{each.start:.3f}-{each.end:.3f}" for each in segments)
    with torch.inference_mode():
        rows = model.net.head(torch.from_numpy(found.vectors)).softmax(1).numpy()
    np.testing.assert_allclose(rows, [each.probabilities for each in segments], atol=1e-5)
    assert found.model == model.sha256
    silent = np.zeros(60_000, np.float32)
    assert embed(model, [silent], rate=4000).ids == ()
