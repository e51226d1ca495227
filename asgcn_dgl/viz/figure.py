"""What all figures share: colors, panels, and writing to a file."""

from __future__ import annotations

import io
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from asgcn_dgl.files import atomic_path

# Okabe and Ito's palette: distinct for readers of every color vision, and in gray.
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
ORANGE = "#E69F00"
VIOLET = "#7A5FB5"
BROWN = "#97590B"
PINK = "#C04D94"
INK = "#222222"
GREY = "#8A8A8A"
PALE = "#C8C8C8"
# A body's sides and what is on neither, a second body, a third: the colors of the HTML report.
LEFT, RIGHT, MIDDLE, SECOND, THIRD = "#2F3D4D", "#8B99A8", "#56657A", "#8A6A4F", "#4F7D86"
TYPE_COLORS = (BLUE, VERMILION, GREEN, VIOLET, BROWN)
"""Colors of the types of A-links, in turn: those of the HTML report."""

# Inches: a column and the page of a two-column paper.
COLUMN_WIDTH, PAGE_WIDTH = 3.35, 6.9
# Points: readable where the figure is printed at its own size.
TITLE_SIZE, LABEL_SIZE, SMALL_SIZE = 9, 8, 7
LABEL: dict[str, Any] = {"fontsize": LABEL_SIZE, "color": INK}
SMALL: dict[str, Any] = {"fontsize": SMALL_SIZE, "color": INK}
# Inches from one line of a label to the next.
LINE_HEIGHT = 0.14

# Without dates and versions the same figure gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    ".svg": {"Date": None, "Creator": None},
}


def save_figure(fig: Figure, path: str | os.PathLike[str], dpi: int = 150) -> Path:
    """Write a figure, whole or not at all: ``.png`` (``dpi``), ``.pdf`` or ``.svg``."""
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _METADATA:
        raise ValueError(f"path must end in {', '.join(_METADATA)}, got {str(path)!r}")
    content = io.BytesIO()
    fig.savefig(content, format=suffix[1:], dpi=dpi, metadata=_METADATA[suffix])
    with atomic_path(target) as temporary:
        temporary.write_bytes(content.getvalue())
    return target


class PanelGrid(NamedTuple):
    """Rows of panels: panels in a row, and the width of each in inches."""

    columns: int
    width: float


