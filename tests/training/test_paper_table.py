"""The paper's tables against runs made by hand."""

import csv
import io
import statistics
from dataclasses import replace

import pytest
from made_runs import answers, make_run
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.config import load_preset
from lung_srad.errors import ConfigError
from lung_srad.evaluation import average, paper_csv
from lung_srad.training import find_runs, paper, paper_page, paper_presets, paper_tables, results_table

RUN = CliRunner()
FOUR, TWO, ABLATION = paper.TABLES
NAMES = {4: ("sp", "se", "score"), 2: ("sp", "se2", "score2")}


@pytest.fixture
def tables(tmp_path):
    """Returns a function that makes the tables from what is in the folder of runs, by title."""

    def make(*, seeds=(1, 2, 3), **changes):
        runs = find_runs([tmp_path]) if any(tmp_path.rglob("config.toml")) else []
        return {table.title: table for table in paper_tables(runs, paper_presets(**changes), seeds)}

    return make


def cells_of(table, start):
    return next(
        dict(zip(table.sheet.header, row, strict=True)) for row in table.sheet.cells if row[0].startswith(start)
    )


def shown(values):
    return f"{statistics.fmean(values):.2f} ± {statistics.stdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def test_the_tables_are_those_of_the_paper(tables):
    found = tables()
    assert [len(table.rows) for table in found.values()] == [10, 7, 6]
    printed = {title: [cells[-1].split(" ± ")[0] for cells in table.sheet.cells] for title, table in found.items()}
    four = ["59.55", "62.37", "61.71", "62.40", "63.54", "64.84", "65.69", "61.06", "62.22", "64.48"]
    assert printed[FOUR] == four
    assert printed[TWO] == ["66.77", "68.71", "68.93", "72.08", "68.20", "68.40", "72.57"]
    assert printed[ABLATION] == ["61.06", "62.22", "62.42", "63.18", "62.83", "64.48"]
    assert cells_of(found[TWO], "DASS fine-tuning")["printed Sp"] == "73.74 ± 3.38"
    assert cells_of(found[TWO], "PAFA")["printed Sp"] == "74.87"


def test_without_runs_there_are_dashes_and_how_to_make_them(tables):
    found = tables(profile="small", overrides=["training.epochs=2"], seeds=(1, 2))
    for table in found.values():
        assert {cell for row in table.sheet.cells for cell in row[2:9]} == {"–"}
    (note,) = [text for text in found[ABLATION].sheet.remarks if text.startswith("No finished run of ast_finetuning, ")]
    words = "--profile small --set training.epochs=2 --seeds 1,2"
    assert f"`lung-srad train ast_finetuning --data icbhi:PATH {words}`" in note
    assert f"`lung-srad table --paper --run --data icbhi:PATH {words}`" in note
    assert "--set reading=code --seeds 1,2,3`" in " ".join(tables(overrides=["reading=code"])[ABLATION].sheet.remarks)
    full = " ".join(tables()[ABLATION].sheet.remarks)
    assert (
        "`lung-srad train ast_finetuning --data icbhi:PATH --weights audioset_10_10_0.4593.pth --seeds 1,2,3`" in full
    )
    assert "bts from clap-htsat-unfused" in full


def test_our_columns_are_the_three_rules_over_the_seeds_at_hand(tables, tmp_path):
    preset = load_preset("dass_smoothing")
    runs = [make_run(tmp_path, preset, seed, cycles=4142) for seed in (1, 2, 5)]
    found = tables()
    rules = [{rule["rule"]: rule["scores"] for rule in run.result()["rules"]} for run in runs[:2]]
    for title, (classes, _) in paper.TABLES.items():
        cells = cells_of(found[title], "DASS + smoothing")
        assert (cells["backbone"], cells["training cycles"], cells["seeds"]) == ("dass_medium", "4,142", "2")
        for heading, field in zip(("Sp", "Se", "Score"), NAMES[classes], strict=True):
            assert cells[heading] == shown([rule["best on validation"][field] for rule in rules])
        for rule in ("last epoch", "best on test (optimistic)"):
            assert cells[f"Score, {rule}"] == shown([each[rule][NAMES[classes][2]] for each in rules])
    assert cells_of(tables(seeds=[5])[FOUR], "DASS + smoothing")["seeds"] == "1"
    remarks = found[ABLATION].sheet.remarks
    assert "dass_smoothing" not in next(text for text in remarks if text.startswith("No finished run"))
    assert "Finished seeds, of 3 that count: dass_smoothing 2." in remarks


