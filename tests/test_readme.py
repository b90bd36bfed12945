"""What the README shows a newcomer runs, and every path and verb that it names is there."""

import re
from pathlib import Path

import pytest

from lung_srad.cli import VERBS
from lung_srad.config import preset_names

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *(str(page.relative_to(ROOT)) for page in sorted(ROOT.glob("docs/*.md")))]


def test_the_example_runs():
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["logits"].shape == (2, 4)
    assert names["mixed"].shape == (2, 256)
    assert names["response"].shape == (512,)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith(("http", "#"))]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_verb_and_preset_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert set(re.findall(r"^(?:srun )?lung-srad (\w+)", text, re.MULTILINE)) <= set(VERBS)
    named = re.findall(r"`(dass_(?:\w+_mix|finetuning|smoothing))`", text)
    assert set(named) <= set(preset_names())
