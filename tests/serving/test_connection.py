"""A connection on which nobody can dawdle, and on which an early answer is read all the same."""

import asyncio
import contextlib
import socket
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from asking import Reply, Service, read, request
from uvicorn import Config
from uvicorn.server import ServerState

from breathing import recording
from lung_srad.serving import connection
from lung_srad.serving.connection import Guarded


def head(length: int, path: str = "/none", **headers: str) -> bytes:
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{named}\r\n".encode()


def read_one(peer: socket.socket) -> Reply:
    """Returns one answer with a length of a connection that stays open."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += peer.recv(65536)
    first, _, body = data.partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in first.decode().lower().split("\r\n")[1:])
    while len(body) < int(lines["content-length"]):
        body += peer.recv(65536)
    return Reply(int(first.split()[1]), lines, body)


@pytest.mark.parametrize("closing", ["", "Connection: close\r\n"])
def test_an_early_answer_is_read_while_the_body_still_comes(service: Service, closing: str) -> None:
    peer = service.connect()
    first = head(3_000_000).replace(b"\r\n\r\n", f"\r\n{closing}\r\n".encode())
    peer.sendall(first + bytes(500_000))
    time.sleep(0.3)  # answered by now; a connection that is closed at once would be reset here
    peer.sendall(bytes(2_500_000))
    assert read_one(peer).status == 404
    if closing:
        assert peer.recv(1) == b""
    else:
        peer.sendall(request("/healthz", method="GET"))
        assert read(peer).status == 200


def test_who_goes_on_sending_after_the_answer_is_cut_off(service: Service) -> None:
    peer = service.connect()
    peer.sendall(head(10**6))
    assert read_one(peer).status == 404
    begun = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - begun < 30:
            peer.sendall(b"x")
            time.sleep(0.05)
    assert 1 < time.monotonic() - begun < 20


def test_a_body_that_nobody_wants_is_read_up_to_a_limit(service: Service) -> None:
    peer = service.connect()
    peer.sendall(head(10**10))
    sent, begun = 0, time.monotonic()
    with contextlib.suppress(ConnectionError):
        while sent < 10**9:
            sent += peer.send(bytes(2**20))
    assert sent < 100 * 2**20
    assert time.monotonic() - begun < 20


def test_the_next_request_is_not_cut_off_with_the_rest_of_the_last(service: Service, monkeypatch) -> None:
    monkeypatch.setattr(connection, "_LEAVING_SECONDS", 0.3)
    peer, body = service.connect(), recording(4.5)
    peer.sendall(head(200_000))
    assert read_one(peer).status == 404
    peer.sendall(bytes(200_000) + request("/v1/classify", body, Content_Type="")[:-100])
    time.sleep(0.8)
    peer.sendall(body[-100:])
    assert read(peer).status == 200


def test_a_connection_that_waits_for_its_next_request_is_closed(service: Service) -> None:
    peer = service.connect()
    peer.sendall(head(200_000))
    assert read_one(peer).status == 404
    peer.sendall(bytes(200_000))
    begun = time.monotonic()
    assert peer.recv(1) == b""  # nothing more is said
    assert 2.5 < time.monotonic() - begun < 20  # keep-alive, 5 s, and not the moment for leaving, 2 s


class Full:
    """A transport whose client takes ``rate`` bytes between two looks."""

    def __init__(self, rate: int) -> None:
        self.left, self.rate, self.cut = 10**6, rate, False

    def get_write_buffer_size(self) -> int:
        self.left -= self.rate
        return self.left

    def abort(self) -> None:
        self.cut = True


@pytest.mark.parametrize(("rate", "cut"), [(1000, True), (100_000, False)])
def test_who_does_not_read_is_cut_off(rate: int, cut: bool, monkeypatch) -> None:
    monkeypatch.setattr(connection, "_READING_SECONDS", 0.01)
    plain = Full(rate)

    async def write() -> None:
        peer = Guarded(config=Config(None), server_state=ServerState(), app_state={})
        peer._plain, peer.flow = plain, Mock()
        peer.pause_writing()
        await asyncio.sleep(0.06)
        peer.resume_writing()
        plain.left = 0
        await asyncio.sleep(0.03)

    asyncio.run(write())
    assert plain.cut == cut


def test_head_is_get_without_a_body(service: Service) -> None:
    whole = service.ask("/openapi.json", method="GET")
    short = service.ask("/openapi.json", method="HEAD")
    assert (short.status, short.body, short.headers["content-length"]) == (200, b"", str(len(whole.body)))
    assert service.ask("/v1/classify", recording(1), method="HEAD").status == 405
