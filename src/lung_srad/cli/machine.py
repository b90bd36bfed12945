"""Verbs about this machine: what is installed, what runs here, what is missing."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

PACKAGES = ("torch", "numpy", "soundfile", "safetensors", "pydantic", "soxr", "tensorboard", "matplotlib")
EXTRAS = {"audio": ("soxr",), "plot": ("matplotlib",), "track": ("tensorboard",)}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the same facts as JSON.")] = False,
) -> None:
    """Prints versions, kernel back ends, threads and CUDA, and how to install what is missing.

    Example: lung-srad doctor --json
    """
    found = facts()
    typer.echo(json.dumps(found, indent=2) if as_json else as_text(found))


def facts() -> dict[str, Any]:
    """Returns what is installed and what runs here, ready for JSON."""
    import torch

    from lung_srad import kernels

    packages = {name: installed(name) for name in PACKAGES}
    cuda = torch.cuda.is_available()
    return {
        "lung-srad": installed("lung-srad"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "kernels": list(kernels.available()),
        "threads": {
            "torch": torch.get_num_threads(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
            "cores": os.cpu_count(),
        },
        "cuda": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if cuda else [],
        "missing": {
            extra: f"pip install 'lung-srad[{extra}]'"
            for extra, names in EXTRAS.items()
            if any(packages[name] is None for name in names)
        },
    }


def installed(package: str) -> str | None:
    """Returns the version of an installed package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def as_text(found: dict[str, Any]) -> str:
    """Returns the facts for a terminal, one to a line."""
    threads = found["threads"]
    lines = {
        "lung-srad": found["lung-srad"] or "not installed (run from its source)",
        "Python": f"{found['python']} on {found['platform']}",
        **{name: number or "not installed" for name, number in found["packages"].items()},
        "kernels": ", ".join(found["kernels"]),
        "threads": f"torch {threads['torch']} of {threads['cores']} cores, "
        f"OMP_NUM_THREADS {threads['OMP_NUM_THREADS'] or 'not set'}",
        "CUDA": ", ".join(found["cuda"]) or "no device; everything runs on the CPU",
        "missing": "; ".join(f"extra {extra}: {command}" for extra, command in found["missing"].items()) or "nothing",
    }
    return "\n".join(f"{name:<12} {value}" for name, value in lines.items())
