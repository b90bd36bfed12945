"""The clients that load a service: what they count, and what the page makes of it."""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections import Counter

import pytest

import load
from breathing import recording
from clients import Client, Seen, drip, keep_asking, leave, request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is held is read from /proc")
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
MUTE = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"


def against(answers: list[bytes], work) -> None:
    """Runs work(port) against a service that gives these answers in turn, and the last one from then on."""
    given = list(answers)

    async def serve(reader, writer) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await reader.readline():
                length = 0
                while (line := await reader.readline()).strip():
                    length = int(line.split(b":")[1]) if line.lower().startswith(b"content-length") else length
                await reader.readexactly(length)
                writer.write(given.pop(0) if len(given) > 1 else given[0])
        writer.close()

    async def both() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            await work(server.sockets[0].getsockname()[1])
            await asyncio.sleep(0.1)  # what was closed ends

    asyncio.run(both())


def test_a_client_counts_what_it_is_told() -> None:
    seen, raw = Seen(), request(b"abc")

    async def work(port: int) -> None:
        loop = asyncio.get_running_loop()
        await keep_asking(port, raw, loop.time() + 1.6, seen)  # the loop's clock is time.monotonic

    against([GOOD, BUSY, MUTE, GOOD, b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"], work)
    assert seen.statuses[200] == 2
    assert seen.statuses[503] == 2
    assert seen.statuses[500] >= 1
    assert (seen.without_retry, seen.answers) == (1, {b"ok"})
    assert seen.since_asked[1] > 1 > seen.seconds[1]  # it waited a second in between, as nobody said how long


def test_a_connection_that_breaks_is_status_0() -> None:
    async def work(port: int) -> None:
        assert await Client(port).ask(request(b"")) == (0, {}, b"")

    asyncio.run(work(1))  # nobody listens there


def test_dripping_ends_when_the_service_speaks() -> None:
    closed: list[float] = []
    against([GOOD], lambda port: drip(port, request(b"", promised=2), b"abcdef", closed))
    assert len(closed) == 1
    assert closed[0] < 3


def test_who_leaves_says_whether_there_was_an_answer() -> None:
    async def work(port: int) -> None:
        assert not await leave(port, request(b"abc"), 5)
        assert await leave(port, request(b"abc", promised=9), 0.05)

    against([GOOD], work)


def results(**changes) -> dict:
    seen = Seen(Counter({200: 100, 503: 5}), [0.1] * 95 + [0.3] * 5, [1.0] * 100, 0, {b"a"})
    held = {"KiB": 1024, "threads": 4, "open files": 9, "temporary files": 0}
    left = {"uploading": 5, "heard": 5, "before": held, "after": held, "waiting": 0, "next": 0.2}
    found = {"start": (3.0, 2.0), "alone": seen, "seen": seen, "healthy": seen, "wall": 10.0, "shares": (0.8, 0.1)}
    found |= {"memory": [100.0, 101.0], "settled": 3.0, "closed": [10.0, 30.0], "still": 0, "left": left}
    return found | changes


def missed(found: dict) -> list[str]:
    return [asks for asks, _, enough in load.goals(found) if not enough]


def test_the_goals() -> None:
    good = results()
    assert missed(good) == []
    slow = Seen(Counter({200: 50, 500: 1}), [1.6] * 50, [1.0] * 50, 1, {b"b"})
    assert [asks.partition(":")[0] for asks in missed(good | {"seen": slow})] == [
        "64 clients",
        "a full queue is 503 with Retry-After",
        "p99 at most 5 times that of one client",
        "the same answer every time",
    ]
    more = good["left"] | {"after": good["left"]["before"] | {"open files": 10}, "next": 2.0}
    assert len(missed(good | {"left": more})) == 2
    assert len(missed(good | {"memory": [100.0, 106.0], "start": (9.0, 6.0)})) == 2


def test_the_page_says_what_was_not_reached() -> None:
    text = load.page(results(memory=[100.0, 200.0]), "make slow-load", 5.0, 1)
    assert "| memory drifts by less than 5 % | +100.0% | **no** |" in text
    assert "| 1 client | 100 | 3.3 | 0.10 | 0.30 | 0.30 |" in text
    assert "closed 10 to 30 s after they opened" in text


def test_what_a_process_holds() -> None:
    before = load.process_facts(os.getpid())
    with tempfile.TemporaryFile():
        after = load.process_facts(os.getpid())
    assert before["KiB"] > 1000
    assert before["threads"] >= 1
    assert {name for name in after if name != "KiB" and after[name] > before[name]} >= {"open files", "temporary files"}


def test_quantiles_and_sound() -> None:
    assert Seen(seconds=[4, 1, 3, 2]).quantile(0.5) == 3
    assert Seen(seconds=[4, 1, 3, 2]).quantile(1) == 4
    assert len(recording(2)) == 44 + 2 * 2 * 4000
