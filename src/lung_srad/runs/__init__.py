"""Runs: from a preset to objects, and a run's files. The only room below training that sees the configuration."""

from lung_srad.runs.build import (
    build_augment,
    build_dataset,
    build_model,
    build_objective,
    build_optimizer,
    build_prompt,
    check_preset,
)
from lung_srad.runs.folder import PhaseFolder, RunFolder
from lung_srad.runs.model import TrainedModel, load_model, save_model
from lung_srad.runs.provenance import machine_line, provenance
from lung_srad.runs.systems import Size, network_size, printed_score, systems_sheet
from lung_srad.runs.writing import write_files

__all__ = [
    "PhaseFolder",
    "RunFolder",
    "Size",
    "TrainedModel",
    "build_augment",
    "build_dataset",
    "build_model",
    "build_objective",
    "build_optimizer",
    "build_prompt",
    "check_preset",
    "load_model",
    "machine_line",
    "network_size",
    "printed_score",
    "provenance",
    "save_model",
    "systems_sheet",
    "write_files",
]
