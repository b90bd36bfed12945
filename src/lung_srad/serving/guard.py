"""Around every request: who may ask, what is logged, and the headers of every answer. Plain ASGI, no body is read."""

import asyncio
import hmac
import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lung_srad.errors import message, shown
from lung_srad.serving.limits import LOOPBACK, RefusedError, stopping
from lung_srad.serving.page import PAGE

LOG = logging.getLogger("lung_srad.serving")
OPEN = (*PAGE, "/healthz", "/readyz")  # nothing in them is anybody's
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}
App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Door:
    """Who may ask.

    Attributes:
        token: that every request needs but for the page itself; "" for none.
        origins: addresses such as ``https://lungs.example`` under which a proxy shows the service.
    """

    token: str = ""
    origins: tuple[str, ...] = ()

    def require(self, path: str, headers: dict[str, str]) -> None:
        """Returns nothing; refuses a foreign page, a foreign name of this machine, and a missing token.

        Without a token the name that was asked for counts, else a page elsewhere could give itself a name that
        leads here (DNS rebinding).

        Raises:
            RefusedError: 401 or 403.
        """
        host = headers.get("host", "")
        known = [urlsplit(origin).netloc for origin in self.origins]
        if not self.token and host not in known and (urlsplit(f"//{host}").hostname or "") not in LOOPBACK:
            remedy = "ask for 127.0.0.1; behind a proxy start with --origin https://ITS.NAME"
            raise RefusedError(403, message("Host", shown(host)[:80], "a name of this machine", remedy))
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host and origin not in self.origins:
            remedy = "use the page of this service; behind a proxy start with --origin https://ITS.NAME"
            raise RefusedError(403, message("Origin", shown(origin)[:80], "the service's own page", remedy))
        given = headers.get("authorization", "").encode("utf-8", "surrogateescape")
        if self.token and path not in OPEN and not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            seen = "another token" if given else "no token"
            text = message("Authorization", seen, "Bearer and the token of this service", "ask whoever started it")
            raise RefusedError(401, text, {"WWW-Authenticate": "Bearer"})


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: App, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request, and logs it without names, addresses or contents."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 0
        # HEAD is answered as GET; the protocol leaves the body out.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope

        async def sent(event: Any) -> None:
            nonlocal status
            if event["type"] == "http.response.start":
                status = event["status"]
                event["headers"] = [*event["headers"], *_encoded(HEADERS)]
            await send(event)

        try:
            self._door.require(scope["path"], {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]})
            await self._app(asked, receive, sent)
        except RefusedError as refusal:
            await refuse(refusal, sent)
        except asyncio.CancelledError:  # the time to stop is up
            if not status:
                await refuse(stopping(), sent)
        except Exception as error:  # a fault of ours: where it happened is logged, not what was sent
            place = traceback.extract_tb(error.__traceback__)[-1]
            LOG.error(json.dumps({"fault": type(error).__name__, "at": f"{Path(place.filename).name}:{place.lineno}"}))
            if not status:
                text = message("the service", "a fault of its own", "no fault", "look into its log")
                await refuse(RefusedError(500, text), sent)
        finally:
            route = scope["path"] if scope["path"] in (*OPEN, "/v1/classify", "/v1/model", "/openapi.json") else "other"
            taken = round(1000 * (time.monotonic() - begun))
            LOG.info(json.dumps({"method": scope["method"][:16], "route": route, "status": status, "ms": taken}))


async def refuse(refusal: RefusedError, send: Any) -> None:
    """Sends a refusal as JSON."""
    body = json.dumps({"error": refusal.text}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers}
    await send({"type": "http.response.start", "status": refusal.status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": body})


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
