"""What one request may take, and how one that is refused is told so."""

from dataclasses import dataclass

from lung_srad.errors import message

MIB = 2**20
LONGEST_NAME = 255  # characters
NAME = r"^[^/\\\x00-\x1f\x7f-\x9f]+$"  # what OpenAPI can say of a name; it has to be printable, too
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Limits:
    """What the service takes; the defaults suit one workplace (DECISIONS: limits-of-the-service).

    Attributes:
        megabytes: MiB of one body.
        seconds: length of one recording.
        head_bytes: of a request's line and headers.
        head_seconds: until those are there; ``body_seconds`` until the body is.
        waiting: requests that have an answer coming, the one that is being answered included.
        held: MiB of all uploads together.
        stop_seconds: how long a stop waits for the answer that is being made.
    """

    megabytes: float = 200
    seconds: float = 3600
    head_bytes: int = 16 * 1024
    head_seconds: float = 10
    body_seconds: float = 30
    waiting: int = 3
    held: float = 1024
    stop_seconds: int = 30

    @property
    def body(self) -> int:
        """Bytes of one body."""
        return int(self.megabytes * MIB)


class RefusedError(Exception):
    """A request that gets no answer.

    Args:
        status: of HTTP.
        text: one sentence, made by :func:`lung_srad.errors.message`.
        headers: of the response.
    """

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers or {}


def stopping() -> RefusedError:
    """Returns what everybody is told whose answer was not begun in time."""
    text = message("the service", "is stopping", "requests before that", "ask again soon")
    return RefusedError(503, text, {"Retry-After": "5"})


class GoneError(Exception):
    """Nobody waits for the answer any more."""
