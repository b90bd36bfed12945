"""Valid files of every format, written from scratch: what mutants are made of. The same bytes every time."""

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import torch
from safetensors.torch import save

from lung_srad.config import dump_preset, load_preset
from lung_srad.preset_files import preset_text
from lung_srad.runs import TrainedModel, build_model, save_model

RATE = 4000
Seeds = dict[str, bytes]


def wave(samples: int = 1200, channels: int = 1) -> np.ndarray:
    """Returns quiet noise."""
    return 0.1 * np.random.default_rng(0).standard_normal((samples, channels))


def encoded(subtype: str, form: str = "WAV", *, rate: int = RATE, channels: int = 1, samples: int = 1200) -> bytes:
    """Returns a recording in a format of libsndfile."""
    buffer = io.BytesIO()
    soundfile.write(buffer, wave(samples, channels), rate, subtype=subtype, format=form)
    return timeless(buffer.getvalue())


def timeless(content: bytes) -> bytes:
    """Returns a recording without what differs every time: the date in a PEAK chunk, the number of an OGG stream."""
    if (peak := content.find(b"PEAK")) >= 0:
        return content[: peak + 12] + bytes(4) + content[peak + 16 :]
    pages = content.split(b"OggS")
    return b"".join([pages[0], *(_numbered(b"OggS" + page) for page in pages[1:])])


def _numbered(page: bytes) -> bytes:
    """Returns a page of OGG as one of stream 1, with the checksum that makes it whole."""
    page = page[:14] + struct.pack("<I", 1) + page[18:22] + bytes(4) + page[26:]
    checksum = 0
    for byte in page:  # as a CRC of 32 bits with the polynomial of Ethernet, its bits not turned about
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x04C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
    return page[:22] + struct.pack("<I", checksum) + page[26:]


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def with_chunks() -> bytes:
    """Returns a WAV file with chunks before, between and behind what is needed."""
    pcm = (wave(600)[:, 0] * 32767).astype("<i2").tobytes()
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
    info = chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"fuzz"))
    body = b"WAVE" + chunk(b"bext", bytes(602)) + form + info + chunk(b"data", pcm) + chunk(b"cue ", bytes(28))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def rifx() -> bytes:
    """Returns a WAV file with its numbers the other way round."""
    pcm = (wave(600)[:, 0] * 32767).astype(">i2").tobytes()
    head = b"WAVEfmt " + struct.pack(">IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16) + b"data"
    body = head + struct.pack(">I", len(pcm)) + pcm
    return b"RIFX" + struct.pack(">I", len(body)) + body


def sounds() -> Seeds:
    """Returns recordings in every format that is decoded."""
    plain = {f"{name}.wav": encoded(subtype) for name, subtype in WAV_SUBTYPES.items()}
    return plain | {
        "gsm.wav": encoded("GSM610", rate=8000, samples=3200),
        "g721.wav": encoded("G721_32"),
        "stereo.wav": encoded("PCM_16", channels=2),
        "six.wav": encoded("PCM_16", channels=6, samples=200),
        "extensible.wav": encoded("PCM_24", "WAVEX", channels=2),
        "chunks.wav": with_chunks(),
        "rifx.wav": rifx(),
        "rf64.wav": encoded("PCM_16", "RF64"),
        "w64.w64": encoded("PCM_16", "W64"),
        "odd_rate.wav": encoded("PCM_16", rate=44_100),
        "aiff.aiff": encoded("PCM_16", "AIFF"),
        "aiff_float.aiff": encoded("FLOAT", "AIFF"),
        "aiff_ima.aiff": encoded("IMA_ADPCM", "AIFF"),
        "flac.flac": encoded("PCM_16", "FLAC"),
        "flac24.flac": encoded("PCM_24", "FLAC", channels=2),
        "vorbis.ogg": encoded("VORBIS", "OGG", rate=16_000),
        "opus.ogg": encoded("OPUS", "OGG", rate=16_000),
        "mp3.mp3": encoded("MPEG_LAYER_III", "MP3", rate=16_000, samples=6000),
    }


WAV_SUBTYPES = {
    "u8": "PCM_U8",
    "pcm16": "PCM_16",
    "pcm24": "PCM_24",
    "pcm32": "PCM_32",
    "float": "FLOAT",
    "double": "DOUBLE",
    "ulaw": "ULAW",
    "alaw": "ALAW",
    "ima": "IMA_ADPCM",
    "ms": "MS_ADPCM",
}

ANNOTATION = "0.036\t0.579\t0\t0\n0.579\t2.45\t1\t0\n2.45\t3.893\t0\t1\n3.893\t5.793\t1\t1\n"


def annotations() -> Seeds:
    """Returns every text about recordings: ICBHI's, SPRSound's, Audacity's, Raven's, and tables."""
    events = [{"start": "100", "end": "900", "type": "Normal"}, {"start": "900", "end": "1900", "type": "Wheeze"}]
    record = {"record_annotation": "CAS", "event_annotation": events}
    names = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)")
    raven = "\t".join(names) + "\n" + "1\tSpectrogram 1\t1\t0.5\t1.25\t100\t800\n2\tWaveform 1\t1\t2\t3\t0\t900\n"
    table = "path,start,end,label,patient,split\na.wav,0,0.9,wheeze,p1,train\na.wav,0.9,1.8,normal,p1,train\n"
    texts = {
        "icbhi.txt": ANNOTATION,
        "crlf.txt": ANNOTATION.replace("\n", "\r\n"),
        "one.txt": "0\t1\t0\t0",
        "long.txt": "".join(f"{n / 2}\t{n / 2 + 0.5}\t{n % 2}\t0\n" for n in range(40)),
        "sprsound.json": json.dumps(record),
        "sprsound_2.json": json.dumps({"event_annotation": []}, indent=1),
        "audacity.labels": "0.5\t1.25\twheeze\n\\\t100\t800\n2\t3\tcrackle\n",
        "raven.labels": raven,
        "spans.csv": "start,end\n0,1\n1,2.5\n",
        "table.table": table,
        "official.split": "101_1b1_Al_sc_Meditron\ttrain\n102_1b1_Ar_sc_AKGC417L\ttest\n",
        "folds.split": "101 0\n102 1\n103 2\n",
        "people.people": "101\t3\tF\tNA\t19\t99\n102\t0.75\tF\tNA\t9.8\t73\n103\t70\tM\t33\tNA\tNA\n",
    }
    return {name: text.encode() for name, text in texts.items()}


