"""The picture of an explanation: the map over the spectrogram."""

from io import BytesIO
from pathlib import Path

import numpy as np

from lung_srad.errors import RunError, message
from lung_srad.files import replacing
from lung_srad.inference.explanation import LABEL, Explanation

_SHOWN_HZ = (100, 200, 500, 1000, 2000, 4000)


def write_picture(found: Explanation, path: Path, *, title: str = "", notice: str = "") -> None:
    """Writes a PNG: grey is the spectrogram, red where covering a cell speaks against the answer, blue where for it.

    Raises:
        RunError: it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    mels = found.spectrogram.shape[0]
    extent = (found.start, found.end, 0, mels)
    low, high = np.percentile(found.spectrogram, [5, 99.5])
    axes.imshow(found.spectrogram, origin="lower", aspect="auto", extent=extent, cmap="Greys", vmin=low, vmax=high)
    most = max(float(np.abs(found.heat).max()), 1e-6)
    strength = np.abs(found.heat) / most
    drawn = axes.imshow(
        found.heat,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="RdBu_r",
        vmin=-most,
        vmax=most,
        alpha=0.65 * strength,
    )
    drawn.set_clim(-most, most)
    places = [_mel_place(hertz, mels) for hertz in _SHOWN_HZ]
    axes.set_yticks(places, [f"{hertz:,}" for hertz in _SHOWN_HZ])
    axes.set(xlabel="seconds", ylabel="hertz (mel scale)")
    heading = f"{title}: " if title else ""
    axes.set_title(f"{heading}what “{found.label}” hangs on (log-odds {found.log_odds:.1f})", fontsize=11)
    bar = figure.colorbar(drawn, ax=axes, pad=0.01)
    bar.set_label("fall of the log-odds where covered")
    figure.supxlabel(f"A property of the network: {LABEL}.{f' {notice.capitalize()}.' if notice else ''}", fontsize=8)
    content = BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    try:
        with replacing(path) as file:
            file.write(content.getvalue())
    except OSError as error:
        seen = f"cannot be written ({error.strerror or error})"
        raise RunError(message(path, seen, "a file in a folder with room", "choose another path")) from error


def _mel_place(hertz: float, mels: int) -> float:
    """Returns where a frequency lies on the axis of the filter bank, 20 Hz to 8 kHz."""
    low, high, place = (1127 * np.log1p(each / 700) for each in (20.0, 8000.0, hertz))
    return float((place - low) / (high - low) * (mels + 1) - 0.5)
