"""Answers of systems that nobody trained: patients, devices and probabilities drawn from a seed."""

import numpy as np

from lung_srad.evaluation import Predictions

CLASSES = ("normal", "crackle", "wheeze", "both")


def made_predictions(seed: int = 0, *, strength: float = 1.5, part: str = "test", patients: int = 12) -> Predictions:
    """Returns answers for ten cycles of each patient; two of the patients are the only ones of the device "rare"."""
    first = {"test": 100, "validation": 200, "train": 300}[part]
    count = 10 * patients
    who = np.repeat(np.arange(patients), 10)
    labels = np.tile([0, 0, 0, 0, 0, 1, 1, 2, 2, 3], patients)
    draw = np.random.default_rng([seed, first])
    logits = draw.standard_normal((count, 4)) + strength * np.eye(4)[labels]
    weights = np.exp(logits)
    recordings = [f"{first + patient}_{'ab'[place % 2]}" for place, patient in enumerate(who)]
    devices = ["rare" if patient < 2 else ("pen", "phone")[patient % 2] for patient in who]
    texts = ([f"{name}#{place}" for place, name in enumerate(recordings)], recordings, [str(first + n) for n in who])
    sites = [("Al", "Tc")[place % 2] for place in range(count)]
    times = np.zeros(count), np.full(count, 2.5)
    shares = weights / weights.sum(1, keepdims=True)
    return Predictions(CLASSES, *texts, devices, sites, [part] * count, *times, labels, shares)
