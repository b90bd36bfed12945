"""Finding what :class:`lung_srad.inference.trust.Trust` needs: a temperature, and what training sounds like."""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lung_srad.audio import cut_cycle, is_silent, load_recording
from lung_srad.datasets import Cycle, Dataset
from lung_srad.errors import DataError, RunError, message
from lung_srad.evaluation import Predictions
from lung_srad.inference.descriptors import describe
from lung_srad.inference.features import BATCH
from lung_srad.inference.loading import load, weights_of
from lung_srad.inference.model import Model
from lung_srad.inference.trust import Known, Trust, trust_file, write_trust
from lung_srad.runs import RunFolder

SHARE = 0.99  # of what was heard in training that is not foreign
RECORDINGS = 120  # of the training part that are heard
SHRINKAGE = 0.05  # of a covariance towards a sphere
_TEMPERATURES = np.geomspace(0.05, 20, 241)
_LEAST = 50  # cycles with an answer

Progress = Callable[[int, int], None]


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature under which these predictions have the least cross-entropy.

    Shape:
        (n, classes), (n,)
    """
    known = np.isfinite(probabilities).all(1) & (labels >= 0)
    log = np.log(np.maximum(probabilities[known], 1e-12))
    rows, true = np.arange(known.sum()), labels[known]

    def loss(temperature: float) -> float:
        scaled = log / temperature
        return float((np.logaddexp.reduce(scaled, axis=1) - scaled[rows, true]).mean())

    best = int(np.argmin([loss(temperature) for temperature in _TEMPERATURES]))
    fine = np.geomspace(_TEMPERATURES[max(best - 1, 0)], _TEMPERATURES[min(best + 1, len(_TEMPERATURES) - 1)], 41)
    return float(fine[int(np.argmin([loss(temperature) for temperature in fine]))])


def calibrate(
    source: str | Path, dataset: Dataset | None = None, *, least: float = 0.0, progress: Progress | None = None
) -> Trust:
    """Writes beside a run's weights how far they are to be trusted, and returns it.

    The temperature comes from the run's validation predictions, which its own network made of patients that it was
    not trained on. What is foreign comes from the training part of ``dataset``, heard in cycles and in windows.

    Args:
        source: a run's folder.
        dataset: what the run was trained on; without it nothing will be foreign.
        least: probability that the likeliest class needs for an answer.

    Raises:
        RunError: no such run, or it is not finished.
        DataError: too few validation predictions.
    """
    run = RunFolder(Path(source))
    found = validation(run)
    temperature = fit_temperature(found.probabilities, found.label)
    origin = f"temperature on {len(found)} validation cycles of the run"
    trust = Trust(temperature, least=least, origin=f"{origin}; nothing is foreign")
    model = load(source)
    if dataset is not None:
        known, count = fit_known(model, dataset.cycles("train"), progress)
        used = {"sound": known["sound"]}
        trust = Trust(temperature, used, least=least, origin=f"{origin}; foreign against {count} clips of training")
    write_trust(trust_file(weights_of(source)), trust, model.sha256)
    return trust


def validation(run: RunFolder) -> Predictions:
    """Returns the validation predictions of the epoch that a finished run chose."""
    epoch = run.result()["selected_epoch"]
    path = run.select.predictions_file(epoch, "validation")
    if not path.is_file():
        raise RunError(message(path, "is not there", "predictions that train wrote", "train again"))
    found = run.select.read_predictions(epoch, "validation")
    answered = int((np.isfinite(found.probabilities).all(1) & (found.label >= 0)).sum())
    if answered < _LEAST:
        allowed = f"{_LEAST} or more for a temperature"
        raise DataError(message(path, f"{answered} cycles with an answer", allowed, "validate on more patients"))
    return found


def fit_known(model: Model, cycles: list[Cycle], progress: Progress | None = None) -> tuple[dict[str, Known], int]:
    """Returns Gaussians of the feature vectors and the sounds of training, and of how many clips they are.

    Every second recording makes the Gaussians, the others their scales: distances of what a Gaussian was made of are
    too short.

    Raises:
        DataError: too few clips.
    """
    groups = [
        list(group) for _, group in groupby(sorted(cycles, key=lambda c: (str(c.path), c.start)), lambda c: c.path)
    ]
    groups = groups[:: -(-len(groups) // RECORDINGS)]
    heard: list[list[dict[str, np.ndarray]]] = [[], []]
    for number, group in enumerate(groups):
        heard[number % 2].append(rows_of(model, list(_clips(model, group))))
        if progress is not None:
            progress(number + 1, len(groups))
    first, second = (
        {name: np.concatenate([rows[name] for rows in half]) for name in ("embedding", "sound")} for half in heard
    )
    if min(len(first["sound"]), len(second["sound"])) < _LEAST:
        seen = f"{len(first['sound'])} + {len(second['sound'])} clips"
        raise DataError(message("calibrate", seen, f"{_LEAST} or more in each half", "give the whole corpus"))
    known = {name: gaussian(first[name], second[name]) for name in first}
    return known, len(first["sound"]) + len(second["sound"])


def gaussian(rows: np.ndarray, others: np.ndarray) -> Known:
    """Returns the Gaussian of some rows, its scale from others."""
    centre = rows.mean(0)
    covariance = np.cov((rows - centre).T)
    covariance += SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    known = Known(centre, np.linalg.cholesky(np.linalg.inv(covariance)), 1.0)
    return Known(centre, known.whitening, float(np.quantile(known.distance(others), SHARE)))


def rows_of(model: Model, waves: list[Tensor]) -> dict[str, np.ndarray]:
    """Returns a feature vector and a description of each wave that is not silent."""
    front, vectors, sounds = model.frontend, [np.empty((0, model.net.backbone.width))], [np.empty((0, 48))]
    for at in range(0, len(waves), BATCH):
        with torch.inference_mode():
            spectrograms = [front.spectrogram(wave) for wave in waves[at : at + BATCH]]
            spectrograms = [each for each in spectrograms if not is_silent(each)]
            if not spectrograms:
                continue
            features = front.shape(torch.stack([front.normalize(each) for each in spectrograms]))
            vectors.append(model.net.backbone(features).double().numpy())
            sounds.append(np.stack([describe(each.numpy()) for each in spectrograms]))
    return {"embedding": np.concatenate(vectors), "sound": np.concatenate(sounds)}


def _clips(model: Model, cycles: list[Cycle]) -> Iterator[Tensor]:
    """Yields the cycles of one recording, without the fades at its ends, and its windows as classify hears them."""
    front, path = model.frontend, cycles[0].path
    wave = load_recording(path, sample_rate=front.sample_rate, resampler=front.resampler, fades=False).samples
    length = round(front.seconds * front.sample_rate)
    for cycle in cycles:
        yield cut_cycle(wave, cycle.start, cycle.end, seconds=front.seconds, sample_rate=front.sample_rate, where=path)
    for start in range(0, len(wave) - length + 1, length):
        yield wave[start : start + length]
