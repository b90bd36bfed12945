"""The page as files: everything that it names ships and is served, and nothing of it is elsewhere."""

import re
from importlib.resources import files

import pytest

from lung_srad.serving.page import PAGE, read

STATIC = files("lung_srad.serving") / "static"
NAMESPACE = "http://www.w3.org/2000/svg"  # a name, which nothing fetches


def test_what_ships_is_what_is_served() -> None:
    assert sorted(each.name for each in STATIC.iterdir()) == sorted(name for name, _ in PAGE.values())


@pytest.mark.parametrize("name", [name for name, _ in PAGE.values()])
def test_a_file_names_only_what_is_served(name: str) -> None:
    text = read(name).decode("utf-8")
    assert not re.search(r"https?://|[\"'(]//", text.replace(NAMESPACE, ""))
    named = re.findall(r"""(?:src|href)="(/[^"]*)"|from "\.(/[^"]*)"|addModule\("(/[^"]*)"\)""", text)
    assert {next(filter(None, each)) for each in named} <= set(PAGE)


def test_the_page_needs_what_the_policy_allows() -> None:
    """No script, style or handler stands in the page itself, which the policy would refuse."""
    text = read("index.html").decode("utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src)", text)


def test_it_is_served_with_its_type(service) -> None:
    for path, (name, kind) in PAGE.items():
        reply = service.ask(path, method="GET")
        assert (reply.status, reply.headers["content-type"]) == (200, kind)
        assert reply.body == read(name)
