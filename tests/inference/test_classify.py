"""What a model says of a recording: windows over all of it, or the cycles of an evaluation."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from lung_srad import kernels
from lung_srad.datasets import ICBHI
from lung_srad.errors import AudioError, ConfigError, DataError, WeightsError
from lung_srad.inference import Model, load
from lung_srad.training import evaluate

Record = Callable[..., Path]


def spans(found) -> list[tuple[float, float]]:
    return [(segment.start, segment.end) for segment in found.segments]


# --- windows


@pytest.mark.parametrize(
    ("seconds", "hop", "starts"),
    [(8, 2, [0]), (8.25, 2, [0, 0.25]), (9.5, 2, [0, 1.5]), (12, 2, [0, 2, 4]), (20.5, 8, [0, 8, 12.5])],
)
def test_windows_cover_all_of_a_recording(model: Model, record: Record, seconds, hop, starts) -> None:
    found = model.classify(record(seconds=seconds), hop=hop)
    assert found.kind == "windows"
    assert spans(found) == [(start, start + 8) for start in starts]
    assert (found.seconds, found.rate, found.notices) == (seconds, 4000, ())


def test_an_answer_is_a_distribution_and_its_label_the_likeliest(model: Model, record: Record) -> None:
    found = model.classify(record(seconds=20))
    for segment in found.segments:
        assert sum(segment.probabilities) == pytest.approx(1)
        assert segment.label == found.class_names[int(np.argmax(segment.probabilities))]
        assert segment.code == ""
    assert len({segment.probabilities for segment in found.segments}) == 7  # windows are not heard alike


def test_an_answer_does_not_depend_on_the_batch(model: Model, record: Record) -> None:
    path = record(seconds=30)
    one, many = (model.classify(path, batch_size=size) for size in (1, 32))
    for a, b in zip(one.segments, many.segments, strict=True):
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-6)


@pytest.mark.parametrize("backend", kernels.available())
def test_logits_do_not_depend_on_the_batch(model: Model, backend: str) -> None:
    features = torch.randn(32, 1, 128, 32, generator=torch.Generator().manual_seed(1))
    with kernels.use(backend), torch.inference_mode():
        many = model.net(features)
        one = torch.cat([model.net(each[None]) for each in features])
    assert (many - one).abs().max() <= 1e-5
    assert many.std(dim=0).min() > 1e-3  # inputs are not heard alike


@pytest.mark.parametrize("seconds", [0.05, 0.2, 3, 7.9])
def test_a_short_recording_is_one_window_and_says_so(model: Model, record: Record, seconds) -> None:
    found = model.classify(record(seconds=seconds))
    assert spans(found) == [(0, seconds)]
    assert found.summary.n == 1
    assert found.notices == (f"repeated: the recording of {seconds:g} s fills the 8 s of a window",)


def test_less_than_a_frame_has_no_answer(model: Model, record: Record) -> None:
    found = model.classify(record(seconds=0))  # one sample
    assert [(segment.code, segment.label, segment.probabilities) for segment in found.segments] == [("short", None, ())]


@pytest.mark.parametrize(
    ("name", "rate", "channels", "notice"),
    [
        ("a.wav", 8000, 1, ""),
        ("a.wav", 96_000, 1, ""),
        ("a.flac", 44_100, 2, "mixed_down"),  # and nothing dead or out of phase
        ("a.ogg", 22_050, 1, ""),
        ("a.mp3", 16_000, 1, ""),
        ("a.wav", 2000, 1, "low_rate"),
    ],
)
def test_any_rate_and_format(model: Model, record: Record, name, rate, channels, notice) -> None:
    found = model.classify(record(name, rate=rate, channels=channels))
    assert spans(found) == [(0, 8), (1.5, 9.5)]
    assert found.rate == rate
    assert [said.partition(":")[0] for said in found.notices] == [notice] * bool(notice)


def test_the_same_sound_on_two_channels_has_the_same_answers(model: Model, record: Record, tmp_path: Path) -> None:
    path = record()
    samples, rate = soundfile.read(path)
    soundfile.write(tmp_path / "two.wav", np.stack([samples, samples], 1), rate)
    assert model.classify(tmp_path / "two.wav").segments == model.classify(path).segments


def test_silence_has_no_answer(model: Model, tmp_path: Path) -> None:
    samples = np.zeros(20 * 4000)
    samples[16 * 4000 :] = 0.1 * np.random.default_rng(0).standard_normal(4 * 4000)
    soundfile.write(tmp_path / "half.wav", samples, 4000)
    found = model.classify(tmp_path / "half.wav", hop=4)
    assert [segment.code for segment in found.segments] == ["silence", "silence", "silence", ""]
    assert [segment.probabilities for segment in found.segments[:3]] == [()] * 3
    assert (found.summary.n, found.summary.codes) == (1, {"silence": 3})
    soundfile.write(tmp_path / "dc.wav", np.full(9 * 16_000, 0.3), 16_000)
    assert model.classify(tmp_path / "dc.wav").summary.n == 0


# --- cycles


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns an ICBHI folder: three rates, short, long and silent cycles, one that ends just after the file."""
    root = tmp_path_factory.mktemp("icbhi")
    draw = np.random.default_rng(5)
    stems = {"101_1b1_Al_sc_Meditron": 44_100, "102_1b1_Ar_mc_AKGC417L": 4000, "103_1b1_Tc_sc_LittC2SE": 11_025}
    for stem, rate in stems.items():
        wave = (
            0.1 * draw.standard_normal((14 * rate, 2 if rate == 4000 else 1)) * np.linspace(0.1, 1, 14 * rate)[:, None]
        )
        wave[12 * rate :] = 0
        soundfile.write(root / f"{stem}.wav", wave, rate)
        times = [(0, 0.3), (0.3, 2.504), (2.504, 12), (12, 13), (13, 14.0005)]
        (root / f"{stem}.txt").write_text("".join(f"{start}\t{end}\t0\t1\n" for start, end in times))
    (root / "official_split.txt").write_text("".join(f"{stem}\ttest\n" for stem in stems))
    return root


