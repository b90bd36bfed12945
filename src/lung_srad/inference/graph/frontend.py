"""The front end of DASS as nodes: frames, filter bank, normalisation and resizing as slices and matrix products."""

import math

import numpy as np
import torch
from torch.nn import functional as F

from lung_srad.audio import SILENCE_STD, Frontend, KaldiFbank
from lung_srad.audio.fbank import FLOOR, PREEMPHASIS
from lung_srad.audio.frontend import AUDIOSET_MEAN, AUDIOSET_STD
from lung_srad.errors import ConfigError, message
from lung_srad.inference.graph.nodes import Nodes, array

_KEEP = {"keepdims": 1}


def require_frontend(frontend: object) -> Frontend:
    """Returns the front end, if there are nodes for it.

    Raises:
        ConfigError: another one than that of DASS and AST.
    """
    if not isinstance(frontend, Frontend):
        seen = type(frontend).__name__
        raise ConfigError(message("export to ONNX", seen, "the front end of DASS", "export features to logits only"))
    return frontend


def write_frontend(nodes: Nodes, wave: str, front: Frontend) -> tuple[str, str]:
    """Returns the names of the features and of what is silent: (B, samples) -> (B, 1, mel, frames), (B,)."""
    length = front.fbank.frames(round(front.seconds * front.sample_rate))
    spec = _log_mel(nodes, wave, front.fbank, length)
    count = length * front.fbank.mels
    centred, deviation = _centred(nodes, spec, count)
    silent = nodes.op("Less", nodes.reshape(deviation, [-1]), SILENCE_STD, name="silent")
    if front.normalization == "audioset":
        shifted = nodes.op("Sub", spec, AUDIOSET_MEAN)
        spec = nodes.op("Div", shifted, 2 * AUDIOSET_STD)
    else:
        if front.normalization == "mel_mean":
            centred = nodes.op("Sub", spec, nodes.op("ReduceMean", spec, [1], settings=_KEEP))
            _, deviation = _centred(nodes, centred, count)
        scale = nodes.op("Mul", nodes.op("Max", deviation, SILENCE_STD), 2.0)
        spec = nodes.op("Div", centred, scale)
    image = nodes.transpose(spec, [0, 2, 1])  # (B, mel, T)
    if length != front.frames:
        image = nodes.op("MatMul", image, _resizing(length, front.frames))
    return nodes.op("Unsqueeze", image, [1], name="features"), silent


def _centred(nodes: Nodes, x: str, count: int) -> tuple[str, str]:
    """Returns the names of (B, T, mel) less its mean, and of its standard deviation over ``count`` values.

    A runtime may add up in float32, one value after the other: over a hundred thousand of them silence would have a
    deviation. So sums go axis by axis, and what rounding left of the mean is taken off once more.
    """
    centred = nodes.op("Sub", x, _mean(nodes, x))
    centred = nodes.op("Sub", centred, _mean(nodes, centred))
    variance = nodes.op("Mul", _mean(nodes, nodes.op("Mul", centred, centred)), count / (count - 1))
    return centred, nodes.op("Sqrt", variance)


def _mean(nodes: Nodes, x: str) -> str:
    return nodes.op("ReduceMean", nodes.op("ReduceMean", x, [2], settings=_KEEP), [1], settings=_KEEP)


def _log_mel(nodes: Nodes, wave: str, fbank: KaldiFbank, frames: int) -> str:
    """Returns the name of the log-mel energies: (B, samples) -> (B, frames, mel)."""
    block = math.gcd(fbank.length, fbank.hop)  # a frame is a row of whole blocks
    width, step = fbank.length // block, fbank.hop // block
    blocks = (frames - 1) * step + width
    x = nodes.reshape(nodes.cut(wave, 1, 0, blocks * block), [0, blocks, block])
    parts = [nodes.cut(x, 1, at, at + (frames - 1) * step + 1, step) for at in range(width)]
    x = nodes.concat(parts, 2)  # (B, frames, window)
    x = nodes.op("Sub", x, nodes.op("ReduceMean", x, [2], settings=_KEEP))
    real, imaginary = nodes.split(nodes.op("MatMul", x, _transform(fbank)), [fbank.fft // 2 + 1] * 2, 2)
    power = nodes.op("Add", nodes.op("Mul", real, real), nodes.op("Mul", imaginary, imaginary))
    energies = nodes.op("MatMul", power, array(fbank.filters))
    return nodes.op("Log", nodes.op("Max", energies, FLOOR))


def _transform(fbank: KaldiFbank) -> np.ndarray:
    """Returns pre-emphasis, window and Fourier transform in one matrix: (window, 2 * bins)."""
    emphasis = np.eye(fbank.length) - PREEMPHASIS * np.eye(fbank.length, k=1)
    emphasis[0, 0] -= PREEMPHASIS  # the first sample has itself before it
    window = torch.hann_window(fbank.length, periodic=False, dtype=torch.float64).pow(fbank.power).numpy()
    turns = np.outer(np.arange(fbank.length), np.arange(fbank.fft // 2 + 1)) * (2 * np.pi / fbank.fft)
    fourier = np.concatenate([np.cos(turns), -np.sin(turns)], 1)
    return emphasis @ (window[:, None] * fourier)


def _resizing(length: int, frames: int) -> np.ndarray:
    """Returns what resizing along time multiplies with: (T, frames)."""
    eye = torch.eye(length, dtype=torch.float64)[None, None]
    size = (length, frames)
    return F.interpolate(eye, size, mode="bilinear", align_corners=False, antialias=length > frames)[0, 0].numpy()
