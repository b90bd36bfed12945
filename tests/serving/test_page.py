"""The page in a real browser: what a person does with it. Run by `make browser`."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from asking import Service, files_of_the_command
from browsing import encoded, visit

from breathing import recording
from lung_srad.serving.guard import Door

pytestmark = pytest.mark.slow
EXPORTS = {
    "csv": ("CSV", ".csv"),
    "json": ("JSON", ".json"),
    "audacity": ("Audacity labels", ".labels.txt"),
    "raven": ("Raven table", ".selections.txt"),
    "html": ("Report (HTML)", ".html"),
}


def real_recordings(shared: Path) -> list[Path]:
    return sorted((shared / "data" / "icbhi_raw").glob("104*.wav"))


@pytest.fixture(params=["simulated", "real"])
def sound(request, shop, breathing) -> tuple[str, bytes]:
    """Returns the name and the bytes of a recording in which the model hears something."""
    if request.param == "simulated":
        return "breathing.wav", breathing
    for path in real_recordings(request.getfixturevalue("shared")):
        if asked(shop, path.name, path.read_bytes())["events"]:
            return path.name, path.read_bytes()
    pytest.skip("the model hears nothing in any real recording")


def asked(shop: Service, name: str, content: bytes) -> dict:
    return json.loads(shop.ask(f"/v1/classify?name={name}", content, Content_Type="audio/wav").body)


# --- one recording: seen, heard, taken away


def test_an_answer_shows_what_was_found(here, shop, sound) -> None:
    name, content = sound
    here.send(sound)
    here.wait()
    found = asked(shop, name, content)
    page = here.page
    rows = page.locator("#events tbody tr")
    assert rows.count() == len(found["events"]) == page.locator("#bands button").count() > 0
    for row, event in zip(rows.all(), found["events"], strict=True):
        assert event["label"] in row.text_content()
        assert f"({event['mean']:.2f})" in row.text_content()
    assert page.locator("#answer-title").text_content() == name
    assert re.search(r"confidence (high|moderate|low|very low)", page.locator("#words").text_content())
    words = {"accept": "good", "warn": "doubtful", "reject": "unfit"}
    assert page.locator("#verdict strong").text_content() == words[found["quality"]["verdict"]]
    for finding in found["quality"]["findings"]:
        assert finding["text"] in page.locator("#findings").text_content()
    assert "not a medical device" in page.locator("#stamp").text_content()
    here.picture(f"answer-{name}")


INKS = """(name) => {
  const { data } = document.getElementById(name).getContext("2d").getImageData(0, 0, 600, 100);
  return new Set(new Uint32Array(data.buffer)).size;
}"""


def test_the_curves_and_the_numbers_beside_them_are_those_of_the_answer(here, breathing) -> None:
    here.send(("a.wav", breathing))
    here.wait()
    page = here.page
    assert page.evaluate(INKS, "spectrogram") > 50
    assert page.evaluate(INKS, "curves") >= 4
    box = page.locator("#curves").bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 20)
    seconds = page.evaluate("document.getElementById('sound').duration")
    assert page.locator("#place").text_content().startswith(f"0:{seconds / 4:04.1f}")
    assert page.evaluate("parseFloat(document.getElementById('playhead').style.left)") == pytest.approx(25, abs=0.5)
    shown = [
        float(each.split()[-1])
        for each in page.locator("#legend li").evaluate_all("all => all.map(one => one.lastChild.textContent)")
    ]
    assert sum(shown) == pytest.approx(1, abs=0.03)


LOUDEST = """async () => {
  const sound = document.getElementById('sound'), context = new AudioContext(), listener = context.createAnalyser();
  context.createMediaElementSource(sound).connect(listener).connect(context.destination);
  const samples = new Float32Array(listener.fftSize), until = Date.now() + 1500;
  let loudest = 0;
  while (Date.now() < until) {
    listener.getFloatTimeDomainData(samples);
    loudest = Math.max(loudest, ...samples);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return loudest;
}"""


def test_an_event_is_heard_from_its_beginning_to_its_end(here, shop, sound) -> None:
    here.send(sound)
    here.wait()
    event, page = asked(shop, *sound)["events"][-1], here.page
    page.locator(f"#bands button[title^='Hear {event['label']},']").last.click()
    here.until("!document.getElementById('sound').paused")
    assert page.evaluate(LOUDEST) > 0.001
    first = page.evaluate("document.getElementById('sound').currentTime")
    assert event["start"] <= first <= event["start"] + 20
    assert page.locator("#bands .heard").count() == 1
    page.evaluate("(at) => { document.getElementById('sound').currentTime = at }", event["end"] - 0.5)
    here.until("document.getElementById('sound').paused")
    assert page.evaluate("document.getElementById('sound').currentTime") == pytest.approx(event["end"], abs=0.3)
    assert page.locator("#bands .heard").count() == 0
    assert page.locator("#play").text_content() == "Play"


def test_whoever_goes_elsewhere_hears_on_after_the_event(here, breathing) -> None:
    here.send(("a.wav", breathing))
    here.wait()
    page = here.page
    page.locator("#events tbody button").first.click()
    page.locator("#seek").fill("18")
    here.until("document.getElementById('sound').currentTime > 18.3")
    assert not page.evaluate("document.getElementById('sound').paused")
    page.locator("#play").click()
    here.until("document.getElementById('sound').paused")
    assert float(page.locator("#playhead").evaluate("one => parseFloat(one.style.left)")) > 91


def test_what_is_taken_away_is_what_the_command_writes(here, sound, tmp_path) -> None:
    here.send(sound)
    here.wait()
    taken = {}
    for form, (text, ending) in EXPORTS.items():
        file, taken[form] = here.download(here.page.locator("#exports").get_by_text(text, exact=True).click)
        assert file == sound[0] + ending
    for form, content in files_of_the_command(tmp_path, *sound).items():
        assert taken[form] == content, form
    found = json.loads(taken["json"])
    rows = list(csv.DictReader(io.StringIO(taken["csv"].decode())))
    assert [float(row["p_crackle"]) for row in rows] == [each["probabilities"]["crackle"] for each in found["segments"]]
    labels = [line.split("\t") for line in taken["audacity"].decode().splitlines()]
    assert [label for _, _, label in labels] == [each["label"] for each in found["events"]]
    assert len(taken["raven"].splitlines()) == 1 + len(labels)


# --- several, broken, long, many


def test_several_are_a_list_and_a_broken_one_is_a_sentence(here, breathing) -> None:
    here.refusals = 1
    here.send(("a.wav", breathing), ("broken.wav", breathing[:100_000]), ("b.wav", recording(9, 2)))
    here.wait(3)
    page = here.page
    failed = page.locator("#list .failed").text_content()
    assert "truncated" in failed
    assert "Traceback" not in page.content()
    assert page.locator("#status").text_content() == "2 of 3 recordings answered, 1 could not be."
    assert page.locator("#answer-title").text_content() == "a.wav"
    page.locator("#list button", has_text="b.wav").click()
    assert page.locator("#answer-title").text_content() == "b.wav"
    assert page.evaluate("document.activeElement.id") == "answer"
    assert page.locator("#list [aria-current]").text_content() == "b.wav"
    here.picture("list")


def test_a_name_is_text_whatever_is_in_it(here) -> None:
    name = "<img src=x onerror='window.broken = 1'>&amp;.wav"
    here.send((name, recording()))
    here.wait()
    assert here.page.locator("#answer-title").text_content() == name
    assert here.page.evaluate("window.broken") is None


@pytest.fixture(scope="module")
def fifty_megabytes(breathing, tmp_path_factory) -> Path:
    wave, rate = soundfile.read(io.BytesIO(breathing))
    path = tmp_path_factory.mktemp("long") / "long.wav"
    path.write_bytes(encoded(np.tile(wave, 20), rate, "PCM_24"))
    assert path.stat().st_size > 50 * 2**20
    return path


NOTE_DOWN = """() => {
  window.seen = [];
  const list = document.getElementById('list'), options = { subtree: true, childList: true, attributes: true };
  const note = () => window.seen.push([list.textContent, list.querySelector('progress')?.value ?? 0]);
  new MutationObserver(note).observe(list, options);
}"""


def test_fifty_megabytes_show_how_far_they_are(here, fifty_megabytes) -> None:
    here.page.evaluate(NOTE_DOWN)
    here.page.set_input_files("#files", fifty_megabytes)
    here.wait()
    seen = here.page.evaluate("window.seen")
    shares = [float(text) for said, _ in seen for text in re.findall(r"heard (\d+) %", said)]
    bars = {bar for said, bar in seen if "heard" in said}
    assert len(set(shares)) >= 3
    assert shares == sorted(shares)
    assert len(bars) >= 3
    assert here.page.locator("#place").text_content() == "0:00.0 of 6:40.0"
    here.picture("long")


def test_what_is_given_up_is_not_heard_to_its_end(here, shop, fifty_megabytes) -> None:
    here.page.set_input_files("#files", [fifty_megabytes] * 2)
    here.until("/heard [1-9]/.test(document.getElementById('list').textContent)")
    for _ in range(2):
        here.page.get_by_label("Cancel long.wav").last.click()
    assert here.page.locator("#list li").count() == 0
    shop.wait_until_idle()


def test_too_large_a_file_is_a_sentence(browser, start, breathing) -> None:
    with visit(browser, start(megabytes=0.5).port) as made:
        made.refusals = 1
        made.send(("large.wav", breathing))
        made.wait()
        assert "up to 524288 bytes" in made.page.locator("#list .failed").text_content()


def test_a_busy_service_is_asked_again(browser, start, breathing) -> None:
    busy = start(waiting=1)
    with visit(browser, busy.port) as made:
        busy.desk._waiting += 1
        made.send(("a.wav", breathing))
        made.until("document.getElementById('list').textContent.includes('busy')")
        made.refusals = 1
        busy.desk._waiting -= 1
        made.wait()
        assert made.page.locator("#list button", has_text="a.wav").count() == 1


def test_a_token_is_asked_for_and_used(browser, start) -> None:
    with visit(browser, start(Door("secret")).port) as made:
        made.refusals = 2
        page = made.page
        for token, words in (("wrong", "not the token"), ("secret", "Model: demo")):
            page.get_by_label("Token of this service").fill(token)
            page.get_by_role("button", name="Use it").click()
            made.until(f"document.getElementById('model').textContent.includes('{words}')")
        made.send(("a.wav", recording()))
        made.wait()
        assert page.locator("#list button", has_text="a.wav").count() == 1
