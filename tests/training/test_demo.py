"""The demonstration: from nothing to a table and a page, twice, and what stops it."""

import csv
import io
import re
import shutil

import pytest
import small_runs
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.config import load_preset
from lung_srad.errors import ConfigError, DataError, RunError
from lung_srad.evaluation.selection import VALIDATION
from lung_srad.runs.shipped import shipped_weights
from lung_srad.training import demo as module
from lung_srad.training.demo import demo

TINY = (
    f"backbone.name={small_runs.BACKBONE}",
    "backbone.seconds=1.0",
    "backbone.frames=32",
    "augment.time_mask=10",
    "training.epochs=1",
    "training.batch_size=8",
)
SETS = {"dass_finetuning": TINY, "lung_srad": (*TINY, "smoothing.blocks=[0]")}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Makes every demonstration one of 12 patients, a network of one block per stage, and one epoch."""
    monkeypatch.setattr(module, "SIZE", "tiny")
    monkeypatch.setattr(module, "START", "")  # the weights that ship are of a larger network
    shipped = module.load_preset

    def load(name, *, profile, overrides):
        return shipped(name, profile=profile, overrides=[*SETS[name], *overrides])

    monkeypatch.setattr(module, "load_preset", load)


@pytest.fixture(scope="session")
def made(workplace):
    """Returns a function, to be called inside a test, that gives a finished demonstration; nobody may write into it."""
    kept = []

    def get():
        kept[:] = kept or [demo(workplace / "demo")]
        return kept[0]

    return get


def test_the_corpus_is_not_the_one_that_the_weights_that_ship_come_from():
    card = shipped_weights("demo")[1]
    seed = int(re.search(r"lung-srad simulate .*--seed (\d+)", card)[1])
    assert seed != module.SEED
    assert module.DEFAULT == "demo"


def test_both_systems_are_trained_alike():
    first, second = (load_preset(name, profile="demo") for name in module.SYSTEMS)
    assert (first.name, second.name) == ("dass_finetuning", "lung_srad")
    assert first.training == second.training
    assert first.optimizer == second.optimizer
    assert first.augment == second.augment
    assert first.backbone == second.backbone
    assert first.backbone.name == "dass_tiny"


def test_the_table_has_both_systems_and_the_floor_with_intervals_and_stamp(made):
    rows = made().table.rows
    assert [row.system.partition(" (")[0] for row in rows] == ["always normal", "DASS fine-tuning", "Lung-SRAD"]
    assert rows[0].score.mean == 50
    assert [row.rule for row in rows[1:]] == [VALIDATION] * 2
    assert all(row.score.interval for row in rows[1:])
    assert all(row.synthetic for row in rows)
    assert made().table.heading.startswith("SYNTHETIC")


def test_runs_and_their_csv_say_synthetic(made):
    assert all(run.synthetic for run in made().runs)
    rows = list(csv.DictReader(io.StringIO((made().page.parent / "table.csv").read_text())))
    assert {row["data"] for row in rows} == {"SYNTHETIC"}
    assert {row["epoch"] for row in rows} >= {VALIDATION, "last epoch", "best on test (optimistic)"}


def test_the_page_tells_the_whole_story(made):
    text = made().page.read_text(encoding="utf-8")
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles == [
        "The result",
        "What is taken for what",
        "How they learnt",
        "Four recordings",
        "Which epoch?",
        "Next: real recordings",
        "How this was made",
    ]
    assert text.count("<table") == 4
    assert text.count("<img") == 1 + 4
    assert text.count("SYNTHETIC") > 8
    assert "lung-srad check icbhi:" in text
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)


def test_a_second_call_makes_nothing_twice(made, workplace):
    before = {path: path.stat().st_mtime_ns for path in (workplace / "demo").rglob("*.safetensors")}
    said = []
    again = demo(workplace / "demo", report=lambda what, done, total: said.append(what))
    assert again.table == made().table
    assert {path: path.stat().st_mtime_ns for path in (workplace / "demo").rglob("*.safetensors")} == before
    assert not [what for what in said if "epoch" in what]


def test_a_call_that_was_stopped_is_continued(made, tmp_path):
    shutil.copytree(made().page.parent, tmp_path / "demo")
    shutil.rmtree(tmp_path / "demo" / "runs" / "lung_srad-demo")
    (tmp_path / "demo" / "report.html").unlink()
    again = demo(tmp_path / "demo")
    assert again.table == made().table
    assert again.page.exists()


def test_the_verb_prints_table_and_page(made, workplace):
    result = CliRunner().invoke(app, ["demo", str(workplace / "demo")])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == made().table.markdown()
    assert "report.html" in result.stderr


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="holds something else; a new folder"):
        demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(RunError, match="is a file; a new folder"):
        demo(tmp_path / "thesis.txt")


@pytest.mark.parametrize("content", ["{", "[]", '{"lung-srad": "demo", "size": "demo"}'])
def test_the_folder_of_another_demonstration_is_left_alone(tmp_path, content):
    (tmp_path / "demo.json").write_text(content)
    with pytest.raises(RunError, match=r"demo\.json: is of another demonstration"):
        demo(tmp_path)


def test_other_settings_need_another_folder(made):
    with pytest.raises(RunError, match="a run of other preset"):
        demo(made().page.parent, overrides=["training.epochs=2"])


def test_a_wrong_override_is_told_before_anything_is_made(tmp_path):
    with pytest.raises(ConfigError, match="epochs"):
        demo(tmp_path / "demo", overrides=["training.epoch=2"])
    assert not (tmp_path / "demo").exists()


def test_a_full_disk_is_one_sentence(made, tmp_path, monkeypatch):
    shutil.copytree(made().page.parent, tmp_path / "demo")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "replacing", full)
    with pytest.raises(RunError, match=r"report\.html: .*No space left on device.*make room.*by the same command"):
        demo(tmp_path / "demo")


def test_a_corpus_that_cannot_be_written_is_an_error_of_ours(tmp_path, monkeypatch):
    def full(*_, **__):
        raise DataError("corpus: no room")

    monkeypatch.setattr(module, "simulate", full)
    result = CliRunner().invoke(app, ["demo", str(tmp_path / "demo")])
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "error: corpus: no room")
