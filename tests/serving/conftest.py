"""A service in a thread of the tests, on a free port, with the weights that ship; sockets to be rude with."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import contextlib

from lung_srad.serving.app import create_app
from lung_srad.serving.desk import Desk
from lung_srad.serving.guard import Door
from lung_srad.serving.limits import Limits
from lung_srad.serving.server import Server


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        return json.loads(self.body)["error"]


@dataclass
class Service:
    """A running service."""

    port: int
    desk: Desk
    server: Server
    limits: Limits
    sockets: list[socket.socket] = field(default_factory=list)

    def connect(self) -> socket.socket:
        self.sockets.append(socket.create_connection(("127.0.0.1", self.port), timeout=30))
        return self.sockets[-1]

    def send(self, raw: bytes) -> Reply:
        """Returns the answer to these bytes; a service that answers before all is read may close meanwhile."""
        connection = self.connect()
        with contextlib.suppress(ConnectionError):
            connection.sendall(raw)
        return read(connection)

    def ask(self, path: str, body: bytes = b"", method: str = "POST", **headers: str) -> Reply:
        """Returns the answer to a well-formed request; an underscore in a header's name is a dash."""
        return self.send(request(path, body, method, **headers))

    @property
    def held(self) -> int:
        return self.server.config.app._app.state.held.bytes

    def wait_until_idle(self, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while self.desk.waiting or self.held:
            assert time.monotonic() < end, (self.desk.waiting, self.held)
            time.sleep(0.02)


def request(path: str, body: bytes = b"", method: str = "POST", **headers: str) -> bytes:
    named = {"Host": "127.0.0.1", "Content-Length": str(len(body)), "Connection": "close"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def read(connection: socket.socket) -> Reply:
    """Returns what a service says until it closes; status 0 where it says nothing."""
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionError:
        pass
    connection.close()
    head, _, body = data.partition(b"\r\n\r\n")
    if not head:
        return Reply(0, {}, b"")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Reply(int(first.split()[1]), headers, body)


def threads() -> int:
    return len(os.listdir("/proc/self/task")) if Path("/proc/self/task").is_dir() else threading.active_count()


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., Service]]:
    """Returns a function that starts a service; all are stopped in the end."""
    running: list[tuple[Service, threading.Thread, socket.socket]] = []

    def begin(door: Door | None = None, **limits: float) -> Service:
        chosen = Limits(**limits)
        desk = Desk("demo", chosen, threads=1)
        server = Server(desk, create_app(desk, chosen, door or Door()), chosen)
        bound = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        desk.loading.result(120)
        while not server.started:
            time.sleep(0.01)
        service = Service(bound.getsockname()[1], desk, server, chosen)
        running.append((service, thread, bound))
        return service

    yield begin
    for service, thread, bound in running:
        for each in service.sockets:
            each.close()
        service.server.should_exit = True
        thread.join(30)
        service.desk.close()
        bound.close()


@pytest.fixture(scope="session")
def service(start: Callable[..., Service]) -> Service:
    """Small limits, so that what goes beyond them is quickly made."""
    return start(megabytes=0.5, seconds=20, head_seconds=1.0, body_seconds=1.0, waiting=4)


@pytest.fixture(scope="session")
def guarded(start: Callable[..., Service]) -> Service:
    return start(Door("secret", ("https://lungs.example",)))
