"""The baselines that hear nothing."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lung_srad.errors import DataError
from lung_srad.evaluation import always_normal, device_site_lookup, score_predictions


def test_always_normal_scores_exactly_50() -> None:
    labels = np.random.default_rng(0).integers(0, 4, 200)
    scores = score_predictions(labels, always_normal(200), num_classes=4)
    assert (scores.sp, scores.se, scores.score, scores.score2) == (100, 0, 50, 50)


TRAIN = (list("aaaabbb"), list("xxxyxxy"), [0, 0, 1, 1, 0, 2, 0])


@pytest.mark.parametrize(
    ("device", "site", "majority", "balanced"),
    [
        ("a", "x", 0, 0),  # 2 of 4 normals, 1 of 2 of class 1: a tie, and the first class wins
        ("a", "y", 1, 1),
        ("b", "x", 0, 2),  # one normal of four, the only cycle of class 2
        ("b", "z", 0, 2),  # never seen: falls back to device b
        ("c", "x", 0, 0),  # never seen device: all cycles; balanced is a tie that the first class wins
    ],
)
def test_lookup_by_hand(device: str, site: str, majority: int, balanced: int) -> None:
    def answer(*, weigh: bool) -> int:
        return device_site_lookup(TRAIN, ([device], [site]), num_classes=3, balanced=weigh)[0]

    assert answer(weigh=False) == majority
    assert answer(weigh=True) == balanced


def test_lookup_keeps_the_order_of_the_test_cycles() -> None:
    answers = device_site_lookup(TRAIN, (list("bab"), list("xyx")), num_classes=3)
    assert answers.tolist() == [2, 1, 2]


def test_lookup_of_columns_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="7/7/6 training"):
        device_site_lookup((*TRAIN[:2], TRAIN[2][1:]), (["a"], ["x"]), num_classes=3)
    with pytest.raises(DataError, match="0/0/0 training"):
        device_site_lookup(([], [], []), (["a"], ["x"]), num_classes=3)


def test_lookup_on_the_real_annotations(shared: Path) -> None:
    """The figures that were measured on this subset by other code."""
    folder = shared / "data" / "icbhi_subset"
    split = dict(line.split() for line in (folder / "official_split.txt").read_text().splitlines())
    columns: dict[str, list[tuple[str, str, int]]] = {"train": [], "test": []}
    for file in sorted((folder / "audio_and_txt_files").glob("*.txt")):
        _, _, site, _, device = file.stem.split("_")
        for line in file.read_text().splitlines():
            _, _, crackle, wheeze = line.split()
            columns[split[file.stem]].append((device, site, int(crackle) + 2 * int(wheeze)))
    train, (devices, sites, labels) = zip(*columns["train"], strict=True), zip(*columns["test"], strict=True)
    predicted = device_site_lookup(tuple(train), (devices, sites), num_classes=4)
    scores = score_predictions(labels, predicted, num_classes=4)
    assert Counter(labels) == {0: 653, 1: 124, 2: 159, 3: 43}
    assert (scores.score, scores.score2) == pytest.approx((37.9, 54.5), abs=0.05)
    assert [round(recall) for recall in scores.recalls] == [34, 26, 60, 21]
