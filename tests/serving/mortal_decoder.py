"""The process that decodes, made to die of recordings with certain names."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lung_srad.serving import decoding_child

safe_decoder, safe_samples = decoding_child.decoder, decoding_child.read_samples


@contextmanager
def decoder(file, name) -> Iterator:
    if name == "crash.wav":
        os.kill(os.getpid(), signal.SIGSEGV)
    while name == "spin.wav":
        pass
    if name == "sleep.wav":
        time.sleep(60)
    if name == "memory.wav":
        bytearray(2**31)
    if name == "fault.wav":
        raise ZeroDivisionError
    if name == "lie.wav":
        os.write(int(sys.argv[1]), bytes([0xFF] * 8))
        time.sleep(60)
    with safe_decoder(file, name) as found:
        yield found


def read_samples(name, sound, place, count):
    if name == "late.wav" and place:
        os.abort()
    return safe_samples(name, sound, place, count)


decoding_child.decoder, decoding_child.read_samples = decoder, read_samples
decoding_child.main()
