"""29 kinds of requests, each with the outcome that the rule gives: none a 500, none a hang, nothing left behind."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bad_requests import KINDS, SCRIPT


def test_all_kinds_are_there() -> None:
    assert len(KINDS) == 29


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_gets_what_the_rule_says(service, name: str) -> None:
    kind = KINDS[name]
    reply = kind.send(service)
    assert reply.status in kind.status, reply.body[:300]
    if reply.status >= 400:
        assert kind.words in reply.error
        assert reply.error.count("; ") >= 2  # where and what; what is allowed; what to do
    service.wait_until_idle()


def test_a_script_in_a_name_is_text_in_json_and_escaped_on_a_page(service) -> None:
    send = KINDS["a script as a name"].send
    reply = send(service)
    assert reply.headers["content-type"] == "application/json"
    assert json.loads(reply.body)["path"] == SCRIPT
