"""How the service and its decoder tell where a message ends: two sizes, JSON, and bytes."""

import socket
import struct
import time

FRAME = struct.Struct("<II")  # bytes of JSON, bytes after it


def received(peer: socket.socket, count: int, end: float | None = None) -> bytearray:
    """Returns so many bytes.

    Args:
        peer: who sends them.
        count: how many.
        end: the latest time, of :func:`time.monotonic`; by default there is none.

    Raises:
        TimeoutError: they were not there in time.
        EOFError: there are no more.
    """
    data = bytearray(count)
    view = memoryview(data)
    while view:
        if end is not None:
            peer.settimeout(max(0.001, end - time.monotonic()))
        got = peer.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return data
