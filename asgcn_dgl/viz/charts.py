"""Charts of a run: its course, and its classes one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from asgcn_dgl.viz.figure import (
    BLUE,
    COLUMN_WIDTH,
    GREY,
    INK,
    LABEL_SIZE,
    PAGE_WIDTH,
    PALE,
    SMALL_SIZE,
    VERMILION,
    panel_grid,
    panel_title,
    plain_axes,
    text_height,
    title_lines,
    write_legend,
    write_title,
)

Curves = Mapping[str, Mapping[str, Mapping[int, float]]]


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

    Examples
    --------
    >>> draw_class_accuracy([90.0, 60.0], ["wave", "clap"], baseline=[80.0, 70.0])
    <Figure size ...>
    """
    values = np.asarray(accuracy, dtype=np.float64)
    marks = None if baseline is None else np.asarray(baseline, dtype=np.float64)
    for name, array in (("accuracy", values), ("baseline", marks)):
        if array is not None and array.shape != (len(class_names),):
            raise ValueError(
                f"{name} must hold one number for each of {len(class_names)} classes, got shape "
                f"{array.shape}"
            )
    order = [int(k) for k in np.argsort(values, kind="stable") if np.isfinite(values[k])]
    lines = title_lines(title, COLUMN_WIDTH)
    extra = 0.75 + (0.15 * len(lines) if title else 0) + (0.2 if marks is not None else 0)
    fig = Figure(figsize=(COLUMN_WIDTH, extra + 0.165 * max(len(order), 3)), layout="constrained")
    axis = fig.subplots()
    plain_axes(axis)
    places = np.arange(len(order))
    bars = axis.barh(places, values[order], color=BLUE, height=0.68, label=labels[0], zorder=2)
    if marks is not None:
        diamonds = axis.scatter(
            marks[order], places, marker="D", s=14, color=VERMILION, label=labels[1], zorder=3,
            edgecolors="white", linewidths=0.5, clip_on=False,
        )  # fmt: skip
        fig.legend(
            handles=[bars, diamonds],
            loc="outside lower center",
            ncols=2,
            frameon=False,
            fontsize=SMALL_SIZE,
        )
    names = (
        [f"{name} ({n})" for name, n in zip(class_names, clips, strict=True)]
        if clips is not None
        else class_names
    )
    axis.set_yticks(places, [names[k] for k in order], fontsize=SMALL_SIZE)
    columns = [(values, INK)] if marks is None else [(values, BLUE), (marks, VERMILION)]
    for column, (numbers, color) in enumerate(columns):
        for place, k in enumerate(order):
            axis.annotate(
                f"{numbers[k]:.0f}", (100, place), (20 + 18 * column, 0),
                textcoords="offset points", annotation_clip=False, ha="right", va="center",
                fontsize=SMALL_SIZE, color=color,
            )  # fmt: skip
    axis.set_ylim(-0.6, len(order) - 0.4)
    axis.set_xlim(0, 100)
    axis.grid(axis="x", color=PALE, linewidth=0.5, zorder=0)
    said = "accuracy (%), sorted" if clips is None else "accuracy (%); in brackets the clips"
    axis.set_xlabel(said, fontsize=LABEL_SIZE, color=INK)
    write_title(fig, title, COLUMN_WIDTH)
    return fig


