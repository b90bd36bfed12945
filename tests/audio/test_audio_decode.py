"""Every kind of bad file ends in one message; every good one in the samples that it holds."""

import io
import os
import signal
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_srad.audio import load_recording, read
from lung_srad.audio.decode import MAX_SAMPLES
from lung_srad.errors import AudioError

sys.path.insert(0, str(Path(__file__).parent))
from wav_bytes import chunk, fmt, riff

RATE = 16_000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
PCM = (TONE * 32767).astype("<i2").tobytes()


def encoded(form: str, subtype: str, samples: np.ndarray = TONE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format=form, subtype=subtype)
    return buffer.getvalue()


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flac_of_length(count: int) -> bytes:
    """Returns a whole FLAC stream whose header claims another number of samples."""
    content = bytearray(encoded("FLAC", "PCM_16"))
    content[21] = content[21] & 0xF0 | count >> 32
    content[22:26] = struct.pack(">I", count & 0xFFFFFFFF)
    return bytes(content)


def flipped(content: bytes) -> bytes:
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 0x10
    return bytes(damaged)


def mp3_without_length() -> bytes:
    content = encoded("MP3", "MPEG_LAYER_III")
    return content[content.index(content[:2], 4) :]


def floats(value: float) -> bytes:
    samples = TONE.copy()
    samples[123] = value
    return riff(fmt(3, bits=32), chunk(b"data", samples.tobytes()))


WHOLE = riff(fmt(), chunk(b"data", PCM))
DATA = chunk(b"data", PCM)

