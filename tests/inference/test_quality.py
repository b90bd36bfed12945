"""What is measured of a recording, against signals of which it is known."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lung_srad.audio import StreamResampler
from lung_srad.inference.quality import Finding, Meter, Quality

sys.path.insert(0, str(Path(__file__).parent))
from bad_audio import breath, tone

RATE = 4000


def meter(samples: np.ndarray, rate: int = RATE, *, size: int = 10**6) -> Quality:
    block = torch.from_numpy(np.asarray(samples, dtype=np.float32))
    block = block[:, None] if block.ndim == 1 else block
    listener, resampler = Meter(rate, 16_000), StreamResampler(rate, 16_000)
    for piece in block.split(size):
        listener.hear_raw(piece)
        listener.hear(resampler.push(piece.mean(1)))
    listener.hear(resampler.close())
    return listener.close()


def codes(quality: Quality) -> dict[str, str]:
    return {finding.code: finding.level for finding in quality.findings}


def test_breath_has_nothing_doubtful() -> None:
    quality = meter(breath())
    assert (quality.findings, quality.verdict) == ((), "accept")
    assert quality.measures["breaths"] == 3


@pytest.mark.parametrize("size", [1, 999, 4000, 4001])
def test_nothing_depends_on_the_chunks(size: int) -> None:
    samples = np.clip(2 * np.stack([breath(3.3, seed=1), breath(3.3, seed=2)], 1), -0.99, 0.99)
    samples[5000:7000] = 0
    whole, pieces = meter(samples), meter(samples, size=size)
    assert whole.findings == pieces.findings
    assert whole.measures == pytest.approx(pieces.measures, abs=2e-6)


@pytest.mark.parametrize(("share", "level"), [(0.0001, None), (0.001, "warn"), (0.05, "warn"), (0.5, "reject")])
def test_clipping(share: float, level: str | None) -> None:
    wave = breath(30)
    quality = meter(np.clip(wave / np.quantile(np.abs(wave), 1 - share), -1, 1))
    assert codes(quality).get("clipping") == level
    assert quality.measures["clipped"] == pytest.approx(share, rel=0.3)


def test_a_peak_at_full_scale_is_no_clipping() -> None:
    assert meter(breath() / np.abs(breath()).max()).findings == ()


@pytest.mark.parametrize(("seconds", "code"), [(0.04, ""), (0.06, "dropout"), (0.9, "dropout"), (1.1, "silence")])
@pytest.mark.parametrize("value", [0.0, 0.05])
def test_what_does_not_move(seconds: float, code: str, value: float) -> None:
    samples = breath(12)
    samples[10_001 : 10_001 + round(seconds * RATE)] = value
    quality = meter(samples)
    assert codes(quality) == ({code: "warn"} if code else {})
    assert quality.measures["silent"] == pytest.approx(seconds / 12 if code else 0, abs=1e-3)


@pytest.mark.parametrize(("share", "level"), [(0.2, "warn"), (0.49, "warn"), (0.51, "reject"), (1.0, "reject")])
def test_zeros_in_half_of_the_duration_reject(share: float, level: str) -> None:
    samples = breath(20)
    samples[: round(share * len(samples))] = 0
    assert codes(meter(samples))["silence"] == level


def test_an_offset() -> None:
    quality = meter(breath() + 0.1)
    assert codes(quality) == {"dc": "warn"}
    assert quality.measures["offset"] == pytest.approx(0.1, abs=2e-3)


@pytest.mark.parametrize("base", [50, 60])
@pytest.mark.parametrize("rate", [4000, 11_025])
def test_hum(base: int, rate: int) -> None:
    hum = tone(base, 2 * base, 3 * base, seconds=12, rate=rate)
    quality = meter(breath(12, rate) + 0.2 * hum, rate)
    assert codes(quality)["hum"] == "warn"
    assert quality.measures["hum_hz"] == base
    level = 3 * (0.2 * 0.5 / 3) ** 2 / 2
    assert quality.measures["hum"] == pytest.approx(level / (level + (breath(12, rate) ** 2).mean()), rel=0.1)


@pytest.mark.parametrize("hertz", [55, 100, 440])
def test_another_tone_is_no_hum(hertz: float) -> None:
    assert "hum" not in codes(meter(breath(12) + tone(hertz, seconds=12)))


def test_low_frequencies_and_a_narrow_band() -> None:
    quality = meter(0.001 * breath() + tone(30))
    assert {"low_frequency": "warn", "narrow_band": "warn"}.items() <= codes(quality).items()
    assert quality.measures["low_frequency_db"] > 25


def test_the_bandwidth_of_a_recording_that_was_recorded_at_4_khz() -> None:
    from lung_srad.audio import resample

    wave = resample(torch.from_numpy(breath(9)), 4000, 44_100)
    assert meter(wave.numpy(), 44_100).measures["bandwidth_hz"] == pytest.approx(2000, abs=200)
    assert meter(breath(9, 44_100), 44_100).measures["bandwidth_hz"] > 7000


@pytest.mark.parametrize(("seconds", "count"), [(3, 1), (6, 2), (15, 5)])
def test_breaths_are_counted(seconds: float, count: int) -> None:
    quality = meter(breath(seconds))
    assert quality.measures["breaths"] == count
    assert ("few_breaths" in codes(quality)) == (count < 2)


def test_channels() -> None:
    two = np.stack([breath(12, seed=1), breath(12, seed=2)], 1)
    assert codes(meter(two)) == {}
    assert [str(each) for each in meter(two * [1, 0]).findings] == ["dead_channel: channel 2 of 2 carries no signal"]
    assert codes(meter(two[:, :1] * [1, -0.99])) == {"anti_phase": "warn"}
    two[8 * RATE :, 1] = 0
    assert [str(each) for each in meter(two).findings] == [
        "dead_channel: channel 2 of 2 carries no signal (in 4 of 12 s)"
    ]


def test_the_verdict_is_the_worst_finding() -> None:
    warn, reject = Finding("dc", "warn", "x"), Finding("silence", "reject", "y")
    assert [Quality(findings).verdict for findings in ((), (warn,), (warn, reject))] == ["accept", "warn", "reject"]
    assert str(warn) == "dc: x"


def test_too_little_to_measure_is_said_so() -> None:
    measures = meter(np.full(10, 0.1)).measures
    assert measures["bandwidth_hz"] is None
    assert all(value is None or math.isfinite(value) for value in measures.values())
