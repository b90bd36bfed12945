"""Noise that swells as breath does: what is sent and heard where the content does not matter."""

import io
import wave

import numpy as np
from numpy.typing import NDArray

RATE = 4000


def breath(seconds: float, *, seed: int = 0) -> NDArray[np.float32]:
    """Returns noise that swells every three seconds, at 4 kHz."""
    times = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(times))
    return (noise * (0.03 + 0.09 * np.sin(np.pi * times / 3) ** 2)).astype(np.float32)


def recording(seconds: float = 9.5, seed: int = 0) -> bytes:
    """Returns the same as the bytes of a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(breath(seconds, seed=seed), -1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()
