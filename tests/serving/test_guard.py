"""What stands around every request: who may ask, what is logged, and what a fault of ours looks like."""

import asyncio
import json
import logging

import pytest

from lung_srad.serving.guard import LOG, Door, Guard
from lung_srad.serving.limits import RefusedError


def answered(app, path: str = "/v1/model", door: Door | None = None, **headers: str) -> list[dict]:
    sent: list[dict] = []

    async def send(event: dict) -> None:
        sent.append(event)

    named = [(name.encode(), value.encode()) for name, value in {"host": "127.0.0.1:8000", **headers}.items()]
    scope = {"type": "http", "method": "GET", "path": path, "headers": named}
    asyncio.run(Guard(app, door or Door())(scope, None, send))
    return sent


async def broken(scope, receive, send) -> None:
    raise ZeroDivisionError("a patient's name")


async def fine(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


def test_a_fault_is_a_sentence_and_a_line_without_its_text(caplog, monkeypatch) -> None:
    monkeypatch.setattr(LOG, "propagate", True)
    with caplog.at_level(logging.INFO, logger=LOG.name):
        start, body = answered(broken, "/patients/smith")
    assert start["status"] == 500
    assert "fault of its own" in json.loads(body["body"])["error"]
    fault, request = (json.loads(each.message) for each in caplog.records)
    assert fault["fault"] == "ZeroDivisionError"
    assert (request["route"], request["status"]) == ("other", 500)
    assert "patient" not in caplog.text


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:8000", "lungs.example"])
def test_names_of_this_machine(host: str) -> None:
    Door(origins=("https://lungs.example",)).require("/", {"host": host})


@pytest.mark.parametrize(
    ("door", "headers", "status"),
    [
        (Door(), {"host": "elsewhere.example"}, 403),
        (Door(), {"host": "127.0.0.1.elsewhere.example"}, 403),
        (Door(), {}, 403),
        (Door(), {"host": "localhost", "origin": "null"}, 403),
        (Door("a"), {"host": "any"}, 401),
        (Door("a"), {"host": "any", "authorization": "Bearer b"}, 401),
        (Door("a"), {"host": "any", "authorization": "Bearer ä"}, 401),
    ],
)
def test_who_may_not_ask(door: Door, headers: dict[str, str], status: int) -> None:
    with pytest.raises(RefusedError) as refusal:
        door.require("/v1/model", headers)
    assert refusal.value.status == status


def test_every_answer_has_the_policy() -> None:
    headers = dict(answered(fine)[0]["headers"])
    assert b"default-src 'none'" in headers[b"content-security-policy"]
