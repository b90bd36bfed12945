"""What measures bad inputs can fail: at a slow one, a large one, and a message that lacks something."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import measuring
from measuring import require_message, within


def test_what_is_quick_and_small_passes() -> None:
    with within():
        assert sum(range(1000)) == 499_500


def test_what_is_slow_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"s of processor time; allowed: 0\.05"), within(seconds=0.05):
        spin(time.process_time() + 0.1)


def spin(end: float) -> None:
    while time.process_time() < end:
        pass


@pytest.mark.skipif(sys.platform != "linux" or not measuring._forget_peak(), reason="Linux forgets a peak when asked")
def test_what_is_large_is_noticed_although_it_is_gone() -> None:
    with pytest.raises(AssertionError, match="MiB; allowed: 16"), within(mebibytes=16):
        np.ones(2**23).sum()  # 64 MiB


@pytest.mark.parametrize(
    "text",
    ["a.wav: seen; allowed", "b.wav: seen; allowed; remedy", "a.wav: other; allowed; remedy", "a.wav: seen; \n; x"],
)
def test_a_message_that_lacks_something_is_noticed(text: str) -> None:
    require_message("a.wav: seen; allowed; remedy", "a.wav", "seen")
    with pytest.raises(AssertionError):
        require_message(text, "a.wav", "seen")