# kind: (bytes, a part of the value that the message must show, a part of what it must say is allowed)
BAD: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "empty file": (lambda: b"", "0 bytes", "WAV"),
    "text": (lambda: b"start\tend\n0.1\t0.5\n", "unknown format (begins with b'star')", "FLAC"),
    "text in UTF-16": (lambda: "0.1\t0.5".encode("utf-16"), "unknown format", "WAV"),
    "png": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(64), "unknown format", "WAV"),
    "zip": (lambda: b"PK\x03\x04" + bytes(64), "unknown format", "WAV"),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(64), "unknown format", "WAV"),
    "an AU file": (lambda: encoded("AU", "PCM_16"), "begins with b'.snd'", "WAV"),
    "RIFF of another kind": (lambda: b"RIFF" + bytes(4) + b"AVI " + bytes(64), "kind b'AVI '", "b'WAVE'"),
    "header cut at 43 bytes": (lambda: WHOLE[:43], "43 bytes in the file", "whole file"),
    "header cut at 8 bytes": (lambda: WHOLE[:8], "kind b''", "b'WAVE'"),
    "header only": (lambda: WHOLE[:44], "declares 16000 samples (2 bytes each), 0 are there", "whole file"),
    "truncated half": (lambda: half(WHOLE), "declares 16000 samples (2 bytes each), 7989", "whole file"),
    "one byte short": (lambda: WHOLE[:-1], "declares 16000 samples (2 bytes each), 15999", "whole file"),
    "data size 0": (lambda: riff(fmt(), chunk(b"data", PCM, 0)), "declares 0 bytes, 32000 follow", "whole"),
    "data of 1 byte": (lambda: riff(fmt(), chunk(b"data", b"\1")), "zero samples: 1 bytes", "one sample"),
    "data size unknown": (
        lambda: riff(fmt(), chunk(b"data", PCM, 0xFFFFFFFF)),
        "2147483647 samples",
        "whole",
    ),
    "no fmt": (lambda: riff(DATA), "no 'fmt ' chunk before it", "'fmt ' first"),
    "two fmt": (lambda: riff(fmt(), fmt(), DATA), "two 'fmt ' chunks", "one"),
    "no data": (lambda: riff(fmt(), chunk(b"LIST", bytes(8))), "no 'data' chunk", "whole file"),
    "data before fmt": (lambda: riff(DATA, fmt()), "no 'fmt ' chunk before it", "'fmt ' first"),
    "short fmt": (lambda: riff(chunk(b"fmt ", bytes(8)), DATA), "a 'fmt ' chunk of 8 bytes", "16 or more"),
    "chunk beyond the file": (
        lambda: riff(fmt(), chunk(b"LIST", bytes(8), 0x7FFFFFFF), DATA),
        "b'LIST' declares 2147483647 bytes",
        "whole file",
    ),
    "endless empty chunks": (lambda: riff(bytes(40_000)), "more than 4096 chunks", "4096"),
    "rate 0": (lambda: riff(fmt(rate=0), DATA), "0 Hz", "1000 to 384000 Hz"),
    "rate 1": (lambda: riff(fmt(rate=1), DATA), "1 Hz", "1000 to 384000 Hz"),
    "rate 4e9": (lambda: riff(fmt(rate=4_000_000_000), DATA), "4000000000 Hz", "1000 to 384000 Hz"),
    "0 channels": (lambda: riff(fmt(channels=0), DATA), "0 channels", "1 to 8"),
    "9 channels": (lambda: riff(fmt(channels=9), DATA), "9 channels", "1 to 8"),
    "1024 channels": (lambda: riff(fmt(channels=1024), DATA), "1024 channels", "1 to 8"),
    "65535 channels": (lambda: riff(fmt(channels=65535), DATA), "65535 channels", "1 to 8"),
    "0 bits": (lambda: riff(fmt(bits=0, block=2), DATA), "0 bits", "8, 16, 24, 32 bits"),
    "7 bits": (lambda: riff(fmt(bits=7, block=1), DATA), "7 bits", "8, 16, 24, 32 bits"),
    "16-bit floats": (lambda: riff(fmt(3), DATA), "16 bits", "32, 64 bits"),
    "wrong frame size": (lambda: riff(fmt(block=3), DATA), "3 bytes per frame", "1 channels of 2 bytes"),
    "unknown code": (lambda: riff(fmt(0x1234), DATA), "cannot be decoded", "WAV"),
    "ID3 before RIFF": (
        lambda: b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + WHOLE,
        "ID3 tag before the WAV",
        "first",
    ),
    "NaN": (lambda: floats(np.nan), "sample 123 is nan", "finite"),
    "infinity": (lambda: floats(-np.inf), "sample 123 is -inf", "finite"),
    "absurd level": (lambda: floats(1e30), "sample 123 is 1.0", "full scale 1"),
    "W64 truncated": (lambda: half(encoded("W64", "PCM_16")), "declares 16000 samples", "whole file"),
    "RF64 truncated": (lambda: half(encoded("RF64", "PCM_16")), "declares 16000 samples", "whole file"),
    "ADPCM truncated": (lambda: half(encoded("WAV", "IMA_ADPCM")), "truncated: declares", "whole file"),
    "AIFF truncated": (lambda: half(encoded("AIFF", "PCM_16")), "b'SSND' declares 32008 bytes", "whole file"),
    "AIFF header cut": (lambda: encoded("AIFF", "PCM_16")[:30], "b'COMM' declares 18 bytes", "whole file"),
    "FLAC truncated": (lambda: half(encoded("FLAC", "PCM_16")), "cannot be decoded (flac decoder", "FLAC"),
    "FLAC with a flipped bit": (lambda: flipped(encoded("FLAC", "PCM_16")), "cannot be decoded", "FLAC"),
    "FLAC claims more": (lambda: flac_of_length(2 * RATE), "cannot be decoded", "FLAC"),
    "FLAC of unknown length": (lambda: flac_of_length(0), "does not say how long", "whose header says it"),
    "FLAC beyond memory": (lambda: flac_of_length(2**35), f"{2**35} samples", str(MAX_SAMPLES)),
    "OGG truncated": (lambda: half(encoded("OGG", "VORBIS")), "truncated: the last page", "whole file"),
    "OGG cut in its last page": (lambda: encoded("OGG", "VORBIS")[:-5], "truncated: the last page", "whole"),
    "MP3 truncated": (lambda: half(encoded("MP3", "MPEG_LAYER_III")), "declares 16000 samples", "whole file"),
    "MP3 without length": (mp3_without_length, "does not say how long", "Xing or Info"),
}

