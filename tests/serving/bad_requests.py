"""The 29 kinds of HTTP of spec/reliability.md, each with what it gets, and a few more.

The rule decides: refused with 4xx and one sentence where a promise is broken or a limit is passed, 503 where there is
no room for the moment, answered where nothing is wrong. Never 500, never a hang.
"""

import gzip
import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from asking import FORM, Command, Reply, Service, form, read, request

from breathing import recording

GOOD = recording(4.5)
SEND = "/v1/classify"
LATIN = "latin-1"


@dataclass(frozen=True)
class Kind:
    """One row.

    Attributes:
        send: sends it and returns the answer.
        status: what it gets.
        words: of the message, where there is one.
    """

    send: Callable[[Service], Reply]
    status: int
    words: str = ""


def posted(body: bytes, path: str = SEND, **headers: str) -> Callable[[Service], Reply]:
    return lambda service: service.ask(path, body, **headers)


def formed(body: bytes) -> Callable[[Service], Reply]:
    return posted(body, Content_Type=FORM)


def named(name: str) -> Callable[[Service], Reply]:
    return formed(form(GOOD, name))


def raw(head: str, pieces: Any = ()) -> Callable[[Service], Reply]:
    """Returns what sends a head of its own, then pieces until the service has had enough."""

    def send(service: Service) -> Reply:
        return service.send_all(f"{head}\r\nHost: localhost\r\n".encode(LATIN), pieces)

    return send


def chunked(pieces: Any) -> Callable[[Service], Reply]:
    return raw(f"POST {SEND} HTTP/1.1\r\nTransfer-Encoding: chunked", [b"\r\n", *pieces])


def endless(service: Service) -> Reply:
    piece = b"10000\r\n" + bytes(65536) + b"\r\n"
    head = f"POST {SEND} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return service.send_all(head, repeat(piece, 160_000))  # 10 GB, of which next to nothing is read


def drip(service: Service) -> Reply:
    head = f"POST {SEND} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return service.send_all(head, repeat(b"1\r\nx\r\n", 40), pause=1)


def false_length(service: Service) -> Reply:
    """Promises fewer bytes than there are, which cuts the recording; returns what gets who promises more."""
    reply = service.ask(SEND, GOOD, Content_Length=str(len(GOOD) - 1000), Content_Type="")
    assert (reply.status, "truncated" in reply.error) == (422, True)
    return service.ask(SEND, GOOD, Content_Length=str(len(GOOD) + 1000), Content_Type="")


def idle(service: Service) -> Reply:
    """Opens 500 sockets that say nothing, asks in between, and returns what the last of them is told."""
    sockets = [service.connect() for _ in range(500)]
    assert service.ask("/healthz", method="GET").status == 200
    assert service.ask(SEND, GOOD, Content_Type="").status == 200
    replies = [read(each) for each in sockets]
    assert {reply.status for reply in replies} == {408}
    return replies[-1]


def bomb(service: Service) -> Reply:
    """Sends 20 MB that are 20 kB in gzip, as a recording and then as an encoded body."""
    packed = gzip.compress(bytes(20_000_000), 1)
    reply = service.ask(SEND, packed, Content_Type="audio/wav")
    assert (reply.status, "unknown format" in reply.error) == (422, True)
    return service.ask(SEND, packed, Content_Type="audio/wav", Content_Encoding="gzip")


def head_and_put(service: Service) -> Reply:
    head = service.ask(SEND, method="HEAD")
    assert (head.status, head.headers["allow"], head.body) == (405, "POST", b"")
    assert service.ask("/", method="HEAD").status == 200
    return service.ask(SEND, GOOD, "PUT")


def fetched(service: Service) -> Reply:
    """Asks for an address to be fetched, in every place where one could stand."""
    address = "http://127.0.0.1:1/a.wav"
    assert service.ask(SEND, form(address.encode(), field="url"), Content_Type=FORM).status == 400
    assert service.ask(SEND, f'{{"url": "{address}"}}'.encode(), Content_Type="application/json").status == 415
    assert service.ask(SEND, address.encode(), Content_Type="audio/wav").status == 422
    return service.ask(f"{SEND}?url={address}", GOOD, Content_Type="")


def documents(service: Service) -> Reply:
    assert service.ask("/redoc", method="GET").status == 404
    return service.ask("/docs", method="GET")


def full(service: Service) -> Reply:
    """Asks where as many wait as may."""
    gate = threading.Event()
    for _ in range(service.limits.waiting):
        service.desk.begin(lambda model, watch: gate.wait(30), lambda: None)
    try:
        reply = service.ask(SEND, GOOD, Content_Type="")
    finally:
        gate.set()
    assert int(reply.headers["retry-after"]) >= 1
    return reply


def stopped(service: Service) -> Reply:
    """Sends SIGTERM to a service that hears one recording while another waits; returns what the first gets."""
    with Command("--threads", "1").wait_until_ready() as run:
        first, second = run.connect(), run.connect()
        first.sendall(request(SEND, recording(400), Content_Type=""))
        while json.loads(run.ask("/readyz").body)["waiting"] < 1:
            time.sleep(0.01)
        second.sendall(request(SEND, GOOD, Content_Type=""))
        while json.loads(run.ask("/readyz").body)["waiting"] < 2:
            time.sleep(0.01)
        run.process.send_signal(signal.SIGTERM)
        refused = read(second)
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        finished = read(first)
        assert run.process.wait(30) in (0, -signal.SIGTERM)
    return finished


