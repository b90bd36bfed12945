"""How drawings look, and how they become text: vector images whose ink follows the reader's light or dark page.

Nothing here touches matplotlib's global state, opens a window or draws on white. The colours (Okabe and Ito) can be
told apart with every common kind of colour vision.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib import rc_context
from matplotlib.figure import Figure

SYSTEM_COLOURS = ("#2a8fce", "#e0662a", "#1aa179", "#b06a9b")
SYSTEM_STYLES = ("o-", "s--", "^-.", "D:")
INK = "#010203"  # stands for what follows the page
_LIGHT, _DARK = "#1b1f24", "#e7eaee"
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "lung_srad",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}


@contextmanager
def drawing_style() -> Iterator[None]:
    """Lets matplotlib draw as all drawings here look, for as long as the block lasts."""
    with rc_context(_STYLE):
        yield


def svg(figure: Figure) -> str:
    """Returns a drawing as SVG; ink is dark on a light page and light on a dark one."""
    file = io.StringIO()
    with drawing_style():
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, dpi=100)
    scheme = f":root{{--ink:{_LIGHT}}}@media(prefers-color-scheme:dark){{:root{{--ink:{_DARK}}}}}"
    drawing = file.getvalue().replace(INK, "var(--ink)")
    return drawing.replace("<defs>", f"<style>{scheme}</style>\n <defs>", 1)
