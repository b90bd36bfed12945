"""The weights that come with this installation: NAME.safetensors and their card, NAME.md, in one folder."""

import re
from pathlib import Path

from lung_srad.errors import WeightsError, message
from lung_srad.files import sha256

SHIPPED = Path(__file__).parents[1] / "weights"
DEFAULT = "demo"
_HASH = re.compile(r"^sha256: ([0-9a-f]{64})$", re.MULTILINE)
_AGAIN = "install lung-srad again, or make the weights with `make weights` in a clone"


def shipped() -> tuple[str, ...]:
    """Returns the names of the models that come with this installation."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.safetensors")))


def is_shipped(source: object) -> bool:
    """Returns whether this is the name of weights that ship, whether or not they are there."""
    return isinstance(source, str) and source in (DEFAULT, *shipped())


def shipped_weights(name: str) -> tuple[Path, str]:
    """Returns the file of weights that ship, and their card, once the file is the one that it describes.

    Raises:
        WeightsError: a file that is absent, or not the one that its card describes.
    """
    path = SHIPPED / f"{name}.safetensors"
    if not path.is_file():
        allowed = "shipped weights, a run's folder, or a weights.safetensors of one"
        raise WeightsError(message(f"model {name!r}", "its weights are not in this installation", allowed, _AGAIN))
    card = path.with_suffix(".md")
    try:
        text = card.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        seen = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise WeightsError(message(card, seen, "the card of the weights beside it", _AGAIN)) from error
    stated = _HASH.search(text)
    if stated is None or stated[1] != sha256(path):
        seen = f"has the SHA-256 {sha256(path)}"
        allowed = f"its card, {card.name}, says {stated[1] if stated else 'none'}"
        raise WeightsError(message(path, seen, allowed, _AGAIN))
    return path, text
