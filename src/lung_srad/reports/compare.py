"""Several systems against one, as a table for a terminal, Markdown or a page."""

from collections.abc import Sequence

from lung_srad.errors import DataError, message
from lung_srad.evaluation import Sheet, compare
from lung_srad.evaluation.compare import PERMUTATIONS
from lung_srad.evaluation.tables import SYNTHETIC, SYNTHETIC_NOTE
from lung_srad.reports.parts import DASH, shown
from lung_srad.reports.sources import Source

_HEADER = (
    "system",
    "seeds",
    "Score",
    "Sp",
    "Se, strict",
    "Score, lenient",
    "Score difference",
    "Sp difference",
    "Se difference",
    "p",
    "p, Holm",
)


def comparison_sheet(sources: Sequence[Source], *, resamples: int = 10_000, permutations: int = PERMUTATIONS) -> Sheet:
    """Returns the table of systems against the first of them, on the same cycles.

    Args:
        sources: two or more; all must have answered the same cycles.
        resamples: of patients, for intervals.
        permutations: for p.

    Raises:
        DataError: one system, two of one name, or systems that answered other cycles, or have other classes.
    """
    names = [source.name for source in sources]
    if len(names) < 2 or len(set(names)) < len(names):
        seen = f"{len(names)} system(s): {', '.join(names)}"
        allowed = "two or more, each of a name of its own"
        raise DataError(message("compare", seen, allowed, "name other runs or files; --names gives them names"))
    if len({len(source.predictions[0].class_names) for source in sources}) > 1:
        kinds = "; ".join(f"{each.name}: {', '.join(each.predictions[0].class_names)}" for each in sources)
        allowed = "the same classes: a system trained on two classes is not compared with one of four"
        raise DataError(message("compare", kinds, allowed, "compare those that have the same"))
    found = compare(
        {source.name: source.predictions for source in sources},
        names[0],
        normal=sources[0].normal,
        resamples=resamples,
        permutations=permutations,
    )
    shown_figures = ("score", "sp", "se", "score2")
    cells = [
        (
            found.reference,
            str(found.reference_seeds),
            *(shown(found.reference_figures.get(name)) for name in shown_figures),
            *[DASH] * 5,
        )
    ]
    for row in found.rows:
        cells.append(
            (
                row.system,
                str(row.seeds),
                *(shown(row.figures.get(name)) for name in shown_figures),
                *(shown(row.difference.get(name)) for name in ("score", "sp", "se")),
                _p(row.p, found.permutations),
                _p(row.p_holm, found.permutations),
            )
        )
    floor = ("baseline: always normal", DASH, "50.00", "100.00", "0.00", "50.00", *[DASH] * 5)
    synthetic = any(source.synthetic for source in sources)
    heading = f"Against {found.reference}: {found.cycles:,} cycles, {found.patients:,} patients; per cent and points"
    return Sheet(
        f"{SYNTHETIC} · {heading}" if synthetic else heading,
        _HEADER,
        (*cells, floor),
        (*([SYNTHETIC_NOTE] if synthetic else []), *_remarks(sources, found.permutations)),
        texts=1,
    )


def _remarks(sources: Sequence[Source], permutations: int) -> list[str]:
    several = any(len(source.predictions) > 1 for source in sources)
    remarks = [
        (
            "In brackets: 95 % intervals over patients; differences are paired, both systems on the same patients in "
            "every resample. An interval that holds 0 does not tell the two apart."
        ),
        (
            f"p: two-sided, signs of the patients' parts of the Score difference flipped ({permutations:,} times); "
            "Holm: corrected for all rows. Sp and Se have no test of their own."
        ),
    ]
    if several:
        remarks.append("±: deviation over seeds, of a difference √(s² + s²); figures are means over seeds first.")
    hashes = {str(source.split.get("sha256")) for source in sources if source.split.get("sha256")}
    if len(hashes) > 1:
        remarks.append("The systems were trained on different splits; the test cycles are the same.")
    return remarks + [f"{source.name}: {note}" for source in sources for note in source.notes]


def _p(value: float, permutations: int) -> str:
    least = 1 / (permutations + 1)
    return f"< {least:.1g}" if value < least else f"{value:.3f}" if value >= 0.001 else f"{value:.1g}"