def test_a_run_of_other_settings_is_no_seed_of_a_system(tables, tmp_path):
    make_run(tmp_path / "a", load_preset("lung_srad"), 1)
    make_run(tmp_path / "b", load_preset("lung_srad", overrides=["reading=code"]), 2)
    make_run(tmp_path / "c", load_preset("lung_srad", overrides=["training.epochs=9"]), 3)
    assert cells_of(tables()[FOUR], "Lung-SRAD")["seeds"] == "1"
    assert cells_of(tables(overrides=["reading=code"])[FOUR], "Lung-SRAD")["seeds"] == "1"
    assert any("Runs: reading code." in text for text in tables(overrides=["reading=code"])[FOUR].sheet.remarks)
    assert cells_of(tables(overrides=["training.workers=3"])[FOUR], "Lung-SRAD")["seeds"] == "1"  # changes no figure
    assert not tables(profile="small")[FOUR].rows[-1].ours


def test_what_is_printed_of_a_system_is_no_part_of_its_runs(tables, tmp_path):
    preset = load_preset("lung_srad")
    make_run(tmp_path, preset.model_copy(update={"printed": None, "title": "An older name"}), 1)
    assert cells_of(tables()[FOUR], "Lung-SRAD")["seeds"] == "1"


def test_two_classes_may_be_trained_apart(tables, tmp_path):
    preset = load_preset("pafa_2class")
    runs = [make_run(tmp_path, preset, seed) for seed in (1, 2)]
    found = tables()
    scores = [next(rule["scores"]["score"] for rule in run.result()["rules"] if rule["headline"]) for run in runs]
    assert cells_of(found[TWO], "PAFA, trained on two classes")["Score"] == shown(scores)
    assert cells_of(found[FOUR], "PAFA")["Score"] == "–"


def test_the_ensemble_is_made_of_the_seeds_of_its_members(tables, tmp_path):
    preset = load_preset("bts")
    runs = [make_run(tmp_path, preset, seed) for seed in (1, 2, 3)]
    cells = cells_of(tables()[FOUR], "BTS++")
    assert cells["system"].startswith("BTS++ [k = 3]")
    assert (cells["seeds"], cells["printed Score"]) == ("3", "65.69")
    members = [answers(preset, run.facts()["seed"], run.result()["selected_epoch"]) for run in runs]
    assert cells["Score"] == f"{average(members).scores().score:.2f}"
    last = average([answers(preset, seed, 3) for seed in (1, 2, 3)]).scores()
    assert cells["Score, last epoch"] == f"{last.score:.2f}"
    alone = cells_of(tables(seeds=[2])[FOUR], "BTS++")
    assert (alone["system"].partition("]")[0], alone["Score"]) == ("BTS++ [k = 30", "–")


def test_lost_predictions_leave_the_ensemble_out_and_say_so(tables, tmp_path):
    runs = [make_run(tmp_path, load_preset("bts"), seed) for seed in (1, 2)]
    runs[1].refit.predictions_file(3, "test").unlink()
    table = tables()[FOUR]
    assert cells_of(table, "BTS++")["Score"] == "–"
    assert any("BTS++ [k = 2], no ensemble: " in text and "epoch_003_test.csv" in text for text in table.sheet.remarks)


