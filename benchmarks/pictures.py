"""The two figures of benchmarks/simulator.py: real and simulated sounds side by side."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from scipy.stats import rankdata

from hearing import COMMON_RATE, QUIET, SHORT, Heard, cycle_samples, decibels, spectrogram
from lung_srad.datasets import Cycle
from lung_srad.datasets.icbhi_files import DEVICES
from probes import CLASSES

BLUE, RED, INK = "#2166ac", "#c0392b", "#333333"
STYLE = {"font.family": "DejaVu Sans", "font.size": 8, "text.color": INK, "axes.edgecolor": "#999999"}
SOURCE = (
    "Real: ICBHI 2017 (Rocha et al. 2019), a part of 224 recordings. Simulated: lung-srad simulate, medium. SYNTHETIC."
)
SHOWN_SECONDS = 3.0


def typical(heard: Heard, device: str, label: int) -> Cycle | None:
    """Returns a cycle of 1.8 to 4 s whose event stands out as far as in seven of ten of its kind; a rule, no choice.

    The nearest one without digital silence is taken: some recordings of the subset have gaps where no cycle was.
    """
    seconds = np.array([cycle.end - cycle.start for cycle in heard.cycles])
    found = np.flatnonzero((heard.device == device) & (heard.label == label) & (seconds > 1.8) & (seconds < 4))
    click, tone = rankdata(heard.click[found]), rankdata(heard.tone[found])
    order = found[np.argsort((click + tone, click, tone, np.minimum(click, tone))[label], kind="stable")]
    place = (0.7 if label else 0.5) * (len(order) - 1)
    near = sorted(range(len(order)), key=lambda k: abs(k - place))
    candidates = (heard.cycles[order[k]] for k in near)
    return next((cycle for cycle in candidates if not gaps(cycle)), None)


def gaps(cycle: Cycle) -> bool:
    """Returns whether some window of the cycle is digital silence."""
    return bool((spectrogram(cycle_samples(cycle)).sum(0) < QUIET).any())


def draw_cycle(axes: Axes, cycle: Cycle | None) -> None:
    """Draws the first seconds of a cycle, 6 dB per octave up, 45 dB below its loudest point above 100 Hz."""
    if cycle is None:
        axes.text(0.5, 0.5, "none", ha="center", va="center", transform=axes.transAxes)
    else:
        wave = cycle_samples(cycle)[: int(SHOWN_SECONDS * COMMON_RATE)]
        frequency = np.fft.rfftfreq(SHORT, 1 / COMMON_RATE)[:, None]
        image = decibels(spectrogram(wave)) + 20 * np.log10(np.maximum(frequency, 20))
        top = np.percentile(image[frequency[:, 0] > 100], 99.8)
        extent = (0, len(wave) / COMMON_RATE, 0, COMMON_RATE / 2000)
        axes.imshow(image, origin="lower", aspect="auto", cmap="magma", vmin=top - 45, vmax=top, extent=extent)
    axes.set(xlim=(0, SHOWN_SECONDS), ylim=(0, 1.5), facecolor="#f4f4f4", xticks=range(4), yticks=[0, 0.5, 1, 1.5])
    axes.tick_params(length=2, colors="#777777")


def draw_spectrograms(real: Heard, simulated: Heard, out: Path) -> None:
    """Writes the figure of spectrograms: a row per device, real beside simulated for each class."""
    plt.rcParams.update(STYLE)
    figure = plt.figure(figsize=(15, 7), layout="constrained")
    groups = figure.subfigures(1, len(CLASSES), wspace=0.02)
    for label, (group, name) in enumerate(zip(groups, CLASSES, strict=True)):
        group.suptitle(name, fontsize=11, color=INK)
        panels = group.subplots(len(DEVICES), 2, sharex=True, sharey=True)
        for row, device in zip(panels, DEVICES, strict=True):
            for axes, heard in zip(row, (real, simulated), strict=True):
                draw_cycle(axes, typical(heard, device, label))
            if label == 0:
                row[0].set_ylabel(f"{device}\nkHz")
        for axes, title in zip(panels[0], ("real", "simulated"), strict=True):
            axes.set_title(title, fontsize=9, color=BLUE if title == "real" else RED)
        for axes in panels[-1]:
            axes.set_xlabel("s")
    note = f"{SOURCE} Raised by 6 dB per octave; 45 dB below each cycle's loudest point above 100 Hz."
    figure.supxlabel(note, fontsize=8, color="#777777")
    figure.savefig(out, dpi=130)
    plt.close(figure)


def draw_levels(real: Heard, simulated: Heard, out: Path) -> None:
    """Writes the figure of long-term spectra and of levels, a column per device."""
    plt.rcParams.update(STYLE)
    figure, panels = plt.subplots(2, len(DEVICES), figsize=(13, 5.6), layout="constrained", sharey="row")
    frequency = np.fft.rfftfreq(SHORT, 1 / COMMON_RATE)
    for (above, below), device in zip(panels.T, DEVICES, strict=True):
        for heard, colour, name in ((real, BLUE, "real"), (simulated, RED, "simulated")):
            here = heard.device == device
            if not here.any():
                continue
            spectra = heard.long_term[here] - decibels((10 ** (heard.long_term[here] / 10)).sum(1, keepdims=True))
            low, middle, high = np.percentile(spectra, (10, 50, 90), axis=0)
            patients = len(set(heard.patient[here]))
            above.fill_between(frequency, low, high, color=colour, alpha=0.15, linewidth=0)
            above.plot(frequency, middle, color=colour, label=f"{name}, {patients} patients, {here.sum()} cycles")
            for values, style, what in ((heard.level[here], "-", "RMS"), (heard.peak[here], ":", "peak")):
                share = np.linspace(0, 100, len(values))
                below.plot(np.sort(values), share, style, color=colour, label=f"{name}, {what}")
        above.set_title(device, fontsize=10)
        above.set(xscale="log", xlim=(30, 2000), ylim=(-85, 0), xlabel="Hz")
        above.set_xticks([50, 100, 200, 500, 1000, 2000], ["50", "100", "200", "500", "1k", "2k"])
        above.minorticks_off()
        above.legend(frameon=False, loc="lower left", fontsize=7)
        below.set(xlim=(-75, 3), xlabel="dB below full scale")
    panels[0, 0].set_ylabel("share of the power of a cycle, dB\nmedian and 10 to 90 % of cycles")
    panels[1, 0].set_ylabel("% of cycles below")
    panels[1, 0].legend(frameon=False, loc="upper left", fontsize=7)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#eeeeee")
    figure.supxlabel(SOURCE, fontsize=8, color="#777777")
    figure.savefig(out, dpi=130)
    plt.close(figure)
