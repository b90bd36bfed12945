"""A service in a thread of the tests, on a free port, with the weights that ship."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
sys.path.insert(0, str(Path(__file__).parent))

from asking import Service
from browsing import OPTIONS, Visit, chromium, simulated, visit

from lung_srad.serving.app import create_app
from lung_srad.serving.decoding import Decoder
from lung_srad.serving.desk import Desk
from lung_srad.serving.guard import Door
from lung_srad.serving.limits import Limits
from lung_srad.serving.server import Server


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., Service]]:
    """Returns a function that starts a service; all are stopped in the end."""
    running: list[tuple[Service, threading.Thread, socket.socket]] = []

    def begin(door: Door | None = None, decoder: Decoder | None = None, **limits: float) -> Service:
        chosen = Limits(**limits)
        desk = Desk("demo", chosen, threads=1, decoder=decoder)
        server = Server(desk, create_app(desk, chosen, door or Door()), chosen)
        bound = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        desk.loading.result(120)
        while not server.started:
            time.sleep(0.01)
        service = Service(bound.getsockname()[1], desk, server, chosen)
        running.append((service, thread, bound))
        return service

    yield begin
    for service, thread, bound in running:
        for each in service.sockets:
            each.close()
        service.server.should_exit = True
        thread.join(30)
        service.desk.close()
        bound.close()


@pytest.fixture(scope="session")
def service(start: Callable[..., Service]) -> Service:
    """Small limits, so that what goes beyond them is quickly made."""
    return start(megabytes=8, seconds=20, head_seconds=1.5, body_seconds=1.5)


@pytest.fixture(scope="session")
def guarded(start: Callable[..., Service]) -> Service:
    return start(Door("secret", ("https://lungs.example",)))


# --- the page, in a browser that is there only after `make browser`


@pytest.fixture(scope="module")
def browser() -> Iterator:
    reason = "no playwright or axe-core; make browser installs them (extra browser)"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    pytest.importorskip("axe_playwright_python", reason=reason)
    path = chromium()
    with playwright.sync_playwright() as driver:
        shown = driver.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield shown
        shown.close()


@pytest.fixture(scope="module")
def shop(browser, start: Callable[..., Service]) -> Service:
    return start()


@pytest.fixture
def here(browser, shop) -> Iterator[Visit]:
    with visit(browser, shop.port) as made:
        yield made


@pytest.fixture(scope="module")
def breathing() -> bytes:
    return simulated()
