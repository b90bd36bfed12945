"""Every kind of audio that people have, good and bad: 40 of containers, 44 of content, each with what it gets.

The rule decides. A file is refused where samples are missing, one is not finite, rate, channels, format or length are
outside what is allowed, or it is no file. It is accepted with a code where anything was repaired, mixed down, or is
doubtful. All else is accepted.
"""

import io
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1] / "audio"))
from wav_bytes import chunk, fmt, riff

RATE = 4000
Build = Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """One row.

    Attributes:
        build: the bytes of the file, or what makes something at a path.
        codes: of an accepted file, exactly these.
        refused: words of the message of a refused one; empty where it is accepted.
    """

    build: bytes | Build
    codes: frozenset[str] = frozenset()
    refused: str = ""

    def make(self, path: Path) -> Path:
        """Returns the path, something of this kind standing there."""
        if callable(self.build):
            self.build(path)
        else:
            path.write_bytes(self.build)
        return path


def breath(seconds: float = 9.0, rate: int = RATE, *, seed: int = 0) -> np.ndarray:
    """Returns noise that swells every three seconds and is never still."""
    times = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(times))
    return noise * (0.03 + 0.09 * np.sin(np.pi * times / 3) ** 2)


def encoded(samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16", form: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=form, subtype=subtype)
    return buffer.getvalue()


def tone(*hertz: float, seconds: float = 9.0, rate: int = RATE) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return sum(np.sin(2 * np.pi * each * times) for each in hertz) * 0.5 / len(hertz)


def clipped(share: float) -> np.ndarray:
    wave = breath()
    return np.clip(wave / np.quantile(np.abs(wave), 1 - share), -1, 1)


def speech() -> np.ndarray:
    """Returns syllables: a voice of 120 Hz with formants, four times a second, in phrases."""
    times = np.arange(9 * RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 120 * n * times) / n for n in range(1, 12))
    syllable = np.clip(np.sin(2 * np.pi * 4 * times), 0, 1) * (times % 3 < 2.2)
    return 0.2 * voice * syllable + 0.002 * np.random.default_rng(0).standard_normal(len(times))


def music() -> np.ndarray:
    """Returns a chord that changes every half second, each struck and fading."""
    times = np.arange(9 * RATE) / RATE
    root = 220 * 2 ** (np.floor(times * 2) % 5 / 12)
    phase = 2 * np.pi * np.cumsum(root) / RATE
    return 0.2 * np.exp(-3 * (times * 2 % 1)) * sum(np.sin(phase * each) for each in (1, 1.26, 1.5)) + 0.001 * breath()


def cough() -> np.ndarray:
    """Returns three bursts in quiet noise."""
    times = np.arange(9 * RATE) / RATE
    burst = sum(np.exp(-12 * (times - start)) * (times >= start) for start in (1.0, 4.0, 7.0))
    return breath() * (0.1 + 5 * burst)


def sparse(path: Path) -> None:
    path.write_bytes(riff(fmt(rate=16_000), chunk(b"data", b"", 3_900_000_000), size=3_900_000_036))
    os.truncate(path, 44 + 3_900_000_000)


def day(path: Path) -> None:
    """Writes 24 hours at 4 kHz; a hole after the first minute, so that it is made at once."""
    size = 24 * 3600 * RATE * 2
    head = riff(fmt(rate=RATE), chunk(b"data", b"", size), size=size + 36)
    path.write_bytes(head + (breath(60) * 32767).astype("<i2").tobytes())
    os.truncate(path, 44 + size)


def unreadable(path: Path) -> None:
    path.write_bytes(WHOLE)
    path.chmod(0)


def with_value(value: float) -> bytes:
    samples = breath().astype(np.float32)
    samples[123] = value
    return encoded(samples, subtype="FLOAT")


