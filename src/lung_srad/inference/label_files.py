"""Events as labels of Audacity and as a selection table of Raven."""

from lung_srad.errors import shown
from lung_srad.inference.results import Classification

RAVEN_HEADER = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Annotation",
    "Score",
)


def as_audacity(found: Classification) -> str:
    """Returns the events as a label track: start, end and name between tabs, in seconds, an event per line."""
    return "".join(f"{each.start:.6f}\t{each.end:.6f}\t{_word(each.label)}\n" for each in found.events)


def as_raven(found: Classification) -> str:
    """Returns the events as a selection table, their mean probability as the score.

    The frequencies are those that the model hears: no event is located in frequency.
    """
    top = min(found.rate, found.model.get("sample_rate", found.rate)) / 2
    lines = ["\t".join(RAVEN_HEADER)]
    for number, each in enumerate(found.events, start=1):
        times = f"{each.start:.6f}\t{each.end:.6f}\t0.0\t{top:.1f}"
        lines.append(f"{number}\tSpectrogram 1\t1\t{times}\t{_word(each.label)}\t{each.mean:.4f}")
    return "\n".join(lines) + "\n"


def _word(label: str) -> str:
    """Returns a name that cannot end a cell or a line."""
    return shown(label.replace("\t", " "))
