"""The service answers as the command does, says no as it should, and leaves nothing behind."""

import csv
import io
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from asking import FORM, Command, files_of_the_command, form, read, request, unchunked

from breathing import recording
from lung_srad.serving.examples import CLASSIFICATION
from lung_srad.serving.limits import RefusedError


@pytest.fixture(scope="module")
def by_command(tmp_path_factory) -> dict:
    """Returns what ``lung-srad classify`` says of the recording that the tests send."""
    return json.loads(files_of_the_command(tmp_path_factory.mktemp("command"), "a.wav", recording(18))["json"])


def test_the_numbers_are_those_of_the_command(service, by_command) -> None:
    raw = service.ask("/v1/classify?name=a.wav", recording(18), Content_Type="audio/wav")
    sent = service.ask("/v1/classify", form(recording(18)), Content_Type=FORM)
    assert (raw.status, sent.status) == (200, 200)
    assert json.loads(raw.body) == by_command
    assert raw.body == sent.body
    lines = service.ask("/v1/classify?format=page", form(recording(18)), Content_Type=FORM).body
    assert json.loads(unchunked(lines).splitlines()[-1])["answer"]["classification"] == by_command


def test_every_form_is_the_file_that_the_command_writes(service, tmp_path) -> None:
    events = "&onset=0.002&offset=0.001"  # in noise, too
    wanted = files_of_the_command(tmp_path, "a.wav", recording(18), "--onset", "0.002", "--offset", "0.001")
    assert len(wanted["audacity"].splitlines()) >= 1
    for kind, content in wanted.items():
        reply = service.ask(f"/v1/classify?name=a.wav&format={kind}{events}", recording(18), Content_Type="audio/wav")
        assert reply.body == content, kind


def test_other_forms_can_be_read_back(service) -> None:
    def said(kind: str) -> str:
        reply = service.ask(f"/v1/classify?format={kind}&onset=0.002&offset=0.001", recording(), Content_Type="")
        assert reply.status == 200
        return reply.body.decode()

    whole = json.loads(said("json"))
    rows = list(csv.DictReader(io.StringIO(said("csv"))))
    assert [float(row["p_normal"]) for row in rows] == [each["probabilities"]["normal"] for each in whole["segments"]]
    labels = [line.split("\t")[2] for line in said("audacity").splitlines()]
    assert labels == [each["label"] for each in whole["events"]]
    assert labels
    assert len(said("raven").splitlines()) == 1 + len(labels)
    assert "not a medical device" in said("html")


def test_the_model_says_what_it_is(service) -> None:
    said = json.loads(service.ask("/v1/model", method="GET").body)
    assert (said["name"], said["class_names"][0], len(said["sha256"])) == ("demo", "normal", 64)
    assert "simulated" in said["card"]


def test_openapi_has_an_example_of_the_same_layout(service, by_command) -> None:
    said = json.loads(service.ask("/openapi.json", method="GET").body)
    paths = said["paths"]
    assert {"/v1/classify", "/v1/model", "/healthz", "/readyz"} == set(paths)
    assert {"400", "408", "413", "415", "422", "503"} <= set(paths["/v1/classify"]["post"]["responses"])
    hop = next(each["schema"] for each in paths["/v1/classify"]["post"]["parameters"] if each["name"] == "hop")
    assert (hop["minimum"], hop["maximum"]) == (0.25, service.desk.model.frontend.seconds)
    assert set(CLASSIFICATION) == set(by_command)
    assert set(CLASSIFICATION["segments"][0]) == set(by_command["segments"][0])


def test_a_token_is_needed_where_one_is_set(guarded) -> None:
    assert guarded.ask("/v1/model", method="GET").status == 401
    assert guarded.ask("/v1/model", method="GET", Authorization="Bearer wrong").status == 401
    assert guarded.ask("/v1/model", method="GET", Authorization="Bearer secret").status == 200
    assert guarded.ask("/healthz", method="GET", Host="lungs.example").status == 200
    origin = {"Origin": "https://lungs.example", "Authorization": "Bearer secret"}
    assert guarded.ask("/v1/model", method="GET", **origin).status == 200


