"""The tables of the paper, row by row from finished runs: what there is, beside what is printed."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from lung_srad.config import Preset, load_preset
from lung_srad.evaluation import Figure, PaperRow, PaperTable, Row, measured
from lung_srad.evaluation.page import Section, page, paragraph, sheet
from lung_srad.evaluation.tables import SYNTHETIC
from lung_srad.literature import Ensemble, Printed, load_ensemble
from lung_srad.models import CATALOGUE
from lung_srad.preset_files import ensemble_names
from lung_srad.runs import RunFolder
from lung_srad.training.ensembles import ensemble_rows, ensemble_title
from lung_srad.training.gather import Group, group_runs, what
from lung_srad.training.table import changed, printed_row

_DASS = ("dass_finetuning", "dass_smoothing", "lung_srad")
_AST = ("ast_finetuning", "ast_patch_mix_cl", "sg_scl")
TABLES: dict[str, tuple[int, tuple[str, ...]]] = {  # title: number of classes, presets and ensembles in printed order
    "Table 1, four classes": (4, (*_AST, "lung_adapter", "bts", "pafa", "bts_ensemble", *_DASS)),
    "Table 1, two classes": (2, (*_AST, "pafa_2class", *_DASS)),
    "Table 2, four classes": (4, (*_DASS[:2], "dass_ast_mix", "dass_freq_mix", "dass_time_mix", "lung_srad")),
}
EPOCHS = "In per cent. Sp, Se and Score are of the epoch that validation patients chose; mean ± deviation over seeds."
DERIVED = "Two classes are read off four-class answers, but for what is trained on two: normal, or not."


def paper_presets(*, profile: str | None = None, overrides: Sequence[str] = ()) -> dict[str, Preset]:
    """Returns the presets that the tables need runs of, by name, under one profile and with the same overrides.

    Raises:
        ConfigError: no such profile or key, or a value that is not allowed.
    """
    systems = dict.fromkeys(name for _, names in TABLES.values() for name in names if name not in ensemble_names())
    return {name: load_preset(name, profile=profile, overrides=overrides) for name in systems}


def paper_tables(
    runs: Iterable[RunFolder], presets: Mapping[str, Preset], seeds: Sequence[int]
) -> tuple[PaperTable, ...]:
    """Returns the tables of the paper from what is finished of some presets and seeds.

    A run counts for the preset whose settings it was made with. Runs of one preset on other data, or from other
    weights, than most of its seeds are left out, with a note.

    Args:
        runs: any runs; those of other systems, settings or seeds are passed over.
        presets: as :func:`paper_presets` gives them.
        seeds: those that count.
    """
    notes: list[str] = []
    groups = _groups(runs, presets, set(seeds), notes)
    comparable = all(group.comparable for group in groups.values())
    alike = [*_changes(groups), *_data(groups.values())]
    if not comparable:
        alike.append("Printed figures are of ICBHI, official split, and stand beside runs on that alone.")
    tables = []
    for title, (classes, systems) in TABLES.items():
        own: list[str] = []
        rows = tuple(_row(name, classes, presets, groups, own) for name in systems)
        remarks = (EPOCHS, *([DERIVED] if classes == 2 else []), *alike, *own)
        tables.append(PaperTable(title, classes, rows, tuple(dict.fromkeys(remarks)), comparable))
    last = tables.pop()
    rest = (*last.notes, *notes, *_missing(groups, presets, seeds))  # of all tables
    return (*tables, replace(last, notes=rest))


def paper_page(tables: Sequence[PaperTable]) -> str:
    """Returns the tables as one HTML page."""
    sections = [
        Section(f"table-{place}", table.title, (sheet(table.sheet),)) for place, table in enumerate(tables, start=1)
    ]
    lead = paragraph("What was trained here, beside what the literature prints.", kind="lead")
    stamp = SYNTHETIC if any(table.synthetic for table in tables) else ""
    return page("The tables of Lung-SRAD (arXiv 2606.11922)", sections, stamp=stamp, lead=[lead])


def _groups(
    runs: Iterable[RunFolder], presets: Mapping[str, Preset], seeds: set[int], notes: list[str]
) -> dict[str, Group]:
    """Returns the largest group of seeds of each preset that has any."""
    wanted = {name: what(preset) for name, preset in presets.items()}
    found: dict[str, list[Group]] = {}
    for group in group_runs([run for run in runs if run.finished], notes):
        own = tuple(run for run in group.runs if run.facts()["seed"] in seeds)
        if own and wanted.get(group.preset.name) == what(group.preset):
            found.setdefault(group.preset.name, []).append(Group(own))
    chosen = {}
    for name, groups in found.items():
        chosen[name], *others = sorted(groups, key=lambda group: -len(group.runs))
        if left := [str(run.path) for group in others for run in group.runs]:
            notes.append(f"Left out, of other data, weights or processes than the rest of {name}: {', '.join(left)}.")
    return chosen


def _row(
    name: str, classes: int, presets: Mapping[str, Preset], groups: Mapping[str, Group], notes: list[str]
) -> PaperRow:
    """Returns one system's row, with our figures where there are runs."""
    if name in ensemble_names():
        return _ensemble(load_ensemble(name), classes, presets, groups, notes)
    preset, group = presets[name], groups.get(name)
    ours = {} if group is None else _measured(preset.title, group)
    printed = preset.printed or Printed(source="")
    return PaperRow(
        preset.title,
        preset.backbone.name,
        ours,
        _printed(preset.title, printed, classes),
        _footnotes(printed, classes),
    )


