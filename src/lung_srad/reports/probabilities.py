"""The parts of a report that need probabilities: operating points and calibration."""

from lung_srad.drawing import svg
from lung_srad.evaluation import Sheet
from lung_srad.reports.blocks import Drawing, Part, Rows, Words
from lung_srad.reports.drawings import operating_curves, reliability
from lung_srad.reports.parts import DASH, Case, shown


def operating_part(case: Case) -> Part:
    """Returns areas under curves, operating points and the curves themselves."""
    found = case.found
    if case.labels_only or not found.detection:
        said = "The predictions are labels: ROC and precision-recall curves need probabilities and are left out."
        return Part("operating", "Operating points", (Words(said),))
    areas = [
        (
            each.name,
            each.unit,
            f"{each.units:,}",
            f"{each.present:,}",
            shown(each.auroc),
            shown(each.auprc),
            f"{100 * each.present / each.units:.1f}",
            *(shown(point.se) for point in each.points),
        )
        for each in (*found.detection, *found.by_recording, *found.by_patient)
    ]
    targets = [f"Se at Sp {point.target:.0f}" for point in found.detection[0].points]
    header = ("finding", "in", "units", "with it", "AUROC", "average precision", "chance", *targets)
    remarks = (
        (
            "All in per cent. An AUROC of 50 is chance; so is an average precision of the share with the finding "
            "(column chance), which any answer without audio gives where it is the same for all. A recording or a "
            "patient has the mean probability of its cycles, and a finding where one of them has it."
        ),
        "Se at a specificity is read off the test part's own curve here.",
    )
    table = Sheet("Areas under the curves, and sensitivity at a specificity", header, tuple(areas), remarks)
    caption = "Each finding in cycles; dotted: chance. In the legend: the areas in per cent."
    drawing = Drawing(
        "operating-curves",
        svg(operating_curves(found.detection)),
        "ROC and precision-recall curves of each finding",
        caption,
    )
    return Part("operating", "Operating points", (Rows(table), drawing, Rows(_points(case))))


def _points(case: Case) -> Sheet:
    """Returns what thresholds give: those that validation patients chose, where there are any."""
    rows = []
    fitted = any(point.thresholds for each in case.found.detection for point in each.points)
    for each in case.found.detection:
        for point in each.points:
            thresholds = ", ".join(f"{threshold:.3f}" for threshold in point.thresholds) or DASH
            predictive = [
                f"{DASH if value is None else f'{value:.1f}'}" for p in point.predictive for value in (p.ppv, p.npv)
            ]
            there = (shown(point.sp_there), shown(point.se_there)) if fitted else (shown(point.se),)
            rows.append((each.name, f"{point.target:.0f}", *((thresholds, *there) if fitted else there), *predictive))
    prevalences = [point.prevalence for point in case.found.detection[0].points[0].predictive]
    names = [f"{kind} at {prevalence:g} %" for prevalence in prevalences for kind in ("PPV", "NPV")]
    if fitted:
        header = ("finding", "Sp asked for", "threshold", "Sp", "Se", *names)
        remark = (
            "Thresholds are the lowest with that specificity on validation patients, one for each seed; Sp and Se "
            "are what they give on the test part."
        )
    else:
        header = ("finding", "Sp", "Se", *names)
        remark = (
            "No validation predictions are given, so thresholds are read off the test part, which flatters a little."
        )
    more = "PPV and NPV where that share of cycles has the finding."
    return Sheet("Thresholds, in per cent", header, tuple(rows), (remark, more), texts=1)


def calibration_part(case: Case) -> Part:
    """Returns ECE and Brier score, before and after the temperature, and the reliability plot."""
    found = case.found
    if case.labels_only or not found.calibration:
        said = "The predictions are labels: calibration needs probabilities and is left out."
        return Part("calibration", "Calibration", (Words(said),))
    scaled = {each.name: each for each in found.scaled}
    header = ["probability of", "cycles", "ECE", "Brier score"]
    header += ["ECE, fitted temperature", "Brier score, fitted temperature"] if scaled else []
    rows = []
    for each in found.calibration:
        cells = [each.name, f"{each.cycles:,}", shown(each.ece), shown(each.brier)]
        if after := scaled.get(each.name):
            cells += [shown(after.ece), shown(after.brier)]
        rows.append(tuple(cells))
    remarks = [
        (
            "In per cent; ECE over 15 bins of equally many cycles. The Brier score of the answer is a sum over "
            "classes (at most 200), that of a finding goes to 100. Always normal has no probabilities to calibrate."
        ),
        f"Temperature, fitted on validation patients: {', '.join(f'{value:.2f}' for value in found.temperatures)}."
        if found.temperatures
        else "No validation predictions are given, so no temperature is fitted.",
    ]
    alt = "How often it was so against the probability that was given"
    caption = "On the dotted line probabilities mean what they say; below it they promise too much."
    drawing = Drawing("reliability", svg(reliability(found.calibration, found.scaled)), alt, caption)
    table = Sheet("ECE and Brier score", tuple(header), tuple(rows), tuple(remarks), texts=1)
    return Part("calibration", "Calibration", (Rows(table), drawing))
