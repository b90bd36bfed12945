"""A model as a folder in the layout of the Hugging Face hub: weights, config.json, and a card with front matter."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lung_srad.errors import RunError, WeightsError, message
from lung_srad.files import sha256
from lung_srad.inference.trust import trust_file
from lung_srad.runs import write_files

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
_FRONT_MATTER = re.compile(r"\A---\n(.*?\n)---\n+", re.DOTALL)
_LICENSE = re.compile(r"^license: (\S+)$", re.MULTILINE)
_USE = """

## Use

```python
import lung_srad as ls

model = ls.load("{folder}")  # this folder, wherever it lies; nothing is fetched
print(model.classify("recording.wav"))
```
"""


@dataclass(frozen=True)
class FolderFacts:
    """What a folder says besides its weights, ready for JSON."""

    config: dict[str, Any]
    card: str


def is_model_folder(path: Path) -> bool:
    """Returns whether a folder is laid out like this."""
    return (path / CONFIG).is_file() and (path / WEIGHTS).is_file()


def read_folder(path: Path) -> tuple[Path, str]:
    """Returns the weights file of a folder and its card, once the file is the one that config.json describes.

    Raises:
        WeightsError: config.json or the card cannot be read, or the weights are others.
    """
    try:
        stated = json.loads((path / CONFIG).read_text(encoding="utf-8"))["sha256"]
        card = (path / CARD).read_text(encoding="utf-8") if (path / CARD).is_file() else ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        seen = f"cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        allowed = "a folder that lung-srad export wrote, with the hash of its weights"
        raise WeightsError(message(path / CONFIG, seen, allowed, "export it again")) from error
    if stated != sha256(path / WEIGHTS):
        seen, allowed = f"has the SHA-256 {sha256(path / WEIGHTS)}", f"{CONFIG} says {stated}"
        raise WeightsError(message(path / WEIGHTS, seen, allowed, "copy the whole folder again"))
    return path / WEIGHTS, card


def require_described(path: Path, facts: Mapping[str, object]) -> None:
    """Raises unless config.json says of a model what its weights say: classes in their order, and preprocessing.

    Raises:
        WeightsError: it says something else.
    """
    config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    for key, own in facts.items():
        if key in config and config[key] != own:
            seen, allowed = f"{key} = {config[key]!r:.200}", f"the weights say {own!r:.200}"
            raise WeightsError(message(path / CONFIG, seen, allowed, "copy the whole folder again"))


def require_room(path: Path) -> None:
    """Raises unless a folder is new or empty.

    Raises:
        RunError: there is something already.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(message(path, "is there already", "a new or empty folder", "name another, or remove it"))


def write_folder(path: Path, weights: Path, facts: FolderFacts) -> None:
    """Writes a new folder; config.json comes last, so that a folder that has it is whole.

    Raises:
        RunError: there is something already, or it cannot be written.
    """
    require_room(path)
    contents = {WEIGHTS: weights.read_bytes(), CARD: _card(path, facts).encode()}
    if trust_file(weights).is_file():
        contents[trust_file(Path(WEIGHTS)).name] = trust_file(weights).read_bytes()
    contents[CONFIG] = (json.dumps(facts.config, indent=2, ensure_ascii=False) + "\n").encode()
    write_files(path, contents, remedy="choose another path")


def _card(path: Path, facts: FolderFacts) -> str:
    """Returns the card under the front matter that the hub reads."""
    known = _FRONT_MATTER.match(facts.card)
    license_of = _LICENSE.search(known[1]) if known else None
    front = {
        "license": license_of[1] if license_of else "unknown",
        "library_name": "lung_srad",
        "pipeline_tag": "audio-classification",
        "tags": ["audio-classification", "respiratory-sounds", "lung-sounds"],
        "sha256": facts.config["sha256"],
    }
    lines = "".join(
        f"{key}: {value if isinstance(value, str) else json.dumps(value)}\n" for key, value in front.items()
    )
    return f"---\n{lines}---\n\n{_FRONT_MATTER.sub('', facts.card).strip()}{_USE.format(folder=path.name)}"
