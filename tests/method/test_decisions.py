"""DECISIONS.md and the code that points to it stay together."""

import re
from pathlib import Path

from lung_srad.config import READINGS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "DECISIONS.md").read_text(encoding="utf-8")
ENTRIES = {slug: int(number) for number, slug in re.findall(r"^### (\d+)\. ([a-z-]+)$", TEXT, re.MULTILINE)}


def test_entries_are_numbered_in_order():
    """Each part of the work has its own range, so numbers may be left out; none may come twice."""
    numbers = list(ENTRIES.values())
    assert numbers[: len(READINGS["paper"])] == list(range(1, len(READINGS["paper"]) + 1))
    assert numbers == sorted(set(numbers))
    assert len(re.findall(r"^### ", TEXT, re.MULTILINE)) == len(ENTRIES)


def test_every_reference_in_the_code_leads_somewhere():
    files = [path for path in (ROOT / "src").rglob("*") if path.suffix in {".py", ".toml"}]
    found = [
        (path.name, reference)
        for path in files
        for reference in re.findall(r"DECISIONS(?:: | #)([a-z0-9-]+)", path.read_text(encoding="utf-8"))
    ]
    known = set(ENTRIES) | {str(number) for number in ENTRIES.values()}
    assert found
    assert [(file, reference) for file, reference in found if reference not in known] == []


def test_every_row_of_the_readings_stands_in_the_table_with_both_values():
    for key, paper in READINGS["paper"].items():
        line = next(line for line in TEXT.splitlines() if line.startswith("|") and f"`{key}`" in line)
        _, _, _, ours, code, *_ = (cell.strip() for cell in line.split("|"))
        position = re.findall(r"`([\w.]+)`", line).index(key)
        for cell, value in ((ours, paper), (code, READINGS["code"][key])):
            assert cell.split(", ")[position] == str(value).lower()