def rifx() -> bytes:
    head = b"RIFX" + struct.pack(">I", 36 + len(PCM)) + b"WAVE" + b"fmt " + struct.pack(">I", 16)
    head += struct.pack(">HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16) + b"data" + struct.pack(">I", len(PCM))
    return head + np.frombuffer(PCM, "<i2").astype(">i2").tobytes()


PCM = (breath() * 32767).astype("<i2").tobytes()
DATA = chunk(b"data", PCM)
FORM = fmt(rate=RATE)
WHOLE = riff(FORM, DATA)
TWO = np.stack([breath(seed=1), breath(seed=2)], 1)
MIXED, SHORT, ODD = frozenset({"mixed_down"}), frozenset({"repeated", "few_breaths"}), frozenset({"trimmed"})


def bad(build: bytes | Build, words: str) -> Kind:
    return Kind(build, refused=words)


def good(build: bytes | Build, *codes: str) -> Kind:
    return Kind(build, frozenset(codes))


CONTAINER: dict[str, Kind] = {
    "0 bytes": bad(b"", "the file is empty (0 bytes)"),
    "43 bytes": bad(WHOLE[:43], "the header is cut"),
    "header only": bad(WHOLE[:44], "0 are there"),
    "truncated half": bad(WHOLE[: len(WHOLE) // 2], "truncated: declares 36000 samples"),
    "odd tail": good(riff(FORM, chunk(b"data", PCM + b"\1")), "trimmed"),
    "data size 0": bad(riff(FORM, chunk(b"data", PCM, 0)), "declares 0 bytes, 72000 follow"),
    "data size 0xFFFFFFFF": bad(riff(FORM, chunk(b"data", PCM, 0xFFFFFFFF)), "2147483647 samples"),
    "data size beyond the file": bad(riff(FORM, chunk(b"data", PCM, 80_000)), "declares 40000 samples"),
    "RIFF size 0": good(riff(FORM, DATA, size=0)),
    "no fmt": bad(riff(DATA), "no 'fmt ' chunk"),
    "two fmt": bad(riff(FORM, FORM, DATA), "two 'fmt ' chunks"),
    "no data": bad(riff(FORM), "no 'data' chunk"),
    "data before fmt": bad(riff(DATA, FORM), "no 'fmt ' chunk before it"),
    "rate 0": bad(riff(fmt(rate=0), DATA), "sampling rate 0 Hz"),
    "rate 1": bad(riff(fmt(rate=1), DATA), "sampling rate 1 Hz"),
    "rate 4e9": bad(riff(fmt(rate=4_000_000_000), DATA), "sampling rate 4000000000 Hz"),
    "0 channels": bad(riff(fmt(channels=0), DATA), "0 channels"),
    "6 channels": good(encoded(np.stack([breath(seed=n) for n in range(6)], 1)), "mixed_down"),
    "1024 channels": bad(riff(fmt(channels=1024), DATA), "1024 channels"),
    "65535 channels": bad(riff(fmt(channels=65535), DATA), "65535 channels"),
    "0 bits": bad(riff(fmt(bits=0, block=2), DATA), "0 bits per sample"),
    "7 bits": bad(riff(fmt(bits=7, block=1), DATA), "7 bits per sample"),
    "RF64": good(encoded(breath(), form="RF64")),
    "W64": good(encoded(breath(), form="W64")),
    "WAVEX": good(encoded(breath(), form="WAVEX")),
    "LIST, bext and cue": good(
        riff(chunk(b"bext", bytes(602)), FORM, chunk(b"LIST", b"INFOISFT\4\0\0\0abc\0"), DATA, chunk(b"cue ", bytes(4)))
    ),
    "ID3 in front": bad(b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + WHOLE, "ID3 tag before the WAV header"),
    "1 MB of junk": good(riff(chunk(b"JUNK", bytes(2**20)), FORM, DATA)),
    "chunk size overflow": bad(riff(FORM, chunk(b"LIST", bytes(8), 0x7FFFFFFF), DATA), "declares 2147483647 bytes"),
    "RIFX": good(rifx()),
    "text": bad(b"start\tend\n0.1\t0.5\n", "unknown format (begins with b'star')"),
    "PNG": bad(b"\x89PNG\r\n\x1a\n" + bytes(64), "unknown format"),
    "ZIP": bad(b"PK\x03\x04" + bytes(64), "unknown format"),
    "gzip": bad(b"\x1f\x8b\x08" + bytes(64), "unknown format"),
    "MP3 named .wav": good(encoded(breath(rate=16_000), 16_000, "MPEG_LAYER_III", "MP3")),
    "4 GB with a hole": bad(sparse, "33.9 hours; allowed: up to 25 hours"),
    "a directory": bad(Path.mkdir, "is a directory"),
    "a pipe": bad(os.mkfifo, "is a pipe (FIFO)"),
    "a broken link": bad(lambda path: path.symlink_to("absent"), "No such file"),
    "no permission": bad(unreadable, "Permission denied"),
}

CONTENT: dict[str, Kind] = {
    "8 bits": good(encoded(breath(), subtype="PCM_U8")),
    "16 bits": good(WHOLE),
    "24 bits": good(encoded(breath(), subtype="PCM_24")),
    "32 bits": good(encoded(breath(), subtype="PCM_32")),
    "float": good(encoded(breath(), subtype="FLOAT")),
    "double": good(encoded(breath(), subtype="DOUBLE")),
    "µ-law": good(encoded(breath(), subtype="ULAW")),
    "A-law": good(encoded(breath(), subtype="ALAW")),
    "IMA ADPCM": good(encoded(breath()[: 71 * 505], subtype="IMA_ADPCM")),
    "MS ADPCM": good(encoded(breath(), subtype="MS_ADPCM")),
    "GSM": good(encoded(0.3 * breath(rate=8000), 8000, "GSM610")),
    "stereo": good(encoded(TWO), "mixed_down"),
    "anti-phase": good(encoded(TWO[:, :1] * [1, -1]), "mixed_down", "anti_phase", "silence"),
    "one dead channel": good(encoded(TWO * [1, 0]), "mixed_down", "dead_channel"),
    "0 samples": bad(riff(FORM, chunk(b"data", b"")), "zero samples"),
    "1 sample": good(encoded(breath()[:1]), "repeated", "silence"),
    "100 samples": good(encoded(breath()[:100]), *SHORT),
    "50 ms": good(encoded(breath(0.05)), *SHORT),
    "24 hours": good(day),
    "4 kHz": good(WHOLE),
    "8 kHz": good(encoded(breath(rate=8000), 8000)),
    "10 kHz": good(encoded(breath(rate=10_000), 10_000)),
    "44.1 kHz": good(encoded(breath(rate=44_100), 44_100)),
    "48 kHz": good(encoded(breath(rate=48_000), 48_000)),
    "96 kHz": good(encoded(breath(rate=96_000), 96_000)),
    "192 kHz": good(encoded(breath(rate=192_000), 192_000)),
    "all zero": good(encoded(np.zeros(9 * RATE)), "silence"),
    "constant": good(encoded(np.full(9 * RATE, 0.3)), "silence", "dc"),
    "offset": good(encoded(breath() * 0.5 + 0.2), "dc"),
    "NaN": bad(with_value(np.nan), "sample 123 is nan"),
    "infinity": bad(with_value(np.inf), "sample 123 is inf"),
    "denormal": good(encoded(breath() * 1e-30, subtype="DOUBLE"), "silence"),
    "20 times full scale": good(encoded(breath() * 20, subtype="FLOAT"), "over_range"),
    "clipped 0.1 %": good(encoded(clipped(0.001)), "clipping"),
    "clipped 5 %": good(encoded(clipped(0.05)), "clipping"),
    "clipped 50 %": good(encoded(clipped(0.5)), "clipping", "few_breaths"),
    "hum alone": good(encoded(tone(50)), "hum", "narrow_band", "low_frequency", "few_breaths"),
    "white noise": good(encoded(0.1 * np.random.default_rng(0).standard_normal(9 * RATE)), "few_breaths"),
    "sine": good(encoded(tone(440)), "few_breaths"),
    "speech": good(encoded(speech())),
    "music": good(encoded(music())),
    "cough": good(encoded(cough())),
    "time-reversed": good(encoded(breath()[::-1])),
    "a spike at full scale": good(encoded(np.where(np.arange(9 * RATE) == 5000, 1.0, 0.05 * breath()))),
}

KINDS = CONTAINER | CONTENT
