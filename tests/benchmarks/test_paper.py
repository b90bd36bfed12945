"""The functional check of every system: its part of docs/results.md, and that the others stay."""

import sys
from itertools import product
from pathlib import Path

import pytest

import paper
from lung_srad.config import preset_names
from lung_srad.training import Outcome, paper_presets
from parts import write_part

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from made_runs import make_run

HERE, OTHER = "<!-- what follows: a -->", "<!-- what follows: b -->"


def test_a_part_is_written_and_the_others_stay(tmp_path):
    page = tmp_path / "page.md"
    write_part(page, OTHER, "two\n")
    write_part(page, "", "# Title\n\none")
    assert page.read_text() == f"# Title\n\none\n\n{OTHER}\ntwo\n"
    write_part(page, HERE, "three")
    write_part(page, OTHER, "four")
    parts = page.read_text()
    assert parts == f"# Title\n\none\n\n{OTHER}\nfour\n\n{HERE}\nthree\n"
    write_part(page, "", "five")
    assert page.read_text() == parts.replace("# Title\n\none", "five")


class Cycles:
    def cycles(self, part):
        return [None] * {"train": 1270, "test": 979}[part]


def test_the_page_has_every_system(tmp_path):
    runs = []
    for seeds, systems in paper.work().items():
        for preset, seed in product(systems, seeds):
            run = make_run(tmp_path, preset, seed, commit="abc1234", start={"weights": "random"})
            (run.select.path / "timing.jsonl").write_text('{"epoch": 1, "train_s": 30.0, "score_s": 1.5}\n')
            runs.append(run)
    text = paper.page(runs, Cycles())
    assert "functional check, not a comparison of methods" in text.splitlines()[0]
    assert f"{len(runs) * 31.5 / 60:.0f} minutes of training" in text
    assert "No finished run" not in text
    for title in (
        "AST fine-tuning",
        "BTS++ [k = 5]",
        "Lung-SRAD",
        "PAFA, trained on two classes",
        "DAT (profile small",
    ):
        assert f"| {title}" in text
    beside = [name for name in preset_names() if name not in paper_presets()]
    assert text.count("(profile small, training.epochs=2) | best on validation") == len(beside)


def test_a_run_that_failed_leaves_the_page_alone(tmp_path, monkeypatch):
    def half(presets, *_, **__):
        run = make_run(tmp_path / "runs", presets[0], 1)
        (run.path / "result.json").unlink()
        yield Outcome(run, "failed", "broken")

    (tmp_path / "t.csv").write_text("path,label,patient,split\na.wav,normal,p,train\n")
    monkeypatch.setattr(paper, "run_grid", half)
    monkeypatch.setattr(
        sys, "argv", ["paper.py", f"--data=table:{tmp_path / 't.csv'}", f"--out={tmp_path / 'page.md'}"]
    )
    with pytest.raises(SystemExit, match="not every run is finished"):
        paper.main()
    assert not (tmp_path / "page.md").exists()
