"""Sound in pieces: the blocks of a file, and a resampler without a seam."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from lung_srad.audio import StreamResampler, open_recording, read, resample
from lung_srad.errors import AudioError, ConfigError


def noise(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate), channels)).astype(np.float32)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_blocks_are_the_recording(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, noise(65, 8000), 8000)
    with open_recording(path) as found:
        blocks = list(found.blocks)
        assert (found.name, found.rate, found.channels, found.frames) == (str(path), 8000, 1, 65 * 8000)
    assert [len(block) for block in blocks] == [240_000, 240_000, 40_000]
    assert torch.equal(torch.cat(blocks)[:, 0], read(path).samples)


def test_a_block_is_small_whatever_the_rate_and_the_channels(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(6, 96_000, 8), 96_000)
    with open_recording(tmp_path / "a.wav") as found:
        assert max(block.numel() for block in found.blocks) <= 2**20


def test_an_open_file_is_read_and_stays_open() -> None:
    file = io.BytesIO()
    soundfile.write(file, noise(1, 4000), 4000, format="WAV")
    with open_recording(file) as found:
        assert sum(map(len, found.blocks)) == 4000
        assert found.name == "the stream"
    assert not file.closed


@pytest.mark.parametrize("file", [io.StringIO("no bytes"), io.BytesIO(b""), io.BytesIO(b"start\tend")])
def test_an_open_file_that_is_no_recording(file) -> None:
    with pytest.raises(AudioError, match=r"^the stream: .*; allowed"), open_recording(file):
        pass


def test_what_is_wrong_further_on_is_found_there(tmp_path: Path) -> None:
    samples = noise(65, 4000)
    samples[61 * 4000] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 4000, subtype="FLOAT")
    with pytest.raises(AudioError, match=f"sample {61 * 4000} is nan"), open_recording(tmp_path / "a.wav") as found:
        list(found.blocks)
    soundfile.write(tmp_path / "a.flac", noise(65, 4000), 4000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(AudioError, match=r"truncated|cannot be decoded"), open_recording(tmp_path / "a.flac") as found:
        list(found.blocks)


@pytest.mark.parametrize("method", ["sinc", "soxr"])
@pytest.mark.parametrize("rate", [4000, 11_021, 16_000, 44_100, 384_000])
def test_pieces_together_are_the_whole(rate: int, method: str) -> None:
    if method == "soxr":
        pytest.importorskip("soxr")
    wave = torch.from_numpy(noise(5.3, rate)[:, 0])
    whole = resample(wave, rate, 16_000, method=method)
    results = []
    for size in (len(wave), 7777):
        stream = StreamResampler(rate, 16_000, method=method)
        parts = [stream.push(piece) for piece in wave.split(size)]
        results.append(torch.cat([*parts, stream.close()]))
    torch.testing.assert_close(results[0], whole, rtol=0, atol=1e-6)
    assert torch.equal(*results)


@pytest.mark.parametrize("count", [1, 100, 3999, 4000, 4001])
def test_a_short_wave_has_its_length(count: int) -> None:
    stream = StreamResampler(4000, 16_000)
    assert len(stream.push(torch.ones(count))) + len(stream.close()) == 4 * count


def test_little_is_held() -> None:
    stream = StreamResampler(44_100, 16_000)
    for _ in range(5):
        stream.push(torch.zeros(441_000))
        assert stream._held.untyped_storage().nbytes() < 4 * 2 * 44_100


def test_an_unknown_resampler() -> None:
    with pytest.raises(ConfigError, match="resampler"):
        StreamResampler(4000, 16_000, method="linear")
