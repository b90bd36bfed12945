"""Clients of a service, light enough to share a processor with it: asyncio, plain sockets, no HTTP library."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field

PATH = "/v1/classify?name=a.wav"


@dataclass
class Seen:
    """What clients were told.

    Attributes:
        statuses: how often each; 0 is a connection that broke without an answer.
        seconds: from sending to the whole answer, of every 200.
        since_asked: the same from the first time of asking, refusals and waits included.
        without_retry: refusals with 503 that did not say when to ask again.
        answers: the different answers.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    since_asked: list[float] = field(default_factory=list)
    without_retry: int = 0
    answers: set[bytes] = field(default_factory=set)

    def quantile(self, share: float) -> float:
        """Returns the seconds that this share of the answers took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def request(body: bytes, *, method: str = "POST", path: str = PATH, promised: int | None = None) -> bytes:
    """Returns the bytes of a request; ``promised`` is the length that it says it has."""
    length = len(body) if promised is None else promised
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode() + body


class Client:
    """One client with a connection that it keeps while it can."""

    def __init__(self, port: int) -> None:
        self._port, self._writer = port, None

    async def ask(self, raw: bytes) -> tuple[int, dict[str, str], bytes]:
        """Returns status, headers and body; status 0 where the connection breaks."""
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writer.write(raw)
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head[:-4].split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self._reader.readexactly(int(headers["content-length"]))
        except (OSError, asyncio.IncompleteReadError):
            await self.close()
            return 0, {}, b""
        if headers.get("connection") == "close":
            await self.close()
        return int(first.split()[1]), headers, body

    async def close(self) -> None:
        """Ends the connection."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def keep_asking(port: int, raw: bytes, end: float, seen: Seen) -> None:
    """Asks again and again until ``end``, waits after a refusal as long as it says and up to half as long again."""
    client, asked = Client(port), None
    while (begun := time.monotonic()) < end:
        asked = begun if asked is None else asked
        status, headers, body = await client.ask(raw)
        seen.statuses[status] += 1
        if status == 200:
            seen.seconds.append(time.monotonic() - begun)
            seen.since_asked.append(time.monotonic() - asked)
            seen.answers.add(body)
            asked = None
        elif status == 503:
            seen.without_retry += "retry-after" not in headers
            await asyncio.sleep(int(headers.get("retry-after", "1")) * random.uniform(1, 1.5))
        else:
            await asyncio.sleep(0.1)
    await client.close()


async def drip(port: int, at_once: bytes, slowly: bytes, closed: list[float]) -> None:
    """Sends something at once, then a byte a second until the service says something or closes; notes the seconds."""
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(OSError):
        writer.write(at_once)
        for place in range(len(slowly)):
            writer.write(slowly[place : place + 1])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(65536), 1)
                break
    closed.append(time.monotonic() - begun)
    writer.close()


async def leave(port: int, raw: bytes, after: float) -> bool:
    """Sends, closes after so many seconds, and returns whether it had to be told nothing before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    told = b""
    with contextlib.suppress(TimeoutError):
        told = await asyncio.wait_for(reader.read(65536), after)
    writer.transport.abort()
    return not told