def test_every_answer_forbids_what_comes_from_elsewhere(service) -> None:
    for reply in (service.ask("/healthz", method="GET"), service.ask("/none", method="GET")):
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["cache-control"] == "no-store"


def test_who_leaves_leaves_nothing(service) -> None:
    body = recording(19)
    service.ask("/v1/classify", body, Content_Type="")
    files = len(os.listdir("/proc/self/fd"))
    for count in range(20):
        connection = service.connect()
        whole = len(b"".join([body])) if count % 2 else len(body) + 100  # the odd ones are complete
        head = f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {whole}\r\n\r\n"
        connection.sendall(head.encode() + body)
        time.sleep(0.01)
        connection.close()
    service.wait_until_idle()
    assert service.ask("/v1/classify", body, Content_Type="").status == 200
    assert len(os.listdir("/proc/self/fd")) <= files + 1


def test_a_full_queue_says_when_to_ask_again(start: Callable) -> None:
    busy = start(waiting=1)
    first = busy.connect()
    body = recording(1200)
    first.sendall(
        f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    while not busy.desk.waiting:
        time.sleep(0.01)
    reply = busy.ask("/v1/classify", recording())
    assert (reply.status, int(reply.headers["retry-after"]) >= 1) == (503, True)
    first.close()
    busy.wait_until_idle(30)
    assert busy.ask("/v1/classify", recording(), Content_Type="").status == 200


def test_the_more_are_refused_the_later_they_are_to_come_back(service) -> None:
    gate, desk = threading.Event(), service.desk
    for _ in range(service.limits.waiting):
        desk.begin(lambda model, watch: gate.wait(30), lambda: None)
    told = []
    try:
        for _ in range(200):
            with pytest.raises(RefusedError) as refusal:
                desk.require_room()
            told.append(int(refusal.value.headers["Retry-After"]))
    finally:
        gate.set()
    assert told == sorted(told)
    assert 1 <= told[0] < told[-1] <= 60
    service.wait_until_idle()
    assert desk._refused < 200 / 2


def test_more_than_the_disk_may_hold_is_refused(start: Callable) -> None:
    small = start(held=0.01)
    reply = small.ask("/v1/classify", recording(), Content_Type="")
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert small.held == 0


def test_its_address_answers_and_it_stops_when_told() -> None:
    with Command("--threads", "1") as run:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", run.address)
        assert run.ask("/healthz").status == 200
        assert json.loads(run.ask("/readyz").body)["status"] == "ready"
        run.process.send_signal(signal.SIGTERM)
        _, log = run.process.communicate(timeout=60)
    assert run.process.returncode in (0, -signal.SIGTERM)
    assert {json.loads(line)["route"] for line in log.splitlines()} == {"/healthz", "/readyz"}


def test_who_is_not_served_before_the_end_is_told(start: Callable) -> None:
    ending = start(stop_seconds=1, waiting=2)
    sending, heard = ending.connect(), ending.connect()
    sending.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nRIFF")
    gate = threading.Event()
    ending.desk.begin(lambda model, watch: gate.wait(60), lambda: None)
    heard.sendall(request("/v1/classify", recording(), Content_Type=""))
    while ending.desk.waiting < 2:
        time.sleep(0.01)
    ending.server.should_exit = True
    replies = [read(each) for each in (sending, heard)]
    gate.set()
    assert [(reply.status, reply.headers["retry-after"]) for reply in replies] == [(503, "5")] * 2


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--host", "0.0.0.0"], "LUNG_SRAD_TOKEN"), (["absent"], "is not there")]
)
def test_what_cannot_be_served_is_one_line(arguments: list[str], words: str) -> None:
    with Command(*arguments, LUNG_SRAD_TOKEN="") as run:
        _, error = run.process.communicate(timeout=60)
    assert (run.process.returncode, run.address) == (1, "")
    assert error.startswith("error: ")
    assert words in error
