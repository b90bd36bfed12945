"""Reports: finished runs, or anybody's predictions, as a page, Markdown, a model card, and systems compared.

What is computed comes from :mod:`lung_srad.evaluation`; here it is put into words, tables and pictures. Nothing here
imports torch until a run's folder is read.
"""

from lung_srad.reports.blocks import Report
from lung_srad.reports.compare import comparison_sheet
from lung_srad.reports.make import make_case, make_report, write_report
from lung_srad.reports.parts import Case, tables
from lung_srad.reports.sources import (
    Source,
    external_source,
    imported_source,
    known_cycles,
    read_source,
    read_sources,
)

__all__ = [
    "Case",
    "Report",
    "Source",
    "comparison_sheet",
    "external_source",
    "imported_source",
    "known_cycles",
    "make_case",
    "make_report",
    "read_source",
    "read_sources",
    "tables",
    "write_report",
]
