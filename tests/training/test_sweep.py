"""Sweeps: what a panel is, what is shared, what is drawn from finished runs."""

import csv

import pytest
import small_runs
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.errors import ConfigError
from lung_srad.evaluation import patient_intervals
from lung_srad.preset_files import sweep_names
from lung_srad.runs import RunFolder, check_preset
from lung_srad.training import run_sweeps, shipped_sweeps, sweep_over, sweep_panels

RUN = CliRunner()
SMALL = (f"backbone.name={small_runs.BACKBONE}", *small_runs.SMALL, "smoothing.blocks=[0]", "training.refit=false")


@pytest.mark.parametrize("profile", [None, "small", "demo"])
def test_the_panels_of_fig_3_hold_under_every_profile(profile):
    sweeps = shipped_sweeps("fig3", profile=profile)
    assert [sweep.name for sweep in sweeps] == sweep_names()
    values = {sweep.name: [point.value for point in sweep.points] for sweep in sweeps}
    assert {"0.01", "0.2"} <= set(values["fig3_temperature"])
    assert values["fig3_stage"] == ["0", "1", "2", "3"]
    for sweep in sweeps:
        assert [point.folder for point in sweep.points].count("as_shipped") == 1
        for point in sweep.points:
            check_preset(point.preset)
    shipped = {sweep.name: next(p.value for p in sweep.points if p.folder == "as_shipped") for sweep in sweeps}
    assert shipped == {"fig3_temperature": "0.2", "fig3_kernel_size": "5", "fig3_sigma": "3", "fig3_stage": "2"}


def test_a_sweep_of_ones_own():
    sweep = sweep_over("dass_smoothing", "smoothing.blocks=[2,3],[2, 4],[5]")
    assert [point.value for point in sweep.points] == ["[2,3]", "[2, 4]", "[5]"]
    assert [point.folder for point in sweep.points] == ["as_shipped", "blocks_2-4", "blocks_5"]
    assert sweep.points[1].preset.smoothing.blocks == [2, 4]
    assert sweep.points[1].preset.overrides == ["smoothing.blocks=[2, 4]"]
    for wrong in ("smoothing.sigma", "smoothing.sigma=1", "smoothing.sigma=1,1", "=1,2", "smoothing.sigma=1,,2"):
        with pytest.raises(ConfigError, match="a key and two values or more"):
            sweep_over("dass_smoothing", wrong)
    with pytest.raises(ConfigError, match="no_such"):
        sweep_over("dass_smoothing", "smoothing.no_such=1,2")
    with pytest.raises(ConfigError, match="--paper: 'fig9'; one of fig3"):
        shipped_sweeps("fig9")
    with pytest.raises(ConfigError, match="did you mean 'fig3_stage'"):
        shipped_sweeps("fig3", panels=["fig3_stag"])


def test_two_panels_share_what_is_shipped_and_go_on_where_they_stopped(dataset, tmp_path):
    sweeps = [
        sweep_over("dass_smoothing", over, profile="small", overrides=SMALL)
        for over in ("smoothing.sigma=1.0,3.0", "smoothing.kernel_size=3,5")
    ]
    first = [outcome.folder.path for outcome in run_sweeps(sweeps, [1], dataset, out=tmp_path)]
    below = [path.relative_to(tmp_path).parts for path in first]
    assert [(parts[0], parts[-1]) for parts in below] == [
        ("sigma_1.0", "seed1"),
        ("as_shipped", "seed1"),
        ("kernel_size_3", "seed1"),
    ]
    (tmp_path / "kernel_size_3" / below[2][1] / "seed1" / "result.json").unlink()
    again = list(run_sweeps(sweeps, [1], dataset, out=tmp_path, resume=True))
    assert [outcome.state for outcome in again] == ["was finished", "was finished", "trained"]
    (first, second) = sweep_panels(sweeps, [1, 2], tmp_path)
    assert [point.value for point in first.points if point.shipped] == ["3.0"]
    assert first.points[1].scores == second.points[1].scores
    run = RunFolder(tmp_path / "sigma_1.0" / below[0][1] / "seed1")
    headline = next(rule["scores"]["score"] for rule in run.result()["rules"] if rule["headline"])
    assert first.points[0].scores == (headline,)
    found = patient_intervals([run.headline.read_predictions(run.result()["selected_epoch"], "test")])["score"]
    assert first.points[0].interval == (None if found.low is None else (found.low, found.high))


def test_the_verb_trains_draws_and_draws_again(workplace, tmp_path):
    own = [f"--data=table:{workplace / 'corpus' / 'table.csv'}", f"--out={tmp_path}", "--profile=small", "--no-refit"]
    sets = [f"--set={text}" for text in SMALL[:-1]]
    words = ["sweep", "dass_smoothing", "--over=smoothing.sigma=1.0,3.0", *sets, "--weights=random"]
    done = RUN.invoke(app, [*words, *own])
    assert done.exit_code == 0, done.output
    assert done.stderr.count(": trained") == 2
    assert "(as shipped)" in done.stdout
    rows = list(csv.DictReader((tmp_path / "sweep.csv").read_text().splitlines()))
    assert [(row["value"], row["seeds"], row["as_shipped"]) for row in rows] == [
        ("1.0", "1", "False"),
        ("3.0", "1", "True"),
    ]
    low, high = (rows[0][end] for end in ("low", "high"))  # empty where so few patients say nothing
    assert (low, high) == ("", "") or float(low) <= float(rows[0]["score"]) <= float(high)
    assert "Score, %" in (tmp_path / "sweep.svg").read_text()
    (tmp_path / "sweep.png").unlink()
    drawn = RUN.invoke(app, [*words, *own[1:]])
    assert drawn.exit_code == 0
    assert (tmp_path / "sweep.png").is_file()
    for wrong in (["dass_smoothing"], ["dass_smoothing", "--paper=fig3"], [*words[1:], "--panel=fig3_sigma"], []):
        assert RUN.invoke(app, ["sweep", *wrong, f"--out={tmp_path}"]).exit_code == 2
