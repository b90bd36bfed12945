"""The token ids of all sentences that a text backbone may be asked about, made once and then kept with its weights."""

import re
from pathlib import Path

import torch
from torch import Tensor

from lung_srad.errors import WeightsError, message, optional_import
from lung_srad.prompt_texts import PROMPTS

LENGTH = 64  # tokens of a sentence, padded; the public code's
START, PAD, END = 0, 1, 2  # as in RoBERTa
_FIRST = 4  # of our own words; 3 is RoBERTa's unknown word
_MARKS = {"<s>": START, "<pad>": PAD, "</s>": END}
_FILES = "tokenizer.json, or vocab.json and merges.txt"
_REMEDY = "give the whole folder of the checkpoint, or put its tokenizer beside the file"


def word_tokens() -> Tensor:
    """Returns a token for every word and mark of the sentences: for networks that start from random weights.

    Shape:
        (sentences, 64)
    """
    places = {word: _FIRST + place for place, word in enumerate(_words())}
    return _padded([[places[word] for word in _split(text)] for text in PROMPTS])


def word_count() -> int:
    """Returns how many tokens :func:`word_tokens` chooses from."""
    return _FIRST + len(_words())


def tokenizer_tokens(folder: Path, vocabulary: int) -> Tensor:
    """Returns the tokens that the tokenizer in a checkpoint's folder gives to every sentence; nothing is fetched.

    Args:
        folder: holds tokenizer.json, or vocab.json and merges.txt, of RoBERTa's kind.
        vocabulary: number of tokens that the network knows.

    Shape:
        (sentences, 64)

    Raises:
        WeightsError: there is no tokenizer, it cannot be read, or it is not that of the network.
        MissingExtraError: tokenizers, which comes with transformers, is not installed.
    """
    tokenizer = _open(folder)
    marks = {mark: tokenizer.token_to_id(mark) for mark in _MARKS}
    rows = [row.ids for row in tokenizer.encode_batch(list(PROMPTS), add_special_tokens=False)]
    faults = [f"{mark} is token {marks[mark]}, not {place}" for mark, place in _MARKS.items() if marks[mark] != place]
    if max(map(max, rows)) >= vocabulary:
        faults.append(f"token {max(map(max, rows))} of a network that knows {vocabulary}")
    if max(map(len, rows)) > LENGTH - 2:
        faults.append(f"{max(map(len, rows))} tokens in one sentence, of {LENGTH - 2} at most")
    if tokenizer.decode_batch(rows) != list(PROMPTS):
        faults.append("sentences that come back changed")
    if faults:
        raise WeightsError(message(folder, f"its tokenizer gives {faults[0]}", "that of the checkpoint", _REMEDY))
    return _padded(rows)


def _open(folder: Path):
    """Returns the tokenizer in a folder, without the padding and truncation that its file may ask for."""
    whole, words, merges = (folder / name for name in ("tokenizer.json", "vocab.json", "merges.txt"))
    if not whole.is_file() and not (words.is_file() and merges.is_file()):
        raise WeightsError(message(folder, "no tokenizer there", _FILES, _REMEDY))
    tokenizers = optional_import("tokenizers", "baselines")
    try:
        if whole.is_file():
            tokenizer = tokenizers.Tokenizer.from_file(str(whole))
            tokenizer.no_padding()
            tokenizer.no_truncation()
            return tokenizer
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(words), str(merges)))
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = tokenizers.decoders.ByteLevel()
        return tokenizer
    except Exception as error:  # the parser raises plain Exceptions at damaged files
        seen = f"its tokenizer cannot be read ({' '.join(str(error).split())[:200]})"
        raise WeightsError(message(folder, seen, _FILES, _REMEDY)) from error


def _split(text: str) -> list[str]:
    return re.findall(r"\w+|[.,]", text)


def _words() -> list[str]:
    return sorted({word for text in PROMPTS for word in _split(text)})


def _padded(rows: list[list[int]]) -> Tensor:
    """Returns the sentences between START and END, filled up with PAD: (sentences, 64)."""
    return torch.tensor([[START, *row, END] + [PAD] * (LENGTH - 2 - len(row)) for row in rows])
