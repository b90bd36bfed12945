"""The commands of the second half of docs/results.md, and what is gathered from runs that are there."""

import json
import shlex
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np

import transfer
from lung_srad.config import load_preset
from lung_srad.evaluation import Predictions, select, write_predictions
from lung_srad.runs import RunFolder
from transfer_page import areas

CLASSES = ("normal", "crackle", "wheeze", "both")


def predictions(seed: int, quality: float) -> Predictions:
    """Returns answers for 60 cycles of six patients; the quality 1 is always right."""
    generator = np.random.default_rng(seed)
    label = np.arange(60) % 4
    chance = generator.dirichlet(np.ones(4), 60) * (1 - quality) + quality * np.eye(4)[label]
    texts = [[f"c{n}" for n in range(60)], ["r"] * 60, [f"p{n % 6}" for n in range(60)], ["pen"] * 60, [""] * 60]
    return Predictions(CLASSES, *texts, ["test"] * 60, np.zeros(60), np.ones(60), label, chance)


def write_run(root: Path, system: str, seed: int, quality: float) -> None:
    """Writes what a finished run of one epoch leaves, as far as it is gathered."""
    run = RunFolder(root / f"{system}-small" / f"seed{seed}")
    run.select.prepare()
    given = predictions(seed, quality)
    run.select.write_predictions(1, "test", given)
    data = {"name": "sprsound", "split": "fold-0", "fingerprint": "f"}
    start = (
        {"weights": "run", "sha256": "0" * 64, "synthetic": True} if "simulated" in str(root) else {"weights": "random"}
    )
    facts = {"seed": seed, "data": data, "class_names": CLASSES, "normal": 0, "start": start, "processes": 1}
    run.write_config(load_preset(system, profile="small"), facts)
    scores = given.scores()
    rules = [asdict(choice) for choice in select([scores], [scores])]
    result = {
        "rules": rules,
        "selected_epoch": 1,
        "headline": "select",
        "train_cycles": 9,
        "validation": asdict(scores),
    }
    (run.path / "result.json").write_text(json.dumps(result))


def test_commands_name_every_corpus_and_start_from_runs_made_before():
    lines = transfer.commands("a b", {"SIMULATED": "sim", "SPRSOUND": "spr sound", "ICBHI": "icbhi"})
    made: list[str] = []
    for words in map(shlex.split, lines):
        asked = dict(pairwise(words))
        assert asked["--data"] in ("icbhi:sim", "sprsound:spr sound", "icbhi:icbhi")
        before = asked.get("--init-from", words[2] if words[1] == "evaluate" else None)
        assert before is None or any(before.startswith(f"{folder}/dass_finetuning-small/") for folder in made)
        assert words[1] == "evaluate" or "--resume" in words
        made.append(asked["--out"])
    assert len(set(made)) == len(made) == 10


def test_what_is_there_is_gathered_and_the_page_before_it_stays(tmp_path, monkeypatch, capsys):
    runs, page = tmp_path / "runs", tmp_path / "results.md"
    for seed in (1, 2):
        write_run(runs / "sprsound" / "scratch", "dass_finetuning", seed, 0.3)
        write_run(runs / "sprsound" / "simulated", "dass_finetuning", seed, 1.0)
    write_run(runs / "sprsound" / "scratch", "lung_srad", 1, 0.3)
    write_predictions(runs / "simulated_on_icbhi.csv", predictions(5, 0.5))
    page.write_text("# Results\n")
    monkeypatch.setattr("sys.argv", ["transfer.py", f"--runs={runs}", f"--out={page}"])
    for _ in range(2):  # the second time it replaces what it wrote
        transfer.main()
    text = page.read_text()
    assert text.startswith("# Results\n\n<!--")
    assert text.count("### SPRSound") == text.count("# Results") == 1
    assert "from SYNTHETIC weights 00000000" in text
    assert "| Lung-SRAD minus DASS fine-tuning, random weights | 1 | 0.00 (0.0 to 0.0) |" in text
    gain = next(
        line for line in text.splitlines() if line.startswith("| DASS fine-tuning, simulated pretraining minus")
    )
    assert gain.split(" | ")[1] == "2"
    assert "Validation children choose DASS fine-tuning from simulated pretraining: Score 100.00" in text
    assert "| simulated | icbhi | pen | 6 | 60 |" in text
    assert text.count(transfer.NOTHING) == 1  # training on ICBHI
    assert str(tmp_path) not in text


def test_areas_are_all_for_right_answers_and_half_for_none():
    assert [cell.split()[0] for cell in areas(predictions(1, 1.0))] == ["100.00"] * 3
    blind = predictions(1, 1.0)
    even = Predictions(CLASSES, *(getattr(blind, name) for name in blind.__slots__[1:-1]), np.full((60, 4), 0.25))
    assert [cell.split()[0] for cell in areas(even)] == ["50.00"] * 3
    assert areas(even, even.label == 0) == ["–"] * 3
