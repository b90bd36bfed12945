"""The page in a real browser: other ways in, for everybody's eyes and hands, and nothing from elsewhere."""

import base64
import json
import socket

import numpy as np
import pytest
from browsing import DESK, PHONE, encoded, visit

from breathing import recording

pytestmark = pytest.mark.slow


DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)), dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  const drop = document.getElementById("drop");
  for (const kind of ["dragover", "drop"]) drop.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true }));
}"""


def test_a_file_is_dropped(here) -> None:
    here.page.evaluate(DROP, ["dropped.wav", base64.b64encode(recording()).decode()])
    here.wait()
    assert here.page.locator("#answer-title").text_content() == "dropped.wav"


def test_the_microphone_is_recorded(here) -> None:
    page = here.page
    page.click("#record")
    here.until("/Stop recording .[3-9] s/.test(document.getElementById('record').textContent)")
    page.click("#record")
    here.wait()
    assert page.locator("#answer-title").text_content().startswith("microphone 20")
    found = json.loads(here.download(page.locator("#exports").get_by_text("JSON", exact=True).click)[1])
    assert 2 <= found["seconds"] <= 8
    assert found["quality"]["measures"]["peak"] > 0.01


def test_what_the_browser_cannot_play_is_shown_all_the_same(here) -> None:
    wave = np.random.default_rng(0).standard_normal(40_000) / 20
    here.send(("a.aiff", encoded(wave, 4000, kind="AIFF")))
    here.wait()
    page = here.page
    page.wait_for_selector("#no-sound:not([hidden])")
    assert page.locator("#play").is_disabled()
    page.locator("#seek").fill("5")
    assert page.locator("#place").text_content() == "0:05.0 of 0:10.0"


def test_by_the_keyboard_alone(here, breathing, tmp_path) -> None:
    (tmp_path / "a.wav").write_bytes(breathing)
    page, keys = here.page, here.page.keyboard
    for key in ("Enter", "Space"):
        chosen = []
        page.on("filechooser", lambda each, chosen=chosen: chosen.append(each))
        page.reload()
        here.tab_to("#files")
        keys.press(key)
        page.wait_for_timeout(500)
        assert len(chosen) == 1
    chosen[0].set_files(tmp_path / "a.wav")
    here.wait()
    here.tab_to("#list button")
    keys.press("Enter")
    assert page.evaluate("document.activeElement.id") == "answer"
    here.tab_to("#seek")
    keys.press("End")
    assert page.locator("#place").text_content() == "0:20.0 of 0:20.0"
    here.tab_to("#play")
    keys.press("Space")
    here.until("!document.getElementById('sound').paused")
    here.tab_to("#events button")
    keys.press("Enter")
    here.until("document.getElementById('sound').currentTime > 0.2")
    here.tab_to("#exports a")
    assert here.download(lambda: keys.press("Enter"))[0] == "a.wav.csv"
    here.tab_to("#exports button")
    assert here.download(lambda: keys.press("Space"))[0] == "a.wav.html"


# --- for everybody's eyes, and nobody else's


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(browser, shop, breathing, scheme, size) -> None:
    with visit(browser, shop.port, scheme=scheme, size=size) as made:
        page = made.page
        assert made.defects() == []
        made.picture(f"empty-{scheme}-{size['width']}")
        made.refusals = 1
        made.send((f"{'a' * 80}.wav", breathing), ("broken.wav", breathing[:1000]))
        made.wait(2)
        page.locator("#bands button").first.click()
        page.locator("#about summary").click()
        assert made.defects() == []
        page.locator("#about summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        made.picture(f"answer-{scheme}-{size['width']}")


INTRUDE = """async (elsewhere) => {
  const refused = [];
  document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
  const add = (name, values) => document.body.append(Object.assign(document.createElement(name), values));
  add("script", { textContent: "window.broken = 1" });
  add("script", { src: `${elsewhere}page.js` });
  add("link", { rel: "stylesheet", href: `${elsewhere}page.css` });
  add("style", { textContent: "body { display: none }" });
  add("img", { src: `${elsewhere}a.png` });
  add("iframe", { src: elsewhere });
  await fetch(elsewhere).catch(() => {});
  setTimeout(() => new Function("window.broken = 1")(), 0);  // not here: what a debugger evaluates is free of policies
  await new Promise((resolve) => setTimeout(resolve, 500));
  return [refused, window.broken ?? null];
}"""


def test_nothing_from_elsewhere_gets_in(browser, shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, visit(browser, shop.port) as made:
        refused, broken = made.page.evaluate(INTRUDE, f"http://127.0.0.1:{other.getsockname()[1]}/")
        wanted = {"script-src-elem", "style-src-elem", "img-src", "frame-src", "connect-src", "script-src"}
        assert (set(refused), broken) == (wanted, None)
        other.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody came
            other.accept()
        made.asked.clear()
        made.said.clear()  # the refusals
