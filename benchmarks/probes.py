"""Simple classifiers that say how hard a corpus is, and what gives its classes away."""

from collections.abc import Callable, Iterator

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, ShuffleSplit, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from hearing import Heard
from lung_srad.evaluation import Scores, device_site_lookup, score_predictions

CLASSES = ("normal", "crackle", "wheeze", "both")
Split = tuple[np.ndarray, np.ndarray]  # indices of training and test cycles
Train = Callable[[int], Pipeline | HistGradientBoostingClassifier]


def logistic(seed: int) -> Pipeline:
    """Returns a logistic regression in which every class weighs the same."""
    model = LogisticRegression(C=0.003, class_weight="balanced", max_iter=3000, random_state=seed)
    return make_pipeline(StandardScaler(), model)


def boosted(seed: int) -> HistGradientBoostingClassifier:
    """Returns gradient-boosted trees in which every class weighs the same."""
    small = {"max_iter": 60, "learning_rate": 0.15, "max_leaf_nodes": 15, "max_features": 0.2, "max_bins": 63}
    return HistGradientBoostingClassifier(**small, class_weight="balanced", random_state=seed)


def scores(heard: Heard, test: np.ndarray, predicted: np.ndarray) -> Scores:
    """Returns the scores of predictions for some cycles."""
    return score_predictions(heard.label[test], predicted, num_classes=len(CLASSES))


def official(heard: Heard) -> Split:
    """Returns the split that the corpus brings."""
    return np.flatnonzero(~heard.test), np.flatnonzero(heard.test)


def patient_splits(heard: Heard, count: int) -> Iterator[Split]:
    """Yields splits by patients drawn at random; 40 % of the patients are tested."""
    yield from GroupShuffleSplit(count, test_size=0.4, random_state=0).split(heard.label, groups=heard.patient)


def cycle_splits(heard: Heard, count: int) -> Iterator[Split]:
    """Yields splits by cycles drawn at random, with patients on both sides: the leak that the field warns of."""
    yield from ShuffleSplit(count, test_size=0.4, random_state=0).split(heard.label)


def probe(heard: Heard, model: Train, splits: Iterator[Split]) -> list[Scores]:
    """Returns the scores of a classifier of log-mel statistics, a fresh one for each split."""
    found = []
    for seed, (train, test) in enumerate(splits):
        fitted = model(seed).fit(heard.statistics[train], heard.label[train])
        found.append(scores(heard, test, fitted.predict(heard.statistics[test])))
    return found


def device_only(heard: Heard, split: Split, *, site: bool = False) -> Scores:
    """Returns what the device (and the site) alone scores, every class weighing the same."""
    train, test = split
    sites = np.array([cycle.site if site else "" for cycle in heard.cycles])
    known = heard.device[train], sites[train], heard.label[train]
    predicted = device_site_lookup(known, (heard.device[test], sites[test]), num_classes=len(CLASSES))
    return scores(heard, test, predicted)


def domain_aucs(heard: Heard, features: np.ndarray, *, within: str | None = None) -> dict[str, float]:
    """Returns per question the area under the curve of a classifier of unseen patients, patients in five folds.

    Args:
        features: what the classifier sees of each cycle.
        within: only the cycles of this device.
    """
    chosen = heard.device == within if within else np.ones(len(heard.label), dtype=bool)
    label, patient = heard.label[chosen], heard.patient[chosen]
    questions = {"abnormal": label > 0} | {name: label == index for index, name in enumerate(CLASSES) if index}
    found = {}
    for name, truth in questions.items():
        if min(len(set(patient[truth])), len(set(patient[~truth]))) < 5:
            continue
        guess = cross_val_predict(
            logistic(0), features[chosen], truth, groups=patient, cv=GroupKFold(5), method="predict_proba"
        )
        found[name] = float(roc_auc_score(truth, guess[:, 1]))
    return found
