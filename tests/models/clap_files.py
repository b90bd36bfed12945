"""What the official checkpoint of CLAP looks like: names and shapes of its tensors, and a tokenizer of its kind."""

import json
from pathlib import Path

import tokenizers
import torch
from torch import Tensor

from lung_srad.prompt_texts import PROMPTS

OFFICIAL = {
    "words": 50_265,
    "positions": 514,
    "text": 768,
    "text_layers": 12,
    "audio": 96,
    "patch": 4,
    "window": 8,
    "depths": (2, 2, 6, 2),
    "heads": (4, 8, 16, 32),
    "projection": 512,
}
SMALL = {  # clap_tiny, but for the number of words
    "words": 700,
    "positions": 72,
    "text": 64,
    "text_layers": 2,
    "audio": 32,
    "patch": 8,
    "window": 4,
    "depths": (1, 1, 2, 1),
    "heads": (1, 2, 4, 8),
    "projection": 64,
}
FLOATS = {"logit_scale_a": (), "logit_scale_t": ()}
Shapes = dict[str, tuple[int, ...]]


def dense(name: str, inner: int, outer: int) -> Shapes:
    return {f"{name}.weight": (outer, inner), f"{name}.bias": (outer,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def text_layout(*, words: int, positions: int, text: int, text_layers: int, projection: int, **_: object) -> Shapes:
    at = "text_model.embeddings"
    shapes: Shapes = {f"{at}.word_embeddings.weight": (words, text), f"{at}.token_type_embeddings.weight": (1, text)}
    shapes |= {f"{at}.position_embeddings.weight": (positions, text), **norm(f"{at}.LayerNorm", text)}
    for layer in range(text_layers):
        at = f"text_model.encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            shapes |= dense(f"{at}.attention.self.{name}", text, text)
        shapes |= dense(f"{at}.attention.output.dense", text, text) | norm(f"{at}.attention.output.LayerNorm", text)
        shapes |= dense(f"{at}.intermediate.dense", text, 4 * text) | dense(f"{at}.output.dense", 4 * text, text)
        shapes |= norm(f"{at}.output.LayerNorm", text)
    shapes |= dense("text_model.pooler.dense", text, text)
    return (
        shapes
        | dense("text_projection.linear1", text, projection)
        | dense("text_projection.linear2", projection, projection)
    )


def audio_layout(
    *,
    audio: int,
    patch: int,
    window: int,
    depths: tuple[int, ...],
    heads: tuple[int, ...],
    projection: int,
    **_: object,
) -> Shapes:
    top = "audio_model.audio_encoder"
    shapes: Shapes = {
        f"{top}.patch_embed.proj.weight": (audio, 1, patch, patch),
        f"{top}.patch_embed.proj.bias": (audio,),
    }
    shapes |= norm(f"{top}.patch_embed.norm", audio)
    for stage, (depth, count) in enumerate(zip(depths, heads, strict=True)):
        width = audio * 2**stage
        for block in range(depth):
            at = f"{top}.layers.{stage}.blocks.{block}"
            shapes |= norm(f"{at}.layernorm_before", width) | norm(f"{at}.layernorm_after", width)
            shapes |= {f"{at}.attention.self.relative_position_bias_table": ((2 * window - 1) ** 2, count)}
            for name in ("self.query", "self.key", "self.value", "output.dense"):
                shapes |= dense(f"{at}.attention.{name}", width, width)
            shapes |= dense(f"{at}.intermediate.dense", width, 4 * width) | dense(
                f"{at}.output.dense", 4 * width, width
            )
        if stage + 1 < len(depths):
            at = f"{top}.layers.{stage}.downsample"
            shapes |= {f"{at}.reduction.weight": (2 * width, 4 * width), **norm(f"{at}.norm", 4 * width)}
    shapes |= norm(f"{top}.norm", width) | norm(f"{top}.batch_norm", 64)
    shapes |= {f"{top}.batch_norm.running_mean": (64,), f"{top}.batch_norm.running_var": (64,)}
    return (
        shapes
        | dense("audio_projection.linear1", width, projection)
        | dense("audio_projection.linear2", projection, projection)
    )


def counted(*, positions: int, window: int, depths: tuple[int, ...], **_: object) -> dict[str, Tensor]:
    """Returns the whole numbers in an official file."""
    found = {"text_model.embeddings.position_ids": torch.arange(positions)[None]}
    found["text_model.embeddings.token_type_ids"] = torch.zeros(1, positions, dtype=torch.long)
    found["audio_model.audio_encoder.batch_norm.num_batches_tracked"] = torch.tensor(10_000)
    for stage, depth in enumerate(depths):
        for block in range(depth):
            at = f"audio_model.audio_encoder.layers.{stage}.blocks.{block}.attention.self.relative_position_index"
            found[at] = torch.zeros(window**2, window**2, dtype=torch.long)
    return found


def official_tensors(**sizes: object) -> dict[str, Tensor]:
    """Returns the content of a file, numbers at random."""
    draw = torch.Generator().manual_seed(7)
    shapes = FLOATS | text_layout(**sizes) | audio_layout(**sizes)
    tensors = {key: 0.1 * torch.randn(shape, generator=draw) for key, shape in shapes.items()}
    tensors["audio_model.audio_encoder.batch_norm.running_var"].abs_().add_(1)
    return tensors | counted(**sizes)


def write_tokenizer(folder: Path, *, whole: bool, marks: tuple[str, ...] = ("<s>", "<pad>", "</s>", "<unk>")) -> None:
    """Writes a byte-level BPE that has a token for every word of the sentences, in either of the two forms."""
    space = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    vocabulary = {mark: place for place, mark in enumerate(marks)}
    for symbol in sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[symbol] = len(vocabulary)
    merges = []
    for text in PROMPTS:
        for word, _ in space.pre_tokenize_str(text):
            for end in range(1, len(word)):
                if word[: end + 1] not in vocabulary:
                    vocabulary[word[: end + 1]] = len(vocabulary)
                    merges.append((word[:end], word[end]))
    if not whole:
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges)]) + "\n")
        return
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = space, tokenizers.decoders.ByteLevel()
    tokenizer.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.enable_padding(length=100, pad_id=1, pad_token="<pad>")
    tokenizer.save(str(folder / "tokenizer.json"))
