"""Checks that every corpus shares: names fit to print, lengths of recordings, what decoding shows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile
import torch

from lung_srad.audio import SILENCE_STD, Frontend, cut_cycle, is_silent, load_recording, read
from lung_srad.datasets.headers import contradiction
from lung_srad.datasets.report import Defect
from lung_srad.errors import AudioError, shown

if TYPE_CHECKING:
    from lung_srad.datasets.contract import Cycle

Progress = Callable[[int, int], None]  # (done, total)
_LONGEST_NAME = 255  # letters that a message repeats; a table may name anything
_FIRST = 0.01  # seconds that are decoded to look at a file
TOLERANCE = 1e-3  # seconds; annotations carry three decimals, so an end may lie this far behind the last sample


def audio_seconds(path: Path) -> float | Defect:
    """Returns the length of a recording from its header, or what keeps it from being read."""
    try:
        read(path, stop=_FIRST)  # compares what the header promises with what is there, which libsndfile does not
        with path.open("rb") as file:  # soundfile takes no name whose bytes are not text
            info = soundfile.info(file)
    except (AudioError, OSError, soundfile.SoundFileError) as error:
        return _audio_defect(path, error)
    return info.frames / info.samplerate


def outside(start: float, end: float, seconds: float) -> bool:
    """Returns whether a cycle leaves its recording by more than the rounding of its times."""
    return not (start < seconds and (end <= seconds + TOLERANCE or end == math.inf))


def audio_findings(cycles: Iterable[Cycle], progress: Progress | None = None) -> tuple[list[Defect], list[str]]:
    """Returns defects (what does not decode, silent cycles, headers, copies) and notices; one recording at a time."""
    frontend = Frontend()
    by_path: dict[Path, list[Cycle]] = {}
    for cycle in cycles:
        by_path.setdefault(cycle.path, []).append(cycle)
    defects: list[Defect] = []
    files_by_notice: dict[str, list[str]] = {}
    first_with: dict[bytes, Path] = {}  # hash of the samples -> recording
    for done, (path, group) in enumerate(by_path.items(), start=1):
        try:
            recording = load_recording(path, sample_rate=frontend.sample_rate, resampler=frontend.resampler)
            silent = [silence(cycle) for cycle in group if _silent(frontend, recording.samples, cycle)]
        except AudioError as error:
            defects.append(_audio_defect(path, error))
        else:
            defects += silent + _header_defects(path)
            twin = first_with.setdefault(hashlib.sha256(recording.samples.numpy()).digest(), path)
            if twin != path and len(silent) < len(group):  # one silence is like another
                seen, remedy = f"the same sound as {shown(twin.name)}", "remove one of the two, or copy it again"
                defects.append(Defect(shown(path.name), "copy", seen, "each recording once", remedy))
            for notice in recording.notices:
                files_by_notice.setdefault(notice, []).append(shown(path.name))
        if progress is not None:
            progress(done, len(by_path))
    notices = [f"{notice} ({len(files)} recording(s), first {files[0]})" for notice, files in files_by_notice.items()]
    return defects, notices


def _header_defects(path: Path) -> list[Defect]:
    """Returns the defect of a header that contradicts its file, if it does."""
    seen = contradiction(path)
    remedy = "copy the file again from its source, or export it again as WAV"
    return [Defect(shown(path.name), "header", seen, "a header that agrees with its file", remedy)] if seen else []


def silence(cycle: Cycle) -> Defect:
    """Returns the defect of a silent cycle."""
    seen = f"cycle {cycle.id} ({cycle.start:g}-{cycle.end:g} s) is silent"
    allowed = f"a log-mel standard deviation of at least {SILENCE_STD:g}"
    remedy = "take the cycle out of the annotation, or copy the recording again"
    return Defect(shown(cycle.path.name), "silence", seen, allowed, remedy)


def _silent(frontend: Frontend, samples: torch.Tensor, cycle: Cycle) -> bool:
    """Returns whether a cycle of a decoded recording is silence."""
    seconds, rate = frontend.seconds, frontend.sample_rate
    wave = cut_cycle(samples, cycle.start, cycle.end, seconds=seconds, sample_rate=rate, where=cycle.id)
    return bool(is_silent(frontend.spectrogram(wave)))


def _audio_defect(path: Path, error: Exception) -> Defect:
    """Returns the defect of a recording that the audio room refuses; the message says what is allowed."""
    return Defect(shown(path.name[:_LONGEST_NAME]), "audio", shown(str(error).removeprefix(f"{path}: ")))
