"""Verbs about this machine: what is installed, what runs here, what is missing."""

import json
import os
import platform
import shlex
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

PACKAGES = (
    "torch",
    "numpy",
    "soundfile",
    "safetensors",
    "pydantic",
    "matplotlib",
    "soxr",
    "tensorboard",
    "transformers",
    "onnx",
    "onnxruntime",
    "fastapi",
    "uvicorn",
    "python-multipart",
    "ray",
    "pyarrow",
    "pandas",
    "fsspec",
    "lung-srad-kernels",
)
EXTRAS = {
    "audio": ("soxr",),
    "track": ("tensorboard",),
    "baselines": ("transformers",),
    "onnx": ("onnx", "onnxruntime"),
    "serve": ("fastapi", "uvicorn", "python-multipart"),
    "kernels": ("lung-srad-kernels",),
    "cluster": ("ray", "pyarrow", "pandas", "fsspec"),
}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the same facts as JSON.")] = False,
) -> None:
    """Prints versions, what computes the scan, threads and CUDA, and how to install what is missing.

    Example: lung-srad doctor --json
    """
    found = facts()
    typer.echo(json.dumps(found, indent=2) if as_json else as_text(found))


def facts() -> dict[str, Any]:
    """Returns what is installed and what runs here, ready for JSON."""
    import torch

    from lung_srad import kernels
    from lung_srad.kernels.linear import multiplies_bfloat16

    packages = {name: installed(name) for name in PACKAGES}
    cuda = torch.cuda.is_available()
    return {
        "lung-srad": installed("lung-srad"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "kernels": {name: described(name) for name in reversed(kernels.available())},
        "not_running": dict(kernels.missing()),
        "faster": faster(kernels.missing(), cuda),
        "bf16_products": multiplies_bfloat16(),
        "threads": {
            "torch": torch.get_num_threads(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
            "cores": os.cpu_count(),
        },
        "cuda": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if cuda else [],
        "missing": {
            extra: f"pip install 'lung-srad[{extra}]'"
            for extra, names in EXTRAS.items()
            if extra != "kernels" and any(packages[name] is None for name in names)  # "faster" tells of those
        },
    }


def described(backend: str) -> str:
    """Returns what a back end of the scan that runs here computes with."""
    import torch

    number = torch.get_num_threads()
    threads = "1 thread" if number == 1 else f"{number} threads"
    if backend == "cpu":
        import lung_srad_kernels

        return f"compiled for {lung_srad_kernels.ISA}, {threads}"
    return {"torch": f"plain torch, {threads}", "triton": "GPU"}[backend]


def faster(missing: Collection[str], cuda: bool) -> dict[str, str]:
    """Returns the command that brings each back end that does not run and could, also over one that does not load."""
    clone = Path(__file__).parents[3] / "kernels_cpp"
    source = f"{shlex.quote(str(clone))}  # needs a C++ compiler" if clone.is_dir() else "lung-srad-kernels"
    commands = {"triton": "pip install triton"} if cuda else {}
    commands["cpu"] = f"pip install --force-reinstall --no-deps {source}"
    return {name: command for name, command in commands.items() if name in missing}


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
        "scan": "; ".join(f"{name}: {how}" for name, how in found["kernels"].items()),
        "not running": "; ".join(f"{name}: {why}" for name, why in found["not_running"].items()) or "nothing",
        "faster scan": "; ".join(f"{name}: {command}" for name, command in found["faster"].items())
        or "nothing to install",
        "bf16 products": "by oneDNN" if found["bf16_products"] else "not by oneDNN on this CPU: no faster than float32",
        "threads": f"torch {threads['torch']} of {threads['cores']} cores, "
        f"OMP_NUM_THREADS {threads['OMP_NUM_THREADS'] or 'not set'}",
        "CUDA": ", ".join(found["cuda"]) or "no device; everything runs on the CPU",
        "missing": "; ".join(f"extra {extra}: {command}" for extra, command in found["missing"].items()) or "nothing",
    }
    return "\n".join(f"{name:<17} {value}" for name, value in lines.items())
