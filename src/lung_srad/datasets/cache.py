"""Spectrograms on disk: one file per recording, named by everything that determines its content.

A file is an ordinary ``.npy`` of shape (cycles, frames, mel) and then the CRC-32 of what stands before it.
It is written under a temporary name and renamed, so a reader sees a whole file or none, whoever else writes.
"""

import hashlib
import io
import json
import os
import random
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from lung_srad.audio import cut_cycle, is_silent, load_recording
from lung_srad.datasets.checks import Progress
from lung_srad.datasets.contract import Cycle, content_digest
from lung_srad.errors import DataError, message

Spans = tuple[tuple[float, float], ...]  # start and end in seconds

LAYOUT = 1  # of a cache file; part of the key
_CHECKSUM = 4  # bytes
_ABANDONED = 3600.0  # seconds after which the temporary file of a killed writer is removed


class CacheableFrontend(Protocol):
    """What the cache asks of a front end; it stays on the CPU."""

    sample_rate: int
    seconds: float
    resampler: str

    def spectrogram(self, wave: torch.Tensor) -> torch.Tensor:
        """Returns the un-normalised log-mel (..., frames, mel) of a wave (..., samples)."""

    def cache_key(self) -> dict[str, str | int | float]:
        """Returns everything that determines the output of :meth:`spectrogram`."""


class FeatureCache:
    """Un-normalised spectrograms of cycles, computed once and shared by every run and worker.

    Args:
        folder: where the files lie; made if it does not exist.
        frontend: computes a spectrogram.
    """

    def __init__(self, folder: str | Path, frontend: CacheableFrontend) -> None:
        self.folder = Path(folder)
        self.frontend = frontend
        self._spans: dict[Path, Spans] = {}  # of the cycles that share a recording's file
        self._sound: set[Path] = set()  # cache files whose checksum this process has seen to be right

    def prepare(self, cycles: Iterable[Cycle], progress: Progress | None = None) -> tuple[str, ...]:
        """Returns the ids of silent cycles, once every cycle is in the cache; one recording at a time.

        Several writers may prepare the same folder: each goes through the recordings in an order of its own
        and passes over what another has done.

        Args:
            progress: called with (recordings done, recordings in all).

        Raises:
            AudioError: a recording cannot be decoded.
            DataError: the folder cannot be written, or a recording cannot be read.
        """
        groups: dict[Path, list[Cycle]] = {}
        for cycle in cycles:
            groups.setdefault(cycle.path, []).append(cycle)
        for path, group in groups.items():
            spans = {(cycle.start, cycle.end) for cycle in group}
            self._spans[path] = tuple(sorted(spans.union(self._spans.get(path, ()))))
        self._remove_abandoned()
        silent = set()
        order = random.SystemRandom().sample(list(groups), len(groups))
        for done, path in enumerate(order, start=1):
            found = is_silent(_load(self._file(path, self._spans[path])))  # (cycles,)
            silent.update((path, span) for span, is_so in zip(self._spans[path], found, strict=True) if is_so)
            if progress is not None:
                progress(done, len(groups))
        ready = (cycle for group in groups.values() for cycle in group)
        return tuple(cycle.id for cycle in ready if (cycle.path, (cycle.start, cycle.end)) in silent)

    def features(self, cycle: Cycle) -> torch.Tensor:
        """Returns the spectrogram (frames, mel) of a cycle, from the cache or computed now.

        It is a private view of a memory-mapped file: writing into it changes nobody else's copy.

        Raises:
            AudioError: the recording cannot be decoded.
            DataError: the folder cannot be written, or the recording cannot be read.
        """
        span = (cycle.start, cycle.end)
        spans = self._spans.get(cycle.path, ())
        if span not in spans:
            spans = (span,)  # a cycle that was never prepared has a file to itself
        return _load(self._file(cycle.path, spans))[spans.index(span)]

    def _file(self, path: Path, spans: Spans) -> Path:
        """Returns the whole and checked cache file of a recording, written now where there is none."""
        key = {"layout": LAYOUT, "audio": content_digest(path), "spans": spans}
        key["frontend"] = self.frontend.cache_key()
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        file = self.folder / f"{name}.npy"
        if file not in self._sound or not file.exists():
            if not _intact(file):
                self._write(file, path, spans)
            self._sound.add(file)
        return file

    def _write(self, file: Path, path: Path, spans: Spans) -> None:
        """Computes the spectrograms of a recording and puts them in place in one step."""
        spectrograms = self._spectrograms(path, spans)
        first = next(spectrograms)
        temporary = self.folder / f"{file.stem[:16]}-{secrets.token_hex(8)}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as out:
                checksum = 0
                for part in chain([_header((len(spans), *first.shape)), first], spectrograms):
                    out.write(part)
                    checksum = zlib.crc32(part, checksum)
                out.write(checksum.to_bytes(_CHECKSUM, "big"))
                out.flush()
                os.fsync(out.fileno())
            os.replace(temporary, file)
        except OSError as error:
            remedy = "make room there, or choose another folder for the cache"
            seen = f"cannot be written ({error.strerror})"
            raise DataError(message(self.folder, seen, "allowed: a folder with room", remedy)) from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _spectrograms(self, path: Path, spans: Spans) -> Iterator[np.ndarray]:
        """Yields the spectrogram of each cycle, one by one, so that its bits do not depend on a batch."""
        rate, front = self.frontend.sample_rate, self.frontend
        wave = load_recording(path, sample_rate=rate, resampler=front.resampler).samples
        for start, end in spans:
            with torch.inference_mode():
                cycle = cut_cycle(wave, start, end, seconds=front.seconds, sample_rate=rate, where=path)
                spectrogram = front.spectrogram(cycle)
            yield np.ascontiguousarray(spectrogram.numpy(), dtype="<f4")

    def _remove_abandoned(self) -> None:
        """Removes temporary files of writers that were killed."""
        for temporary in self.folder.glob("*.tmp"):
            with suppress(OSError):  # another writer may have removed it, or own it
                if time.time() - temporary.stat().st_mtime > _ABANDONED:
                    temporary.unlink()


def _header(shape: tuple[int, ...]) -> bytes:
    """Returns the first bytes of a ``.npy`` file of float32 numbers."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return out.getvalue()


def _load(file: Path) -> torch.Tensor:
    """Returns the spectrograms (cycles, frames, mel) of a cache file, mapped into memory copy-on-write."""
    return torch.from_numpy(np.load(file, mmap_mode="c"))


def _intact(file: Path) -> bool:
    """Returns whether a cache file is there and ends in the checksum of what stands before it."""
    try:
        raw = np.memmap(file, dtype=np.uint8, mode="r")
    except (OSError, ValueError):  # not there, or empty
        return False
    return zlib.crc32(raw[:-_CHECKSUM]).to_bytes(_CHECKSUM, "big") == raw[-_CHECKSUM:].tobytes()
