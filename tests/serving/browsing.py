"""A browser on the page of a service: what a person does there, and what is held against the page meanwhile."""

import io
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import soundfile

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox",  # which a container's root does not get
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",  # a beep each second instead of a microphone
    "--use-fake-ui-for-media-stream",
)
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


def chromium() -> str:
    """Returns where the browser is; the test is skipped where there is none."""
    named = os.environ.get("LUNG_SRAD_CHROMIUM")
    found = next(filter(None, map(shutil.which, [named] if named else NAMES)), None)
    if found is None:
        pytest.skip(f"no Chromium: {named or ', '.join(NAMES)}; install one, or name it in LUNG_SRAD_CHROMIUM")
    return found


def simulated(plan: int = 15) -> bytes:
    """Returns 20 s of simulated breathing, 24 bits at 44.1 kHz; in the 15th the model that ships hears both sounds."""
    from lung_srad.datasets.simulated.plan import DIFFICULTIES
    from lung_srad.datasets.simulated.render import render
    from lung_srad.datasets.simulated.store import Settings

    made = render(Settings("tiny", "easy", 0.5, None, 0).plan()[plan], DIFFICULTIES["easy"])
    return encoded(made.wave, made.rate, made.subtype)


def encoded(wave: Any, rate: int, subtype: str = "PCM_16", kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate, subtype=subtype, format=kind)
    return file.getvalue()


@dataclass
class Visit:
    """One visit of the page.

    Attributes:
        asked: every address that was asked for; ``said`` what the browser complained of.
        refusals: how many answers may have a status of 4xx or 503, which a browser complains of.
    """

    page: Any
    origin: str
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    refusals: int = 0

    def send(self, *files: Any) -> None:
        """Chooses files, as paths or as (name, content)."""
        buffers = [{"name": each[0], "mimeType": "audio/wav", "buffer": each[1]} for each in files]
        self.page.set_input_files("#files", buffers)

    def wait(self, count: int = 1) -> None:
        """Waits until every file of the list has an answer or a sentence."""
        self.until(
            f"document.querySelectorAll('#list > li').length === {count} && !document.querySelector('#list progress')"
        )

    def until(self, condition: str, seconds: float = 240) -> None:
        """Waits for a condition; what playwright itself offers evaluates text in the page, which its policy forbids."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, condition
            self.page.wait_for_timeout(50)

    def tab_to(self, selector: str, most: int = 40) -> None:
        """Presses Tab until an element that fits has the focus."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
                return
        raise AssertionError(f"{selector} is not among the next {most}")

    def download(self, act: Any) -> tuple[str, bytes]:
        """Returns the name and the bytes of what comes when one acts."""
        with self.page.expect_download(timeout=60_000) as waited:
            act()
        return waited.value.suggested_filename, Path(waited.value.path()).read_bytes()

    def picture(self, name: str) -> None:
        """Keeps a picture of the whole page where LUNG_SRAD_SCREENSHOTS names a folder."""
        folder = os.environ.get("LUNG_SRAD_SCREENSHOTS")
        if folder:
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    def defects(self) -> list[str]:
        """Returns what axe-core finds."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [f"{each['impact']} {each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]


@contextmanager
def visit(browser: Any, port: int, *, scheme: str = "light", size: dict[str, int] = DESK) -> Iterator[Visit]:
    """Yields a visit; it fails where the page asked another machine, or the browser complained."""
    origin = f"http://127.0.0.1:{port}/"
    context = browser.new_context(color_scheme=scheme, viewport=size, permissions=["microphone"])
    made = Visit(context.new_page(), origin)
    context.on("request", lambda request: made.asked.append(request.url))
    context.on("console", lambda each: made.said.append(each.text) if each.type in ("error", "warning") else None)
    context.on("weberror", lambda each: made.said.append(str(each.error)))
    made.page.goto(origin)
    made.until("!document.getElementById('model').textContent.includes('being loaded')")
    try:
        yield made
    finally:
        context.close()
    assert [url for url in made.asked if not url.startswith((origin, f"blob:{origin}", "data:"))] == []
    refused = [each for each in made.said if "the server responded with a status of" in each]
    assert (len(refused), [each for each in made.said if each not in refused]) == (made.refusals, [])