@pytest.mark.parametrize("normalize", ["cycle", "mel_mean"])
def test_given_cycles_get_the_answers_of_an_evaluation(make_run, corpus: Path, tmp_path: Path, monkeypatch, normalize):
    monkeypatch.setenv("LUNG_SRAD_CACHE", str(tmp_path / "cache"))
    run = make_run(tmp_path / "run", f"backbone.normalize={normalize}")
    model = load(run)
    expected = evaluate(run, ICBHI(corpus))
    rows = []
    for path in sorted(corpus.glob("*.wav")):
        found = model.classify(path, cycles=path.with_suffix(".txt"))
        assert (found.kind, len(found.segments)) == ("cycles", 5)
        assert any(notice.startswith("cut: 1 of 5 cycles are longer than 8 s") for notice in found.notices)
        assert found.segments[-1].end == 14
        rows += [segment.probabilities or (math.nan,) * 4 for segment in found.segments]
    assert expected.class_names == model.class_names
    assert list(expected.id[:2]) == ["101_1b1_Al_sc_Meditron#0", "101_1b1_Al_sc_Meditron#1"]
    assert np.isnan(rows).any(axis=1).sum() == 3  # one silent cycle per recording
    np.testing.assert_allclose(rows, expected.probabilities, rtol=0, atol=1e-6)


def test_cycles_come_as_pairs_a_table_or_an_annotation(model: Model, record: Record, tmp_path: Path) -> None:
    path, pairs = record(), [(0.5, 2.25), (2.25, 9.5)]
    (tmp_path / "a.txt").write_text("".join(f"{start}\t{end}\t1\t0\n" for start, end in pairs))
    (tmp_path / "cycles.csv").write_text("Name, START,end\n" + "".join(f"x,{start},{end}\n" for start, end in pairs))
    expected = model.classify(path, cycles=pairs)
    assert spans(expected) == pairs
    for given in (tmp_path / "a.txt", str(tmp_path / "cycles.csv"), tmp_path, np.array(pairs), iter(pairs)):
        assert model.classify(path, cycles=given).segments == expected.segments


def test_cycles_come_from_audacity_and_raven(model: Model, record: Record, tmp_path: Path) -> None:
    path, pairs = record(), [(0.5, 2.25), (2.25, 9.5)]
    (tmp_path / "labels.txt").write_text("0.5\t2.25\tcrackle\n\\\t100.0\t900.0\n2.25\t9.5\n\n", encoding="utf-8-sig")
    header = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tAnnotation\n"
    rows = [f"{n}\t{view}\t1\t{a}\t{b}\tx\n" for n, (a, b) in enumerate(pairs, 1) for view in ("Waveform 1", "Spec 1")]
    (tmp_path / "a.Table.1.selections.txt").write_text(header + "".join(rows))
    expected = model.classify(path, cycles=pairs)
    for given in (tmp_path / "labels.txt", tmp_path):
        assert model.classify(path, cycles=given).segments == expected.segments


def test_an_open_end_is_that_of_the_recording(model: Model, record: Record) -> None:
    assert spans(model.classify(record(), cycles=[(4, math.inf)])) == [(4, 9.5)]


