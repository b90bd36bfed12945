"""A preset: one system with all its settings, as a frozen, strict model. TOML in, TOML out.

A preset file is whole: there is no inheritance. Three things may change it, in this order, and all are recorded:
a profile (a shipped set of overrides), ``--set key=value``, and ``reading``, which fills every key of
:data:`READINGS` that the file leaves out. A system with one published form has ``reading = "own"``: its file leaves
nothing out, and another reading changes nothing.
"""

import reprlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lung_srad.errors import ConfigError, message, nearest
from lung_srad.literature import NAME, Printed, Strict
from lung_srad.preset_files import parse_toml, preset_text, profile_for, read_profile, read_text
from lung_srad.preset_files import preset_names as preset_names  # what ships is asked for here
from lung_srad.preset_files import profile_names as profile_names

_ROWS: dict[str, tuple[Any, Any]] = {  # key: (the paper, the public pre-release); DECISIONS.md, table
    "objective.stop_gradient": ("mixed", "original"),
    "objective.project_on": ("both", "mixed"),
    "objective.train_projector": (True, False),
    "objective.form": ("log_of_mean", "mean_of_logs"),
    "objective.anchor": ("original", "mixed"),
    "objective.positive": ("holds_anchor", "holds_anchor"),
    "objective.reduction": ("mean", "mean"),
    "objective.lam": ("true", "true"),
    "smoothing.site": ("c", "a"),
    "augment.masks": (1, 2),
    "augment.probability": (1.0, 0.841),
    "optimizer.name": ("adam", "adamw"),
    "optimizer.half_step": (False, True),
}
READINGS: dict[str, dict[str, Any]] = {
    name: {key: values[column] for key, values in _ROWS.items()} for column, name in enumerate(("paper", "code"))
}


_LARGEST_KERNEL = 1023  # the widest map of DASS has 256 columns: taps that are farther away meet zeros
_MOST_MASKS, _MOST_WORKERS = 100, 1024
_LARGEST_BATCH = 65_536  # the spectrograms of as many cycles are 32 GB: beyond it a number is a mistake


