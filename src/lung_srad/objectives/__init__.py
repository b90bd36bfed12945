"""Objectives: what a step minimises. To add one: one file, one line here."""

from lung_srad.objectives.contract import ClassLoss, Facts, Losses, Objective, Step
from lung_srad.objectives.cross_entropy import CrossEntropy
from lung_srad.objectives.dat import DomainAdversarial
from lung_srad.objectives.pafa import PatientAlignment
from lung_srad.objectives.patch_mix import PatchMix
from lung_srad.objectives.patch_mix_ce import PatchMixCrossEntropy
from lung_srad.objectives.sg_scl import StethoscopeContrast

__all__ = [
    "OBJECTIVES",
    "ClassLoss",
    "CrossEntropy",
    "DomainAdversarial",
    "Facts",
    "Losses",
    "Objective",
    "PatchMix",
    "PatchMixCrossEntropy",
    "PatientAlignment",
    "Step",
    "StethoscopeContrast",
]

OBJECTIVES: dict[str, type[Objective]] = {
    "cross_entropy": CrossEntropy,
    "patch_mix": PatchMix,
    "patch_mix_ce": PatchMixCrossEntropy,
    "sg_scl": StethoscopeContrast,
    "dat": DomainAdversarial,
    "pafa": PatientAlignment,
}
