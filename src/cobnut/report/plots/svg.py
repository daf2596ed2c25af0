"""Plots as SVG text for a page.

Colours are CSS variables of the page with a fallback, so one plot suits light and dark; text stays text, in the page's
own font; ids carry the plot's name, so several plots can stand in one page.
"""

import re
import warnings
from collections.abc import Sequence
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = Sequence[float] | NDArray[np.floating]
GOOD, DEFECTIVE, INK, FAINT = "#010101", "#010102", "#010103", "#010104"
# matplotlib wants a colour, the page its variable: each stand-in is replaced in the finished SVG.
_PAGE_COLOURS = {
    GOOD: "var(--good, #2878b5)",
    DEFECTIVE: "var(--bad, #d2601a)",
    INK: "var(--ink, #808080)",
    FAINT: "var(--faint, #b0b0b0)",
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "cobnut", "svg.id": None, "text.usetex": False, "text.parse_math": False,
    "font.size": 9, "font.family": "sans-serif", "axes.unicode_minus": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": FAINT, "axes.labelcolor": INK,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": FAINT, "grid.alpha": 0.35, "grid.linewidth": 0.6,
    "text.color": INK, "xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.facecolor": "none", "figure.facecolor": "none", "lines.linewidth": 1.6, "lines.solid_capstyle": "round",
    "path.simplify": True,
}  # fmt: skip


def draw_svg(name: str, size: tuple[float, float], draw: Any, description: str) -> str:
    """Draw on a figure of ``size`` (inches) and give it as SVG text for a page; ``draw`` takes the figure."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the page's own font draws the text
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        text = StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _fit_for_page(text.getvalue(), name, description)


def scale_by_spread(axes: Any, axis: str, values: NDArray[np.float64], factor: float) -> None:
    """A log scale, with plain numbers at it, for positive values that spread over more than ``factor``."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if values.min() <= 0 or values.max() <= factor * values.min():
        return
    axes.set(**{f"{axis}scale": "log"})
    scale = getattr(axes, f"{axis}axis")
    scale.set_major_locator(LogLocator(subs=(1, 2, 5) if values.max() < 200 * values.min() else (1,)))
    scale.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    scale.set_minor_formatter(NullFormatter())


def _fit_for_page(text: str, name: str, description: str) -> str:
    """One <svg> without prolog, comments and outside references; ids start with ``name``, colours are the page's."""
    text = re.sub(r"<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    opening = f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{description}" {box[0]}>'
    text = re.sub(r"<svg\b[^>]*>", opening, text, count=1)
    for before, after in (('id="', f'id="{name}-'), ('xlink:href="#', f'href="#{name}-'), ("url(#", f"url(#{name}-")):
        text = re.sub(rf"(?<=\s){re.escape(before)}|(?<=[\"' ]){re.escape(before)}", after, text)
    for stand_in, colour in _PAGE_COLOURS.items():
        text = text.replace(stand_in, colour)
    return re.sub(r"\n\s*\n+", "\n", text).strip()
