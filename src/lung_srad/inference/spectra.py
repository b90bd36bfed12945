"""The spectral analysis of systems: trained ones, or presets at random or published weights; figures and tables."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from matplotlib.figure import Figure

from lung_srad.analysis import (
    NetworkSpectrum,
    Smoothed,
    choose_recordings,
    layers_figure,
    network_map,
    network_spectrum,
    place_name,
    png,
    smoothed_blocks,
    smoothing_figure,
    spectra_csv,
    suggest,
    svg,
)
from lung_srad.analysis.spectra import Way
from lung_srad.config import Preset, load_preset
from lung_srad.datasets import Dataset
from lung_srad.models import CATALOGUE, Classifier, load_weights, mixing_places
from lung_srad.preset_files import preset_names
from lung_srad.runs import RunFolder, build_model, check_preset, load_model, write_files
from lung_srad.runs.shipped import is_shipped, shipped_weights

PAPERS_BLOCKS = ((2, 2), (2, 3))
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class System:
    """A network to look into: what figures call it, what has to be said of its weights, and how it is smoothed."""

    name: str
    note: str
    net: Classifier
    preset: Preset

    @property
    def kernel(self) -> tuple[int, float]:
        """Size and sigma of its smoothing, those of the paper where it has none."""
        smoothing = self.preset.smoothing
        return (5, 3.0) if smoothing is None else (smoothing.kernel_size, smoothing.sigma)

    @property
    def smoothed_places(self) -> tuple[tuple[int, ...], ...]:
        """The blocks that it smooths, or those that the paper would; none in a transformer."""
        smoothing, places = self.preset.smoothing, mixing_places(self.net)
        wanted = PAPERS_BLOCKS if smoothing is None else [(smoothing.stage, block) for block in smoothing.blocks]
        return tuple(place for place in wanted if place in places)


@dataclass(frozen=True)
class Analysis:
    """What was found of one system, or of two that are compared."""

    systems: tuple[System, ...]
    spectra: tuple[NetworkSpectrum, ...]
    smoothed: tuple[tuple[Smoothed, ...], ...]


def open_system(
    source: str | Path,
    *,
    weights: str | Path | None = None,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    seed: int = 0,
) -> System:
    """Returns the system of a run's folder, of a weights file, of weights that ship ("demo"), or of a preset.

    Args:
        weights: for a preset, an official file or a folder of them; random weights without.
        profile: for a preset; so are ``overrides`` (``key=value``) and the ``seed`` of random weights.

    Raises:
        ConfigError: no such preset, or a key that it does not have.
        RunError: a run without weights, or a file that is not a model of ours.
        WeightsError: a checkpoint that does not fit.
    """
    path = Path(source)
    if is_shipped(source):
        path = shipped_weights(str(source))[0]
    elif str(source) not in preset_names() and path.suffix != ".toml" and path.exists():
        path = RunFolder(path).require() / "weights.safetensors" if path.is_dir() else path
    else:
        preset = load_preset(source, profile=profile, overrides=overrides)
        check_preset(preset)
        return _from_preset(preset, weights, seed)
    trained = load_model(path)
    note = "trained on SYNTHETIC recordings" if trained.synthetic else "trained"
    return System(trained.preset.title, note, trained.net, trained.preset)


def _from_preset(preset: Preset, weights: str | Path | None, seed: int) -> System:
    """Returns a preset's network with official weights, or with random ones, which draw nobody else's numbers."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = build_model(preset, 4).eval()
    given = None if weights is None or str(weights) == "random" else Path(weights)
    official = CATALOGUE.get(preset.backbone.name)
    if given is None or official is None:
        return System(f"{preset.title} ({preset.backbone.name})", "random weights", net, preset)
    load_weights(net, (official.within(given) if given.is_dir() else None) or given)
    return System(f"{preset.title} ({preset.backbone.name})", "published weights", net, preset)


def analyse(
    systems: Sequence[System],
    dataset: Dataset,
    *,
    part: str | None = "test",
    count: int = 16,
    delta: bool = False,
    way: Way = "alike",
    report: Report | None = None,
) -> Analysis:
    """Returns the responses of one system or two, to the same cycles of some data.

    Args:
        count: of cycles, of all classes in turn.
        delta: with the factor Δ_j of the scan, as the layer applies it; without, as the paper's authors.
        way: "alike" for all networks, or the "authors" way.

    Raises:
        ConfigError: a backbone that cannot be looked into.
        DataError: no cycle to look at.
    """
    spectra, smoothed = [], []
    for system in _named_apart(systems):
        recordings, labels = choose_recordings(system.net, dataset, part=part, count=count)
        names = {"name": system.name, "labels": labels, "note": system.note}
        spectra.append(network_spectrum(system.net, recordings, **names, delta=delta, way=way, report=report))
        size, sigma = system.kernel
        places = system.smoothed_places
        how = {"kernel_size": size, "sigma": sigma, "delta": delta}
        smoothed.append(tuple(smoothed_blocks(system.net, recordings, places, **how)) if places else ())
    return Analysis(tuple(systems), tuple(spectra), tuple(smoothed))


def _named_apart(systems: Sequence[System]) -> list[System]:
    """Returns the systems with numbers where they share a name."""
    names = [system.name for system in systems]
    return [
        replace(system, name=f"{system.name} {place}") if names.count(system.name) > 1 else system
        for place, system in enumerate(systems, start=1)
    ]


def write_analysis(folder: Path, analysis: Analysis, *, bins: int | None = None, synthetic: bool = False) -> list[Path]:
    """Writes figures (SVG and PNG) and values (CSV) into a folder, and returns the files.

    Args:
        bins: of curves in the authors' way, how many to draw.
        synthetic: the recordings are simulated; figures say so.

    Raises:
        RunError: the folder cannot be written.
    """
    spectra = analysis.spectra
    if synthetic:
        spectra = tuple(replace(each, note=f"{each.note}; SYNTHETIC recordings".strip("; ")) for each in spectra)
    figures: dict[str, Figure] = {"responses": layers_figure(spectra, bins=bins)}
    for system, each, blocks in zip(analysis.systems, spectra, analysis.smoothed, strict=True):
        name = re.sub(r"[^a-z0-9]+", "_", each.name.lower()).strip("_")
        if each.way == "alike":
            figures[f"network_{name}"] = network_map(each)
        if blocks:
            size, sigma = system.kernel
            heading = f"{each.name} ({each.note}): K = {size}, σ = {sigma:g}. {len(each.labels)} recordings."
            figures[f"smoothing_{name}"] = smoothing_figure(blocks, heading)
    files: dict[str, bytes] = {"responses.csv": spectra_csv(spectra).encode()}
    if all(each.way == "alike" for each in spectra):
        files["scores.csv"] = scores_csv(analysis).encode()
    for name, figure in figures.items():
        files |= {f"{name}.svg": svg(figure).encode(), f"{name}.png": png(figure)}
    return write_files(folder, files)


def scores_csv(analysis: Analysis) -> str:
    """Returns both scores of every layer, mean and deviation over recordings."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["system", "layer", "band", "band_deviation", "paper", "paper_deviation"])
    for system, each in zip(analysis.systems, analysis.spectra, strict=True):
        size, sigma = system.kernel
        both = [suggest(each, score=name, kernel_size=size, sigma=sigma).scores for name in ("band", "paper")]
        for band, paper in zip(*both, strict=True):
            values = (band.mean, band.deviation, paper.mean, paper.deviation)
            writer.writerow([each.name, place_name(band.place), *(f"{value:.6g}" for value in values)])
    return file.getvalue()
