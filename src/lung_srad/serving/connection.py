"""A connection on which nobody can dawdle: deadlines for a head, for reading an answer, and for leaving."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from lung_srad.errors import message

_LEAVING_SECONDS = 2.0
_LEAVING_BYTES = 16 * 2**20
_READING_SECONDS, _READING_BYTES = 30.0, 2**15


class Parting:
    """A transport that is closed in the protocol's way; everything else is the transport's."""

    def __init__(self, transport: asyncio.Transport, part: Callable[[], None]) -> None:
        self._transport, self.close = transport, part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Guarded(H11Protocol):
    """HTTP as uvicorn speaks it, with what it leaves open (DECISIONS: connections-that-dawdle).

    The head of a request has a deadline, however slowly its bytes drip. A client that is answered before all of its
    body has come gets a moment in which the rest is thrown away: closed at once, it might never read the answer.
    Who does not read an answer is cut off.
    """

    head_seconds = 10.0
    _head: asyncio.TimerHandle | None = None
    _leaving: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _parted, _thrown, _unread = False, 0, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the deadline of the first request."""
        self._plain = transport
        super().connection_made(Parting(transport, self._part))  # type: ignore[arg-type]
        self._start()

    def data_received(self, data: bytes) -> None:
        """Ends the deadline when a head is complete; the next one begins with its first byte."""
        if self._leaving is not None:
            self._thrown += len(data)
            if self._parted or self._thrown > _LEAVING_BYTES:
                if self._thrown > _LEAVING_BYTES:
                    self._plain.abort()
                return
        super().data_received(data)
        idle, leaving = self.conn.their_state is h11.IDLE, self._leaving is not None
        if leaving and (idle or not self.cycle.response_complete):  # what nobody needed has come to its end
            self._leaving = _cancelled(self._leaving)
        if not idle:
            self._head = _cancelled(self._head)
        elif leaving:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        elif self._head is None and not self.transport.is_closing():
            self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Frees the timers."""
        self._head, self._leaving, self._reading = map(_cancelled, (self._head, self._leaving, self._reading))
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Gives who still sends a moment to end."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self._plain.is_closing():
            self._leave()

    def pause_writing(self) -> None:
        """Starts to watch a client that does not read as fast as it is answered."""
        super().pause_writing()
        self._unread = self._plain.get_write_buffer_size()
        self._reading = self.loop.call_later(_READING_SECONDS, self._slow)

    def resume_writing(self) -> None:
        """Ends that."""
        self._reading = _cancelled(self._reading)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no request, or one whose head is too large."""
        seen = "not valid HTTP, or a head of too many bytes"
        self._say(400, message("the request", seen, "HTTP/1.1 with a short head", "send fewer headers"))

    def _part(self) -> None:
        """Closes the connection, at once where nobody sends any more."""
        self._head = _cancelled(self._head)
        if self.conn.their_state in (h11.SEND_BODY, h11.ERROR) and not self._plain.is_closing():
            self._parted = True
            self._leave()
            self._plain.write_eof()
        else:
            self._plain.close()

    def _leave(self) -> None:
        if self._leaving is None:
            self._thrown = 0
            self._leaving = self.loop.call_later(_LEAVING_SECONDS, self._plain.abort)
        self._plain.resume_reading()

    def _slow(self) -> None:
        """Cuts off who took next to nothing since the last look."""
        left = self._plain.get_write_buffer_size()
        if self._unread - left < _READING_BYTES:
            self._plain.abort()
        else:
            self._unread, self._reading = left, self.loop.call_later(_READING_SECONDS, self._slow)

    def _start(self) -> None:
        self._head = self.loop.call_later(self.head_seconds, self._late)

    def _late(self) -> None:
        seen = f"no complete head after {self.head_seconds:g} s"
        self._say(408, message("the request", seen, "a head at once", "send it faster"))

    def _say(self, status: int, text: str) -> None:
        body = json.dumps({"error": text}).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    """Returns nothing, in place of a timer that is stopped."""
    if timer is not None:
        timer.cancel()
