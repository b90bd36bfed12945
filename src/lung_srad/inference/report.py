"""Answers as a page: of one recording, or of all that one command heard. One HTML file that needs nothing else."""

import os
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from lung_srad.analysis import Bar, Levels, svg, timeline_figure
from lung_srad.errors import shown
from lung_srad.evaluation.page import Html, Section, bullets, cards, page, paragraph, picture, sheet
from lung_srad.evaluation.sheet import Sheet
from lung_srad.inference.listening import mono
from lung_srad.inference.results import Classification
from lung_srad.inference.sources import Recorded, open_sound

_WARNING = "Probabilities of a model are no diagnosis."
_STATUS = {
    "accept": "nothing doubtful",
    "warn": "answered; something is doubtful",
    "reject": "answered; not fit to be judged",
    "failed": "could not be used",
}
_MOST = 2000  # rows of a table on a page; the files for programs have them all
_MEASURES = {
    "peak": ("peak, times full scale", "{:.3f}"),
    "offset": ("mean, of full scale", "{:+.4f}"),
    "clipped": ("samples at full scale", "{:.2%}"),
    "silent": ("duration without any signal", "{:.1%}"),
    "dropouts": ("dropouts of 50 ms to 1 s", "{:.0f}"),
    "hum": ("share of hum", "{:.1%}"),
    "bandwidth_hz": ("effective bandwidth, Hz", "{:.0f}"),
    "low_frequency_db": ("20-80 Hz over 100-1000 Hz, dB", "{:+.1f}"),
    "breaths": ("breaths told apart", "{:.0f}"),
}


def recording_page(found: Classification, recording: Recorded, rate: int | None = None) -> str:
    """Returns the page of one recording: spectrogram, probabilities, events, quality, summary.

    Args:
        found: what the model said.
        recording: what it heard, gone through once more for the picture; with its ``rate`` where it is an array.

    Raises:
        AudioError: the recording cannot be read any more.
    """
    sections = [
        Section("time", "Over time", (_picture(found, recording, rate),)),
        Section("events", "Events", (_events(found),)),
        Section("quality", "Quality", _quality(found)),
        Section("summary", "Summary", (_summary(found),)),
        Section("segments", found.kind.capitalize(), (_segments(found),)),
    ]
    title = shown(found.path).replace("\\", "/").rpartition("/")[2]
    return page(title, sections, stamp=str(found.model["notice"]), lead=_lead(found))


def folder_page(
    rows: Sequence[Mapping[str, Any]],
    patients: Sequence[Mapping[str, Any]],
    model: Mapping[str, Any],
    links: Mapping[str, str],
) -> str:
    """Returns the page of many recordings: what became of each, and of each patient.

    Args:
        rows: of the table, as :mod:`lung_srad.inference.tables` makes them.
        patients: rows of the patients' table.
        model: its facts.
        links: by path, the page of the recording where there is one.
    """
    counts = {status: sum(row["status"] == status for row in rows) for status in _STATUS}
    lead = (
        paragraph(f"{model['system']} ({model['name']}). {_WARNING}", kind="lead"),
        cards((status, f"{counts[status]:,}", _STATUS[status]) for status in counts),
    )
    sections = [Section("recordings", "Recordings", (_recordings(rows, links),))]
    failed = [row["error"] for row in rows if row["status"] == "failed"]
    if failed:
        notes = (paragraph(note, kind="note") for note in _left_out(len(failed)))
        sections.append(Section("failed", "Could not be used", (bullets(failed[:_MOST]), *notes)))
    if patients:
        sections.append(Section("patients", "Patients", (_patients(patients),)))
    title = f"{len(rows):,} recording{'s' * (len(rows) != 1)}"
    return page(title, sections, stamp=str(model["notice"]), lead=lead)


def _recordings(rows: Sequence[Mapping[str, Any]], links: Mapping[str, str]) -> Html:
    """Returns the table of recordings; what their paths have in common stands above it."""
    if not rows:
        return paragraph("No recording.")
    folder = _common([os.path.dirname(row["path"]) for row in rows]) if len(rows) > 1 else ""
    means = [name for name in rows[0] if name.startswith("mean_")]
    cells = []
    for row in rows[:_MOST]:
        path = row["path"]
        name = _linked(shown(os.path.relpath(path, folder) if folder else path), links.get(path, ""))
        figures = [_cell(row[each]) for each in ("seconds", "segments", "events", *means)]
        cells.append((name, row["status"], row["codes"], row["patient"], *figures))
    head = ("recording", "status", "codes", "patient", "seconds", "segments", "events", *map(_spoken, means))
    caption = f"In {shown(folder)}" if folder else "All"
    return sheet(Sheet(caption, head, tuple(cells), _left_out(len(rows)), texts=4))


def _common(folders: Sequence[str]) -> str:
    """Returns the folder that all are in; nothing where some are absolute and some are not, or on other drives."""
    try:
        return os.path.commonpath(folders)
    except ValueError:
        return ""


def _patients(rows: Sequence[Mapping[str, Any]]) -> Html:
    head = tuple(rows[0])
    cells = tuple(tuple(_cell(row[name]) for name in head) for row in rows[:_MOST])
    caption = "Over all segments with an answer (n): mean, maximum, and how many are called so"
    return sheet(Sheet(caption, tuple(map(_spoken, head)), cells, _left_out(len(rows)), texts=1))


