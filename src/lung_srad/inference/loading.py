"""Finding and opening a model: one that ships, a run's, or a weights file."""

import re
from pathlib import Path

from lung_srad.errors import RunError, WeightsError, message
from lung_srad.files import sha256
from lung_srad.inference.model import NOTICE, SYNTHETIC_NOTICE, Model
from lung_srad.models import for_inference
from lung_srad.runs import RunFolder, TrainedModel, load_model

SHIPPED = Path(__file__).parents[1] / "weights"  # of each model NAME.safetensors and its card, NAME.md
DEFAULT = "demo"
_HASH = re.compile(r"^sha256: ([0-9a-f]{64})$", re.MULTILINE)
_AGAIN = "install lung-srad again, or make the weights with `make weights` in a clone"


def shipped() -> tuple[str, ...]:
    """Returns the names of the models that come with this installation."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.safetensors")))


def load(source: str | Path = DEFAULT) -> Model:
    """Returns a model that ships, by name ("demo"), that of a run, by its folder, or that of a weights file.

    A name goes before a folder of the same name in the working directory, which is ``./demo``. Nothing is fetched.

    Raises:
        RunError: no such model, a run without weights yet, or a file that is not a model of ours.
        WeightsError: a shipped file that is absent, or not the one that its card describes.
    """
    path, name, card = _found(source)
    trained = load_model(path)
    return Model(
        name=name,
        class_names=trained.class_names,
        normal=trained.normal,
        net=for_inference(trained.net),
        system=trained.preset.title,
        sha256=sha256(path),
        synthetic=trained.synthetic,
        card=card or _card(name, trained),
    )


def _found(source: str | Path) -> tuple[Path, str, str]:
    """Returns a model's weights file and name, and its card where it has one."""
    if isinstance(source, str) and source in (DEFAULT, *shipped()):
        path = SHIPPED / f"{source}.safetensors"
        return path, source, _checked_card(path)
    path = Path(source)
    if path.is_dir():
        run = RunFolder(path)
        run.require()
        return run.weights, "/".join(path.resolve().parts[-2:]), ""
    if not path.exists():
        ships = ", ".join(shipped()) or "none in this installation"
        allowed = f"a run's folder, a weights.safetensors of one, or a model that ships ({ships})"
        raise RunError(message(f"model {str(source)!r}", "is not there", allowed, "check the path, or take a name"))
    return path, path.stem, ""


def _checked_card(path: Path) -> str:
    """Returns the card of a shipped file, once the file is the one that it describes."""
    if not path.is_file():
        allowed = "shipped weights, a run's folder, or a weights.safetensors of one"
        where = f"model {path.stem!r}"
        raise WeightsError(message(where, "its weights are not in this installation", allowed, _AGAIN))
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
    return text


def _card(name: str, trained: TrainedModel) -> str:
    """Returns what is known of a model that nobody wrote a card for."""
    preset, notice = trained.preset, SYNTHETIC_NOTICE if trained.synthetic else NOTICE
    profile = f", profile {preset.profile}" if preset.profile else ""
    classes = ", ".join(trained.class_names)
    return (
        f"# {name}\n\n{preset.title}: {preset.backbone.name}, trained with the preset `{preset.name}` "
        f"({preset.reading} reading{profile}).\nClasses: {classes}.\n\n{notice.capitalize()}.\n"
    )
