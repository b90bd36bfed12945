"""The report on a system: every table with its baselines, pictures, stamps, and what labels cannot tell."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import made_runs
import numpy as np
import pytest
from made_predictions import made_predictions

from lung_srad.config import load_preset
from lung_srad.errors import DataError, RunError
from lung_srad.evaluation import Estimate, Predictions, Settings, Sheet
from lung_srad.reports import Case, Source, make_case, make_report, read_source, tables, write_report
from lung_srad.reports.blocks import Confusion, Drawing, Part, Report, Rows, Words, confusion_sheet, stamped
from lung_srad.reports.card import model_card
from lung_srad.reports.parts import rules_part, shown, split_words, two_class_part
from lung_srad.runs import RunFolder

FEW = Settings(resamples=200, few_resamples=50)
SPLIT = {"name": "official", "sha256": "ab" * 32, "shared_patients": ["156", "218"]}


@pytest.fixture(scope="module")
def case() -> Case:
    source = Source(
        "Ours",
        (made_predictions(1), made_predictions(2)),
        validation=(made_predictions(1, part="validation"), made_predictions(2, part="validation")),
        training=made_predictions(3, part="train"),
        split=SPLIT,
    )
    facts = {str(100 + n): {"sex": "MF"[n % 2]} for n in range(11)}
    return make_case(source, facts=facts, settings=FEW)


@pytest.fixture(scope="module")
def page(case: Case) -> str:
    return make_report(case).html()


def rows_of(part: Part) -> list[Sheet]:
    return [block.sheet for block in part.blocks if isinstance(block, Rows)]


def test_the_page_holds_every_part_and_needs_nothing_else(page):
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        "The result",
        "Class by class",
        "Normal or not",
        "Operating points",
        "Calibration",
        "Who it works for",
        "Cycles, patients, split",
        "How this was made",
    ]
    assert page.count("<img") == 2
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
    assert "Not a medical device" in page
    assert "SYNTHETIC" not in page


def test_the_figures_are_those_of_the_assessment(case, page):
    score = case.found.figures["score"]
    assert f"{score.value:.2f} ± {score.spread:.2f}<small>{score.low:.1f} to {score.high:.1f}</small>" in page
    mean = np.mean([each.scores().score for each in case.source.predictions])
    assert score.value == pytest.approx(mean)
    counts = np.array(case.found.confusion)
    assert counts.sum() == 120
    for sheet in tables(case)[:1]:
        assert sheet.cells[0][-1] == "60"


def test_every_table_of_scores_has_its_baselines(case):
    report = make_report(case)
    for part in report.parts:
        for sheet in rows_of(part):
            floor = [row for row in sheet.cells if row[0] == "baseline: always normal"]
            if any(name in sheet.header for name in ("Score, strict", "Score")):
                assert len(floor) == 1, sheet.heading
                assert "50.00" in floor[0]
    (recalls,) = rows_of(report.parts[1])
    assert recalls.header[3:] == ("baseline: always normal", "baseline: device and site, no audio")
    assert [row[3] for row in recalls.cells] == ["100.00", "0.00", "0.00", "0.00"]
    first = rows_of(report.parts[0])[0]
    assert [row[0] for row in first.cells] == [
        "Ours",
        "decision rule tuned on validation",
        "baseline: always normal",
        "baseline: device and site, no audio",
    ]


def test_groups_of_few_patients_are_grey_and_marked(case, page):
    (devices,) = [
        block
        for part in make_report(case).parts
        for block in part.blocks
        if isinstance(block, Rows) and block.sheet.header[0] == "device"
    ]
    names = [row[0] for row in devices.sheet.cells]
    lookup = "baseline: device and site, no audio, all cycles"
    assert names == ["pen", "phone", "rare †", "baseline: always normal", lookup]
    assert devices.quiet == {2}
    assert page.count('<tr class="quiet"><th scope="row">rare †') == 1
    assert any(remark.startswith("Worst group: p") for remark in devices.sheet.remarks)


def test_facts_of_patients_make_groups_and_those_without_are_counted(case):
    (sexes,) = [sheet for sheet in tables(case)[1:] if sheet.header[0] == "sex"]
    assert [row[:3] for row in sexes.cells[:2]] == [("F", "50", "5"), ("M", "60", "6")]
    assert "10 cycles of no known sex." in sexes.remarks


def test_the_split_is_named_with_its_hash_and_its_leak(case, page):
    assert f"SHA-256 {'ab' * 32}" in page
    assert "NOT disjoint by patients: 156, 218" in page
    clean = split_words(SPLIT | {"shared_patients": []})
    assert "No patient is on two sides of it; this was checked." in clean
    assert split_words({}).startswith("The split is not known")
    assert "kept neither its hash" in split_words({"name": "official"})


def test_markdown_holds_the_same_tables_and_its_pictures_are_files(case, tmp_path):
    html, markdown = write_report(make_report(case), case, tmp_path / "new" / "report")
    text = markdown.read_text(encoding="utf-8")
    for sheet in tables(case):
        assert sheet.markdown().strip() in text
    named = re.findall(r"\]\((figures/[a-z-]+\.svg)\)", text)
    assert len(named) == 2
    assert all((markdown.parent / name).read_text().startswith("<?xml") for name in named)
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")
    numbers = json.loads((html.parent / "report.json").read_text(encoding="utf-8"))
    assert numbers["figures"]["score"]["value"] == case.found.figures["score"].value
    assert (numbers["system"], numbers["split"]["sha256"]) == ("Ours", "ab" * 32)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="a folder that can be written"):
        write_report(make_report(case), case, tmp_path / "file")


def test_the_report_of_a_seed_says_nothing_of_seeds(predictions):
    single = make_case(Source("One", (predictions(1),)), settings=FEW)
    report = make_report(single)
    text = report.markdown()
    assert "±" not in text.replace("64.48 ± 0.25", "")
    assert "no temperature is fitted" in text
    assert "thresholds are read off the test part, which flatters" in text
    assert [row[0] for row in rows_of(report.parts[0])[0].cells] == ["One", "baseline: always normal"]


def test_validation_patients_who_are_tested_too_fit_nothing(predictions):
    own, test = predictions(2, part="validation"), predictions(1)
    both = []
    for name in own.__slots__[1:]:
        both.append(np.concatenate([getattr(own, name), getattr(test, name)[:10]]))
    found = make_case(Source("Ours", (test,), validation=(Predictions(own.class_names, *both),)), settings=FEW)
    alone = make_case(Source("Ours", (test,), validation=(own,)), settings=FEW)
    assert found.found.temperatures == alone.found.temperatures
    assert found.source.notes == (
        "Validation patients who are tested too are left out of what is fitted on validation: 100.",
    )
    assert alone.source.notes == ()
    with pytest.raises(DataError, match="in the test part too"):
        make_case(Source("Ours", (test,), validation=(predictions(2),)), settings=FEW)


def test_labels_leave_out_what_needs_probabilities_and_say_so(predictions):
    given = predictions(1)
    answers = np.eye(4)[given.predicted]
    columns = [getattr(given, name) for name in given.__slots__[:-1]]
    labels = Predictions(*columns, answers)
    source = Source("Theirs", (labels,), validation=(predictions(2, part="validation"),))
    report = make_report(make_case(source, settings=FEW), remarks=("3 cycles are not in the file.",))
    text = report.markdown()
    assert text.count("The predictions are labels") == 2
    assert "AUROC" not in text
    assert "decision rule tuned" not in text
    assert "3 cycles are not in the file." in text
    assert report.drawings() == {}
    score = given.scores().score
    assert f"{score:.2f}" in text


def test_two_classes_are_told_apart_from_four(case, predictions):
    assert "Read off the answers of a system with 4 classes" in two_class_part(case).blocks[0].text
    given = predictions(1)
    shares = np.column_stack([given.probabilities[:, 0], 1 - given.probabilities[:, 0]])
    texts = [getattr(given, name) for name in given.__slots__[1:-2]]
    two = Predictions(("normal", "abnormal"), *texts, (given.label > 0).astype(int), shares)
    found = make_case(Source("Two", (two,)), settings=FEW)
    assert "was trained on two classes, normal and abnormal" in two_class_part(found).blocks[0].text
    make_report(found).html()


def test_simulated_recordings_are_stamped_everywhere(case):
    synthetic = Case(replace(case.source, synthetic=True), case.found)
    report = make_report(synthetic)
    for part in report.parts:
        for block in part.blocks:
            if isinstance(block, Rows):
                assert block.sheet.heading.startswith("SYNTHETIC · ")
                assert not block.sheet.heading.startswith("SYNTHETIC · SYNTHETIC")
            if isinstance(block, Confusion | Drawing):
                assert block.caption.startswith("SYNTHETIC · ")
    assert 'class="stamp" role="note">SYNTHETIC' in report.html()
    assert report.markdown().splitlines()[2].startswith("**SYNTHETIC")
    part = Part("a", "b", (Words("x"),))
    assert stamped(part) == part


def test_a_confusion_matrix_as_text_has_counts_shares_and_silence():
    counts = np.array([[8.5, 1.5, 0.0], [0.0, 0.0, 0.0]])
    sheet = confusion_sheet(counts, ("normal", "wheeze"), "Counts")
    assert sheet.header == ("true ↓", "normal", "wheeze", "all")
    assert sheet.cells == (("normal", "8.5 (85 %)", "1.5 (15 %)", "10"), ("wheeze", "0 (0 %)", "0 (0 %)", "0"))
    counts[1, 2] = 1200
    assert confusion_sheet(counts, ("normal", "wheeze"), "").cells[1] == (
        "wheeze",
        *["0 (0 %)"] * 2,
        "1,200 (100 %)",
        "1,200",
    )


def test_figures_are_written_with_what_is_known_of_them():
    assert shown(None) == "–"
    assert shown(Estimate(79.531, 76.0, 83.14)) == "79.53 (76.0 to 83.1)"
    assert shown(Estimate(79.531, 76.0, 83.14, 0.949)) == "79.53 ± 0.95 (76.0 to 83.1)"
    assert shown(Estimate(100.0)) == "100.00"


def test_names_cannot_become_markup(predictions):
    found = make_case(Source("<script>x", (predictions(1),)), settings=FEW)
    assert "<script>" not in make_report(found).html()


# --- runs: the four rules, and the card

PRESET = load_preset("lung_srad", profile="small", overrides=["training.refit=false"])


@pytest.fixture
def run(tmp_path) -> RunFolder:
    facts = {"split": SPLIT, "validation_patients": ["p1", "p2"]}
    facts |= {"command": ["x/lung-srad", "train", "lung_srad"], "commit": "abc1234"}
    run = made_runs.make_run(tmp_path, PRESET, 1, **facts)
    (run.path / "weights.safetensors").write_bytes(b"weights")
    timing = '{"epoch": 1, "train_s": 60.0, "score_s": 30.0}\n'
    (run.select.path / "timing.jsonl").write_text(timing * 2)
    return run


def test_a_run_shows_the_four_rules_side_by_side(run):
    found = make_case(read_source([run.path]), settings=FEW)
    (sheet,) = rows_of(rules_part(found))
    assert [row[0] for row in sheet.cells] == [
        "best on validation",
        "last epoch",
        "mean of the last 5 epochs",
        "best on test (optimistic)",
        "baseline: always normal",
    ]
    headline = next(rule["scores"] for rule in run.result()["rules"] if rule["headline"])
    assert sheet.cells[0][4] == f"{headline['score']:.2f}"
    assert rules_part(SimpleNamespace(source=SimpleNamespace(rules={}))) is None


def test_the_card_says_what_it_is_for_what_it_is_worth_and_what_it_cost(run):
    found = make_case(read_source([run.path]), settings=FEW)
    card = model_card(found, [run])
    assert card.startswith("---\nname: Lung-SRAD (profile small)\nsynthetic: false\nsha256: ")
    for text in (
        "Not for diagnosis",
        "Not a medical device",
        "NOT disjoint by patients: 156, 218",
        f"SHA-256 {'ab' * 32}",
        "1,859,428 parameters",
        "The epoch was chosen by 2 patients",
        ": 3.0 minutes",
        "`lung-srad train lung_srad`, at commit abc1234",
        "docs/reporting_checklists.md",
        "By device, in per cent",
        "ECE and Brier score",
    ):
        assert text in card, text
    assert "![" not in card  # no pictures beside it
    assert "SYNTHETIC" not in card


def test_a_report_is_empty_of_parts_that_are_not_there():
    report = Report("Title", (Words("lead"),), (Part("a", "Part", (Words("text"),)),))
    assert report.markdown() == "# Title\n\nlead\n\n## Part\n\ntext\n"
    assert report.drawings() == {}