def draw_errors(
    times: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    unit: str = "",
    title: str = "",
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw the error of forecasts by how far ahead they are.

    ``times`` (T',) are milliseconds after the last observed frame; ``curves`` maps names to (T',)
    errors in ``unit``, the forecast first, then what it is compared with. ValueError if there is no
    curve, or one is not as long as the times.

    Examples
    --------
    >>> draw_errors([40, 80], {"forecast": [5.0, 9.0], "last pose repeated": [9.0, 17.0]})
    <Figure size ...>
    """
    if not curves:
        raise ValueError("curves must hold at least one curve, got none")
    width = min(page_width, COLUMN_WIDTH)
    lines = title_lines(title, width)
    fig = Figure(figsize=(width, 0.65 * width + 0.15 * len(lines)), layout="constrained")
    axis = fig.subplots()
    plain_axes(axis)
    colors = (BLUE, VERMILION, GREY, INK)
    for number, (name, values) in enumerate(curves.items()):
        if len(values) != len(times):
            raise ValueError(f"curves must be of {len(times)} values, got {len(values)} of {name}")
        style = "-" if number == 0 else "--"
        axis.plot(times, values, style, color=colors[number % 4], linewidth=1.2, label=name)
    axis.set_xlim(0, max(times))
    axis.set_ylim(bottom=0)
    axis.grid(axis="y", color=PALE, linewidth=0.5, zorder=0)
    axis.set_xlabel("milliseconds ahead", fontsize=LABEL_SIZE, color=INK)
    axis.set_ylabel(f"error ({unit})" if unit else "error", fontsize=LABEL_SIZE, color=INK)
    axis.tick_params(labelsize=SMALL_SIZE)
    axis.legend(fontsize=SMALL_SIZE, frameon=False)
    write_title(fig, title, width)
    return fig


def draw_curves(
    history: Curves,
    *,
    unit: str = "model's unit",
    scale: float = 1.0,
    title: str = "",
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw the curves of a training, given what :func:`asgcn_dgl.training.read_history` returns.

    Panels for what it holds: the reconstruction loss of the A-link inference module, the
    cross-entropy and the accuracy of recognition, the error of predicted poses, times ``scale``, in
    ``unit``.

    Examples
    --------
    >>> draw_curves({"joint": {"train/top1": {1: 20.0, 2: 50.0}, "val/top1": {1: 18.0, 2: 40.0}}})
    <Figure size ...>
    """
    charts = curve_panels(history, unit, scale)
    if not charts:
        raise ValueError("history must hold at least one epoch, got none")
    across, width = panel_grid(len(charts), page_width, narrowest=1.6, widest=PAGE_WIDTH / 2)
    down = -(-len(charts) // across)
    lines = title_lines(title, width * across)
    extra = 0.15 * len(lines) + 0.08 if title else 0.0
    height = min(1.86, 0.46 + 0.8 * width) + text_height(charts, width)
    size = (width * across, height * down + extra)
    fig = Figure(figsize=size, layout="constrained")
    axes = fig.subplots(down, across, squeeze=False).ravel()
    for axis, (name, curves) in zip(axes, charts.items(), strict=False):
        _draw_chart(axis, name, curves, width)
    for axis in axes[len(charts) :]:
        axis.set_axis_off()
    handles = {line.get_label(): line for axis in axes for line in axis.lines}
    write_legend(fig, list(handles.values()))
    write_title(fig, title, width * across)
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


_CURVE_STYLES = {
    "train": (GREY, "-"),
    "validation": (BLUE, "-"),
    "last pose repeated": (VERMILION, "--"),
}


def _draw_chart(
    axis: Axes, name: str, curves: Mapping[str, Mapping[int, float]], width: float
) -> None:
    plain_axes(axis)
    for label, curve in curves.items():
        color, style = _CURVE_STYLES[label]
        epochs = sorted(curve)
        axis.plot(
            epochs,
            [curve[epoch] for epoch in epochs],
            color=color,
            linestyle=style,
            linewidth=1.3,
            marker="o" if len(epochs) == 1 else None,
            markersize=3,
            label=label,
        )
    panel_title(axis, name, width)
    axis.set_xlabel("epoch", fontsize=LABEL_SIZE, color=INK)
    first, last = axis.dataLim.intervalx
    room = max(0.04 * (last - first), 0.2)
    axis.set_xlim(first - min(room, 0.5), last + room)  # there is no epoch 0
    axis.xaxis.set_major_locator(
        MaxNLocator(nbins=5, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )
    axis.grid(color=PALE, linewidth=0.4)
