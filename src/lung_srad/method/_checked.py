"""The signature of a method function is its check: shapes and choices are held where they are written."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from types import UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

import torch
from jaxtyping import AbstractArray, jaxtyped
from torch import Tensor

from ..errors import ConfigError, ShapeError, message, nearest

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Returns the function, preceded by a check of its arguments against its own annotations.

    A letter stands for one size throughout a call; a ``Literal`` admits its words and no others.
    Under compilation and export the check is left out, so that the traced graph holds the equation alone.

    Raises:
        ShapeError: a tensor without the shape or the kind of number that its annotation states.
        ConfigError: a word that is not among those of a ``Literal``.
    """
    own = signature(function)
    hints = {name: x.annotation for name, x in own.parameters.items() if x.kind is not x.VAR_POSITIONAL}
    words = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}
    shapes = {name: hint for name, hint in hints.items() if _array(hint)}

    @wraps(function)
    def with_checks(*args: P.args, **kwargs: P.kwargs) -> R:
        if not torch.compiler.is_compiling():
            given = own.bind(*args, **kwargs).arguments
            _check_words(function.__name__, given, words)
            _check_shapes(function.__name__, given, shapes)
        return function(*args, **kwargs)

    return with_checks


def _check_words(function: str, given: dict[str, Any], words: dict[str, tuple[str, ...]]) -> None:
    for name, known in words.items():
        if name in given and given[name] not in known:
            allowed, remedy = f"one of {', '.join(map(repr, known))}", nearest(str(given[name]), known)
            raise ConfigError(message(f"{function}: {name}", repr(given[name]), allowed, remedy))


def _check_shapes(function: str, given: dict[str, Any], shapes: dict[str, Any]) -> None:
    tensors = {name: given[name] for name in shapes if name in given}
    with jaxtyped("context"):  # binds each letter to one size
        wrong = next((name for name, value in tensors.items() if not isinstance(value, shapes[name])), None)
    if wrong is not None:
        hint = _array(shapes[wrong])
        allowed = f"needs {hint.dtype.__name__} ({', '.join(hint.dim_str.split())})"
        if others := [f"{name} {_seen(value)}" for name, value in tensors.items() if name != wrong]:
            allowed += f", beside {', '.join(others)}"
        remedy = "the glossary of lung_srad.method names the letters"
        raise ShapeError(message(f"{function}: {wrong}", _seen(tensors[wrong]), allowed, remedy))


def _array(hint: Any) -> Any:
    """Returns the array type in an annotation, which may also admit None; None where there is no array."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return next((x for x in members if isinstance(x, type) and issubclass(x, AbstractArray)), None)


def _seen(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return type(value).__name__
