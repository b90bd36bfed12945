"""Predictions for tests: labels and patients that stay, answers that depend on a seed."""

from collections.abc import Sequence

import numpy as np

from lung_srad.evaluation import Predictions

CLASSES = ("normal", "crackle", "wheeze", "both")


def answers(
    seed: int = 0, *, patients: int = 12, skill: float = 1.5, silent: int = 0, prefix: str = "p", cycles: int = 14
) -> Predictions:
    """Returns predictions of ``cycles`` cycles for each patient, from two recordings each; a third is healthy."""
    fixed, draw = np.random.default_rng(99), np.random.default_rng((seed, 7))
    owner = np.arange(patients).repeat(cycles)
    label = np.where(owner % 3 == 0, 0, fixed.integers(0, 4, len(owner)))
    logits = skill * np.eye(4)[label] + draw.normal(0, 1, (len(owner), 4)) + fixed.normal(0, 0.5, (patients, 4))[owner]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    probabilities[:silent] = np.nan
    return built([f"{prefix}{index}" for index in owner], label, probabilities)


def built(patient: Sequence[str], label: Sequence[int], probabilities: np.ndarray) -> Predictions:
    """Returns a file; device, site, recording and length follow from the place of a cycle."""
    place = np.arange(len(label))
    devices, sites = np.array(["Meditron", "AKGC417L", "Litt3200"])[place % 3], np.array(["Al", "Tc"])[place % 2]
    recordings = [f"{who}_{index % 2}" for who, index in zip(patient, place, strict=True)]
    ids = [f"{who}#{index}" for who, index in zip(patient, place, strict=True)]
    times = np.zeros(len(label)), 0.5 + place % 5
    return Predictions(
        CLASSES, ids, recordings, patient, devices, sites, ["test"] * len(label), *times, label, probabilities
    )


def sure(predicted: Sequence[int]) -> np.ndarray:
    """Returns probabilities that are 1 for the given classes; −1 is silence."""
    return np.where(np.asarray(predicted)[:, None] < 0, np.nan, np.eye(4)[predicted])
