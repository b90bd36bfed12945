"""The official checkpoint of CLAP loads strictly, as a folder or a file; its tokenizer reads the sentences once."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

import clap_files

from lung_srad.errors import WeightsError
from lung_srad.models import Classifier, create_model, load_weights
from lung_srad.models.clap import _TINY, _TINY_AUDIO, _TINY_TEXT, _with_text
from lung_srad.models.prompt_tokens import END, PAD, START, word_tokens
from lung_srad.prompt_texts import PROMPTS, UNKNOWN

State = dict[str, Tensor]
small_clap = _with_text(_TINY_AUDIO, {**_TINY_TEXT, "vocab_size": clap_files.SMALL["words"]}, _TINY)


@pytest.fixture(scope="module")
def official() -> State:
    return clap_files.official_tensors(**clap_files.SMALL)


@pytest.fixture
def net() -> Classifier:
    return Classifier(small_clap(), num_classes=4)


@pytest.fixture
def write(official: State, tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes a folder of the hub, with some tensors replaced or (None) left out."""

    def write_folder(*, name: str = "model.safetensors", whole: bool = True, **changed: Tensor | None) -> Path:
        state = {key: value for key, value in (official | changed).items() if value is not None}
        if name.endswith(".safetensors"):
            save_file(state, tmp_path / name)
        else:
            torch.save(state, tmp_path / name)
        (tmp_path / "config.json").write_text("{}")
        clap_files.write_tokenizer(tmp_path, whole=whole)
        return tmp_path

    return write_folder


@pytest.mark.parametrize(("name", "left"), [("clap", ()), ("clap_audio", ("text_",))])
def test_the_names_and_shapes_are_those_of_the_official_file(name: str, left: tuple[str, ...]):
    with torch.device("meta"):
        net = create_model(name)
    sizes = clap_files.OFFICIAL
    shapes = clap_files.text_layout(**sizes) | clap_files.audio_layout(**sizes)
    shapes |= {key: tuple(value.shape) for key, value in clap_files.counted(**sizes).items()}
    expected = {key: shape for key, shape in shapes.items() if not key.startswith(left)}
    ours = {key: tuple(value.shape) for key, value in net.state_dict().items() if not key.startswith("head.")}
    assert ours.pop("prompt_ids", None) == ((len(PROMPTS), 64) if name == "clap" else None)
    assert ours == expected


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("whole", [True, False], ids=["tokenizer.json", "vocab.json"])
def test_a_folder_of_the_hub_loads(net: Classifier, official: State, write, name: str, whole: bool):
    before = net.state_dict()
    report = load_weights(net, write(name=name, whole=whole))
    state = net.state_dict()
    counted = clap_files.counted(**clap_files.SMALL)
    taken = official.keys() - counted.keys() - clap_files.FLOATS.keys()
    assert all(torch.equal(state[key], official[key]) for key in taken)
    assert report.loaded == len(taken) + 1
    assert report.path.endswith(name)
    assert report.head == "absent"
    assert report.notes[0] == "2 logit scales of the contrast left out"
    assert report.notes[1] == "sentences read by the tokenizer beside the file"
    for key in counted.keys() - {"prompt_ids"}:  # the network's own, whatever the file says
        assert torch.equal(state[key], before[key])
    ids = state["prompt_ids"]
    assert ids.shape == (len(PROMPTS), 64)
    assert (ids[:, 0] == START).all()
    assert ((ids == END).sum(1) == 1).all()
    assert ((ids == PAD).cumsum(1) > 0).equal(ids == PAD)  # nothing follows the padding
    assert len(ids.unique(dim=0)) == len(PROMPTS)
    again = load_weights(net, write(whole=not whole))
    assert again.loaded == report.loaded
    assert torch.equal(net.state_dict()["prompt_ids"], ids)


def test_a_file_alone_has_its_tokenizer_beside_it(net: Classifier, write, tmp_path: Path):
    folder = write()
    assert load_weights(net, folder / "model.safetensors").loaded > 100
    (folder / "tokenizer.json").unlink()
    words = word_tokens()
    net.backbone.prompt_ids.copy_(words)
    with pytest.raises(
        WeightsError, match=r"no tokenizer there; tokenizer.json, or vocab.json and merges.txt; give the"
    ):
        load_weights(net, folder / "model.safetensors")
    assert torch.equal(net.backbone.prompt_ids, words)


def test_the_audio_alone_loads_from_the_same_file(official: State, write):
    net = create_model("clap_audio_tiny")
    folder = write()
    (folder / "tokenizer.json").unlink()
    report = load_weights(net, folder)
    assert report.notes == (
        "2 logit scales of the contrast left out",
        f"{len(clap_files.text_layout(**clap_files.SMALL))} tensors of the text transformer left out",
    )
    key = "audio_projection.linear2.weight"
    assert torch.equal(net.state_dict()[key], official[key])


def test_files_that_lack_what_is_counted_out_load(net: Classifier, write):
    assert load_weights(net, write(**dict.fromkeys(clap_files.counted(**clap_files.SMALL)))).loaded > 100


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"text_model.pooler.dense.bias": None}, r"1 missing \('text_model.pooler.dense.bias'\)"),
        ({"audio_model.audio_encoder.patch_embed.mel_conv2d.bias": torch.zeros(3)}, "1 unexpected .*mel_conv2d"),
        ({"text_projection.linear1.bias": torch.zeros(3)}, r"1 unusable .*is \(3,\), not \(64,\)"),
        ({"text_projection.linear1.bias": torch.full((64,), torch.nan)}, "not finite"),
        ({"prompt_ids": torch.zeros(360, 64)}, "prompt_ids is float32, not int64"),
    ],
)
def test_anything_else_is_refused(net: Classifier, write, changed: dict, said: str):
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(WeightsError, match=f"{said}.*laion/clap-htsat-unfused"):
        load_weights(net, write(**changed))
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_a_network_of_fewer_words_is_told_so(write):
    few = {"text_model.embeddings.word_embeddings.weight": torch.zeros(300, 64)}
    with pytest.raises(WeightsError, match=r"its tokenizer gives token \d+ of a network that knows 300"):
        load_weights(Classifier(small_clap(), 4), write(**few))


def damaged(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def other_marks(folder: Path) -> None:
    clap_files.write_tokenizer(folder, whole=True, marks=("<pad>", "<s>", "</s>", "<unk>"))


def without_words(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    clap_files.write_tokenizer(folder, whole=False)
    (folder / "merges.txt").write_text("#version: 0.2\n")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (damaged, "its tokenizer cannot be read"),
        (other_marks, "its tokenizer gives <s> is token 1, not 0"),
        (without_words, r"its tokenizer gives \d+ tokens in one sentence, of 62 at most"),
    ],
)
def test_a_tokenizer_that_is_not_the_checkpoints_is_refused(net: Classifier, write, harm, said: str):
    folder = write()
    harm(folder)
    with pytest.raises(WeightsError, match=said):
        load_weights(net, folder)


def test_without_a_checkpoint_every_word_is_a_token():
    ids = word_tokens()
    assert ids.shape == (len(PROMPTS), 64)
    assert len(ids.unique(dim=0)) == len(PROMPTS)
    assert ids[UNKNOWN].tolist()[0] == START
    lengths = (ids != PAD).sum(1)
    assert lengths.max() < 30
    assert torch.equal(ids, word_tokens())