def test_footnotes_stand_where_their_figures_are(tables):
    found = tables()
    remarks = {title: " ".join(table.sheet.remarks) for title, table in found.items()}
    for text in ("give 71.58, not 72.08", "gives 67.73; 74.68 gives the printed 68.20", "give 68.51, not 68.40"):
        assert [title for title, each in remarks.items() if text in each] == [TWO]
    assert "LungAdapter is a reconstruction" in remarks[FOUR]
    assert "BTS++ is one ensemble" in remarks[FOUR]
    marked = [row[0] for row in found[TWO].sheet.cells if "[" in row[0]]
    assert marked == ["PAFA, trained on two classes [1]", "DASS fine-tuning [2]", "DASS + smoothing [3]"]
    assert all(any(text.startswith(f"[{number}] ") for text in found[TWO].sheet.remarks) for number in (1, 2, 3))


def test_runs_on_simulated_recordings_are_stamped_and_stand_beside_nothing_printed(tables, tmp_path):
    data = {"name": "icbhi", "split": "official", "fingerprint": "s", "synthetic": True}
    make_run(tmp_path, load_preset("lung_srad"), 1, data=data)
    found = tables()
    assert found[FOUR].sheet.heading.startswith("SYNTHETIC · ")
    assert cells_of(found[FOUR], "Lung-SRAD")["system"] == "Lung-SRAD [SYNTHETIC]"
    assert {cell for row in found[FOUR].sheet.cells for cell in row[-3:]} == {"–"}
    assert "SYNTHETIC" in paper_page(list(found.values()))
    assert "64.48" not in paper_csv(list(found.values()))


def test_seeds_of_other_data_or_weights_are_left_out_and_named(tables, tmp_path):
    preset = load_preset("lung_srad")
    for seed in (1, 2):
        make_run(tmp_path / "a", preset, seed)
    other = make_run(tmp_path / "b", preset, 3, start={"weights": "random"})
    make_run(tmp_path / "c", load_preset("dass_smoothing"), 1, data={"name": "icbhi", "fingerprint": "part"})
    found = tables()
    assert cells_of(found[FOUR], "Lung-SRAD")["seeds"] == "2"
    remarks = " ".join(found[ABLATION].sheet.remarks)
    assert f"than the rest of lung_srad: {other.path}." in remarks
    assert "Rows are of different data and cannot be compared" in remarks


def test_random_weights_of_a_published_system_are_named(tmp_path):
    run = make_run(tmp_path, load_preset("lung_srad"), 1, start={"weights": "random"})
    assert "Lung-SRAD (from random weights)" in {row.system for row in results_table([run]).rows}
    small = make_run(tmp_path, load_preset("lung_srad", profile="small"), 1, start={"weights": "random"})
    assert "Lung-SRAD (profile small)" in {row.system for row in results_table([small]).rows}


def test_csv_and_page_hold_every_row(tables, tmp_path):
    runs = [make_run(tmp_path, load_preset("sg_scl"), seed) for seed in (1, 2)]
    found = list(tables().values())
    lines = list(csv.DictReader(io.StringIO(paper_csv(found))))
    assert len(lines) == 23 + 2 * 4  # printed rows, and four rules in two tables
    ours = [line for line in lines if line["system"] == "SG-SCL" and line["table"] == TWO and line["seeds"] == "2"]
    assert {line["classes"] for line in ours} == {"2"}
    headline = next(line for line in ours if line["epoch"] == "best on validation")
    scores = [next(rule["scores"] for rule in run.result()["rules"] if rule["headline"]) for run in runs]
    assert float(headline["score"]) == statistics.fmean(each["score2"] for each in scores)
    assert float(headline["se_std"]) == pytest.approx(statistics.stdev(each["se2"] for each in scores))
    page = paper_page(found)
    assert page.count("<table") == 3
    assert "72.08 ± 0.55" in page
    assert "LungAdapter is a reconstruction" in page


def test_a_text_of_a_preset_does_not_become_markup(tables):
    (table, *_) = tables().values()
    table = replace(table, rows=(replace(table.rows[0], system="<b>"),))
    assert "<b>" not in paper_page([table])


def test_presets_of_the_tables_take_profile_and_changes():
    systems = paper_presets(profile="small", overrides=["training.epochs=2"])
    assert len(systems) == 13  # twelve that train four classes, one that trains two; an ensemble trains nothing
    assert {preset.training.epochs for preset in systems.values()} == {2}
    with pytest.raises(ConfigError, match="epoch"):
        paper_presets(overrides=["training.epoch=2"])


