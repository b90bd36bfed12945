"""Headers that contradict their file, which every decoder accepts."""

import os

import numpy as np
import pytest
import soundfile

from lung_srad.datasets.checks import audio_seconds
from lung_srad.datasets.headers import contradiction
from lung_srad.datasets.report import Defect


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 999), 4000, subtype="PCM_16")
    return path


def test_every_wrong_bit_of_a_header_is_seen(wav):
    content = wav.read_bytes()
    assert content[36:40] == b"data"
    for bit in range(8 * 44):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        wav.write_bytes(changed)
        assert isinstance(audio_seconds(wav), Defect) or contradiction(wav), f"bit {bit}"


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF", "W64", "RF64", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_written_well_agrees(tmp_path, form, subtype, channels):
    path = tmp_path / "a"
    soundfile.write(path, np.zeros((999, channels)), 44100, format=form, subtype=subtype)
    assert contradiction(path) == ""


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_streamed_file_has_no_size(wav, size):
    content = bytearray(wav.read_bytes())
    content[4:8] = size.to_bytes(4, "little")
    wav.write_bytes(content)
    assert contradiction(wav) == ""


def test_chunks_around_the_sound_are_passed_over(wav):
    content = wav.read_bytes()
    note = b"LIST" + (3).to_bytes(4, "little") + b"abc\0"
    body = content[8:12] + note + content[12:] + note
    wav.write_bytes(content[:4] + len(body).to_bytes(4, "little") + body)
    assert contradiction(wav) == ""


def test_a_file_whose_name_is_no_text_is_read(wav, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    path.write_bytes(wav.read_bytes())
    assert audio_seconds(path) == audio_seconds(wav)


def test_real_headers_agree(shared):
    assert [contradiction(path) for path in sorted((shared / "data" / "icbhi_raw").rglob("*.wav"))] == [""] * 10


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\x04\0\0\0WAVE", b"RIFF\x0c\0\0\0WAVEfmt \0\0\0\0"])
def test_what_is_hardly_a_file_is_left_to_the_decoder(wav, content):
    wav.write_bytes(content)
    assert contradiction(wav) == ""
