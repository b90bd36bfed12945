"""SpecAugment: what is drawn is a value, what is applied is pure."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_srad.audio import SpecMasks, apply_spec_augment, draw_spec_augment
from lung_srad.errors import ConfigError, ShapeError


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spectrogram(frames: int = 200, bins: int = 64) -> torch.Tensor:
    return torch.randn(frames, bins, generator=generator(9))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(0, 300), st.integers(0, 80))
def test_masks_fit_and_hide_no_more_than_their_width(seed, masks, time_mask, freq_mask):
    drawn = draw_spec_augment(generator(seed), 200, 64, time_mask=time_mask, freq_mask=freq_mask, masks=masks)
    for bands, size, widest in ((drawn.time, 200, time_mask), (drawn.freq, 64, freq_mask)):
        assert len(bands) == masks
        for start, width in bands:
            assert type(start) is type(width) is int
            assert 0 <= start <= start + width <= size
            assert width < max(widest, 1)
    spec = spectrogram()
    kept = spec.clone()
    out = apply_spec_augment(spec, drawn)
    assert spec.equal(kept)
    assert out is not spec
    hidden = torch.zeros(200, 64, dtype=torch.bool)
    for start, width in drawn.time:
        hidden[start : start + width] = True
    for start, width in drawn.freq:
        hidden[:, start : start + width] = True
    assert out[~hidden].equal(spec[~hidden])
    changed = out != spec
    assert changed[:, ~hidden.all(0)].any(1).sum() <= masks * time_mask
    assert changed[~hidden.all(1)].any(0).sum() <= masks * freq_mask


def test_the_fill_is_the_mean_and_is_taken_anew_for_time():
    spec = spectrogram().double()
    out = apply_spec_augment(spec, SpecMasks(time=((10, 20), (100, 5)), freq=((3, 7),)))
    after_freq = spec.clone()
    after_freq[:, 3:10] = spec.mean()
    expected = after_freq.clone()
    expected[10:30] = expected[100:105] = after_freq.mean()
    assert torch.allclose(out, expected, atol=1e-12)
    assert spec.mean() != after_freq.mean()


def test_a_batch_is_filled_clip_by_clip():
    batch = torch.stack([spectrogram(), spectrogram() + 5])
    masks = SpecMasks(time=((0, 50),), freq=((10, 10),))
    assert torch.allclose(apply_spec_augment(batch, masks)[1], apply_spec_augment(batch[1], masks), atol=1e-6)


def test_equal_state_gives_equal_masks_and_the_next_draw_differs():
    first, second = generator(5), generator(5)
    drawn = [draw_spec_augment(first, 798, 128, masks=2) for _ in range(5)]
    assert drawn == [draw_spec_augment(second, 798, 128, masks=2) for _ in range(5)]
    assert len(set(drawn)) == 5


def test_the_gate():
    source = generator(0)
    assert all(draw_spec_augment(source, 798, 128, probability=0.0) == SpecMasks() for _ in range(50))
    assert all(draw_spec_augment(source, 798, 128, probability=1.0).time for _ in range(50))
    fired = sum(bool(draw_spec_augment(source, 798, 128, probability=0.841).time) for _ in range(2_000))
    assert abs(fired / 2_000 - 0.841) < 0.03  # 3.7 deviations


def test_no_mask_is_a_copy():
    spec = spectrogram()
    out = apply_spec_augment(spec, SpecMasks())
    assert out.equal(spec)
    assert out.data_ptr() != spec.data_ptr()


def test_widths_and_starts_are_uniform():
    source = generator(1)
    bands = [draw_spec_augment(source, 798, 128).time[0] for _ in range(4_000)]
    widths = torch.tensor([width for _, width in bands]).double()
    places = torch.tensor([start / (798 - width) for start, width in bands]).double()
    assert abs(widths.mean() - 79.5) < 3  # ⌊U(0, 160)⌋ is 0 to 159; deviation of the mean 0.73
    assert widths.max() == 159
    assert widths.min() == 0
    assert abs(places.mean() - 0.5) < 0.02
    assert places.max() > 0.99


def test_what_cannot_be_drawn_or_applied():
    for wrong in ({"probability": 1.1}, {"probability": float("nan")}, {"masks": -1}, {"time_mask": -1}):
        with pytest.raises(ConfigError, match=r"spec_augment: probability .*; allowed: "):
            draw_spec_augment(generator(0), 798, 128, **wrong)
    with pytest.raises(ShapeError, match=r"mask: 190 to 210; allowed: 0 to 200"):
        apply_spec_augment(spectrogram(), SpecMasks(time=((190, 20),)))


def test_a_roll_turns_the_spectrogram_and_is_drawn_after_the_masks():
    frames, bins = 50, 16
    plain, rolled = (
        draw_spec_augment(torch.Generator().manual_seed(3), frames, bins, time_mask=9, freq_mask=5, roll=roll)
        for roll in (False, True)
    )
    assert (plain.time, plain.freq, plain.roll) == (rolled.time, rolled.freq, 0)
    drawn = {draw_spec_augment(torch.Generator().manual_seed(s), frames, bins, roll=True).roll for s in range(300)}
    assert min(drawn) >= 0
    assert max(drawn) < frames
    assert len(drawn) > 40
    spec = torch.arange(frames * 2.0).view(frames, 2)
    turned = apply_spec_augment(spec, SpecMasks(roll=7))
    assert torch.equal(turned, torch.cat([spec[-7:], spec[:-7]]))
    assert draw_spec_augment(torch.Generator().manual_seed(0), frames, bins, probability=0.0, roll=True).roll > 0
