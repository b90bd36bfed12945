"""Memory: freed pages are kept, as fresh ones from the system cost time in every step; and how its end is known."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # the names of mallopt(3), without their M


def keep_memory() -> bool:
    """Returns whether the C library has been told to keep what is freed for what comes next (glibc has).

    The same arrays are made and freed in every step; by default glibc gives large ones back to the system each time.
    The process holds what it once needed until it ends. The commands call it, the library never does
    (DECISIONS: kept-memory).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    settings = {_MMAP_THRESHOLD: 2**27, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 2**26}
    taken = [mallopt(name, value) for name, value in settings.items()]
    return taken == [1, 1, 1]


_SAID = (  # torch, CUDA, C++, oneDNN where it has no room for the code that it makes, the system
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "could not create a primitive",
    "Cannot allocate memory",
)


def ran_out(error: BaseException) -> bool:
    """Returns whether an error says that there is no memory; parts of torch say it by a RuntimeError of their own."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID)
    )
