"""How drawings look, and how they become text: vector images whose ink follows the reader's light or dark page.

Nothing here touches matplotlib's global state, opens a window or draws on white, but for :func:`png`. The colours
(Okabe and Ito) can be told apart with every common kind of colour vision.
"""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from matplotlib import rc_context
from matplotlib.figure import Figure

SYSTEM_COLOURS = ("#2a8fce", "#e0662a", "#1aa179", "#b06a9b")
_COLOUR_OF = {"AST": 1, "DASS + smoothing": 2, "Lung-SRAD": 3, "DASS": 0}  # of a name that begins like this
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


def png(figure: Figure) -> bytes:
    """Returns a drawing as PNG, dark ink on white, so that it reads on any page and in print."""
    file = io.BytesIO()
    with drawing_style():
        figure.savefig(file, format="png", facecolor="white", metadata={"Software": None}, dpi=160)
    return file.getvalue()


def system_colours(names: Sequence[str]) -> list[str]:
    """Returns a colour for each system, the same for one system in every figure; two of one kind get two colours."""
    chosen: list[int] = []
    for name in names:
        known = next((colour for start, colour in _COLOUR_OF.items() if name.startswith(start)), 0)
        order = [known, *(colour for colour in range(len(SYSTEM_COLOURS)) if colour != known)]
        chosen.append(next((colour for colour in order if colour not in chosen), known))
    return [SYSTEM_COLOURS[colour] for colour in chosen]


def head(figure: Figure, text: str) -> None:
    """Writes what is drawn above a figure, in as many lines as it takes."""
    figure.suptitle(textwrap.fill(text, int(14 * figure.get_figwidth())), fontsize=9, x=0.01, ha="left")
