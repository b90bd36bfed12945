"""The page about sounds that are no lung: areas by hand, sounds that are what they are called."""

from itertools import islice

import numpy as np
import pytest

from foreign import KINDS, RATE, foreign_waves
from lung_srad.inference.trust import Known
from rejection import USED, area, table


def test_an_area_by_hand() -> None:
    assert area(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1
    assert area(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 0
    assert area(np.array([1.0, 3.0]), np.array([2.0, 3.0])) == pytest.approx((1 + 0 + 1 + 0.5) / 4)


def test_the_table_names_what_is_used_and_what_is_rejected() -> None:
    known = {name: Known(np.zeros(2), np.eye(2), 1.0) for name in ("embedding", "sound")}
    near, far = (
        {name: np.full((4, 2), value) for name in ("embedding", "sound")} | {"logits": np.zeros((4, 4))}
        for value in (0.1, 3.0)
    )
    text = table("A corpus", near, {"hum": far}, known)
    assert f"| {USED} | 1.000 |  |" in text
    assert "| energy | 0.500 |  |" in text
    assert text.rstrip().endswith("| rejected by classify, % | 100 | 0 |")


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_sounds(kind: str) -> None:
    wide, narrow, third = islice(foreign_waves(kind, 2.0), 3)
    for wave in (wide, narrow, third):
        assert (wave.shape, wave.dtype) == ((2 * RATE,), np.float32)
        assert 1e-4 < np.sqrt(np.mean(wave**2)) < 0.5
        assert np.isfinite(wave).all()
    power = np.abs(np.fft.rfft(narrow)) ** 2
    assert power[np.fft.rfftfreq(len(narrow), 1 / RATE) > 2000].sum() < 1e-6 * power.sum()
    assert not np.allclose(wide, third)
    again = next(foreign_waves(kind, 2.0))
    np.testing.assert_array_equal(again, wide)


def test_hum_is_lines_and_a_heart_beats() -> None:
    hum = next(foreign_waves("hum", 4.0))
    power = np.abs(np.fft.rfft(hum * np.hanning(len(hum)))) ** 2
    assert np.sort(power)[-120:].sum() > 0.99 * power.sum()
    heart = next(foreign_waves("heart only", 6.0))
    level = np.sqrt(np.mean(heart.reshape(-1, RATE // 20) ** 2, axis=1))
    assert level.max() > 8 * np.median(level)
