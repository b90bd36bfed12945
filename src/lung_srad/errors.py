"""The exceptions of Lung-SRAD.

Everything that a caller can cause is a subclass of :class:`LungSradError`, so one ``except`` is enough::

    LungSradError
    ├── ConfigError            a preset, an option or a combination of options            (also ValueError)
    ├── AudioError             a recording that cannot be read or used                    (also ValueError)
    ├── DataError              annotations, splits, tables, folders of recordings         (also ValueError)
    ├── WeightsError           a checkpoint that does not fit, or is not to be trusted    (also ValueError)
    ├── RunError               a run folder that is missing, stale or unfinished          (also RuntimeError)
    │   └── BusyError          another process works on the run
    ├── ShapeError             a tensor of the wrong shape or a place that does not exist (also ValueError)
    └── MissingExtraError      an optional package that is not installed                  (also ImportError)

A message holds four things: the file or field, the value seen, what is allowed, and the next step.
:func:`message` puts them together so that all of them read alike.
"""

import difflib
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType


class LungSradError(Exception):
    """The root of every error that a caller can cause and mend."""


class ConfigError(LungSradError, ValueError):
    """A preset, an option or a combination of options that cannot work."""


class AudioError(LungSradError, ValueError):
    """A recording that cannot be read or used."""


class DataError(LungSradError, ValueError):
    """Annotations, splits, tables or folders that do not fit together."""


class WeightsError(LungSradError, ValueError):
    """A checkpoint that does not fit the model, or that is not to be trusted."""


class RunError(LungSradError, RuntimeError):
    """A run folder that is missing, stale or unfinished."""


class BusyError(RunError):
    """A run on which another process works."""


class ShapeError(LungSradError, ValueError):
    """A tensor of the wrong shape, or a place in a model that does not exist."""


class MissingExtraError(LungSradError, ImportError):
    """An optional package that is not installed."""


def message(where: object, seen: str, allowed: str, remedy: str) -> str:
    """Returns one line that names the file or field, the value seen, what is allowed and the next step."""
    return f"{where}: {seen}; {allowed}; {remedy}"


def shown(name: str) -> str:
    """Returns a name that is safe to print: control characters and broken bytes are written out."""
    return name if name.isprintable() else ascii(name)[1:-1]


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns ``"did you mean 'x'?"`` for the nearest known word, or the list of known words."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"


def optional_import(module: str, extra: str) -> ModuleType:
    """Returns an optional module, or says which extra brings it.

    Raises:
        MissingExtraError: the module is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        text = f"{module} is not installed; it comes with the extra {extra!r}; pip install 'lung-srad[{extra}]'"
        raise MissingExtraError(text) from error
