"""How far an answer is to be trusted: calibrated probabilities, and what is no lung sound, or too unsure, gets none.

The one hook for those who classify is :meth:`Trust.judge`. Everything that it needs lies in one file beside the
weights, ``weights.trust``, which :func:`lung_srad.inference.calibration.calibrate` writes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lung_srad.errors import ConfigError, RunError, WeightsError, message
from lung_srad.inference.descriptors import describe
from lung_srad.runs.state import read_tensors, write_tensors

FOREIGN, UNSURE = "foreign", "unsure"
SUFFIX = ".trust"
_NOTHING = "not calibrated"


@dataclass(frozen=True, eq=False)
class Known:
    """A Gaussian around what was heard in training.

    Attributes:
        centre: (n,); ``whitening`` (n, n) makes distances of it Mahalanobis'.
        scale: the distance that 99 % of what was heard in training keep below; distances are given in it.
    """

    centre: np.ndarray
    whitening: np.ndarray
    scale: float

    def distance(self, rows: np.ndarray) -> np.ndarray:
        """Returns how far rows are from what is known: (B, n) -> (B,)."""
        return np.linalg.norm((rows - self.centre) @ self.whitening, axis=1) / self.scale


@dataclass(frozen=True)
class Judgement:
    """What is said of one clip.

    Attributes:
        probabilities: calibrated; empty where there is no answer.
        ood_score: how foreign the clip is, 1 and more being foreign; NaN where nothing is known of that.
        code: "foreign" or "unsure" where there is no answer, else "".
    """

    probabilities: tuple[float, ...]
    ood_score: float
    code: str


@dataclass(frozen=True, eq=False)
class Trust:
    """What turns logits and feature vectors into answers.

    Attributes:
        temperature: what logits are divided by (DECISIONS: calibrated-on-demand).
        known: Gaussians of "sound", or of "embedding" too; without any nothing is foreign (DECISIONS: foreign-sounds).
        threshold: of the greatest of their distances, from which on a clip is foreign.
        least: probability that the likeliest class needs; 0 answers always.
        origin: what all this was found on, in words.
    """

    temperature: float = 1.0
    known: Mapping[str, Known] = field(default_factory=dict)
    threshold: float = 1.0
    least: float = 0.0
    origin: str = _NOTHING

    def __post_init__(self) -> None:
        if not (0 < self.temperature < math.inf and 0 <= self.least < 1):
            seen = f"temperature {self.temperature}, least probability {self.least}"
            raise ConfigError(message("trust", seen, "more than 0, and 0 to 1", "the defaults are 1 and 0"))

    def judge(self, logits: np.ndarray, embeddings: np.ndarray, spectrograms: Sequence[np.ndarray]) -> list[Judgement]:
        """Returns what is said of clips.

        Shape:
            logits (B, classes), embeddings (B, width), spectrograms B × (T, mel), not normalised
        """
        scores = self.scores(embeddings, spectrograms)
        scaled = logits.astype(np.float64) / self.temperature
        exponents = np.exp(scaled - scaled.max(1, keepdims=True))
        probabilities = exponents / exponents.sum(1, keepdims=True)
        found = []
        for row, score in zip(probabilities, scores, strict=True):
            code = FOREIGN if score >= self.threshold else UNSURE if row.max() < self.least else ""
            found.append(Judgement(() if code else tuple(row.tolist()), float(score), code))
        return found

    def scores(self, embeddings: np.ndarray, spectrograms: Sequence[np.ndarray]) -> np.ndarray:
        """Returns how foreign clips are: (B,); NaN where nothing is known."""
        if not self.known or not len(embeddings):
            return np.full(len(embeddings), np.nan)
        sounds = np.stack([describe(spectrogram) for spectrogram in spectrograms])
        rows = {"embedding": embeddings.astype(np.float64), "sound": sounds.astype(np.float64)}
        return np.max([known.distance(rows[name]) for name, known in self.known.items()], axis=0)

    def with_least(self, least: float) -> "Trust":
        """Returns the same with another probability that an answer needs."""
        return replace(self, least=least)

    def facts(self) -> dict[str, Any]:
        """Returns what an answer says of it, ready for JSON."""
        return {
            "temperature": self.temperature,
            "foreign_from": self.threshold if self.known else None,
            "least_probability": self.least,
            "calibrated_on": self.origin,
        }


def trust_file(weights: Path) -> Path:
    """Returns where the trust of a weights file lies."""
    return weights.with_suffix(SUFFIX)


def write_trust(path: Path, trust: Trust, sha256: str) -> None:
    """Writes what belongs to the weights with this hash, in one step."""
    tensors = {
        f"{name}/{key}": torch.from_numpy(np.ascontiguousarray(getattr(known, key), np.float32))
        for name, known in trust.known.items()
        for key in ("centre", "whitening")
    }
    facts = {
        "sha256": sha256,
        "temperature": trust.temperature,
        "threshold": trust.threshold,
        "least": trust.least,
        "origin": trust.origin,
        "scales": {name: known.scale for name, known in trust.known.items()},
    }
    write_tensors(path, tensors, facts)


def read_trust(weights: Path, sha256: str) -> Trust:
    """Returns the trust that lies beside a weights file; where none does, that of a network as it is.

    Raises:
        WeightsError: the file is damaged, or belongs to other weights.
    """
    path = trust_file(weights)
    if not path.is_file():
        return Trust()
    remedy = "calibrate the model again, or remove the file"
    try:
        tensors, facts = read_tensors(path)
        arrays = {key: value.double().numpy() for key, value in tensors.items()}
        known = {
            name: Known(arrays[f"{name}/centre"], arrays[f"{name}/whitening"], scale)
            for name, scale in facts["scales"].items()
        }
        trust = Trust(facts["temperature"], known, facts["threshold"], facts["least"], facts["origin"])
        stated = facts["sha256"]
    except (RunError, KeyError, TypeError, AttributeError, ConfigError) as error:
        seen = f"cannot be used ({' '.join(str(error).split())[:200]})"
        raise WeightsError(message(path, seen, "a file that calibrate wrote", remedy)) from error
    if stated != sha256:
        raise WeightsError(message(path, f"is of weights {stated[:12]}", f"these are {sha256[:12]}", remedy))
    return trust
