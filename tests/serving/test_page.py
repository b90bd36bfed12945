"""The page in a real browser: what a person does with it. Needs playwright and a Chromium; skipped without them."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import recording

pytestmark = pytest.mark.slow
CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--use-fake-device-for-media-stream"]
        options += ["--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required"]
        shown = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield shown
        shown.close()


@pytest.fixture(scope="module")
def shop(start):
    return start()


@pytest.fixture
def page(browser, shop) -> Iterator:
    """Yields the page, and fails where it asked another machine or complained."""
    context = browser.new_context(color_scheme="light", permissions=["microphone"])
    opened, asked, said = context.new_page(), [], []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda each: said.append(each.text) if each.type == "error" else None)
    opened.on("pageerror", lambda each: said.append(str(each)))
    opened.goto(f"http://127.0.0.1:{shop.port}/")
    opened.wait_for_function("document.getElementById('model').textContent.startsWith('Model demo')")
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith((f"http://127.0.0.1:{shop.port}/", "blob:", "data:"))] == []
    assert [each for each in said if "status of 4" not in each] == []


@pytest.fixture
def real(shared, shop) -> Path:
    """Returns a real recording in which the model hears something."""
    for path in sorted((shared / "data" / "icbhi_raw").glob("104*.wav")):
        reply = shop.ask(f"/v1/classify?name={path.name}", path.read_bytes(), Content_Type="audio/wav")
        if json.loads(reply.body)["events"]:
            return path
    pytest.skip("the model hears nothing in any of them")


def send(page, *paths: Path) -> None:
    page.set_input_files("#files", [str(path) for path in paths])


def wait(page) -> None:
    page.wait_for_selector("#answer:not([hidden])", timeout=120_000)


def test_a_real_recording_is_answered_heard_and_taken_away(page, shop, real, tmp_path) -> None:
    send(page, real)
    wait(page)
    answer = json.loads(shop.ask(f"/v1/classify?name={real.name}", real.read_bytes(), Content_Type="audio/wav").body)
    assert page.locator("#events tbody tr").count() == len(answer["events"]) == page.locator("#bands button").count()
    page.locator("#bands button").first.click()
    page.wait_for_function("document.getElementById('sound').currentTime > 0")
    page.wait_for_function("document.getElementById('playhead').style.left !== '0%'")
    taken = {}
    for name in ("CSV", "JSON", "Audacity", "Raven", "Report"):
        with page.expect_download(timeout=60_000) as waited:
            page.locator("#exports").get_by_text(name, exact=True).click()
        waited.value.save_as(tmp_path / name)
        taken[name] = (tmp_path / name).read_text(encoding="utf-8")
    assert json.loads(taken["JSON"]) == answer
    assert len(list(csv.DictReader(io.StringIO(taken["CSV"])))) == len(answer["segments"])
    assert len(taken["Audacity"].splitlines()) == len(answer["events"])
    assert len(taken["Raven"].splitlines()) == 1 + len(answer["events"])
    assert "not a medical device" in taken["Report"]


def test_two_files_and_a_broken_one(page, tmp_path) -> None:
    for number, name in enumerate(("a.wav", "b.wav")):
        (tmp_path / name).write_bytes(recording(9, number))
    (tmp_path / "broken.wav").write_bytes(recording()[:1000])
    send(page, *sorted(tmp_path.iterdir()))
    page.wait_for_selector(".failed", timeout=60_000)
    assert "truncated" in page.locator(".failed").text_content()
    assert page.locator("#list button:enabled").count() == 2
    page.locator("#list button", has_text="b.wav").click()
    assert page.locator("#answer-title").text_content() == "b.wav"


def test_by_the_keyboard_alone(page, tmp_path) -> None:
    (tmp_path / "a.wav").write_bytes(recording())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(str(tmp_path / "a.wav"))
    wait(page)
    page.locator("#list button").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "answer"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(page, tmp_path, scheme) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(PHONE)
    (tmp_path / f"{'a' * 80}.wav").write_bytes(recording())
    send(page, *tmp_path.iterdir())
    wait(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_microphone_is_recorded(page) -> None:
    page.click("#record")
    page.wait_for_function("document.getElementById('record').textContent === 'Stop recording'")
    page.wait_for_timeout(3000)
    page.click("#record")
    wait(page)
    assert page.locator("#answer-title").text_content().startswith("microphone-")


def test_fifty_megabytes(page, tmp_path) -> None:
    (tmp_path / "long.wav").write_bytes(recording(50 * 2**20 / 2 / 44_100 * 11, 1))
    send(page, tmp_path / "long.wav")
    page.wait_for_function("/heard [1-9]/.test(document.getElementById('list').textContent)", timeout=60_000)
