"""CLAP, trained on pairs of sounds and sentences: its two transformers together (BTS), or the one for audio alone.

The layers are those of transformers, under the names of the official checkpoint (laion/clap-htsat-unfused).

Reference: Wu et al. 2023; Kim et al. 2024 (BTS); transformers, ClapModel and ClapAudioModelWithProjection.
"""

from collections.abc import Callable, Mapping
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lung_srad.audio import ClapFrontend
from lung_srad.errors import ConfigError, ShapeError, message, nearest, optional_import
from lung_srad.models.clap_weights import ClapLayout
from lung_srad.models.contract import Backbone, Side
from lung_srad.models.prompt_tokens import PAD, word_count, word_tokens
from lung_srad.prompt_texts import UNKNOWN, Location

MELS, FRAMES = 64, 1024  # FRAMES: at most; what is shorter is stretched to it
_TINY = {"projection_dim": 64}
_TINY_AUDIO = {
    "patch_size": 8,
    "patch_stride": [8, 8],
    "window_size": 4,
    "patch_embeds_hidden_size": 32,
    "hidden_size": 256,
    "depths": [1, 1, 2, 1],
    "num_attention_heads": [1, 2, 4, 8],
}
_TEXT = {"vocab_size": 50_265}  # RoBERTa's; all that is not said here is the default of transformers, and official
_TINY_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 72,
}

Settings = Mapping[str, Any]


class ClapParts(Backbone):
    """Some of CLAP's transformers with their projections, under the official names; the audio's is among them.

    They hear a sequence of windows of a folded spectrogram, so there is no grid that bands of time or frequency could
    be mixed on: features go through ``embed`` as they are, and the only token is the feature vector.
    """

    grid_axes = None

    def __init__(self, network: nn.Module, kinds: tuple[str, ...], width: int, frontend: ClapFrontend) -> None:
        super().__init__()
        for name in (f"{kind}_{part}" for kind in kinds for part in ("model", "projection")):
            self.add_module(name, getattr(network, name))
        self.width, self.frontend = width, frontend

    def embed(self, features: Tensor) -> Tensor:
        """Returns the features as they are: (B, 1, 64, T) -> (B, 1, 64, T).

        Raises:
            ShapeError: not a batch of spectrograms of 64 mel bins and at most 1024 frames.
        """
        if features.dim() != 4 or features.shape[1:3] != (1, MELS) or not 0 < features.shape[3] <= FRAMES:
            seen, allowed = f"shape {tuple(features.shape)}", f"needs (B, 1, {MELS}, 1 to {FRAMES})"
            raise ShapeError(message("features", seen, allowed, "backbone.frontend(wave) makes them"))
        return features

    def pool(self, tokens: Tensor) -> Tensor:
        """Returns the only token: (B, 1, width) -> (B, width)."""
        return tokens.mean(1)

    def audio(self, features: Tensor) -> Tensor:
        """Returns the projected embedding of the audio: (B, 1, 64, T) -> (B, projection)."""
        return self.audio_projection(self.audio_model(input_features=features.mT).pooler_output)


class ClapAudio(ClapParts):
    """The audio transformer; the feature is the projected embedding as it is, not of unit length."""

    layout = ClapLayout(text=False)

    def __init__(self, audio: Settings, shared: Settings, frontend: ClapFrontend) -> None:
        clap = optional_import("transformers", "baselines")
        config = clap.ClapAudioConfig(**audio, **shared)
        super().__init__(clap.ClapAudioModelWithProjection(config), ("audio",), config.projection_dim, frontend)

    def tokens(self, grid: Tensor, side: Side | None = None) -> Tensor:
        """Returns the feature as the only token: (B, 1, 64, T) -> (B, 1, width)."""
        return self.audio(grid).unsqueeze(1)


class Clap(ClapParts):
    """Both transformers; the feature is the unit vector of a sentence and that of the audio, one behind the other.

    The sentence comes as its number in :data:`lung_srad.prompt_texts.PROMPTS`, as ``side["text_ids"]``; without it
    nothing is known of the recording. The tokens of all sentences lie in a buffer, which is part of the weights.

    Attributes:
        prompt_ids: (sentences, 64) tokens.

    Raises:
        ConfigError: an unknown location.
    """

    layout = ClapLayout(text=True)
    prompt_ids: Tensor

    def __init__(
        self, audio: Settings, text: Settings, shared: Settings, frontend: ClapFrontend, *, location: Location
    ) -> None:
        if location not in get_args(Location):
            allowed = f"allowed: {', '.join(get_args(Location))}"
            raise ConfigError(message("location", repr(location), allowed, nearest(location, get_args(Location))))
        clap = optional_import("transformers", "baselines")
        config = clap.ClapConfig(audio_config=dict(audio), text_config=dict(text), **shared)
        super().__init__(clap.ClapModel(config), ("text", "audio"), 2 * config.projection_dim, frontend)
        self.register_buffer("prompt_ids", word_tokens())
        self.prompt_location = location

    def tokens(self, grid: Tensor, side: Side | None = None) -> Tensor:
        """Returns the feature as the only token: (B, 1, 64, T) and a number of a sentence each -> (B, 1, width).

        Raises:
            ShapeError: not one number of a sentence per sample.
        """
        number = torch.full((len(grid),), UNKNOWN, device=grid.device) if side is None else side["text_ids"]
        if number.shape != grid.shape[:1]:
            seen, allowed = f"shape {tuple(number.shape)}", f"needs ({len(grid)},), a number of a sentence each"
            raise ShapeError(message("text_ids", seen, allowed, "prompt_index gives that of a cycle"))
        parts = F.normalize(self.text(number), dim=-1), F.normalize(self.audio(grid), dim=-1)
        return torch.cat(parts, -1).unsqueeze(1)

    def text(self, number: Tensor) -> Tensor:
        """Returns the projected embedding of sentences by their number: (B,) -> (B, projection)."""
        if self.training:
            return self._read(number)
        number, again = number.unique(return_inverse=True)  # without dropout one reading of a sentence will do
        return self._read(number)[again]

    def _read(self, number: Tensor) -> Tensor:
        used = (self.prompt_ids != PAD).any(0)  # what no sentence reaches need not be computed
        ids = self.prompt_ids[number][:, used]  # (B, longest sentence)
        read = self.text_model(input_ids=ids, attention_mask=(ids != PAD).long())
        return self.text_projection(read.pooler_output)


def _audio_alone(audio: Settings, shared: Settings) -> Callable[..., ClapAudio]:
    def build(*, seconds: float = 8.0, resampler: str = "sinc") -> ClapAudio:
        """Returns the backbone with random weights."""
        return ClapAudio(audio, shared, ClapFrontend(seconds=seconds, resampler=resampler))

    return build


def _with_text(audio: Settings, text: Settings, shared: Settings) -> Callable[..., Clap]:
    def build(*, location: Location = "published", seconds: float = 8.0, resampler: str = "sinc") -> Clap:
        """Returns the backbone with random weights; ``location`` is the site that its sentences name."""
        frontend = ClapFrontend(seconds=seconds, resampler=resampler)
        return Clap(audio, {"vocab_size": word_count(), **text}, shared, frontend, location=location)

    return build


clap = _with_text({}, _TEXT, {})  # 153.5 M parameters; BTS
clap_audio = _audio_alone({}, {})  # 28.2 M parameters
clap_tiny = _with_text(_TINY_AUDIO, _TINY_TEXT, _TINY)  # 1.57 M parameters; for CPUs and from scratch
clap_audio_tiny = _audio_alone(_TINY_AUDIO, _TINY)  # 1.45 M
