"""Uploads are decoded by a process of its own, which may be made to crash or to hang without harm to the service.

libsndfile is C code that reads what strangers send. Its process has limits on memory and time, and no token in its
environment (DECISIONS: decoded-elsewhere). Parent and child take turns over a socket::

    parent  {"name": "a.wav", "bytes": n} and the n bytes, or an open file beside it     open
    child   {"rate": 4000, "channels": 1, "frames": 16000, "notices": []}
    parent  {"count": 16000}                                                             the next samples
    child   {} and float32 samples
    parent  {}                                                                           enough of it

Any answer may be ``{"error": text}``, of the recording, or ``{"fault": name}``, of ours.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from lung_srad.audio.container import require_stream
from lung_srad.errors import AudioError, message
from lung_srad.serving.framing import FRAME, received
from lung_srad.serving.guard import LOG
from lung_srad.serving.limits import RefusedError

if TYPE_CHECKING:
    from lung_srad.audio import OpenRecording
    from lung_srad.serving.uploads import Upload

ISOLATED = hasattr(socket, "send_fds")  # elsewhere (Windows) a recording is decoded where it is heard
CHILD = (sys.executable, "-P", "-m", "lung_srad.serving.decoding_child")  # -P: nothing from the folder it stands in
_MOST_JSON = 2**16
_START_SECONDS = 60


class Decoder:
    """Opens uploads in another process; used by one thread. A process that dies or hangs is replaced.

    Args:
        command: that starts the process, without the number of the socket.
        seconds: of computing for one step, which is to open a recording or to decode its next block.
        wall_seconds: until the answer of such a step, on a machine that has other things to do.

    Attributes:
        process: the one at work, if there is one.
    """

    def __init__(self, command: Sequence[str] = CHILD, *, seconds: int = 10, wall_seconds: float = 60) -> None:
        self._command, self._seconds, self._wall = tuple(command), seconds, wall_seconds
        self.process: subprocess.Popen[bytes] | None = None
        if ISOLATED:
            with suppress(OSError):  # tried again, and told, when there is something to decode
                self._start()

    @contextmanager
    def open(self, upload: "Upload") -> "Iterator[OpenRecording]":
        """Yields a recording as :func:`lung_srad.audio.open_recording` does, to the same bits and words.

        The two processes share the place in the file, so nobody may read the upload meanwhile.

        Raises:
            AudioError: it cannot be used, or the process died of it, now or while its blocks are read.
            RefusedError: 503, no process can be started.
        """
        from lung_srad.audio.streaming import OpenRecording, block_parts, open_recording

        if not ISOLATED:
            with open_recording(upload) as found:
                yield found
            return
        facts = self._opened(upload)
        rate, channels, frames = (int(facts[key]) for key in ("rate", "channels", "frames"))
        require_stream(upload.name, rate, channels)
        blocks = (self._block(upload.name, channels, count) for _, count in block_parts(frames, rate, channels))
        try:
            yield OpenRecording(upload.name, rate, channels, frames, tuple(facts["notices"]), blocks)
        finally:
            with suppress(OSError):  # it died, which was said already
                self._tell({})

    def close(self) -> None:
        """Ends the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._peer.close()
            self.process = None

    def _start(self) -> None:
        """Starts the process, which is ready some time later; an OSError says why it cannot be."""
        known = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "LANG", "LC_ALL") if name in os.environ}
        known |= {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
        known["OPENBLAS_NUM_THREADS"] = "1"  # each thread of numpy takes addresses
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            try:
                self.process = subprocess.Popen(
                    [*self._command, str(number), str(self._seconds)],
                    pass_fds=[number],
                    env=known,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # a traceback could quote a name
                    start_new_session=True,  # Ctrl-C is for the service, which then finishes what it does
                )
            except OSError:
                ours.close()
                raise
        self._peer, self._ready = ours, False

    def _require_ready(self) -> None:
        """Returns once the process can be asked; a new one where the last has ended.

        Raises:
            RefusedError: 503, it does not start.
        """
        if self.process is None or self.process.poll() is not None:
            self.close()
            try:
                self._start()
            except OSError as error:
                raise _not_started(error.strerror or str(error)) from error
        if not self._ready:
            try:
                self._hear(_START_SECONDS)
            except (OSError, EOFError, ValueError) as error:
                self.close()
                raise _not_started("ended" if isinstance(error, EOFError) else f"{error}") from error
            self._ready = True

    def _opened(self, upload: "Upload") -> dict[str, Any]:
        self._require_ready()
        handle = upload.handle
        if handle is None:
            content = upload.content
            asked = {"name": upload.name, "bytes": len(content)}
            return self._step(upload.name, asked, content)[0]
        return self._step(upload.name, {"name": upload.name, "bytes": 0}, handles=(handle,))[0]

    def _block(self, name: str, channels: int, count: int) -> Any:
        import torch

        _, samples = self._step(name, {"count": count}, most=count * channels * 4)
        return torch.frombuffer(samples, dtype=torch.float32).view(count, channels)

    def _step(
        self, name: str, asked: dict[str, Any], content: bytes = b"", handles: Sequence[int] = (), most: int = 0
    ) -> tuple[dict[str, Any], bytearray]:
        """Returns what the process answers.

        Raises:
            AudioError: the recording cannot be used, or the process died of it.
        """
        try:
            self._tell(asked, content, handles)
            facts, samples = self._hear(self._wall, most)
        except (OSError, EOFError, ValueError) as error:
            raise self._died(name, isinstance(error, TimeoutError)) from error
        if "error" in facts:
            raise AudioError(str(facts["error"]))
        if "fault" in facts:
            raise RuntimeError(str(facts["fault"])[:80])
        return facts, samples

    def _tell(self, asked: dict[str, Any], content: bytes = b"", handles: Sequence[int] = ()) -> None:
        text = json.dumps(asked).encode()
        if self.process is not None:
            self._peer.settimeout(self._wall)
            socket.send_fds(self._peer, [FRAME.pack(len(text), len(content))], handles)
            self._peer.sendall(text + content)

    def _hear(self, seconds: float, most: int = 0) -> tuple[dict[str, Any], bytearray]:
        end = time.monotonic() + seconds
        size, more = FRAME.unpack(received(self._peer, FRAME.size, end))
        if size > _MOST_JSON or more not in (0, most):  # what took over the process may say anything
            raise ValueError
        return json.loads(received(self._peer, size, end)), received(self._peer, more, end)

    def _died(self, name: str, late: bool) -> AudioError:
        """Returns the error of a recording that its decoder did not survive; the next one gets a new process."""
        process = self.process
        if process is None:
            return _unfit(name, "its decoder is stopped")
        process.kill()
        code = process.wait()
        self.close()
        LOG.error(json.dumps({"fault": "decoder", "code": code, "late": late}))
        late = late or code == -signal.SIGXCPU
        return _unfit(name, f"its decoder took more than {self._seconds} s" if late else "its decoder crashed")


def _unfit(name: str, seen: str) -> AudioError:
    return AudioError(message(name, seen, "a recording that can be decoded", "export it again, as 16-bit WAV"))


def _not_started(seen: str) -> RefusedError:
    text = message("the decoder", f"does not start ({seen})", "a process of its own", "ask again soon")
    return RefusedError(503, text, {"Retry-After": "5"})
