"""The matrix products that the floor counts are those of the networks."""

import pytest
import torch

from floor import WAYS, Floor, Product, products
from lung_srad.models import create_model

DEPTHS = {"dass_small": (2, 2, 8, 2), "dass_medium": (2, 2, 20, 2)}
GMACS = {"dass_small": 12.54, "dass_medium": 22.09}  # of a clip of 1,024 frames, with the depthwise convolutions


@pytest.mark.parametrize("name", DEPTHS)
def test_products_add_up_to_the_published_macs(name: str) -> None:
    depthwise = sum(9 * (8192 >> 2 * stage) * (96 << stage) * depth for stage, depth in enumerate(DEPTHS[name]))
    macs = sum(product.macs for product in products(96, DEPTHS[name]))
    assert round((macs + depthwise) / 1e9, 2) == GMACS[name]


@pytest.mark.parametrize("name", DEPTHS)
def test_every_weight_of_a_product_is_counted_once(name: str) -> None:
    with torch.device("meta"):
        net = create_model(name)
    skipped = (".conv2d.weight", ".A_logs", ".dt_projs_bias")
    weights = sum(p.numel() for key, p in net.named_parameters() if p.dim() > 1 and not key.endswith(skipped))
    counted = sum(product.shape[1] * product.shape[2] * product.count for product in products(96, DEPTHS[name]))
    assert counted == weights


def test_a_batch_multiplies_the_macs() -> None:
    one, eight = (sum(product.macs for product in products(96, (2, 2, 8, 2), batch=batch)) for batch in (1, 8))
    assert eight == 8 * one


def test_a_training_step_is_three_products_of_equal_work_but_for_the_first() -> None:
    forward = products(32, (1, 1), frames=64)
    trained = [each for product in forward for each in product.trained()]
    assert sum(each.macs for each in trained) == 3 * sum(each.macs for each in forward) - forward[0].macs


def test_a_floor_is_the_count_times_the_fastest_way() -> None:
    wanted = [Product("a", (8, 16, 4), count=3), Product("b", (8, 16, 4)), Product("c", (2, 3, 5))]
    floor = Floor({product.shape for product in wanted}, torch.float32)
    for _ in range(3):
        floor()
    a, c = (floor.best(shape)[1] for shape in ((8, 16, 4), (2, 3, 5)))
    assert floor.turns(wanted) == pytest.approx([4 * x + y for x, y in zip(a, c, strict=True)])
    assert len(floor.turns(wanted)) == 2  # the first turn warms up


def test_every_way_computes_the_product() -> None:
    x, weight = torch.randn(24, 16), torch.randn(8, 16)
    for way in WAYS.values():
        product = way(x, weight)()
        product = product.permute(0, 2, 3, 1).view(24, 8) if product.dim() == 4 else product
        torch.testing.assert_close(product, x @ weight.t())
