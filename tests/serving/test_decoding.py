"""What strangers send is decoded elsewhere: to the same bits, and a crash there is one sentence here."""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from breathing import RATE, recording
from lung_srad.audio import open_recording
from lung_srad.errors import AudioError
from lung_srad.serving.decoding import CHILD, ISOLATED, Decoder
from lung_srad.serving.guard import LOG
from lung_srad.serving.limits import MIB, RefusedError
from lung_srad.serving.uploads import Held, Upload

pytestmark = pytest.mark.skipif(not ISOLATED, reason="sockets here pass no files on, so nothing is decoded elsewhere")
MORTAL = (sys.executable, str(Path(__file__).with_name("mortal_decoder.py")))


def upload(content: bytes, name: str = "a.wav") -> Upload:
    held = Upload(Held(100))
    held.write(content)
    held.name = name
    return held


def samples(found) -> torch.Tensor:
    return torch.cat(list(found.blocks))


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    found = Decoder()
    yield found
    found.close()


@pytest.fixture
def mortal() -> Iterator[Decoder]:
    found = Decoder(MORTAL, seconds=1, wall_seconds=3)
    yield found
    found.close()


@pytest.mark.parametrize("seconds", [1, 400])  # in memory, and in a file
def test_the_samples_are_the_same_bits(decoder: Decoder, seconds: int) -> None:
    content = recording(seconds)
    with upload(content) as held:
        assert (held.handle is None) == (len(content) <= MIB)
        with decoder.open(held) as there:
            elsewhere = samples(there)
        held.seek(0)
        with open_recording(held) as here:
            assert (there.name, there.rate, there.frames, there.notices) == ("a.wav", RATE, here.frames, here.notices)
            assert torch.equal(elsewhere, samples(here))


@pytest.mark.parametrize("content", [b"", b"RIFF", recording(2)[:5000], b"ID3" + bytes(100)])
def test_the_words_are_the_same(decoder: Decoder, content: bytes) -> None:
    said = []
    for opened in (decoder.open, open_recording):
        with upload(content) as held, pytest.raises(AudioError) as error, opened(held):
            pass
        said.append(str(error.value))
    assert said[0] == said[1]


def test_a_recording_that_was_given_up_does_not_disturb_the_next(decoder: Decoder) -> None:
    with upload(recording(400)) as held:
        for _ in range(3):
            with decoder.open(held) as found:
                next(found.blocks)
        with decoder.open(held) as found:
            assert len(samples(found)) == 400 * RATE


def test_a_stop_that_tells_all_processes_does_not_cut_the_last_answer(decoder: Decoder) -> None:
    with upload(recording(400)) as held, decoder.open(held) as found:
        first = next(found.blocks)
        decoder.process.terminate()
        assert len(first) + len(samples(found)) == 400 * RATE


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crash.wav", "its decoder crashed"),
        ("late.wav", "its decoder crashed"),
        ("lie.wav", "its decoder crashed"),
        ("spin.wav", "took more than 1 s"),
        ("sleep.wav", "took more than 1 s"),
        ("memory.wav", "takes too much memory"),
    ],
)
def test_a_death_is_one_sentence_and_the_next_recording_is_read(mortal: Decoder, name: str, words: str) -> None:
    begun = time.monotonic()
    with upload(recording(400), name) as held, pytest.raises(AudioError, match=words), mortal.open(held) as found:
        samples(found)
    assert time.monotonic() - begun < 30
    with upload(recording(1)) as held, mortal.open(held) as found:
        assert len(samples(found)) == RATE


def test_a_fault_of_ours_is_no_fault_of_the_recording(mortal: Decoder) -> None:
    with upload(recording(1), "fault.wav") as held, pytest.raises(RuntimeError, match="ZeroDivisionError"):
        mortal.open(held).__enter__()


def test_the_service_lives_on_and_logs_no_name(start: Callable, caplog, monkeypatch) -> None:
    monkeypatch.setattr(LOG, "propagate", True)
    service = start(decoder=Decoder(MORTAL, seconds=1))
    with caplog.at_level(logging.INFO, logger=LOG.name):
        for name, status in (("crash.wav", 422), ("a.wav", 200), ("late.wav", 422), ("b.wav", 200), ("fault.wav", 500)):
            body = recording(400 if name == "late.wav" else 4.5)
            reply = service.ask(f"/v1/classify?name={name}", body, Content_Type="audio/wav")
            assert reply.status == status
            if status == 422:
                assert reply.error.startswith(f"{name}: its decoder crashed; ")
    assert ".wav" not in caplog.text
    deaths = [json.loads(each.message) for each in caplog.records if '"decoder"' in each.message]
    assert [each["code"] for each in deaths] == [-11, -6]
    service.wait_until_idle()


def test_the_process_holds_no_token_and_ends_with_the_decoder(monkeypatch) -> None:
    monkeypatch.setenv("LUNG_SRAD_TOKEN", "secret")
    found = Decoder()
    with upload(recording(1)) as held, found.open(held):
        process = found.process
        folder = Path(f"/proc/{process.pid}")
        if folder.is_dir():
            assert b"secret" not in (folder / "environ").read_bytes()
            assert "Max address space         1073741824" in (folder / "limits").read_text()
    found.close()
    assert process.returncode is not None


@pytest.mark.parametrize("command", [("/nowhere/python",), (sys.executable, "-c", "pass")])
def test_a_process_that_does_not_start_is_a_refusal(command: tuple[str, ...]) -> None:
    found = Decoder(CHILD)
    found.close()
    found._command = command
    with upload(recording(1)) as held, pytest.raises(RefusedError) as refusal:
        found.open(held).__enter__()
    assert (refusal.value.status, refusal.value.headers) == (503, {"Retry-After": "5"})
    found.close()
