"""A service that is asked by plain sockets, which may be as rude as one likes, and what is sent."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.serving.desk import Desk
from lung_srad.serving.limits import Limits
from lung_srad.serving.server import Server

FORM = "multipart/form-data; boundary=xx"


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

    def send_all(self, head: bytes, pieces: Iterable[bytes], pause: float = 0.0) -> Reply:
        """Returns the answer to a head and pieces, which are sent until the service has had enough."""
        connection = self.connect()
        with contextlib.suppress(ConnectionError):
            connection.sendall(head)
            for piece in pieces:
                connection.sendall(piece)
                if select.select([connection], [], [], pause)[0]:
                    break
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


class Command:
    """``lung-srad serve`` as a process.

    Attributes:
        address: that it printed; "" where it printed none.
    """

    def __init__(self, *arguments: str, **environment: str) -> None:
        code = "from lung_srad.cli import main; main()"
        known = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src"), **environment}
        command = [sys.executable, "-c", code, "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=known)
        self.address = self.process.stdout.readline().rstrip("\n")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", int(self.address.rpartition(":")[2])), timeout=60)

    def ask(self, path: str) -> Reply:
        connection = self.connect()
        connection.sendall(request(path, method="GET"))
        return read(connection)

    def wait_until_ready(self) -> "Command":
        end = time.monotonic() + 120
        while self.ask("/readyz").status != 200:
            assert time.monotonic() < end
            time.sleep(0.05)
        return self

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *problem: object) -> None:
        self.process.kill()
        self.process.communicate()


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


def files_of_the_command(folder: Path, name: str, content: bytes, *options: str) -> dict[str, bytes]:
    """Returns what ``lung-srad classify`` writes of a recording, by the form in which the service answers."""
    (folder / name).write_bytes(content)
    with contextlib.chdir(folder):
        result = CliRunner().invoke(app, ["classify", name, "--out", "answers", "--html", *options])
    assert result.exit_code == 0, result.output
    endings = {"json": ".json", "audacity": ".labels.txt", "raven": ".selections.txt", "html": ".html"}
    files = {form: folder / "answers" / "recordings" / f"{name}{ending}" for form, ending in endings.items()}
    return {form: path.read_bytes() for form, path in {**files, "csv": folder / "answers" / "windows.csv"}.items()}


def form(content: bytes, name: str = "a.wav", field: str = "file") -> bytes:
    head = f'--xx\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--xx--\r\n"


def unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return whole