# kind: (bytes, samples, tolerance against the tone, codes of the notices)
GOOD: dict[str, tuple[Callable[[], bytes], int, float, tuple[str, ...]]] = {
    "8 bits": (lambda: encoded("WAV", "PCM_U8"), RATE, 1e-2, ()),
    "16 bits": (lambda: WHOLE, RATE, 1e-4, ()),
    "24 bits": (lambda: encoded("WAV", "PCM_24"), RATE, 1e-6, ()),
    "32 bits": (lambda: encoded("WAV", "PCM_32"), RATE, 1e-7, ()),
    "float": (lambda: encoded("WAV", "FLOAT"), RATE, 0, ()),
    "double": (lambda: encoded("WAV", "DOUBLE"), RATE, 0, ()),
    "float beyond full scale": (lambda: encoded("WAV", "FLOAT", 20 * TONE), RATE, 10, ()),
    "µ-law": (lambda: encoded("WAV", "ULAW"), RATE, 2e-2, ()),
    "A-law": (lambda: encoded("WAV", "ALAW"), RATE, 2e-2, ()),
    "GSM": (lambda: encoded("WAV", "GSM610"), RATE, 1, ()),
    "WAVEX": (lambda: encoded("WAVEX", "PCM_24"), RATE, 1e-6, ()),
    "RF64": (lambda: encoded("RF64", "PCM_16"), RATE, 1e-4, ()),
    "W64": (lambda: encoded("W64", "PCM_16"), RATE, 1e-4, ()),
    "AIFF": (lambda: encoded("AIFF", "PCM_24"), RATE, 1e-6, ()),
    "AIFF of floats": (lambda: encoded("AIFF", "FLOAT"), RATE, 0, ()),
    "FLAC": (lambda: encoded("FLAC", "PCM_24"), RATE, 1e-6, ()),
    "OGG": (lambda: encoded("OGG", "VORBIS"), RATE, 0.1, ()),
    "MP3": (lambda: encoded("MP3", "MPEG_LAYER_III"), RATE, 1, ()),
    "MP3 with a tag": (
        lambda: b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + encoded("MP3", "MPEG_LAYER_III"),
        RATE,
        1,
        (),
    ),
    "one sample": (lambda: riff(fmt(), chunk(b"data", PCM[:2])), 1, 1e-4, ()),
    "RIFF size 0": (lambda: riff(fmt(), DATA, size=0), RATE, 1e-4, ()),
    "1 MB of junk": (lambda: riff(chunk(b"JUNK", bytes(2**20)), fmt(), DATA), RATE, 1e-4, ()),
    "LIST of odd length": (lambda: riff(fmt(), chunk(b"LIST", bytes(7)), DATA), RATE, 1e-4, ()),
    "bytes after the end": (lambda: WHOLE + b"tail", RATE, 1e-4, ()),
    "odd tail": (lambda: riff(fmt(), chunk(b"data", PCM + b"\1")), RATE, 1e-4, ("trimmed",)),
    "stereo": (lambda: encoded("WAV", "PCM_16", np.stack([TONE, TONE], 1)), RATE, 1e-4, ("mixed_down",)),
    "one dead channel": (
        lambda: encoded("WAV", "PCM_16", np.stack([TONE, 0 * TONE], 1)),
        RATE,
        0.26,
        ("mixed_down", "dead_channel"),
    ),
    "anti-phase": (
        lambda: encoded("WAV", "PCM_16", np.stack([TONE, -TONE], 1)),
        RATE,
        0.51,
        ("mixed_down", "anti_phase"),
    ),
    "8 channels": (lambda: encoded("WAV", "PCM_16", np.stack([TONE] * 8, 1)), RATE, 1e-4, ("mixed_down",)),
}


def require_message(error: BaseException, path: object, *parts: str) -> None:
    """Asserts that the message has its four parts: file, value seen, what is allowed, remedy."""
    text = str(error)
    assert isinstance(error, AudioError)
    assert text.startswith(f"{path}: ")
    assert "allowed" in text
    assert text.count("; ") >= 2
    assert not text.endswith("; ")
    for part in parts:
        assert part in text


@pytest.mark.parametrize("kind", BAD)
def test_bad_file(kind, tmp_path):
    build, seen, allowed = BAD[kind]
    path = tmp_path / "bad.wav"
    path.write_bytes(build())
    with pytest.raises(AudioError) as caught:
        read(path)
    value, _, rest = str(caught.value).partition("; allowed")
    require_message(caught.value, path)
    assert seen in value
    assert allowed in rest


