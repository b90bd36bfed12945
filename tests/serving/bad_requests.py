"""29 kinds of requests that people and programs send, each with what it gets.

The rule decides: refused with 4xx and one sentence where a promise is broken or a limit is passed, 503 where there is
no room for the moment, answered where nothing is wrong. Never 500, never a hang.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from asking import FORM, Reply, Service, form, read, recording, request

GOOD = recording(4.5)
SEND = "/v1/classify"
LATIN = "latin-1"


@dataclass(frozen=True)
class Kind:
    """One row.

    Attributes:
        send: sends it and returns the answer.
        status: what it gets; several where the client may be gone before it is told.
        words: of the message, where there is one.
    """

    send: Callable[[Service], Reply]
    status: tuple[int, ...]
    words: str = ""


def bad(send: Callable[[Service], Reply], status: int, words: str = "") -> Kind:
    return Kind(send, (status,), words)


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
    head = f"POST {SEND} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n".encode()
    return service.send_all(head, repeat(b"x", 40), pause=0.1)


def idle(service: Service) -> Reply:
    """Opens hundreds of sockets that say nothing, asks in between, and returns what the last of them is told."""
    sockets = [service.connect() for _ in range(service.many)]
    assert service.ask("/healthz", method="GET").status == 200
    assert service.ask(SEND, GOOD, Content_Type="").status == 200
    return [read(each) for each in sockets][-1]


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
    many = "bytes=" + ",".join(f"{n}-{n}" for n in range(500))
    return service.ask("/openapi.json", method="GET", Range=many)


PARTS = b"".join(b'--xx\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' for _ in range(8000)) + b"--xx--\r\n"
MANY_HEADERS = "\r\n".join(f"X-{n}: {n}" for n in range(10_000))
SCRIPT = "<script>alert(1)<script>.wav"

KINDS: dict[str, Kind] = {
    "no part": bad(formed(b"--xx--\r\n"), 400, "one file in the field 'file'"),
    "wrong field": bad(formed(form(GOOD, field="audio")), 400, "the field 'audio'"),
    "2 files": bad(formed(form(GOOD)[: -len(b"--xx--\r\n")] + form(GOOD)), 400, "2 files"),
    "empty": bad(formed(form(b"")), 400, "0 bytes"),
    "name ../../x": bad(named("../../x"), 400, "without slashes"),
    "name C:\\x": bad(named("C:\\x"), 400, "without slashes"),
    "name with NUL": bad(named("a\0.wav"), 400, "control characters"),
    "name of 10 kB": bad(named("a" * 10_000), 400, "the body"),
    "wrong content type": bad(posted(GOOD, Content_Type="text/plain"), 415, "audio/*"),
    "10 GB with a length": bad(raw(f"POST {SEND} HTTP/1.1\r\nContent-Length: 10000000000", [b"\r\n"]), 413, "up to"),
    "10 GB without a length": Kind(endless, (413, 0), "up to"),
    "a false length": bad(posted(GOOD, Content_Length=str(len(GOOD) - 1000), Content_Type=""), 422, "truncated"),
    "1 byte per second": bad(drip, 408, "and no end"),
    "300 idle sockets": bad(idle, 408, "no complete head"),
    "10,000 headers": Kind(raw(f"GET /healthz HTTP/1.1\r\n{MANY_HEADERS}", [b"\r\n"]), (400, 0), "fewer headers"),
    "thousands of parts": bad(formed(PARTS), 400, "the field 'x'"),
    "a bomb in gzip": bad(posted(b"\x1f\x8b\x08", Content_Encoding="gzip"), 415, "uncompressed"),
    "left while sending": bad(left(GOOD, 2 * len(GOOD)), 200),
    "left while waiting": bad(left(recording(19), len(recording(19))), 200),
    "PUT": bad(lambda service: service.ask(SEND, GOOD, "PUT"), 405, "is not there"),
    "bad JSON": bad(posted(b"{", Content_Type="application/json"), 415, "audio/*"),
    "a script as a name": bad(named(SCRIPT), 200),
    "a foreign origin": bad(posted(GOOD, Origin="https://elsewhere.example"), 403, "Origin"),
    "one name at once": bad(together, 200),
    "an address to fetch": bad(posted(b"", SEND + "?url=http://127.0.0.1/"), 400, "query.url"),
    "/docs": bad(lambda service: service.ask("/docs", method="GET"), 404, "is not there"),
    "many ranges": bad(ranged, 200),
    "a foreign host": bad(posted(GOOD, Host="elsewhere.example"), 403, "Host"),
    "not HTTP": bad(lambda service: service.send(b"\x16\x03\x01\r\n\r\n"), 400, "not valid HTTP"),
}
