"""Simulated lung sounds: a corpus in the layout of ICBHI 2017 for machines without the real one.

The acoustic model: ``plan`` (what is decided), ``population`` and ``schedule`` (who, where, what is in each breath),
``sounds`` and ``devices`` (one function per formula), ``render`` (a recording). On disk: ``corpus``, ``truth``.
"""

from lung_srad.datasets.simulated.corpus import simulate
from lung_srad.datasets.simulated.plan import DIFFICULTIES, CyclePlan, Difficulty, Patient, RecordingPlan
from lung_srad.datasets.simulated.population import SIZES
from lung_srad.datasets.simulated.render import Event, Rendered, render
from lung_srad.datasets.simulated.schedule import plan_corpus
from lung_srad.datasets.simulated.truth import read_truth

__all__ = [
    "DIFFICULTIES",
    "SIZES",
    "CyclePlan",
    "Difficulty",
    "Event",
    "Patient",
    "RecordingPlan",
    "Rendered",
    "plan_corpus",
    "read_truth",
    "render",
    "simulate",
]
