"""The service on a socket: deadlines for connections, an address to open, a stop that finishes or refuses."""

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn

from lung_srad.errors import ConfigError, RunError, message
from lung_srad.serving.app import create_app
from lung_srad.serving.connection import Guarded
from lung_srad.serving.desk import Desk
from lung_srad.serving.guard import LOG, Door
from lung_srad.serving.limits import LOOPBACK, Limits

_HANDLES = 65_536
_PARTING_SECONDS = 3.0


def serve(
    source: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    door: Door | None = None,
    limits: Limits | None = None,
    threads: int | None = None,
) -> None:
    """Answers until it is stopped; prints its address once the model is loaded. Port 0 takes any that is free.

    Health checks are answered before that, so that whoever watches a container sees a large model being loaded.

    Raises:
        ConfigError: no token for an address that others can reach.
        RunError: the port cannot be had, or there is no such model.
    """
    door, limits = door or Door(), limits or Limits()
    if host not in LOOPBACK and not door.token:
        remedy = "set LUNG_SRAD_TOKEN, or leave --host out"
        raise ConfigError(message("--host", host, "127.0.0.1 without a token", remedy))
    bound = _bound(host, port)
    _log_lines()
    _many_handles()
    desk = Desk(source, limits, threads)
    address = f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"
    server = Server(desk, create_app(desk, limits, door), limits, ready=partial(_tell, address))
    try:
        server.run(sockets=[bound])
    finally:
        desk.close()
        bound.close()
    if server.failure is not None:
        raise server.failure


class Server(uvicorn.Server):
    """uvicorn that refuses what waits when it stops, and stops when there is no model.

    Args:
        ready: called once, when the model is loaded.

    Attributes:
        failure: why the model could not be loaded.
    """

    def __init__(self, desk: Desk, app: Any, limits: Limits, *, ready: Callable[[], None] | None = None) -> None:
        protocol = type("Protocol", (Guarded,), {"head_seconds": limits.head_seconds})
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=limits.head_bytes,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=limits.stop_seconds,
        )
        super().__init__(config)
        self._desk, self._ready, self.failure = desk, ready, None

    async def on_tick(self, counter: int) -> bool:
        """Returns whether to stop."""
        loading = self._desk.loading
        if loading.done() and not loading.cancelled():
            self.failure = loading.exception()
            if self.failure is not None:
                return True
            if self._ready is not None:
                self._ready()
                self._ready = None
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no more, refuses what has not begun, finishes the answer that is being made."""
        self._desk.refuse_waiting()
        await super().shutdown(sockets)
        end = time.monotonic() + _PARTING_SECONDS  # for who is told only now that the time is up
        while self.server_state.connections and time.monotonic() < end:
            await asyncio.sleep(0.05)
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def _bound(host: str, port: int) -> socket.socket:
    """Returns a socket that is bound, so that its address can be printed.

    Raises:
        RunError: it cannot be had.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen()  # who is told the address can connect, and waits until the rest is imported
    except OSError as error:
        bound.close()
        seen = f"cannot be had ({error.strerror or error})"
        text = message(f"{host}:{port}", seen, "a free port of this machine", "name another: --port 0")
        raise RunError(text) from error
    return bound


def _many_handles() -> None:
    """Allows as many open files as the system does: idle connections must not take those that uploads need."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (_HANDLES if most == resource.RLIM_INFINITY else most, most))


def _tell(address: str) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


def _log_lines() -> None:
    """Sends the log to stderr, a JSON object per line; uvicorn's own tells of connections and stays quiet."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOG.handlers, LOG.propagate = [handler], False
    LOG.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