def _ensemble(
    ensemble: Ensemble, classes: int, presets: Mapping[str, Preset], groups: Mapping[str, Group], notes: list[str]
) -> PaperRow:
    """Returns the row of an ensemble: of the seeds of its members that are finished, two or more."""
    group, title = groups.get(ensemble.members), ensemble_title(ensemble, ensemble.size)
    ours: Mapping[str, Row] = {}
    if group is not None and len(group.runs) > 1:
        title = ensemble_title(ensemble, len(group.runs))
        ours = ensemble_rows(title, group, notes)
    printed = replace(_printed(title, ensemble.printed, classes), seeds=ensemble.size)
    footnotes = _footnotes(ensemble.printed, classes)
    return PaperRow(title, presets[ensemble.members].backbone.name, ours, printed, footnotes)


def _measured(title: str, group: Group) -> dict[str, Row]:
    """Returns our rows of a system, one per rule."""
    shared = {"cycles": group.train_cycles, "synthetic": group.synthetic}
    return {rule: measured(title, scores, rule=rule, **shared) for rule, scores in group.scores().items()}


def _printed(title: str, printed: Printed, classes: int) -> Row:
    """Returns the printed row under a number of classes, its Sp that of the same number."""
    row = printed_row(title, printed)
    if classes == 4:
        return row
    two = printed.two_class
    return replace(row, sp=two and Figure(two.sp, two.sp_std))


def _footnotes(printed: Printed, classes: int) -> tuple[str, ...]:
    notes = (printed.note, printed.two_class_note if classes == 2 else "")
    return tuple(note for note in notes if note)


def _changes(groups: Mapping[str, Group]) -> Iterator[str]:
    """Yields what the runs are beside the systems as they ship, and which, where it is not all of them."""
    where: dict[str, list[str]] = {}
    for name, group in groups.items():
        for text in changed(group.preset, group.facts["start"]):
            where.setdefault(text, []).append(name)
    if where:
        whose = {text: "" if len(names) == len(groups) else f" ({', '.join(names)})" for text, names in where.items()}
        yield f"Runs: {'; '.join(text + names for text, names in whose.items())}."


def _data(groups: Iterable[Group]) -> Iterator[str]:
    """Yields a warning where runs are of different recordings, or of different splits of them."""
    prints: dict[bool, set[str]] = {}
    for group in groups:
        prints.setdefault(group.preset.training.two_class, set()).add(group.facts["data"]["fingerprint"])
    if any(len(found) > 1 for found in prints.values()):
        yield "Rows are of different data and cannot be compared with each other."


def _missing(groups: Mapping[str, Group], presets: Mapping[str, Preset], seeds: Sequence[int]) -> Iterator[str]:
    """Yields which rows have fewer seeds than asked for, and how to make those that are not there."""
    counts = {name: len(group.runs) for name, group in groups.items() if len(group.runs) < len(seeds)}
    if counts:
        fewer = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield f"Finished seeds, of {len(seeds)} that count: {fewer}."
    absent = [preset for name, preset in presets.items() if name not in groups]
    if not absent:
        return
    first = absent[0]
    words = [f"--profile {first.profile}"] if first.profile else []
    changes = max((preset.overrides for preset in presets.values()), key=len)  # some keep none of a reading
    words += [f"--set {shlex.quote(text)}" for text in changes]
    asked = " ".join([*words, f"--seeds {','.join(map(str, seeds))}"])
    starts = {preset.name: CATALOGUE[preset.backbone.name] for preset in absent if preset.backbone.name in CATALOGUE}
    file = f" --weights {starts[first.name].file}" if first.name in starts else ""
    folder = " --weights FOLDER" if starts else ""
    yield (
        f"No finished run of {', '.join(preset.name for preset in absent)}. One system's: "
        f"`lung-srad train {first.name} --data icbhi:PATH{file} {asked}`; "
        f"all: `lung-srad table --paper --run --data icbhi:PATH{folder} {asked}`."
    )
    if starts:
        files = {
            official.file: [name for name, each in starts.items() if each is official] for official in starts.values()
        }
        each = "; ".join(f"{', '.join(names)} from {file}" for file, names in files.items())
        yield f"Published weights, which are not fetched (`lung-srad presets --long` says where they are): {each}."
