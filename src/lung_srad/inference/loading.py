"""Finding and opening a model: one that ships, a run's, or a weights file."""

from pathlib import Path

from lung_srad.errors import RunError, message
from lung_srad.files import sha256
from lung_srad.inference.folder import is_model_folder, read_folder, require_described
from lung_srad.inference.model import NOTICE, SYNTHETIC_NOTICE, Model
from lung_srad.inference.trust import read_trust
from lung_srad.models import for_inference
from lung_srad.runs import RunFolder, TrainedModel, load_model
from lung_srad.runs.shipped import DEFAULT, is_shipped, shipped, shipped_weights


def load(source: str | Path = DEFAULT) -> Model:
    """Returns a model that ships, by name ("demo"), that of a run or an export, by its folder, or of a weights file.

    A name goes before a folder of the same name in the working directory, which is ``./demo``. Nothing is fetched.

    Raises:
        RunError: no such model, a run without weights yet, or a file that is not a model of ours.
        WeightsError: a file that is absent, or not the one that its card, config or calibration describes.
    """
    path, name, card = _found(source)
    trained = load_model(path)
    model = Model(
        name=name,
        class_names=trained.class_names,
        normal=trained.normal,
        net=for_inference(trained.net),
        system=trained.preset.title,
        sha256=sha256(path),
        synthetic=trained.synthetic,
        card=card or _card(name, trained),
        trust=read_trust(path, sha256(path)),
    )
    if not is_shipped(source) and is_model_folder(Path(source)):
        require_described(Path(source), _own_facts(model))
    return model


def _own_facts(model: Model) -> dict[str, object]:
    """Returns what decides an answer besides the weights: the classes in order, and how sound is prepared."""
    front = model.frontend
    return {
        "class_names": list(model.class_names),
        "id2label": {str(index): name for index, name in enumerate(model.class_names)},
        "normal_index": model.normal,
        "sample_rate": front.sample_rate,
        "seconds": front.seconds,
        "resampler": front.resampler,
        "min_samples": front.min_samples,
    }


def weights_of(source: str | Path) -> Path:
    """Returns the weights file of a model, named as for :func:`load`, with its errors."""
    return _found(source)[0]


def _found(source: str | Path) -> tuple[Path, str, str]:
    """Returns a model's weights file and name, and its card where it has one."""
    if is_shipped(source):
        path, card = shipped_weights(str(source))
        return path, str(source), card
    path = Path(source)
    if path.is_dir() and is_model_folder(path):
        weights, card = read_folder(path)
        return weights, path.resolve().name, card
    if path.is_dir():
        run = RunFolder(path)
        run.require()
        return run.weights, "/".join(path.resolve().parts[-2:]), ""
    if not path.exists():
        ships = ", ".join(shipped()) or "none in this installation"
        allowed = f"a run's folder, a weights.safetensors of one, or a model that ships ({ships})"
        raise RunError(message(f"model {str(source)!r}", "is not there", allowed, "check the path, or take a name"))
    if path.suffix.lower() == ".onnx":
        allowed = "weights of ours, which run in torch"
        raise RunError(message(path, "is an exported graph", allowed, "lung_srad.load_onnx opens it, without torch"))
    return path, path.stem, ""


def _card(name: str, trained: TrainedModel) -> str:
    """Returns what is known of a model that nobody wrote a card for."""
    preset, notice = trained.preset, SYNTHETIC_NOTICE if trained.synthetic else NOTICE
    profile = f", profile {preset.profile}" if preset.profile else ""
    classes = ", ".join(trained.class_names)
    return (
        f"# {name}\n\n{preset.title}: {preset.backbone.name}, trained with the preset `{preset.name}` "
        f"({preset.reading} reading{profile}).\nClasses: {classes}.\n\n{notice.capitalize()}.\n"
    )
