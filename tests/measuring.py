"""What one bad input may cost: processor seconds, and memory beyond what was held before."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS, MEBIBYTES = 2.0, 512


@contextmanager
def within(seconds: float = SECONDS, mebibytes: float = MEBIBYTES) -> Iterator[None]:
    """Fails if what runs inside takes longer or holds more; memory is measured where Linux forgets a peak."""
    measured, before = _forget_peak(), _peak_memory() if sys.platform == "linux" else 0
    start = time.process_time()
    yield
    taken = time.process_time() - start
    assert taken <= seconds, f"{taken:.1f} s of processor time; allowed: {seconds:g}"
    if measured:
        held = (_peak_memory() - before) / 2**20
        assert held <= mebibytes, f"{held:.0f} MiB; allowed: {mebibytes:g}"


def require_message(text: str, where: str, words: str = "") -> None:
    """Fails unless a message is one line that names the place first, then what was seen, is allowed, and to be done."""
    assert text.startswith(f"{where}: "), text
    assert words in text, text
    assert text.count("; ") >= 2, text
    assert text.isprintable(), ascii(text)


def _peak_memory() -> int:
    """Returns the most memory that this process has held since its peak was last forgotten, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _forget_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
