"""Charts of a run: its course, its classes one by one, and which of them it confuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from asgcn_dgl.viz import figure

Curves = Mapping[str, Mapping[str, Mapping[int, float]]]
# Cells of a larger matrix are too small to hold a number.
_LARGEST_WITH_NUMBERS = 25
_MOST_WHEN_NARROW = 12


def draw_class_accuracy(
    accuracy: npt.ArrayLike,
    class_names: Sequence[str],
    *,
    baseline: npt.ArrayLike | None = None,
    labels: Sequence[str] = ("this run", "baseline"),
    clips: Sequence[int] | None = None,
    title: str = "",
) -> Figure:
    """Draw the accuracy (K,) of each class in percent as bars, the best on top; NaN is left out.

    The number stands on the right of each, and that of the ``baseline`` (K,), drawn as a mark;
    ``labels`` names both. ``clips`` (K,) are written behind the names. The figure is as wide as a
    column.
    """
    values = np.asarray(accuracy, dtype=np.float64)
    columns = [(values, figure.INK)]
    if baseline is not None:
        columns = [
            (values, figure.BLUE),
            (np.asarray(baseline, dtype=np.float64), figure.VERMILION),
        ]
    for name, (array, _) in zip(("accuracy", "baseline"), columns, strict=False):
        if array.shape != (len(class_names),):
            raise ValueError(
                f"{name} must hold one number for each of {len(class_names)} classes, got shape "
                f"{array.shape}"
            )
    order = [int(k) for k in np.argsort(values, kind="stable") if np.isfinite(values[k])]
    extra = 0.75 if baseline is None else 0.95
    fig, axis = figure.chart(figure.COLUMN_WIDTH, extra + 0.165 * max(len(order), 3))
    places = np.arange(len(order))
    bars = axis.barh(
        places, values[order], color=figure.BLUE, height=0.68, label=labels[0], zorder=2
    )
    if baseline is not None:
        diamonds = axis.scatter(
            columns[1][0][order], places, marker="D", s=14, color=figure.VERMILION, label=labels[1],
            zorder=3, edgecolors="white", linewidths=0.5, clip_on=False,
        )  # fmt: skip
        fig.legend(
            handles=[bars, diamonds], loc="outside lower center", ncols=2, frameon=False,
            fontsize=figure.SMALL_SIZE,
        )  # fmt: skip
    names = list(class_names)
    if clips is not None:
        names = [f"{name} ({n})" for name, n in zip(class_names, clips, strict=True)]
    axis.set_yticks(places, [names[k] for k in order], fontsize=figure.SMALL_SIZE)
    for column, (numbers, color) in enumerate(columns):
        for place, k in enumerate(order):
            axis.annotate(
                f"{numbers[k]:.0f}", (100, place), (20 + 18 * column, 0),
                textcoords="offset points", annotation_clip=False, ha="right", va="center",
                fontsize=figure.SMALL_SIZE, color=color,
            )  # fmt: skip
    axis.set(xlim=(0, 100), ylim=(-0.6, len(order) - 0.4))
    axis.grid(axis="x", color=figure.PALE, linewidth=0.5, zorder=0)
    said = "accuracy (%), sorted" if clips is None else "accuracy (%); in brackets the clips"
    axis.set_xlabel(said, **figure.LABEL)
    figure.write_title(fig, title, 0.0)
    return fig


def draw_errors(
    times: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    unit: str = "",
    title: str = "",
    page_width: float = figure.PAGE_WIDTH,
) -> Figure:
    """Draw the error of forecasts by how far ahead they are.

    ``times`` (T',) are milliseconds after the last observed frame; ``curves`` maps names to (T',)
    errors in ``unit``, the forecast first, then what it is compared with. ValueError if there is no
    curve, or one is not as long as the times.
    """
    if not curves:
        raise ValueError("curves must hold at least one curve, got none")
    width = min(page_width, figure.COLUMN_WIDTH)
    fig, axis = figure.chart(width, 0.65 * width + (0.0 if title else 0.15))
    colors = (figure.BLUE, figure.VERMILION, figure.GREY, figure.INK)
    for number, (name, values) in enumerate(curves.items()):
        if len(values) != len(times):
            raise ValueError(f"curves must be of {len(times)} values, got {len(values)} of {name}")
        style = "--" if number else "-"
        axis.plot(times, values, style, color=colors[number % 4], linewidth=1.2, label=name)
    axis.set_xlim(0, max(times))
    axis.set_ylim(bottom=0)
    axis.grid(axis="y", color=figure.PALE, linewidth=0.5, zorder=0)
    axis.set_xlabel("milliseconds ahead", **figure.LABEL)
    axis.set_ylabel(f"error ({unit})" if unit else "error", **figure.LABEL)
    axis.legend(fontsize=figure.SMALL_SIZE, frameon=False)
    figure.write_title(fig, title, 0.0)
    return fig


def draw_curves(
    history: Curves,
    *,
    unit: str = "model's unit",
    scale: float = 1.0,
    title: str = "",
    page_width: float = figure.PAGE_WIDTH,
) -> Figure:
    """Draw the curves of a training, given what :func:`asgcn_dgl.training.read_history` returns.

    Panels for what it holds: the reconstruction loss of the A-link inference module, the
    cross-entropy and the accuracy of recognition, the error of predicted poses, times ``scale``, in
    ``unit``.
    """
    charts = curve_panels(history, unit, scale)
    if not charts:
        raise ValueError("history must hold at least one epoch, got none")
    across, width = figure.panel_grid(
        len(charts), page_width, narrowest=1.6, widest=figure.PAGE_WIDTH / 2
    )
    down = -(-len(charts) // across)
    height = min(1.86, 0.46 + 0.8 * width) + figure.text_height(charts, width)
    fig = Figure(figsize=(width * across, height * down), layout="constrained")
    figure.write_title(fig, title, 0.08)
    axes = fig.subplots(down, across, squeeze=False).ravel()
    for axis, (name, curves) in zip(axes, charts.items(), strict=False):
        _draw_chart(axis, name, curves, width)
    for axis in axes[len(charts) :]:
        axis.set_axis_off()
    handles = {line.get_label(): line for axis in axes for line in axis.lines}
    figure.write_legend(fig, list(handles.values()))
    return fig


_RECONSTRUCTION = {"train": "train/reconstruction", "validation": "val/reconstruction"}
_ERRORS = {"validation": "val/mpjpe", "last pose repeated": "val/zero_velocity"}
_CHARTS = (
    ("A-link inference: reconstruction loss", "aim", _RECONSTRUCTION),
    ("recognition loss", "joint", {"train": "train/recognition", "validation": "val/loss"}),
    ("top-1 (%)", "joint", {"train": "train/top1", "validation": "val/top1"}),
    ("prediction error ({})", "joint", _ERRORS),
    ("forecast: loss", "forecast", {"train": "train/loss"}),
    ("forecast error ({})", "forecast", _ERRORS),
)
_CURVE_STYLES = {
    "train": (figure.GREY, "-"),
    "validation": (figure.BLUE, "-"),
    "last pose repeated": (figure.VERMILION, "--"),
}


def curve_panels(
    history: Curves, unit: str = "model's unit", scale: float = 1.0
) -> dict[str, dict[str, dict[int, float]]]:
    """Return the charts that a history can fill: name to curve to epoch to value.

    Errors of poses are multiplied by ``scale``, which brings them to ``unit``.
    """
    charts = {}
    for name, phase, wanted in _CHARTS:
        figures = history.get(phase, {})
        factor = scale if wanted is _ERRORS else 1.0
        curves = {
            label: {epoch: factor * value for epoch, value in figures[key].items()}
            for label, key in wanted.items()
            if figures.get(key)
        }
        if curves:
            charts[name.format(unit)] = curves
    return charts


def _draw_chart(
    axis: Axes, name: str, curves: Mapping[str, Mapping[int, float]], width: float
) -> None:
    figure.plain_axes(axis)
    for label, curve in curves.items():
        color, style = _CURVE_STYLES[label]
        epochs = sorted(curve)
        marker = "o" if len(epochs) == 1 else None
        axis.plot(
            epochs, [curve[epoch] for epoch in epochs], color=color, linestyle=style, linewidth=1.3,
            marker=marker, markersize=3, label=label,
        )  # fmt: skip
    figure.panel_title(axis, name, width)
    axis.set_xlabel("epoch", **figure.LABEL)
    first, last = axis.dataLim.intervalx
    room = max(0.04 * (last - first), 0.2)
    axis.set_xlim(first - min(room, 0.5), last + room)  # there is no epoch 0
    ticks = MaxNLocator(nbins=5, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    axis.xaxis.set_major_locator(ticks)
    axis.grid(color=figure.PALE, linewidth=0.4)


def draw_confusion(
    counts: npt.ArrayLike,
    class_names: Sequence[str],
    *,
    title: str | None = None,
    page_width: float = figure.PAGE_WIDTH,
) -> Figure:
    """Draw a confusion matrix (K, K): a row a true class, in percent of its clips.

    Up to 25 classes the shares are written in the cells; a larger matrix takes more than the page's
    width if it needs it. A class without clips has an empty row. ``title`` is by default the share
    of clips on the diagonal and their number.
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
    fontsize = figure.SMALL_SIZE if numbers else 5
    turn: dict[str, Any] = {"rotation": 90, "ha": "center"}
    if numbers:
        turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        for row, column in zip(*np.nonzero(matrix), strict=True):
            share = shares[row, column]
            axis.text(
                column, row, f"{100 * share:.0f}", ha="center", va="center",
                fontsize=figure.SMALL_SIZE - 1, color="white" if share > 0.5 else figure.INK,
            )  # fmt: skip
    axis.set_xticks(range(size), class_names, fontsize=fontsize, **turn)
    axis.set_yticks(range(size), class_names, fontsize=fontsize)
    axis.set_xlabel("recognized as", **figure.LABEL)
    axis.set_ylabel("true action (rows sum to 100 %)", **figure.LABEL)
    if not (narrow and numbers):
        bar = fig.colorbar(image, shrink=0.7, format=PercentFormatter(1.0))
        bar.ax.tick_params(labelsize=figure.SMALL_SIZE)
    if title is None and matrix.sum() > 0:
        share = matrix.trace() / matrix.sum()
        title = f"{share:.1%} of {matrix.sum():.0f} clips recognized"
    figure.write_title(fig, title or "", None)
    return fig
