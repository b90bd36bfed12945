"""A recording out of a request's body, raw or as a form; every limit holds while the body is read."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from tempfile import SpooledTemporaryFile
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lung_srad.errors import message, shown
from lung_srad.serving.limits import LONGEST_NAME, MIB, GoneError, Limits, RefusedError

FIELD = "file"
_IN_MEMORY = MIB  # smaller uploads never touch the disk
Receive = Callable[[], Awaitable[Any]]


class Upload(SpooledTemporaryFile[bytes]):
    """An open recording without a place on the disk that anybody could find; gone when closed, also after a kill.

    Attributes:
        name: what the client calls it.
    """

    name = "recording"

    def __init__(self, held: "Held") -> None:
        super().__init__(max_size=_IN_MEMORY)
        self._held, self._size = held, 0

    def write(self, data: bytes) -> int:
        """Appends bytes, counted among those of all uploads."""
        self._held.take(len(data))
        self._size += len(data)
        return super().write(data)

    def close(self) -> None:
        """Frees the bytes; a second time does nothing."""
        self._held.free(self._size)
        self._size = 0
        super().close()

    @property
    def size(self) -> int:
        """How many bytes were written."""
        return self._size

    @property
    def handle(self) -> int | None:
        """The number of the open file; nothing while it is in memory."""
        if not self._rolled:
            return None
        self.flush()
        return self.fileno()

    @property
    def content(self) -> bytes:
        """All bytes."""
        self.seek(0)
        return self.read()


class Held:
    """The bytes of all uploads together, so that many clients cannot fill the disk."""

    def __init__(self, megabytes: float) -> None:
        self._most, self.bytes, self._lock = int(megabytes * MIB), 0, threading.Lock()

    def take(self, count: int) -> None:
        """Counts bytes in.

        Raises:
            RefusedError: 503, too many are held.
        """
        with self._lock:
            if self.bytes + count <= self._most:
                self.bytes += count
                return
        seen, allowed = f"{self.bytes / MIB:.0f} MiB of uploads are held", f"up to {self._most / MIB:.0f} MiB"
        raise RefusedError(503, message("the service", seen, allowed, "try again soon"), SOON)

    def free(self, count: int) -> None:
        """Counts bytes out."""
        with self._lock:  # an answer is freed by the thread that made it
            self.bytes -= count


SOON = {"Retry-After": "5"}


async def receive_recording(
    receive: Receive, headers: "dict[str, str]", name: str, limits: Limits, held: Held
) -> Upload:
    """Returns the one recording of a body; the caller closes it.

    Args:
        receive: of ASGI.
        headers: of the request, their names in lower case.
        name: of a raw body; a form says its own.

    Raises:
        RefusedError: 400, 408, 413, 415 or 503.
        GoneError: the client left.
    """
    kind, options = parse_options_header(headers.get("content-type"))
    require_name(name)
    require_plain(headers, limits)
    upload = Upload(held)
    try:
        pieces = _pieces(receive, limits)
        if kind == b"multipart/form-data":
            await _from_form(pieces, options.get(b"boundary", b""), upload)
        elif not kind or kind == b"application/octet-stream" or kind.startswith(b"audio/"):
            upload.name = name
            async for piece in pieces:
                upload.write(piece)
        else:
            seen, allowed = f"content type {shown(kind.decode('latin-1'))[:80]}", "audio/*, application/octet-stream"
            remedy = f"send the recording as it is, or as multipart/form-data in the field {FIELD!r}"
            raise RefusedError(415, message("the body", seen, allowed, remedy))
        if not upload.size:
            raise RefusedError(400, message(upload.name, "0 bytes", "a recording", "send the bytes of one"))
    except BaseException:
        upload.close()
        raise
    upload.seek(0)
    return upload


def require_plain(headers: "dict[str, str]", limits: Limits) -> None:
    """Returns nothing; refuses a body that says of itself that it is too large, or that it is compressed.

    Raises:
        RefusedError: 413 or 415.
    """
    if headers.get("content-encoding", "identity").lower() != "identity":
        seen = f"Content-Encoding {shown(headers['content-encoding'])[:40]}"
        raise RefusedError(415, message("the body", seen, "none", "send the recording uncompressed, or as FLAC"))
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.body:
        raise _too_large(f"Content-Length {length[:30]}", limits)


def require_name(name: str) -> str:
    """Returns a file's name; refuses one that is a path, is too long, or holds what no name holds.

    Raises:
        RefusedError: 400.
    """
    if 0 < len(name) <= LONGEST_NAME and name.isprintable() and not set(name) & set("/\\"):
        return name
    seen = f"the file name {shown(name)[:60]!r} of {len(name)} characters"
    allowed = f"1 to {LONGEST_NAME} without slashes and control characters"
    raise RefusedError(400, message("the upload", seen, allowed, "send the last part of the path"))


async def _pieces(receive: Receive, limits: Limits) -> AsyncIterator[bytes]:
    """Yields the body while it arrives, up to the limits of bytes and of seconds."""
    count, end = 0, time.monotonic() + limits.body_seconds
    while True:
        try:
            event = await asyncio.wait_for(receive(), max(0.0, end - time.monotonic()))
        except TimeoutError as error:
            seen = f"{count} bytes after {limits.body_seconds:g} s and no end"
            allowed = f"all of it within {limits.body_seconds:g} s"
            text = message("the body", seen, allowed, "send it faster, or a smaller file")
            raise RefusedError(408, text, CLOSE) from error
        if event["type"] == "http.disconnect":
            raise GoneError
        piece = event.get("body", b"")
        count += len(piece)
        if count > limits.body:
            raise _too_large(f"{count} bytes and more", limits)
        yield piece
        if not event.get("more_body", False):
            return


CLOSE = {"Connection": "close"}


def _too_large(seen: str, limits: Limits) -> RefusedError:
    text = message("the body", seen, f"up to {limits.body} bytes", "send a shorter recording, or FLAC")
    return RefusedError(413, text, CLOSE)


async def _from_form(pieces: AsyncIterator[bytes], boundary: bytes, upload: Upload) -> None:
    """Writes the one file of a form.

    Raises:
        RefusedError: 400, the form is broken, or does not hold exactly one file in the right field.
    """
    form = _Form(upload)
    try:
        if not boundary:
            raise FormParserError("no boundary in the content type")
        calls = {name: getattr(form, name) for name in dir(form) if name.startswith("on_")}
        parser = MultipartParser(boundary, calls)
        async for piece in pieces:
            parser.write(piece)
        parser.finalize()
    except FormParserError as error:
        seen = f"a broken form ({shown(str(error))[:120]})"
        raise RefusedError(
            400, message("the body", seen, "multipart/form-data", f"send one file as {FIELD!r}")
        ) from error
    if not form.ended or form.files != 1:
        seen = f"{form.files} files" if form.ended else "a form without its end"
        raise RefusedError(400, message("the form", seen, f"one file in the field {FIELD!r}", "ask once for each file"))


class _Form:
    """What the parser calls; keeps the bytes of one file and refuses everything else."""

    def __init__(self, upload: Upload) -> None:
        self._upload, self._key, self._value, self._headers = upload, b"", b"", {}
        self.files, self.ended = 0, False

    def on_part_begin(self) -> None:
        self._headers = {}

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._key += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._key.lower()] = self._value
        self._key = self._value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        field = options.get(b"name", b"").decode("utf-8", "replace")
        if field != FIELD:
            seen = f"the field {shown(field)[:60]!r}"
            raise RefusedError(400, message("the form", seen, f"the field {FIELD!r}", "rename it"))
        if self.files:
            raise RefusedError(400, message("the form", "2 files", "one", "ask once for each file"))
        self.files += 1
        self._upload.name = require_name(_file_name(self._headers[b"content-disposition"], options))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._upload.write(data[start:end])

    def on_end(self) -> None:
        self.ended = True


def _file_name(disposition: bytes, options: "dict[bytes, bytes]") -> str:
    """Returns the name as it was sent; the parser cuts what looks like a path of Windows, which is to be refused."""
    name = options.get(b"filename", b"recording").decode("utf-8", "replace")
    return "\\" + name if b"\\" in disposition and "\\" not in name else name
