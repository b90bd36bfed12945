"""The files that come along: presets, profiles, ensembles and sweeps, as text and as TOML."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from lung_srad.errors import ConfigError, message, nearest

MAX_BYTES = 1 << 20  # a preset has some 3,000; parsing a hostile file must not cost memory or time


def preset_names() -> list[str]:
    """Returns the names of the shipped presets."""
    return _names("")


def profile_names() -> list[str]:
    """Returns the names of the shipped profiles."""
    return _names("profiles")


def ensemble_names() -> list[str]:
    """Returns the names of the shipped ensembles."""
    return _names("ensembles")


def sweep_names() -> list[str]:
    """Returns the names of the shipped sweeps."""
    return _names("sweeps")


def read_sweep(name: str) -> dict[str, Any]:
    """Returns what the file of a shipped sweep says.

    Raises:
        ConfigError: no such sweep.
    """
    _require_shipped("sweep", name, sweep_names())
    return parse_toml(_text(f"sweeps/{name}.toml"), name)


def preset_text(name: str) -> str:
    """Returns a shipped preset's file, comments included.

    Raises:
        ConfigError: no such preset.
    """
    if name in ensemble_names():
        allowed = f"presets: {', '.join(preset_names())}"
        remedy = f"train what it is made of (lung-srad presets {name} says what)"
        raise ConfigError(message("preset", f"{name!r} is an ensemble, which trains nothing", allowed, remedy))
    if name not in preset_names():
        allowed = f"shipped: {', '.join(preset_names())}"
        remedy = f"{nearest(name, preset_names())} or give the path of a .toml file"
        raise ConfigError(message("preset", repr(name), allowed, remedy))
    return _text(f"{name}.toml")


def ensemble_text(name: str) -> str:
    """Returns a shipped ensemble's file, comments included.

    Raises:
        ConfigError: no such ensemble.
    """
    _require_shipped("ensemble", name, ensemble_names())
    return _text(f"ensembles/{name}.toml")


def read_profile(name: str) -> dict[str, Any]:
    """Returns what a shipped profile says.

    Raises:
        ConfigError: no such profile.
    """
    _require_shipped("profile", name, profile_names())
    return parse_toml(_text(f"profiles/{name}.toml"), name)


def profile_for(name: str, backbone: object) -> dict[str, Any]:
    """Returns what a shipped profile says to presets with a backbone.

    Where a table ``[backbone.NAME]`` is in a profile, it is for presets that name this backbone, or already the one
    that it puts in its place.

    Raises:
        ConfigError: no such profile, or none of its tables is for this backbone.
    """
    profile = read_profile(name)
    tables = {key: value for key, value in profile.get("backbone", {}).items() if isinstance(value, Mapping)}
    if not tables:
        return profile
    own = [table for key, table in tables.items() if backbone in (key, table.get("name"))]
    if not own:
        allowed = f"it has a table for {', '.join(tables)}"
        remedy = "take one of these backbones, or leave the profile out and use --set"
        raise ConfigError(message(f"profile {name}", f"has nothing for the backbone {backbone!r}", allowed, remedy))
    return profile | {"backbone": own[0]}


def read_text(path: Path) -> str:
    """Returns the text of somebody's own file.

    Raises:
        ConfigError: it cannot be read, or is too long to be one of these.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            allowed = f"a TOML file of up to {MAX_BYTES:,} bytes"
            raise ConfigError(message(path, "is longer than any preset", allowed, "check the path"))
        return raw.decode("utf-8")
    except ConfigError:
        raise
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path with a zero byte
        seen = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise ConfigError(message(path, seen, "a TOML file in UTF-8", "check the path")) from error


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Returns a file's tables; ``where`` names it in errors.

    Raises:
        ConfigError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(message(where, f"not TOML: {error}", "a preset in TOML", "mend that line")) from error


def _folder(name: str) -> Traversable:
    return resources.files("lung_srad").joinpath("presets", *name.split("/") if name else ())


def _require_shipped(kind: str, name: str, names: list[str]) -> None:
    if name not in names:
        raise ConfigError(message(kind, repr(name), f"shipped: {', '.join(names)}", nearest(name, names)))


def _names(folder: str) -> list[str]:
    names = (file.name for file in _folder(folder).iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _text(name: str) -> str:
    return _folder(name).read_text(encoding="utf-8")