# --- the ordinary table


def test_the_table_of_runs_has_the_ensemble_too(tmp_path):
    runs = [make_run(tmp_path, load_preset("bts"), seed) for seed in (1, 2)]
    table = results_table(runs)
    rows = {(row.system, row.rule): row for row in table.rows}
    assert rows["BTS++ [k = 2]", "best on validation"].seeds == 2
    assert ("BTS++ [k = 2]", "mean of the last 5 epochs") not in rows
    assert rows["BTS++ [k = 30]", "printed in the paper"].score.mean == 65.69
    assert any("one ensemble" in note for note in table.notes)
    assert not any("BTS++" in row.system for row in results_table(runs[:1]).rows)


def test_the_table_of_runs_shows_what_is_printed_of_two_classes_alone(tmp_path):
    table = results_table([make_run(tmp_path, load_preset("pafa_2class"), 1)])
    printed = next(row for row in table.rows if "printed" in row.rule)
    assert (printed.sp.mean, printed.se, printed.score, printed.score2.mean) == (74.87, None, None, 72.08)
    assert any("give 71.58, not 72.08" in note for note in table.notes)


# --- from the shell


def test_the_verb_prints_and_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    empty = RUN.invoke(app, ["table", "--paper"])
    assert empty.exit_code == 0, empty.output
    assert empty.stdout.count("**Table ") == 3
    make_run(tmp_path / "runs", load_preset("lung_srad"), 1)
    done = RUN.invoke(app, ["table", "--paper", "--csv=t.csv", "--html=t.html"])
    assert done.exit_code == 0, done.output
    assert "| Lung-SRAD | dass_medium | 28 | 1 |" in done.stdout
    assert "Lung-SRAD" in (tmp_path / "t.csv").read_text()
    assert (tmp_path / "t.html").read_text().startswith("<!doctype html>")
    assert RUN.invoke(app, ["table", "runs", "--paper"]).stdout == done.stdout
    assert RUN.invoke(app, ["table", "--paper", "--out=elsewhere"]).stdout == empty.stdout


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["table"], 2, "name run folders"),
        (["table", "runs", "--profile=small"], 2, "without --paper"),
        (["table", "runs", "--html=a.html"], 2, "without --paper"),
        (["table", "--paper", "--run"], 2, "--run needs --data"),
        (["table", "--paper", "absent"], 1, "absent: no run here"),
        (["table", "--paper", "--seeds=3-1"], 2, "3-1"),
        (["table", "--paper", "--run", "--data=table:absent.csv"], 1, "ast_finetuning: no weights to start from"),
        (["table", "--paper", "--run", "--data=table:absent.csv", "--profile=small"], 1, "absent.csv"),
    ],
)
def test_wrong_words_end_in_one_message(words, code, text):
    result = RUN.invoke(app, words)
    assert result.exit_code == code, result.output
    assert text in result.stderr.replace("\n│ ", " ")


def test_the_verb_trains_what_is_missing(workplace, tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "TABLES", {"Table": (4, ("dass_finetuning", "ast_finetuning"))})
    out, data = tmp_path / "runs", f"--data=table:{workplace / 'corpus' / 'table.csv'}"
    sets = [f"--set={text}" for text in ("training.epochs=1", "training.batch_size=8", "backbone.seconds=0.5")]
    words = ["table", "--paper", "--run", "--profile=small", "--seeds=1", "--no-refit", data, f"--out={out}", *sets]
    first = RUN.invoke(app, words)
    assert first.exit_code == 0, first.output
    assert first.stderr.count(": trained") == 2
    again = RUN.invoke(app, words)
    assert again.stderr.count(": was finished") == 2
    assert again.stdout == first.stdout
    assert "| AST fine-tuning | ast_tiny | 20 | 1 |" in first.stdout
    assert "Runs: profile small; " in first.stdout
    assert "Printed figures are of ICBHI" in first.stdout
    (out / "ast_finetuning-small" / "seed1" / "config.toml").write_text("name = 3")
    assert RUN.invoke(app, words).exit_code == 1
