"""Bad requests, each with the outcome that the rule gives: none a 500, none a hang, nothing left behind."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bad_requests import KINDS, MORE, SCRIPT

SPEC = r"""
no part; wrong field; 2 files; empty; name ../../x; name C:\x; name with NUL; name of 10 kB; wrong content-type;
10 GB with Content-Length; 10 GB without Content-Length; false Content-Length; chunked drip 1 B/s; 500 idle sockets;
10,000 headers; 100,000 parts; gzip body bomb; disconnect mid-upload; disconnect mid-inference; HEAD/PUT; bad JSON;
XSS in file name; CSRF/foreign Origin; parallel same name; SSRF url field; /docs exposure; range abuse;
SIGTERM mid-request; queue full
"""


def test_the_29_kinds_of_the_spec_are_there() -> None:
    assert list(KINDS) == [name.strip() for name in SPEC.split(";")]
    assert len(KINDS) == 29


@pytest.mark.parametrize("name", [*KINDS, *MORE])
def test_a_kind_gets_what_the_rule_says(service, name: str) -> None:
    kind = (KINDS | MORE)[name]
    reply = kind.send(service)
    assert reply.status == kind.status, reply.body[:300]
    if reply.status >= 400:
        assert kind.words in reply.error
        assert reply.error.count("; ") >= 2  # where and what; what is allowed; what to do
    service.wait_until_idle()


def test_a_script_in_a_name_is_text_in_json_and_escaped_on_a_page(service) -> None:
    send = KINDS["XSS in file name"].send
    reply = send(service)
    assert reply.headers["content-type"] == "application/json"
    assert json.loads(reply.body)["path"] == SCRIPT
