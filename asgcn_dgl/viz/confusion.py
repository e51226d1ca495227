"""Confusion matrices that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from asgcn_dgl.viz.figure import INK, LABEL_SIZE, PAGE_WIDTH, SMALL_SIZE, write_title

# Cells of a larger matrix are too small to hold a number.
_LARGEST_WITH_NUMBERS = 25
_MOST_WHEN_NARROW = 12


def draw_confusion(
    counts: npt.ArrayLike,
    class_names: Sequence[str],
    *,
    title: str | None = None,
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw a confusion matrix (K, K): a row a true class, in percent of its clips.

    Up to 25 classes the shares are written in the cells; a larger matrix takes more than the page's
    width if it needs it. A class without clips has an empty row. ``title`` is by default the share
    of clips on the diagonal and their number.

    Examples
    --------
    >>> draw_confusion([[8, 2], [1, 9]], ["wave", "clap"])
    <Figure size ...>
    """
    matrix = np.asarray(counts, dtype=np.float64)
    size = len(class_names)
    if matrix.shape != (size, size) or size == 0:
        raise ValueError(
            f"counts must be square, one row a class: got shape {matrix.shape} for {size} names"
        )
    if not (matrix >= 0).all():
        raise ValueError(f"counts must not be negative, got {np.nanmin(matrix):g}")
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros_like(matrix), where=totals > 0)
    numbers = size <= _LARGEST_WITH_NUMBERS
    side = 1.7 + (0.29 if numbers else 0.105) * size
    narrow = numbers and side + 0.6 > page_width
    # Where there is little room the numbers in the cells say what the bar would.
    numbers = numbers and (not narrow or size <= _MOST_WHEN_NARROW)
    width, height = (page_width, page_width) if narrow else (side + 0.6, side)
    if narrow and not numbers:
        height -= 0.45  # the bar stands beside the matrix
    fig = Figure(figsize=(width, height), layout="constrained")
    axis = fig.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    fontsize = SMALL_SIZE if numbers else 5
    turn: dict[str, Any] = {"rotation": 90, "ha": "center"}
    if numbers:
        turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axis.set_xticks(range(size), class_names, fontsize=fontsize, **turn)
    axis.set_yticks(range(size), class_names, fontsize=fontsize)
    axis.set_xlabel("recognized as", fontsize=LABEL_SIZE, color=INK)
    axis.set_ylabel("true action (rows sum to 100 %)", fontsize=LABEL_SIZE, color=INK)
    if numbers:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            share = shares[row, column]
            axis.text(
                column, row, f"{100 * share:.0f}", ha="center", va="center",
                fontsize=SMALL_SIZE - 1, color="white" if share > 0.5 else INK,
            )  # fmt: skip
    if not (narrow and numbers):
        bar = fig.colorbar(image, shrink=0.7, format=PercentFormatter(1.0))
        bar.ax.tick_params(labelsize=SMALL_SIZE)
    if title is None and matrix.sum() > 0:
        share = matrix.trace() / matrix.sum()
        title = f"{share:.1%} of {matrix.sum():.0f} clips recognized"
    write_title(fig, title or "", fig.get_figwidth())
    return fig
