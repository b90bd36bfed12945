"""A model for use elsewhere: one ONNX graph, compared with the model before it is written, or a folder."""

from pathlib import Path

from lung_srad.errors import RunError, WeightsError, message
from lung_srad.files import replacing
from lung_srad.inference.folder import FolderFacts, require_room, write_folder
from lung_srad.inference.graph import build_graph
from lung_srad.inference.loading import load, weights_of
from lung_srad.inference.model import Model
from lung_srad.inference.parity import Parity, compare
from lung_srad.portable.model import FORMAT_VERSION


def export_onnx(model: Model, path: str | Path, *, given: str = "wave", inputs: int = 32) -> Parity:
    """Writes a model as one ONNX graph, front end included, and returns how the two compare on made-up inputs.

    The graph goes from waves (batch, samples) at the model's rate to ``logits``, ``probabilities``, ``embedding`` and
    ``silent`` (which is not to be answered for), or from ``features`` to the first three. Its metadata says what the
    classes are, which weights it was made of and what it is for. Nothing is written where the two disagree.

    Args:
        given: what goes in, "wave" or "features".
        inputs: how many inputs both are given; :func:`check_onnx` compares on more.

    Raises:
        ConfigError: a backbone that is not DASS, or no such input.
        WeightsError: the graph does not compute what the model computes.
        RunError: the file cannot be written.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    content = build_graph(
        model.net, onnx_facts(model), given=given, temperature=model.trust.temperature
    ).SerializeToString()
    found = compare(model, content, inputs=inputs)
    if not found.ok:
        seen = "the graph does not compute what the model computes"
        raise WeightsError(message(path, f"{seen}\n{found}\n", "equal logits", "report it; nothing was written"))
    try:
        with replacing(Path(path)) as file:
            file.write(content)
    except OSError as error:
        seen = f"cannot be written ({error.strerror or error})"
        raise RunError(message(path, seen, "a file in a folder with room", "choose another path")) from error
    return found


def onnx_facts(model: Model) -> dict[str, object]:
    """Returns what a graph says of itself."""
    front = model.frontend
    return {
        **model.facts(),
        "format_version": FORMAT_VERSION,
        "class_names": list(model.class_names),
        "normal_index": model.normal,
        "resampler": front.resampler,
        "min_samples": front.min_samples,
    }


def export_folder(source: str | Path, folder: str | Path) -> None:
    """Writes a model into a new folder in the layout of the Hugging Face hub; ``load(folder)`` answers the same.

    ``model.safetensors`` holds the bytes of the model's weights file, which say themselves what they are;
    ``config.json`` says it to others, with the hash of the weights; ``README.md`` is the card.

    Args:
        source: as for :func:`lung_srad.load`.

    Raises:
        RunError: no such model, or the folder is there already or cannot be written.
        WeightsError: as :func:`lung_srad.load`.
    """
    require_room(Path(folder))  # before the work of loading
    model = load(source)
    names = model.class_names
    config = {
        "model_type": "lung_srad",
        "architectures": [type(model.net.backbone).__name__],
        "library_name": "lung_srad",
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
        **onnx_facts(model),
    }
    weights = weights_of(source)
    write_folder(Path(folder), weights, FolderFacts(config, model.card))
