"""What reads foreign bytes, and what has to hold whatever they are: a result that keeps its promises, or a refusal."""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fuzzing.mutators import BYTES, CHUNKS, HEADER, TEXT, Mutator
from lung_srad.audio import load_recording, read
from lung_srad.config import dump_preset, load_preset, parse_preset
from lung_srad.datasets import Table
from lung_srad.datasets.annotations import read_annotation
from lung_srad.datasets.demographics import find_people
from lung_srad.datasets.headers import contradiction
from lung_srad.datasets.report import Defect
from lung_srad.datasets.splits import read_pairs
from lung_srad.datasets.sprsound_files import read_record
from lung_srad.errors import LungSradError
from lung_srad.inference.sources import open_sound, require_length
from lung_srad.inference.spans import read_spans
from lung_srad.models.weights import read_checkpoint
from lung_srad.portable.sound import read_sound
from lung_srad.preset_files import parse_toml
from lung_srad.runs import check_preset, load_model
from lung_srad.serving.limits import Limits, RefusedError
from lung_srad.serving.uploads import Held, receive_recording


class BrokenPromiseError(Exception):
    """What was returned, or the refusal, is not as it has to be."""


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        mutators: what is done to its seeds.
        take: reads the file at a path; returns whether it is accepted, without a defect.
        share: of all mutants.
    """

    mutators: Sequence[Mutator]
    take: Callable[[Path], bool]
    share: float


def require(holds: bool, promise: str) -> None:
    if not holds:
        raise BrokenPromiseError(promise)


def require_refusal(text: str, where: str = "") -> None:
    """Raises unless a refusal is one line that can be printed and names place, value, what is allowed, and remedy."""
    require(text.startswith(f"{where}: ") if where else ": " in text, f"names no place: {text!r}")
    require(text.count("; ") >= 2, f"lacks what is allowed, or what to do: {text!r}")
    require(text.isprintable(), f"cannot be printed: {text!r}")
    require(len(text) < 3000, f"is {len(text)} letters long: {text[:200]!r}")


def refused(call: Callable[[], Any], where: str = "") -> tuple[Any, str]:
    """Returns a result and "", or None and the refusal; out of memory is no refusal, whatever it was made of."""
    try:
        return call(), ""
    except (LungSradError, RefusedError) as error:
        text = error.text if isinstance(error, RefusedError) else str(error)
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError) or "allocate memory" in str(cause):
                raise MemoryError(text) from error
            cause = cause.__cause__ or cause.__context__
        require_refusal(text, where)
        return None, text


def hear(path: Path) -> bool:
    """Decodes block by block, at once, to 16 kHz, and without torch: all four say the same."""
    where = str(path)

    def streamed() -> torch.Tensor:
        with open_sound(path, None) as sound:
            require_length(sound)
            require(1000 <= sound.rate <= 384_000, f"a rate of {sound.rate} Hz was accepted")
            return torch.cat(list(sound.blocks))

    def whole() -> torch.Tensor:
        return read(path).samples

    def resampled() -> torch.Tensor:
        return load_recording(path).samples

    contradiction(path)
    blocks, no_blocks = refused(streamed, where)
    samples, no_samples = refused(whole, where)
    wave, no_wave = refused(resampled, where)
    plain, no_plain = refused(lambda: read_sound(path), where)
    require(bool(no_samples) == bool(no_blocks), f"decoded at once: {no_samples!r}; in blocks: {no_blocks!r}")
    require(bool(no_samples) == bool(no_plain), f"with torch: {no_samples!r}; without: {no_plain!r}")
    require(bool(no_samples) == bool(no_wave), f"decoded: {no_samples!r}; resampled: {no_wave!r}")
    if not no_samples:
        mono = blocks.mean(1) if blocks.shape[1] > 1 else blocks[:, 0]
        require(len(samples) > 0 and bool(samples.isfinite().all()), "samples are missing, or not finite")
        require(torch.equal(mono, samples), "the blocks are not the whole")
        require(bool(wave.isfinite().all()), "resampled samples are not finite")
        require(np.allclose(plain[0], samples.numpy(), rtol=1e-5, atol=1e-6), "other samples without torch")
    return not no_samples


def annotate(path: Path) -> bool:
    """Reads a text about recordings as what its suffix says it is."""
    if path.suffix == ".people":
        notices: list[str] = []
        path.rename(path.with_name("metadata.txt"))
        people = find_people((path.parent,), notices)
        require(all(notice.isprintable() for notice in notices), f"cannot be printed: {notices!r}")
        require(all(person.age is None or 0 <= person.age < math.inf for person in people.values()), "an age is none")
        return not notices
    if path.suffix in (".labels", ".csv"):
        renamed = path.rename(path.with_suffix(".txt" if path.suffix == ".labels" else ".csv"))
        spans, no_spans = refused(lambda: read_spans(renamed, Path("a.wav")))
        require(all(0 <= start < end < math.inf for start, end in spans or []), f"impossible times: {spans!r}")
        return not no_spans
    if path.suffix == ".table":
        report, no_report = refused(lambda: Table(path).validate(audio=False), str(path))
        defects = [each for each in report.defects if each.kind != "audio"] if report else []
        require_defects(report.defects if report else ())
        return not (no_report or defects)
    if path.suffix == ".split":
        defects = read_pairs(path, ("train", "test", "0", "1", "2", "3", "4"))[1]
    elif path.suffix == ".json":
        _, events, defects = read_record(path)
        require(all(0 <= each.start < each.end < math.inf for each in events), f"impossible times: {events!r}")
    else:
        rows, defects = read_annotation(path)
        require(bool(rows or defects), "neither a cycle nor a defect")
        require(all(0 <= row.start < row.end < math.inf for row in rows), f"impossible times: {rows!r}")
        require(all(row.label in range(4) for row in rows), f"impossible labels: {rows!r}")
    require_defects(defects)
    return not defects


def require_defects(defects: Sequence[Defect]) -> None:
    for defect in defects:
        require_refusal(str(defect), defect.file)


def configure(path: Path) -> bool:
    """Reads a preset, checks that its parts can be built, and writes it again."""
    preset, no_preset = refused(lambda: load_preset(path))
    if no_preset:
        return False
    _, unfit = refused(lambda: check_preset(preset))
    again = parse_preset(parse_toml(dump_preset(preset), "again"), "again")
    require(again == preset, "another preset when written and read again")
    return not unfit


def weigh(path: Path) -> bool:
    """Reads a weights file: of ours with all that it says of itself, of others as names and tensors."""
    if path.suffix == ".ours":
        model, no_model = refused(lambda: load_model(path), str(path))
        tensors = model.net.state_dict() if model else {}
        require(model is None or model.net.backbone.frontend.seconds <= 3600, "a window of more than an hour")
        require(all(bool(tensor.isfinite().all()) for tensor in tensors.values()), "weights that are not finite")
        return not no_model
    checkpoint, no_checkpoint = refused(lambda: read_checkpoint(path), str(path))
    size = sum(tensor.nbytes for tensor in checkpoint.tensors.values()) if checkpoint else 0
    require(size <= path.stat().st_size, "more bytes in tensors than in the file")
    return not no_checkpoint


def upload(path: Path) -> bool:
    """Receives a body in pieces, as a server does; nothing is held when it is refused, or closed."""
    kind, _, body = path.read_bytes().partition(b"\n\n")
    step = 1 + sum(body[:8]) % 997
    pieces = [body[at : at + step] for at in range(0, len(body), step)] or [b""]
    events = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    events[-1]["more_body"] = False
    held, rest = Held(16), iter(events)

    async def receive() -> dict[str, Any]:
        return next(rest, {"type": "http.disconnect"})

    def received() -> bytes:
        headers = {"content-type": kind.decode("latin-1")} if kind else {}
        found = asyncio.run(receive_recording(receive, headers, "a.wav", Limits(), held))
        with closing(found):
            require(bool(found.name) and "/" not in found.name and found.name.isprintable(), f"a name {found.name!r}")
            return found.read()

    content, no_content = refused(received)
    require(content is None or 0 < len(content) <= len(body), "another number of bytes than was sent")
    require(held.bytes == 0, f"{held.bytes} bytes are still held")
    return not no_content


TARGETS: dict[str, Target] = {
    "wav": Target(CHUNKS, hear, 0.4),
    "annotations": Target(TEXT, annotate, 0.2),
    "toml": Target(TEXT, configure, 0.12),
    "safetensors": Target(HEADER, weigh, 0.14),
    "multipart": Target((*BYTES, *TEXT[-9:]), upload, 0.14),
}
