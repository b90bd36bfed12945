"""The signature as a check: letters bind sizes, words are held against their list."""

from typing import Literal

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from lung_srad.errors import ConfigError, ShapeError
from lung_srad.method._checked import checked


@checked
def add(
    x: Float[Tensor, "B C"],
    y: Float[Tensor, " C"] | None = None,
    *,
    way: Literal["plain", "twice"] = "plain",
) -> Tensor:
    """Adds."""
    total = x if y is None else x + y
    return total if way == "plain" else 2 * total


def test_a_fitting_call_passes_through_and_optional_tensors_may_be_absent():
    x, y = torch.ones(2, 3), torch.ones(3)
    assert torch.equal(add(x), x)
    assert torch.equal(add(x, y, way="twice"), 2 * (x + y))
    assert add.__name__ == "add"
    assert add.__doc__ == "Adds."


def test_a_size_that_disagrees_is_named_with_everything_beside_it():
    with pytest.raises(ShapeError) as error:
        add(torch.ones(2, 3), torch.ones(4))
    assert str(error.value) == (
        "add: y: float32 (4,); needs Float (C), beside x float32 (2, 3); "
        "the glossary of lung_srad.method names the letters"
    )


@pytest.mark.parametrize("x", [torch.ones(2, 3, 1), torch.ones(2, 3, dtype=torch.long), [[1.0]], None])
def test_another_rank_another_kind_of_number_and_no_tensor_are_errors(x):
    with pytest.raises(ShapeError, match=r"add: x: .*; needs Float \(B, C\); "):
        add(x)


def test_an_unknown_word_names_the_allowed_ones_and_the_nearest():
    with pytest.raises(ConfigError, match="add: way: 'twise'; one of 'plain', 'twice'; did you mean 'twice'"):
        add(torch.ones(2, 3), way="twise")  # type: ignore[arg-type]


def test_a_letter_is_bound_per_call_only():
    assert add(torch.ones(2, 3)).shape == (2, 3)
    assert add(torch.ones(4, 5)).shape == (4, 5)


def test_an_exported_graph_holds_the_equation_alone():
    class Add(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return add(x, way="twice")

    graph = torch.export.export(Add(), (torch.ones(2, 3),), strict=True).graph
    assert [str(node.target) for node in graph.nodes if node.op == "call_function"] == ["aten.mul.Tensor"]
