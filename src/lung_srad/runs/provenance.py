"""Where a result comes from: versions, machine, command, commit, hashes of the data and the weights."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("lung-srad", "lung-srad-kernels", "torch", "numpy", "soundfile", "safetensors", "soxr", "transformers")


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that a result can depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Returns processor, accelerator and thread counts; no host or user name."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "system": f"{platform.system()} {platform.machine()}",
    }


def machine_line() -> str:
    """Returns machine and versions in one line, for the head of a result page."""
    here, packages = machine(), versions()
    parts = [here["gpu"] or here["processor"], f"{here['cores']} cores", f"{here['threads']} threads"]
    parts += [f"torch {packages['torch']}", f"Python {packages['python']}", f"commit {commit()}"]
    return ", ".join(parts)


def commit() -> str:
    """Returns the commit of the source tree this package runs from, "+" if changed, or "not a checkout"."""
    here = Path(__file__).parent
    try:
        _git(here, "ls-files", "--error-unmatch", Path(__file__).name)  # not just installed below somebody's checkout
        head = _git(here, "rev-parse", "--short", "HEAD")
        return head + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "not a checkout"


def provenance(**facts: Any) -> dict[str, Any]:
    """Returns everything that a run writes into ``provenance.json``."""
    command = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return {"command": command, "commit": commit(), "versions": versions(), "machine": machine(), **facts}


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