def _spoken(column: str) -> str:
    return column.replace("_", " ")


def _lead(found: Classification) -> tuple[Html, ...]:
    summary, normal = found.summary, found.normal
    abnormal = summary.n - summary.labels[normal] if summary.n else 0
    likeliest = max(summary.mean, key=summary.mean.__getitem__) if summary.mean else "no answer"
    mean = f"mean probability {summary.mean[likeliest]:.2f}" if summary.mean else "nothing could be classified"
    return (
        paragraph(f"{found.model.get('system', '')} ({found.model['name']}). {_WARNING}", kind="lead"),
        paragraph(shown(found.path), kind="note"),
        cards(
            (
                ("length", f"{found.seconds:.1f} s", f"{found.rate} Hz, {len(found.segments)} {found.kind}"),
                ("likeliest", likeliest, mean),
                (f"not {normal}", f"{abnormal} of {summary.n}", f"{found.kind} with an answer"),
                ("quality", found.quality.verdict, ", ".join(found.codes) or "nothing doubtful"),
            )
        ),
    )


def _picture(found: Classification, recording: Recorded, rate: int | None) -> Html:
    with open_sound(recording, rate) as sound:
        levels = Levels(sound.rate, found.seconds)
        for block in sound.blocks:
            levels.hear(mono(block))
    edges, columns = _stairs(found)
    curves = {name: [row[place] if row else None for row in columns] for place, name in enumerate(found.class_names)}
    bars = [Bar(each.start, each.end, each.label) for each in found.events]
    figure = timeline_figure(levels.close(), edges, curves, bars, threshold=found.rule.onset)
    caption = (
        f"Above: the sound up to 2 kHz. Middle: the mean probability over the {found.kind} that lie over each moment. "
        f"Below: events, which begin at {found.rule.onset:g} (dotted) and end under {found.rule.offset:g}."
    )
    return picture(svg(figure), alt=f"{shown(found.path)} over time", caption=caption)


def _stairs(found: Classification) -> tuple[list[float], list[tuple[float, ...]]]:
    """Returns edges and values of the timeline from 0 to the end of the recording."""
    edges, rows = [0.0], []
    for cell in found.timeline:
        if cell.start > edges[-1] + 1e-6:
            edges.append(cell.start)
            rows.append(())
        if cell.end > edges[-1] + 1e-6:
            edges.append(cell.end)
            rows.append(cell.probabilities)
    if found.seconds > edges[-1] + 1e-6:
        edges.append(found.seconds)
        rows.append(())
    return edges, rows


def _events(found: Classification) -> Html:
    if not found.events:
        return paragraph(f"No stretch reaches a probability of {found.rule.onset:g}.")
    cells = [
        (each.label, f"{each.start:.2f}", f"{each.end:.2f}", f"{each.mean:.2f}", f"{each.peak:.2f}")
        for each in found.events[:_MOST]
    ]
    head = ("sound", "from, s", "to, s", "mean probability", "peak")
    return sheet(Sheet("Events by onset", head, tuple(cells), _left_out(len(found.events)), texts=1))


def _quality(found: Classification) -> tuple[Html, ...]:
    measures = found.quality.measures
    cells = [
        (what, form.format(measures[name]))
        for name, (what, form) in _MEASURES.items()
        if measures.get(name) is not None
    ]
    said = [*map(str, found.quality.findings), *found.notices]
    doubts = bullets(said) if said else paragraph("Nothing doubtful was found.")
    table = sheet(Sheet("What was measured", ("measure", "value"), tuple(cells), texts=1))
    return (paragraph(f"Verdict: {found.quality.verdict}."), doubts, table)


def _summary(found: Classification) -> Html:
    summary = found.summary
    cells = [
        (
            name,
            f"{summary.mean[name]:.3f}" if summary.mean else "–",
            f"{summary.max[name]:.3f}" if summary.max else "–",
            f"{summary.labels[name]} of {summary.n}",
        )
        for name in found.class_names
    ]
    remarks = [f"{count} {found.kind} without an answer: {code}." for code, count in summary.codes.items()]
    head = ("class", "mean probability", "maximum", f"{found.kind} called so")
    return sheet(Sheet("Over the recording", head, tuple(cells), tuple(remarks), texts=1))


def _segments(found: Classification) -> Html:
    cells = []
    for each in found.segments[:_MOST]:
        values = [f"{value:.3f}" for value in each.probabilities] or ["–"] * len(found.class_names)
        cells.append((f"{each.start:.2f}-{each.end:.2f}", each.label or each.code, *values))
    head = ("seconds", "answer", *found.class_names)
    return sheet(Sheet(f"All {found.kind}", head, tuple(cells), _left_out(len(found.segments))))


def _linked(name: str, target: str) -> str:
    return Html(f'<a href="{escape(quote(target))}">{escape(name)}</a>') if target else name


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return shown(str(value))


def _left_out(count: int) -> tuple[str, ...]:
    return (f"The first {_MOST:,} of {count:,}; the files for programs have them all.",) if count > _MOST else ()