class Part(BaseModel):
    """A registered part (backbone, objective) by name; the other keys are its constructor's arguments."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", allow_inf_nan=False)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class Smoothing(Strict):
    """Spectral-aware regularisation (paper §3.4); stages and blocks count from zero."""

    site: Literal["a", "b", "c"]
    stage: int = Field(2, ge=0)
    blocks: list[int] = Field([2, 3])
    kernel_size: int = Field(5, ge=1, le=_LARGEST_KERNEL)
    sigma: float = Field(3.0, gt=0)


class Augment(Strict):
    """SpecAugment: masks per axis, their largest widths (frames, mel bins), and how often a cycle gets any.

    ``per`` says what masks are drawn for: each cycle, or a whole batch, whose cycles then share them. ``roll`` turns
    a cycle in time by a random step first: one that is repeated to its length has no beginning.
    """

    masks: int = Field(ge=0, le=_MOST_MASKS)
    probability: float = Field(ge=0, le=1)
    time_mask: int = Field(160, ge=0)
    freq_mask: int = Field(48, ge=0)
    per: Literal["cycle", "batch"] = "cycle"
    roll: bool = False


class Optimizer(Strict):
    """Optimiser and schedule: a cosine per epoch from ``learning_rate`` to ``learning_rate * final_fraction``.

    ``warmup_steps`` steps lead up to it linearly; the published schedule has none. ``muon`` is for random weights.
    """

    name: Literal["adam", "adamw", "muon"]
    half_step: bool
    learning_rate: float = Field(5e-5, gt=0)
    weight_decay: float = Field(1e-6, ge=0)
    final_fraction: float = Field(1e-3, ge=0, le=1)
    warmup_steps: int = Field(0, ge=0)


class Training(Strict):
    """Length and size of a run. ``batch_size`` is per process; ``checkpoint_every`` counts steps.

    ``refit`` trains a second time, on all training patients, for the epoch that the first run chose. ``two_class``
    makes one class of everything that is not normal.
    """

    epochs: int = Field(50, ge=1)
    batch_size: int = Field(16, ge=2, le=_LARGEST_BATCH)
    eval_batch_size: int = Field(32, ge=1, le=_LARGEST_BATCH)
    precision: Literal["fp32", "bf16"] = "fp32"
    checkpoint_every: int = Field(50, ge=1)
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    refit: bool = True
    two_class: bool = False
    workers: int = Field(0, ge=0, le=_MOST_WORKERS)
    tensorboard: bool = False
    silent: Literal["refuse", "skip"] = "refuse"


class Preset(Strict):
    """One system, ready to run."""

    name: str = Field(pattern=NAME)
    title: str
    reading: Literal["paper", "code", "own"] = "paper"
    profile: str | None = Field(None, pattern=NAME)
    overrides: list[str] = Field([])
    printed: Printed | None = None
    backbone: Part
    smoothing: Smoothing | None = None
    augment: Augment
    objective: Part
    optimizer: Optimizer
    training: Training


def load_preset(source: str | Path, *, profile: str | None = None, overrides: Iterable[str] = ()) -> Preset:
    """Returns a preset by shipped name or path, with a profile and ``key=value`` overrides applied.

    Raises:
        ConfigError: no such preset, file, profile or key, or a value that is not allowed.
    """
    if str(source).endswith(".toml"):
        data, where = parse_toml(read_text(Path(source)), str(source)), str(source)
    else:
        data, where = parse_toml(preset_text(str(source)), str(source)), f"{source}.toml"
    if profile is not None:
        data["profile"] = profile
        backbone = data.get("backbone")
        for key, value in _flat(profile_for(profile, backbone.get("name") if isinstance(backbone, dict) else None)):
            _assign(data, key, value)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(message("--set", repr(text), "key=value, e.g. training.epochs=10", "add the value"))
        key, value = key.strip(), _value(value.strip())
        if key == "reading" and data.get("reading") == "own" and value in list(READINGS):
            continue  # DECISIONS: one-form
        _override(data, key, value)
        recorded = data.setdefault("overrides", [])
        if isinstance(recorded, list):  # anything else is refused below
            recorded.append(text)
    return parse_preset(data, where)


def parse_preset(data: Mapping[str, Any], where: str) -> Preset:
    """Returns the preset in ``data``; ``where`` names it in errors.

    Raises:
        ConfigError: a key is unknown or missing, or a value is not allowed.
    """
    try:
        return Preset.model_validate(_fill_reading(data))
    except ValidationError as error:
        raise ConfigError(_explain(error, where)) from None


def dump_preset(preset: Preset) -> str:
    """Returns the preset as TOML, every key of the reading spelled out; :func:`load_preset` reads it back."""
    return tomli_w.dumps(preset.model_dump(exclude_none=True))


def settings(preset: Preset) -> dict[str, Any]:
    """Returns what a run depends on: everything but what the system is called and what is printed of it."""
    return preset.model_dump(exclude={"title", "printed"})


def shown(value: object) -> str:
    """Returns a value as errors show it: cut where it is long, also where it is nested deeply."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every key with a value, its tables in front of it."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _value(text: str) -> Any:
    """Returns a TOML value; anything else is a string, as a shell eats quotes."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return found["value"] if len(found) == 1 else text


def _override(data: dict[str, Any], key: str, value: Any) -> None:
    """Assigns what ``--set`` gives; a new reading takes back what a resolved file has from its own reading."""
    table = key.partition(".")[0]
    if table != key and table in Preset.model_fields and table not in data:
        remedy = "take a preset that has it, e.g. dass_smoothing, or copy one and add the table"
        raise ConfigError(message("--set", repr(key), f"this preset has no [{table}]", remedy))
    if key == "reading":
        for row, filled in READINGS.get(str(data.get("reading", "paper")), {}).items():
            table, name = row.split(".")
            if isinstance(data.get(table), dict) and data[table].get(name) == filled:
                del data[table][name]
        if isinstance(data.get("profile"), str):  # what a profile says of these keys stays
            for row, own in _flat(read_profile(data["profile"])):
                if row in _ROWS:
                    _assign(data, row, own)
    _assign(data, key, value)


def _assign(data: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise ConfigError(message(key, f"{parent!r} is a value", "a table stands before the dot", "check the key"))
    data[last] = value


def _fill_reading(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a copy with the reading's keys filled in where a table that uses them leaves them out."""
    data = {key: dict(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    reading = data.get("reading", "paper")
    if reading == "own":
        return data
    known = isinstance(reading, str) and reading in READINGS  # another one is refused later, and alone
    for row, value in READINGS[reading if known else "paper"].items():
        table, key = row.split(".")
        settings = data.get(table)
        if isinstance(settings, dict) and (table != "objective" or settings.get("name") == "patch_mix"):
            settings.setdefault(key, value)
    return data


def _explain(error: ValidationError, where: str) -> str:
    """Returns one line for the first problem, with the nearest right key for a wrong one."""
    first = error.errors()[0]
    *tables, last = (str(part) for part in first["loc"])
    key = ".".join((*tables, last))
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        model: Any = Preset
        for table in tables:
            model = _model_of(model, table)
        return message(where, f"unknown key {key!r}{more}", nearest(last, model.model_fields), "rename or remove it")
    if first["type"] == "missing":
        return message(where, f"{key!r} is missing{more}", "every preset is whole", "add it (lung-srad presets NAME)")
    return message(where, f"{key} = {shown(first['input'])}{more}", first["msg"], "change the preset or use --set")


def _model_of(model: Any, field: str) -> Any:
    """Returns the model of a field, also where the field may be None."""
    annotation = model.model_fields[field].annotation
    options = [annotation, *getattr(annotation, "__args__", ())]
    return next(kind for kind in options if isinstance(kind, type) and issubclass(kind, BaseModel))