def left(body: bytes, promised: int) -> Callable[[Service], Reply]:
    def send(service: Service) -> Reply:
        connection = service.connect()
        connection.sendall(request(SEND, body, Content_Length=str(promised)))
        connection.close()
        service.wait_until_idle()
        return service.ask(SEND, GOOD, Content_Type="")

    return send


def together(service: Service) -> Reply:
    """Sends different recordings of one name at once; each gets its own answer."""
    bodies = [recording(4.5, seed) for seed in range(3)]
    alone = [service.ask(SEND + "?name=a.wav", body, Content_Type="").body for body in bodies]
    sockets = [service.connect() for _ in bodies]
    for connection, body in zip(sockets, bodies, strict=True):
        connection.sendall(request(SEND + "?name=a.wav", body, Content_Type=""))
    replies = [read(each) for each in sockets]
    assert [reply.body for reply in replies] == alone
    assert len(set(alone)) == len(bodies)
    return replies[0]


def ranged(service: Service) -> Reply:
    """Asks for 500 parts that overlap; returns the whole, as ranges are not served."""
    many = "bytes=" + ",".join(f"0-{n}" for n in range(500))
    whole = service.ask("/openapi.json", method="GET")
    reply = service.ask("/openapi.json", method="GET", Range=many)
    assert reply.body == whole.body
    return reply


PART = b'--xx\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n'
PARTS = 100_000 * PART + b"--xx--\r\n"
MANY_HEADERS = "\r\n".join(f"X-{n}: {n}" for n in range(10_000))
SCRIPT = "<script>alert(1)<script>.wav"

KINDS: dict[str, Kind] = {
    "no part": Kind(formed(b"--xx--\r\n"), 400, "one file in the field 'file'"),
    "wrong field": Kind(formed(form(GOOD, field="audio")), 400, "the field 'audio'"),
    "2 files": Kind(formed(form(GOOD)[: -len(b"--xx--\r\n")] + form(GOOD)), 400, "2 files"),
    "empty": Kind(formed(form(b"")), 400, "0 bytes"),
    "name ../../x": Kind(named("../../x"), 400, "without slashes"),
    "name C:\\x": Kind(named("C:\\x"), 400, "without slashes"),
    "name with NUL": Kind(named("a\0.wav"), 400, "control characters"),
    "name of 10 kB": Kind(named("a" * 10_000), 400, "the body"),
    "wrong content-type": Kind(posted(GOOD, Content_Type="text/plain"), 415, "audio/*"),
    "10 GB with Content-Length": Kind(
        raw(f"POST {SEND} HTTP/1.1\r\nContent-Length: 10000000000", [b"\r\n"]), 413, "up to"
    ),
    "10 GB without Content-Length": Kind(endless, 413, "up to"),
    "false Content-Length": Kind(false_length, 408, "and no end"),
    "chunked drip 1 B/s": Kind(drip, 408, "and no end"),
    "500 idle sockets": Kind(idle, 408, "no complete head"),
    "10,000 headers": Kind(raw(f"GET /healthz HTTP/1.1\r\n{MANY_HEADERS}", [b"\r\n"]), 400, "fewer headers"),
    "100,000 parts": Kind(formed(PARTS), 400, "the field 'x'"),
    "gzip body bomb": Kind(bomb, 415, "uncompressed"),
    "disconnect mid-upload": Kind(left(GOOD, 2 * len(GOOD)), 200),
    "disconnect mid-inference": Kind(left(recording(19), len(recording(19))), 200),
    "HEAD/PUT": Kind(head_and_put, 405, "is not there"),
    "bad JSON": Kind(posted(b"{", Content_Type="application/json"), 415, "audio/*"),
    "XSS in file name": Kind(named(SCRIPT), 200),
    "CSRF/foreign Origin": Kind(posted(GOOD, Origin="https://elsewhere.example"), 403, "Origin"),
    "parallel same name": Kind(together, 200),
    "SSRF url field": Kind(fetched, 400, "query.url"),
    "/docs exposure": Kind(documents, 404, "is not there"),
    "range abuse": Kind(ranged, 200),
    "SIGTERM mid-request": Kind(stopped, 200),
    "queue full": Kind(full, 503, "ask in"),
}
MORE: dict[str, Kind] = {
    "a foreign host": Kind(posted(GOOD, Host="elsewhere.example"), 403, "Host"),
    "not HTTP": Kind(lambda service: service.send(b"\x16\x03\x01\r\n\r\n"), 400, "not valid HTTP"),
    "two lengths": Kind(raw(f"POST {SEND} HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", [b"\r\n"]), 400),
    "a negative length": Kind(raw(f"POST {SEND} HTTP/1.1\r\nContent-Length: -1", [b"\r\n"]), 400),
    "a chunk without a size": Kind(chunked([b"x\r\n\r\n"]), 400),
}
