"""A trained model as one uses it: recordings in, answers out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any

import torch

from lung_srad.audio import AudioFrontend, is_silent
from lung_srad.errors import WeightsError, message
from lung_srad.inference.clips import Clip, Cycles
from lung_srad.inference.listening import Listener, hear_cycles, hear_windows
from lung_srad.inference.results import Classification, Segment
from lung_srad.inference.sources import Recorded, open_sound, require_length
from lung_srad.inference.spans import read_spans
from lung_srad.inference.trust import Judgement, Trust
from lung_srad.models import Classifier

NOTICE = "research use, not a medical device"
SYNTHETIC_NOTICE = f"simulated training, {NOTICE}"


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A network for forward passes in float32, with what is needed to use it; :func:`lung_srad.load` makes one.

    Attributes:
        name: that of the shipped model, of the run, or of the file.
        class_names: what the probabilities are of, in order; ``normal`` is the index of the normal class.
        net: made by ``for_inference``.
        system: the preset it was trained with, in words.
        sha256: hash of the weights file.
        synthetic: whether it was trained on simulated recordings.
        card: what it is, what it was trained on and how, as Markdown.
        trust: what makes answers of logits, and withholds some.
    """

    name: str
    class_names: tuple[str, ...]
    normal: int
    net: Classifier
    system: str
    sha256: str
    synthetic: bool
    card: str
    trust: Trust = field(default_factory=Trust)

    @property
    def frontend(self) -> AudioFrontend:
        """What makes features from waves."""
        return self.net.backbone.frontend

    @property
    def notice(self) -> str:
        """What everybody who sees an answer has to know."""
        return SYNTHETIC_NOTICE if self.synthetic else NOTICE

    def facts(self) -> dict[str, Any]:
        """Returns what identifies the model, ready for JSON."""
        return {
            "name": self.name,
            "system": self.system,
            "sha256": self.sha256,
            "normal": self.class_names[self.normal],
            "seconds": self.frontend.seconds,
            "sample_rate": self.frontend.sample_rate,
            "synthetic": self.synthetic,
            "notice": self.notice,
            "trust": self.trust.facts(),
        }

    def classify(
        self,
        recording: Recorded,
        *,
        rate: int | None = None,
        cycles: str | Path | Iterable[tuple[float, float]] | None = None,
        hop: float = 2.0,
        batch_size: int = 8,
    ) -> Classification:
        """Returns the probabilities of each class in every window of a recording, or in given cycles.

        Windows last what the model was trained on (8 s) and follow each other every ``hop`` seconds; the last one
        ends with the recording. Cycles go through the pipeline of training, so their answers are those that an
        evaluation gives. A silent stretch is not classified: its code is "silence", its probabilities are empty. So is
        one that ``trust`` calls foreign or unsure.

        Args:
            recording: a wav, flac, ogg, mp3 or aiff file, by its path or open, of any rate, up to eight channels and
                25 hours; or with ``rate`` an array, (samples,) or (samples, channels), or chunks of one.
            rate: of an array or of chunks, in hertz; a file says its own.
            cycles: pairs of seconds, an ICBHI annotation, a CSV with the columns start and end, labels of Audacity, a
                selection table of Raven, or a folder of them.
            batch_size: how many windows go through the network at once; memory grows with it, answers do not change.

        Raises:
            AudioError: the recording cannot be used.
            DataError: the cycles cannot be used, or one lies outside the recording.
            ConfigError: a hop, a rate or a batch size that cannot be.
        """
        with open_sound(recording, rate) as sound:
            if cycles is not None:
                given = Cycles(self.frontend, read_spans(cycles, Path(sound.name)))
                return hear_cycles(self, sound, given, batch_size)
            require_length(sound)
            return hear_windows(self, sound, hop=hop, batch_size=batch_size)

    def listen(self, rate: int, *, hop: float = 2.0, batch_size: int = 1) -> Listener:
        """Returns what answers while sound arrives in chunks, as :meth:`classify` answers for the whole.

        Raises:
            AudioError: a rate outside 1-384 kHz.
            ConfigError: a hop or a batch size that cannot be.
        """
        return Listener(self, rate, hop=hop, batch_size=batch_size)

    def answers(self, clips: Sequence[Clip]) -> Iterator[Segment]:
        """Yields the answers for some clips; spectrograms are made one by one, as those of training are."""
        front, codes, heard = self.frontend, [], []
        for clip in clips:
            spectrogram = None if clip.wave is None else front.spectrogram(clip.wave)  # (T, mel)
            codes.append("short" if spectrogram is None else "silence" if is_silent(spectrogram) else "")
            if not codes[-1]:
                heard.append(spectrogram)
        found = iter(self._judged(heard) if heard else ())
        for clip, code in zip(clips, codes, strict=True):
            if code:
                yield Segment(clip.start, clip.end, code=code)
                continue
            said = next(found)
            row, score = said.probabilities, None if isnan(said.ood_score) else said.ood_score
            label = self.class_names[row.index(max(row))] if row else None
            yield Segment(clip.start, clip.end, row, label, said.code, score)

    def _judged(self, spectrograms: Sequence[torch.Tensor]) -> list[Judgement]:
        """Returns what is said of each spectrogram (T, mel), not normalised.

        Raises:
            WeightsError: an answer that is not finite; it is never taken for silence.
        """
        front = self.frontend
        embeddings = self.net.backbone(front.shape(torch.stack([front.normalize(each) for each in spectrograms])))
        logits = self.net.head(embeddings)
        if not logits.isfinite().all():
            seen, remedy = "an answer that is not finite", "take other weights; these were damaged or not trained"
            raise WeightsError(message(f"model {self.name!r}", seen, "finite numbers", remedy))
        vectors = embeddings.float().numpy()
        return self.trust.judge(logits.float().numpy(), vectors, [each.numpy() for each in spectrograms])

    def __repr__(self) -> str:
        return f"<Model {self.name!r}: {self.system}; {', '.join(self.class_names)}; {self.notice}>"
