"""From a file to what a backbone sees: decode, resample, fade, cut, log-mel, normalise, mask.

The published pipeline, step by step (DESIGN.md names the shapes)::

    recording = load_recording("a.wav")                       # decoded, 16 kHz, faded on the whole recording
    wave = cut_cycle(recording.samples, 1.2, 3.4)             # (128000,)
    features = Frontend()(wave[None])                         # (1, 1, 128 mel, 1024 frames)

Every file that is not what it promises to be ends in one :class:`lung_srad.errors.AudioError`.

Names are resolved at their first use (PEP 562), so that ``audio.container`` and ``audio.reading`` come without torch,
which they do not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lung_srad.audio.augment import SpecMasks, apply_spec_augment, draw_spec_augment
    from lung_srad.audio.beats import BeatsFrontend
    from lung_srad.audio.clap_frontend import ClapFrontend, ClapMel
    from lung_srad.audio.cycles import cut_cycle, fade, load_cycle, load_recording
    from lung_srad.audio.decode import Recording, read
    from lung_srad.audio.fbank import KaldiFbank, kaldi_fbank
    from lung_srad.audio.frontend import NORMALIZATIONS, SILENCE_STD, AudioFrontend, Frontend, is_silent
    from lung_srad.audio.resampling import RESAMPLERS, resample
    from lung_srad.audio.streaming import OpenRecording, StreamResampler, open_recording

__all__ = [
    "NORMALIZATIONS",
    "RESAMPLERS",
    "SILENCE_STD",
    "AudioFrontend",
    "BeatsFrontend",
    "ClapFrontend",
    "ClapMel",
    "Frontend",
    "KaldiFbank",
    "OpenRecording",
    "Recording",
    "SpecMasks",
    "StreamResampler",
    "apply_spec_augment",
    "cut_cycle",
    "draw_spec_augment",
    "fade",
    "is_silent",
    "kaldi_fbank",
    "load_cycle",
    "load_recording",
    "open_recording",
    "read",
    "resample",
]

_MODULE_OF = {
    "SpecMasks": "augment",
    "apply_spec_augment": "augment",
    "draw_spec_augment": "augment",
    "BeatsFrontend": "beats",
    "ClapFrontend": "clap_frontend",
    "ClapMel": "clap_frontend",
    "cut_cycle": "cycles",
    "fade": "cycles",
    "load_cycle": "cycles",
    "load_recording": "cycles",
    "Recording": "decode",
    "read": "decode",
    "KaldiFbank": "fbank",
    "kaldi_fbank": "fbank",
    "NORMALIZATIONS": "frontend",
    "SILENCE_STD": "frontend",
    "AudioFrontend": "frontend",
    "Frontend": "frontend",
    "is_silent": "frontend",
    "RESAMPLERS": "resampling",
    "resample": "resampling",
    "OpenRecording": "streaming",
    "StreamResampler": "streaming",
    "open_recording": "streaming",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
