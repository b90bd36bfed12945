"""The tuned rule against a search over a fine grid, and what it does in ties."""

import numpy as np
import pytest
from made_answers import answers, built, sure

from lung_srad.errors import DataError
from lung_srad.evaluation import fit_bias, with_bias

GRID = np.linspace(-12, 12, 4801)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("normal", [0, 2])
def test_no_bias_of_a_fine_grid_is_better(seed: int, normal: int) -> None:
    given = answers(seed, skill=0.8, patients=4, silent=3)
    bias = fit_bias(given, normal=normal)
    reached = with_bias(given, bias, normal=normal).scores(normal=normal).score
    grid = [with_bias(given, place, normal=normal).scores(normal=normal).score for place in GRID[::80]]
    assert reached >= max(grid) - 1e-9
    assert reached >= given.scores(normal=normal).score


def two(*normals: float) -> np.ndarray:
    """Returns probabilities of normal as given, the rest for crackle."""
    p = np.array(normals)
    return np.column_stack([p, 1 - p, 0 * p, 0 * p])


def test_by_hand() -> None:
    """Normals at 0.3 and 0.4, a crackle at 0.2: any bias between the logits of 0.8 and of 0.7 is right in all."""
    given = built(["a", "b", "c"], [0, 0, 1], two(0.3, 0.4, 0.2))
    bias = fit_bias(given)
    assert bias == pytest.approx((np.log(0.8 / 0.2) + np.log(0.7 / 0.3)) / 2)
    assert with_bias(given, bias).predicted.tolist() == [0, 0, 1]


def test_where_nothing_is_better_nothing_changes() -> None:
    assert fit_bias(built(["a", "b"], [0, 1], two(0.9, 0.2))) == 0


def test_of_equally_good_stretches_the_one_nearest_to_zero_is_taken() -> None:
    """Crackles that are called normal one by one, and a normal beyond each: the same Score twice."""
    given = built(["a", "b", "c", "d"], [0, 1, 0, 1], two(0.4, 0.3, 0.1, 0.05))
    bias = fit_bias(given)
    assert bias == pytest.approx((np.log(0.6 / 0.4) + np.log(0.7 / 0.3)) / 2)


def test_an_outer_stretch_is_taken_one_beyond_its_end() -> None:
    given = built(["a", "b"], [0, 1], np.array([[0.2, 0.8, 0, 0], [0.5, 0.2, 0.3, 0]]))  # the crackle is never right
    assert fit_bias(given) == pytest.approx(np.log(0.8 / 0.2) + 1)


def test_a_bias_multiplies_the_odds_of_normal() -> None:
    given = answers(1, silent=1)
    found = with_bias(given, 0.7)
    np.testing.assert_allclose(found.probabilities[1:].sum(1), 1)
    odds, new = (each.probabilities[1:, 0] / each.probabilities[1:, 2] for each in (given, found))
    np.testing.assert_allclose(new, odds * np.exp(0.7))
    assert found.predicted[0] == -1
    np.testing.assert_allclose(with_bias(given, 0).probabilities, given.probabilities)


@pytest.mark.parametrize("label", [[0, 0], [1, 2]])
def test_validation_without_one_side(label: list[int]) -> None:
    with pytest.raises(DataError, match="normal and abnormal ones"):
        fit_bias(built(["a", "b"], label, sure([0, 1])))