@pytest.mark.parametrize(
    ("cycles", "words"),
    [
        ([(0, 9.6)], "cycle 1, 0-9.6 s; the recording has 9.500 s"),
        ([(0, 1), (9.5, math.inf)], "cycle 2, 9.5-inf s"),
        ([(0, 1), (2, 1)], r"number 2: \(2, 1\); \(start, end\) in seconds"),
        ([(-1, 1)], "number 1"),
        ([(0, math.nan)], "number 1"),
        ([(0, 1, 2)], "number 1"),
        ([3], "number 1"),
        (["ab"], "number 1"),
        ([], "no cycle"),
        ("absent.txt", "absent.txt: cannot be read"),
        ("absent.csv", "absent.csv: cannot be read"),
        (".", "no cycles of a.wav; one of a.txt, a.csv, a.Table.1.selections.txt"),
    ],
)
def test_cycles_that_cannot_be(model: Model, record: Record, tmp_path: Path, monkeypatch, cycles, words) -> None:
    path = record()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=words):
        model.classify(path, cycles=cycles)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.csv", "", "the first line is ''"),
        ("c.csv", "0.0,1.0\n", "the first line is '0.0,1.0'"),
        ("c.csv", "start;end\n0;1\n", "the first line is 'start;end'"),
        ("c.csv", "start,end\n", "no cycle"),
        ("c.csv", "start,end\n0,1\n1,two\n", "line 3: from '1' to 'two'"),
        ("c.csv", "start,end\n0,1\n2\n", "line 3: from '2' to ''"),
        ("c.csv", "start,end\n0,nan\n", "line 2"),
        ("c.csv", "start,end\n3,2\n", "line 2"),
        ("c.csv", 'start,end\n0,"1\n', "cannot be read"),
        ("c.csv", "start,end\n0,1\xff", "cannot be read"),
        ("c.txt", "", "no line"),
        ("c.txt", "0.0\t1.0\tcrackle\n1.0\t0.5\twheeze\n", "c.txt: line 2: from '1.0' to '0.5'"),
        ("c.txt", "0.0\t1.0\tcr\xffckle\n", "c.txt: cannot be read"),
        ("c.txt", "0.0\t1.0\t0\t0\t7\n", "c.txt.* 5 tab-separated fields"),
        ("c.txt", "Selection\tBegin Time (s)\tEnd Time (s)\n1\t0\tx\n", "line 2: from '0' to 'x'"),
        ("c.txt", "0.0\t1.0\t0\t0\n0.5\t2.0\t0\t0\n", "before the cycle above ends"),
    ],
)
def test_a_file_of_cycles_that_cannot_be(model: Model, record: Record, tmp_path: Path, name, text, words) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=words):
        model.classify(record(), cycles=tmp_path / name)


# --- what cannot be


def hostile(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal(40 * 4000)
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("start\tend\n")
    elif kind == "folder":
        path.mkdir()
    elif kind == "nan":
        samples[-5] = np.nan  # in the second of two parts
        soundfile.write(path, samples, 4000, subtype="FLOAT")
    elif kind == "cut":
        soundfile.write(path, samples, 4000)
        path.write_bytes(path.read_bytes()[:-1000])
    return path


@pytest.mark.parametrize("cycles", [None, [(0, 1)]])
@pytest.mark.parametrize("kind", ["empty", "text", "folder", "nan", "cut", "absent"])
def test_a_recording_that_cannot_be_used_is_one_message(model: Model, tmp_path: Path, kind, cycles) -> None:
    path = hostile(tmp_path, kind)
    with pytest.raises(AudioError) as caught:
        model.classify(path, cycles=cycles)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).count(";") >= 2


@pytest.mark.parametrize("hop", [0, -1, 8.1, math.nan, math.inf])
def test_a_hop_that_cannot_be(model: Model, record: Record, hop) -> None:
    with pytest.raises(ConfigError, match=r"hop: .*0.01 to 8 s"):
        model.classify(record(), hop=hop)


def test_a_batch_size_that_cannot_be(model: Model, record: Record) -> None:
    with pytest.raises(ConfigError, match="batch_size: 0"):
        model.classify(record(), batch_size=0)


def test_answers_that_are_not_finite_are_no_silence(model: Model, record: Record) -> None:
    class Broken(torch.nn.Module):
        backbone = model.net.backbone

        def head(self, embeddings: torch.Tensor) -> torch.Tensor:
            return torch.full((len(embeddings), 4), math.nan)

    with pytest.raises(WeightsError, match="not finite"):
        replace(model, net=Broken()).classify(record())