@pytest.mark.parametrize("kind", GOOD)
def test_good_file(kind, tmp_path):
    build, count, tolerance, codes = GOOD[kind]
    path = tmp_path / "good.raw"  # the content decides, never the name
    path.write_bytes(build())
    recording = read(path)
    assert recording.samples.shape == (count,)
    assert recording.samples.dtype.itemsize == 4
    assert recording.rate == RATE
    assert np.abs(recording.samples.numpy() - TONE[:count]).max() <= tolerance
    assert tuple(notice.partition(":")[0] for notice in recording.notices) == codes


@pytest.mark.parametrize("rate", [1_000, 4_000, 10_000, 44_100, 192_000, 384_000])
def test_every_rate_is_read(rate, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(riff(fmt(rate=rate), DATA))
    assert read(path).rate == rate


def test_what_is_not_a_file(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, seen in (
        (tmp_path, "is a directory"),
        (tmp_path / "gone", "No such file"),
        (tmp_path / "link", "No such file"),
        (tmp_path / "loop", "symbolic links"),
        (tmp_path / "a\0b", "null byte"),
        (tmp_path / ("a" * 300), "too long"),
        ("/dev/zero", "is a device"),
    ):
        with pytest.raises(AudioError) as caught:
            read(path)
        require_message(caught.value, path, seen)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    path = tmp_path / "pipe.wav"
    os.mkfifo(path)

    def too_late(*_: object) -> None:
        raise TimeoutError("read() waits for a writer")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(5)
    try:
        with pytest.raises(AudioError) as caught:
            read(path)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    require_message(caught.value, path, "is a pipe (FIFO)", "regular file")


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(WHOLE)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")  # root may read everything, so chmod would not do

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(AudioError) as caught:
        read(path)
    require_message(caught.value, path, "Permission denied", "readable", "permissions")


def test_more_than_memory_is_refused_before_it_is_taken(tmp_path):
    path = tmp_path / "sparse.wav"
    size = 3_900_000_000
    path.write_bytes(riff(fmt(), chunk(b"data", b"", size), size=size + 36))
    os.truncate(path, 44 + size)
    tracemalloc.start()
    try:
        with pytest.raises(AudioError) as caught:
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    require_message(caught.value, path, f"{size // 2} samples", str(MAX_SAMPLES), "in parts")
    assert peak < 2**22
    assert read(path, start=100_000, stop=100_001).samples.shape == (RATE,)  # as the remedy says


def test_resampling_beyond_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lung_srad.audio.decode.MAX_SAMPLES", 2 * RATE)
    path = tmp_path / "low.wav"
    path.write_bytes(riff(fmt(rate=4_000), DATA))
    with pytest.raises(AudioError) as caught:
        load_recording(path)
    require_message(caught.value, path, f"{4 * RATE} samples")


def test_a_part(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(WHOLE)
    whole = read(path).samples
    assert read(path, start=0.25, stop=0.5).samples.equal(whole[4000:8000])
    assert read(path, start=0.75, stop=9.0).samples.equal(whole[12000:])
    assert read(path, start=0.75).samples.equal(whole[12000:])
    flac = tmp_path / "a.flac"
    flac.write_bytes(encoded("FLAC", "PCM_16"))
    assert read(flac, start=0.25, stop=0.5).samples.equal(read(flac).samples[4000:8000])


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (1.0, 2.0),
        (-0.1, 0.5),
        (0.5, 0.5),
        (0.5, 0.2),
        (float("nan"), 1.0),
        (0.0, float("nan")),
        (1e308, None),
    ],
)
def test_a_part_outside(start, stop, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(WHOLE)
    with pytest.raises(AudioError) as caught:
        read(path, start=start, stop=stop)
    require_message(caught.value, path, f"from {start} to", "0 to 1.000 s")


def test_a_low_rate_is_noticed(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(riff(fmt(rate=2_000), DATA))
    assert [notice.partition(":")[0] for notice in load_recording(path).notices] == ["low_rate"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("mutants") / "mutant.wav"


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([WHOLE, flac_of_length(RATE)]), st.data())
def test_a_damaged_header_is_an_audio_error_or_a_finite_recording(scratch, content, data):
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    scratch.write_bytes(damaged)
    try:
        recording = read(scratch)
    except AudioError as error:
        require_message(error, scratch)
    else:
        assert recording.samples.numel() > 0
        assert recording.samples.isfinite().all()