def presets() -> Seeds:
    """Returns shipped presets as they are, small ones that are quickly checked, and TOML of every kind of value."""
    small = {
        name: dump_preset(load_preset(name, profile="small"))
        for name in ("lung_srad", "dass_finetuning", "dat", "pafa", "sg_scl")
    }
    head, _, rest = small["dass_finetuning"].partition("\ntitle = ")
    kinds = f'{head}\ntitle = """two\\u00e9 \\\n  lines"""  # one\n{rest.partition(chr(10))[2]}'
    kinds = kinds.replace("[optimizer]", "['optimizer']").replace("overrides = []", "overrides = [\n  # none\n]")
    texts = {f"{name}.toml": text for name, text in small.items()}
    texts |= {f"{name}_shipped.toml": preset_text(name) for name in ("lung_srad", "bts", "ast_finetuning")}
    return {name: text.encode() for name, text in (texts | {"kinds.toml": kinds}).items()}


def weights() -> Seeds:
    """Returns weights files: tables of tensors as others write them, and a model of ours that carries its preset."""
    torch.manual_seed(0)
    some = {
        "layers.0.norm.weight": torch.ones(4),
        "layers.0.norm.bias": torch.zeros(4),
        "head.weight": torch.ones(2, 4),
    }
    kinds = (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool)
    mixed = {f"module.{str(kind)[6:]}": torch.ones(3, dtype=kind) for kind in kinds}
    return {
        "some.safetensors": save(some),
        "mixed.safetensors": save(mixed, {"format": "pt"}),
        "empty.safetensors": save({"nothing": torch.zeros(0, 3)}),
        "model.ours": own_model(),
    }


def own_model() -> bytes:
    """Returns the smallest model that train writes, its tensors zero but for what must not be."""
    preset = load_preset("dass_finetuning", profile="small")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        names = ("normal", "crackle", "wheeze", "both")
        save_model(path, TrainedModel(build_model(preset, 4), preset, names, 0))
        return path.read_bytes()


BOUNDARY = "xx"


def forms() -> Seeds:
    """Returns bodies of requests; what stands before the first empty line is their content type, if anything."""
    sound = encoded("PCM_16", samples=200)
    head = 'Content-Disposition: form-data; name="file"; filename="a.wav"'
    part = f"--{BOUNDARY}\r\n{head}\r\nContent-Type: audio/wav\r\n\r\n".encode() + sound + f"\r\n--{BOUNDARY}".encode()
    kind = f"multipart/form-data; boundary={BOUNDARY}".encode()
    star = part.replace(b'filename="a.wav"', b"filename*=UTF-8''%c3%a9.wav")
    return {
        "one.form": kind + b"\n\n" + part + b"--\r\n",
        "star.form": kind + b"\n\n" + star + b"--\r\n",
        "preamble.form": kind + b"\n\n" + b"\r\n" + part + b"--\r\nepilogue",
        "quoted.form": kind.replace(b"xx", b'"xx"') + b"\n\n" + part + b"--\r\n",
        "raw.form": b"audio/wav\n\n" + sound,
        "untyped.form": b"\n\n" + sound,
    }


SEEDS: dict[str, Callable[[], Seeds]] = {
    "wav": sounds,
    "annotations": annotations,
    "toml": presets,
    "safetensors": weights,
    "multipart": forms,
}