def panel_grid(
    count: int,
    page_width: float,
    columns: int | None = None,
    *,
    narrowest: float = 0.8,
    widest: float = 2.2,
) -> PanelGrid:
    """Distribute panels over as few rows as fit a page, about as many in each.

    ``columns`` is the most in a row; ``narrowest`` (where one fits the page) and ``widest`` bound
    the width of a panel, inches.
    """
    fit = max(1, int(page_width / narrowest))
    rows = -(-count // min(fit, columns or count))
    across = -(-count // rows)
    return PanelGrid(across, min(page_width / across, widest))


def panels(
    count: int, shape: PanelGrid, height: float, *, title: str = "", least: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """Make a figure, ``least`` inches wide or more, of bare panels, each ``height`` inches high."""
    across, down = shape.columns, -(-count // shape.columns)
    size = (max(across * shape.width, least), height * down)
    fig = Figure(figsize=size, layout="constrained")
    axes = fig.subplots(down, across, squeeze=False).ravel().tolist()
    for axis in axes:
        bare_axes(axis)
    pads = {"w_pad": 0.02, "h_pad": 0.02, "hspace": 0.0, "wspace": 0.0}
    fig.get_layout_engine().set(**pads)  # type: ignore[union-attr]
    write_title(fig, title, 0.16)
    return fig, axes[:count]


def bare_axes(axis: Axes) -> None:
    """Leave nothing of a panel but what is drawn, in one scale both ways."""
    axis.set_axis_off()
    axis.set_aspect("equal")


def chart(width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure of one chart."""
    fig = Figure(figsize=(width, height), layout="constrained")
    axis = fig.subplots()
    plain_axes(axis)
    return fig, axis


def title_lines(title: str, width: float) -> list[str]:
    """Break a title into lines that fit a width in inches, if these hold 12 letters.

    It is not broken at spaces that do not break, which become plain ones.
    """
    lines, letters = [title], max(12, int(width / text_width("i")))
    while title and letters >= 12:
        lines = textwrap.wrap(title, letters) or [""]
        if 1.04 * max(map(text_width, lines)) <= width:  # pixels round the letters up
            break
        letters -= 1
    return [line.replace("\xa0", " ") for line in lines]


def text_width(text: str, size: float = TITLE_SIZE) -> float:
    """Return the inches that a text of some size takes, in points."""
    return size / TITLE_SIZE * sum(map(_advance, text))


@cache
def _advance(letter: str) -> float:
    font = FontProperties(size=TITLE_SIZE)
    return float(text_to_path.get_text_width_height_descent(letter, font, False)[0]) / 72


def write_title(fig: Figure, title: str, more: float | None) -> None:
    """Write a figure's title, if any; make room for it and some inches more (None: make none)."""
    if not title:
        return
    lines = title_lines(title, fig.get_figwidth())
    fig.suptitle("\n".join(lines), fontsize=TITLE_SIZE, color=INK)
    if more is not None:
        fig.set_figheight(fig.get_figheight() + (more + 0.15 * len(lines)))


def legend_of(lines: Mapping[str, tuple[str, float]]) -> list[Line2D]:
    """Return the handles of a legend of lines: color and width by name."""
    return [
        Line2D([], [], color=color, linewidth=width, label=name)
        for name, (color, width) in lines.items()
    ]


def ring_of(name: str, color: str) -> Line2D:
    """Return the handle of a legend of a ring around a joint."""
    ring: Any = {"marker": "o", "markersize": 7, "markerfacecolor": "none"}
    return Line2D([], [], linestyle="", markeredgecolor=color, label=name, **ring)


def write_legend(fig: Figure, handles: Sequence[Line2D], *notes: str) -> None:
    """Write notes below the panels, and a legend in as few rows as fit; make room for both."""
    width = fig.get_figwidth()
    lines = [line for note in notes if note for line in small_lines(note, width)]
    if not (lines or handles):
        return
    widths = [0.4 + text_width(str(handle.get_label()), SMALL_SIZE) for handle in handles]
    columns = max(len(handles), 1)
    if sum(widths) > width:
        columns = max(1, int(width / max(widths)))
    rows = -(-len(handles) // columns)
    fig.set_figheight(fig.get_figheight() + 0.12 * len(lines) + 0.15 * rows + 0.12)
    legend = fig.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False,
        title="\n".join(lines) or None, fontsize=SMALL_SIZE, title_fontsize=SMALL_SIZE,
        handlelength=1.2, columnspacing=1.0,
    )  # fmt: skip
    legend.get_title().set(color=INK, multialignment="center")


def small_lines(text: str, width: float) -> list[str]:
    """Break a small text into lines that fit a width in inches."""
    return title_lines(text, width * TITLE_SIZE / SMALL_SIZE)


def text_height(texts: Iterable[str], width: float) -> float:
    """Return the inches that the longest of some small texts takes on panels of a width."""
    return LINE_HEIGHT * max((len(title_lines(text, width)) for text in texts if text), default=0)


def panel_title(axis: Axes, text: str, width: float) -> None:
    """Write a title over a panel of a width in inches, in as many lines as it takes."""
    axis.set_title("\n".join(title_lines(text, width)), **LABEL)


def panel_text(axis: Axes, height: float, text: str, va: str = "top") -> None:
    """Write a small text at a share of the height of a panel, whose axis labels are hidden."""
    axis.text(0.5, height, text, ha="center", va=va, transform=axis.transAxes, **SMALL)


def plain_axes(axis: Axes) -> None:
    """Reduce the frame of a chart to its left and lower edge."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(GREY)
    axis.tick_params(labelsize=SMALL_SIZE, colors=INK, width=0.6, length=2.5)
