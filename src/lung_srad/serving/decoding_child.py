"""The process in which uploads are decoded; :mod:`lung_srad.serving.decoding` starts it and says how they talk.

It comes without torch, so it is there in a fraction of a second. It ends when its socket is closed.
"""

import io
import json
import os
import resource
import signal
import socket
import sys
from typing import Any, BinaryIO

from lung_srad.audio.reading import decoder, read_samples
from lung_srad.errors import AudioError, message
from lung_srad.serving.framing import FRAME, received

_ADDRESSES = 2**30
_HANDLES = 32
Asked = tuple[dict[str, Any], BinaryIO | None]


def main() -> None:
    """Answers on the socket whose number is the first argument; the second one is the seconds of a step."""
    number, seconds = map(int, sys.argv[1:])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to all at a stop, before the last answer is made
    limit(resource.RLIMIT_AS, _ADDRESSES)
    limit(resource.RLIMIT_NOFILE, _HANDLES)
    for nothing in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        limit(nothing, 0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=number) as peer:
        say(peer, {"ready": True})
        serve(peer, seconds)


def limit(what: int, most: int) -> None:
    """Sets a limit for good; a system that lacks it keeps its own."""
    try:
        resource.setrlimit(what, (most, most))
    except (OSError, ValueError):
        return


def serve(peer: socket.socket, seconds: int) -> None:
    """Decodes one recording after another until the socket is closed."""
    asked = hear(peer, seconds)
    while asked is not None:
        asked = decode(peer, asked, seconds)


def decode(peer: socket.socket, asked: Asked, seconds: int) -> Asked | None:
    """Returns what is asked next, once somebody has had enough of this recording."""
    facts, file = asked
    if file is None:
        return hear(peer, seconds)
    name = facts["name"]
    try:
        with file, decoder(file, name) as (sound, promise):
            known = {"rate": sound.samplerate, "channels": sound.channels, "frames": sound.frames}
            say(peer, {**known, "notices": promise.notices})
            place = 0
            while (asked_now := hear(peer, seconds)) and "count" in asked_now[0]:
                block = read_samples(name, sound, place, asked_now[0]["count"])
                place += len(block)
                say(peer, {}, block.tobytes())
            return asked_now
    except AudioError as error:
        say(peer, {"error": str(error)})
    except MemoryError:
        seen, remedy = "takes too much memory to decode", "export it again, as 16-bit WAV"
        say(peer, {"error": message(name, seen, f"up to {_ADDRESSES // 2**20} MiB", remedy)})
    except OSError:  # of the socket: nobody is there
        return None
    except Exception as error:  # a fault of ours, which the service logs as such
        say(peer, {"fault": type(error).__name__})
    return hear(peer, seconds)


def hear(peer: socket.socket, seconds: int) -> Asked | None:
    """Returns a question and the file that comes with it; nothing when the socket is closed."""
    try:
        head, handles, _, _ = socket.recv_fds(peer, FRAME.size, 1)
        head += bytes(received(peer, FRAME.size - len(head)))
        size, more = FRAME.unpack(head)
        facts = json.loads(received(peer, size))
        content = bytes(received(peer, more))
    except (OSError, EOFError):
        return None
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    if handles:
        return facts, os.fdopen(handles[0], "rb")
    return facts, io.BytesIO(content) if "name" in facts else None


def say(peer: socket.socket, facts: dict[str, Any], content: bytes = b"") -> None:
    """Sends an answer."""
    text = json.dumps(facts).encode()
    peer.sendall(FRAME.pack(len(text), len(content)) + text)
    peer.sendall(content)


if __name__ == "__main__":
    main()
