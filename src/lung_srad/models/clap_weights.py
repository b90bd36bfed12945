"""The official checkpoint of CLAP: a folder of the Hugging Face hub (laion/clap-htsat-unfused), or the file in it."""

import re
from dataclasses import dataclass

from lung_srad.models.layout import Checkpoint, Layout, Named
from lung_srad.models.prompt_tokens import tokenizer_tokens

PROMPTS, WORDS = "prompt_ids", "text_model.embeddings.word_embeddings.weight"
_COUNTED = re.compile(  # whole numbers that the network counts out for itself; old and new files differ in them
    r"text_model\.embeddings\.(position_ids|token_type_ids)"
    r"|audio_model\.audio_encoder\.(layers\.\d+\.blocks\.\d+\.attention\.self\.relative_position_index"
    r"|batch_norm\.num_batches_tracked)"
)
_SCALES = {"logit_scale_a", "logit_scale_t"}
_TEXT = ("text_model.", "text_projection.")


@dataclass(frozen=True)
class ClapLayout(Layout):
    """Our names are the official ones; what only the contrast of pretraining used is left out.

    With ``text``, the tokens of our sentences are made here, by the tokenizer that lies beside the file. Without it
    the text transformer is left out.
    """

    text: bool
    remedy = "take the folder of laion/clap-htsat-unfused (the fused network is another one)"

    def named(self, file: Checkpoint) -> Named:
        """Returns the file's tensors without those that have no place in ours.

        Raises:
            WeightsError: there are sentences to read and no tokenizer beside the file.
        """
        kept = {key: value for key, value in file.tensors.items() if not _COUNTED.fullmatch(key)}
        left = {"logit scales of the contrast left out": _SCALES & kept.keys()}
        if not self.text:
            left["tensors of the text transformer left out"] = {key for key in kept if key.startswith(_TEXT)}
        tensors = {key: value for key, value in kept.items() if not any(key in keys for keys in left.values())}
        notes = tuple(f"{len(keys)} {what}" for what, keys in left.items() if keys)
        if self.text and WORDS in tensors and PROMPTS not in tensors:
            tensors[PROMPTS] = tokenizer_tokens(file.path.parent, len(tensors[WORDS]))
            notes += ("sentences read by the tokenizer beside the file",)
        return Named(tensors, notes)

    def may_lack(self, key: str) -> bool:
        """Returns whether a tensor is one that the network counts out for itself."""
        return bool(_COUNTED.fullmatch(key))
