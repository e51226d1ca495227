"""Bodies: one pose, a clip as poses, predicted against true poses, feature responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.viz import figure
from asgcn_dgl.viz.links import Sheet
from asgcn_dgl.viz.pose import (
    Floats,
    body_color,
    body_legend,
    draw_body,
    draw_ring,
    flat_pose,
    frame_alike,
    joint_names,
    missing_note,
    project,
    project_bodies,
    span_height,
    spans,
)

# What a figure of several times says, since the way that bodies take is not drawn.
_CENTERED = "each panel is centered on its bodies"
# Diameter of the largest circle of a response, as a share of the panel's width.
_LARGEST = 0.2


def draw_skeleton(
    layout: SkeletonLayout,
    pose: npt.ArrayLike | None = None,
    *,
    names: bool = False,
    title: str | None = None,
    up: str = "y",
    page_width: float = figure.PAGE_WIDTH,
) -> Figure:
    """Draw one body: left limbs dark, right limbs pale, a ring around the center joint."""
    points = flat_pose(layout, pose, up)
    heading = f"skeleton {layout.name}" if title is None else title
    if names:
        return _named(layout, points, heading, page_width)
    shape = figure.panel_grid(1, page_width, widest=0.7 * figure.COLUMN_WIDTH)
    span = spans([points])
    fig, (axis,) = figure.panels(1, shape, span_height(span, shape.width) + figure.LINE_HEIGHT)
    frame_alike(axis, points, span)
    _draw_with_center(axis, layout, points)
    axis.set_title(heading, fontsize=figure.TITLE_SIZE, color=figure.INK)
    figure.write_legend(fig, [*_body_lines(layout), figure.ring_of("center", figure.INK)])
    return fig


def _body_lines(layout: SkeletonLayout, bodies: int = 1) -> list[Line2D]:
    """Return the handles of a legend of the colors of bodies."""
    colors = body_legend(layout, bodies)
    return figure.legend_of({name: (color, 2.0) for name, color in colors.items()})


def _draw_with_center(axis: Axes, layout: SkeletonLayout, points: Floats) -> None:
    draw_body(axis, layout, points, linewidth=1.6)
    draw_ring(axis, points[layout.center], figure.INK, 1.0)


def _named(layout: SkeletonLayout, points: Floats, heading: str, page_width: float) -> Figure:
    """Draw a body between two columns of its joints' names, each joined to its joint."""
    labels = [f"{joint} {name}" for joint, name in enumerate(joint_names(layout))]
    order = sorted(range(len(labels)), key=lambda joint: (points[joint, 0], joint))
    half = (len(order) + 1) // 2
    line = 0.125  # inches from name to name
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.maximum(high - low, 1e-6)
    text = 0.062 * max(map(len, labels))
    across = min(page_width - 2 * text - 0.6, 0.5 * page_width)
    height = min(across * size[1] / size[0], 3.4)
    across = height * size[0] / size[1]
    handles = [*_body_lines(layout), figure.ring_of("center", figure.INK)]
    if max(across, height) < 1.2 and layout.num_joints <= 40:  # numbers there, the names below
        sheet = Sheet(layout, [points], 1, page_width, True, heading, widest=page_width)
        _draw_with_center(sheet.axes[0], layout, points)
        return sheet.close(handles)
    tall = max(height, line * half) + 0.3
    width = across + 2 * text + 0.6
    below = 0.25
    full = tall + below + 0.25  # inches, as all lengths here
    fig = Figure(figsize=(width, full))
    fig.legend(
        handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=figure.SMALL_SIZE
    )
    axis = fig.add_axes((0, below / full, 1, tall / full), xlim=(0, width), ylim=(0, tall))
    axis.set_axis_off()
    places = (points - (low + high) / 2) * (across / size[0]) + [width / 2, tall / 2]
    _draw_with_center(axis, layout, places)
    for side, x, edge, align in (
        (order[:half], text + 0.05, 0.05, "right"),
        (order[half:], width - text - 0.05, -0.05, "left"),
    ):
        column = sorted(side, key=lambda joint: -places[joint, 1])
        heights = _apart(places[column, 1], line, tall)
        for joint, y in zip(column, heights, strict=True):
            end = places[joint]
            axis.plot([x + edge, end[0]], [y, end[1]], color=figure.GREY, linewidth=0.4, zorder=1)
            axis.text(x, y, labels[joint], ha=align, va="center", **figure.SMALL)
    axis.set_title(heading, fontsize=figure.TITLE_SIZE, color=figure.INK)
    return fig


def _apart(wanted: Floats, gap: float, top: float) -> Floats:
    """Move descending heights apart, as little as possible, within 0..top."""
    steps = gap * np.arange(len(wanted))
    # Without the gaps the order is all that is asked for: the nearest such heights are kept.
    slack = np.clip(wanted + steps, steps[-1] + gap / 2, top - gap / 2)
    return (np.maximum.accumulate(slack[::-1])[::-1] + np.minimum.accumulate(slack)) / 2 - steps


def draw_strip(
    layout: SkeletonLayout,
    poses: npt.ArrayLike,
    *,
    mask: npt.ArrayLike | None = None,
    frames: Sequence[int] | None = None,
    count: int = 8,
    title: str = "",
    up: str = "y",
    page_width: float = figure.PAGE_WIDTH,
) -> Figure:
    """Draw a clip (T, V, d) or (M, T, V, d) as a row of poses; the view follows the bodies.

    The first body has a color for each of its sides, each other one its own.
    ``frames`` are drawn; by default ``count`` of them, evenly spread.
    """
    bodies = _clip(layout, poses, mask)
    chosen = _frames(frames, bodies.shape[1], count)
    points = project_bodies(bodies[:, chosen], up, layout.shoulders)
    points = points.swapaxes(0, 1)
    span = spans(list(points))
    fig, axes, _ = _row(span, len(chosen), page_width, title)
    fig.get_layout_engine().set(h_pad=0.05)  # type: ignore[union-attr, call-arg]
    for axis, number, own in zip(axes, chosen, points, strict=True):
        for body, place in enumerate(own):
            draw_body(axis, layout, place, color=body_color(body), linewidth=1.2)
        frame_alike(axis, own, span)
        if len(bodies) > 1:  # else one could not tell which bodies are of one frame
            frame = Rectangle((0, 0), 1, 1, transform=axis.transAxes, fill=False, linewidth=0.5)
            axis.add_patch(frame).set(edgecolor=figure.PALE, clip_on=False)
        axis.set_title(f"frame {number}", **figure.LABEL)
        if not np.isfinite(own).any():
            figure.panel_text(axis, 0.5, "not seen", va="center")
    present = np.isfinite(bodies).any(axis=(1, 2, 3))
    handles = _body_lines(layout, 1 + int(np.flatnonzero(present).max(initial=0)))
    down = "y points down, as in an image" if up == "-y" and bodies.shape[-1] == 2 else ""
    figure.write_legend(fig, handles, _CENTERED, down, missing_note(points[:, present]))
    return fig


def _row(
    span: tuple[float, float], count: int, width: float, title: str, titles: Sequence[str] = ()
) -> tuple[Figure, list[Axes], float]:
    """Make panels of poses of a size, in few rows; also return their width in inches."""
    legible = float(np.clip(1.1 * span[0] / max(span), 0.75, 1.1))
    shape = figure.panel_grid(count, width, 8, narrowest=legible, widest=1.6)
    height = span_height(span, shape.width) + figure.LINE_HEIGHT
    height += figure.text_height(titles, shape.width) if titles else 0.1
    return *figure.panels(count, shape, height, title=title), shape.width


def draw_prediction(
    layout: SkeletonLayout,
    future: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    mask: npt.ArrayLike | None = None,
    last: npt.ArrayLike | None = None,
    frames: Sequence[int] | None = None,
    count: int = 5,
    title: str = "",
    unit: str = "",
    up: str = "y",
    page_width: float = figure.PAGE_WIDTH,
) -> Figure:
    """Draw predicted over true poses (T', V, d) at several future frames (Fig. 10 of the paper).

    ``frames`` count from 1; by default ``count`` of them, evenly spread. Each panel has the mean
    error over the joints whose truth is known (``mask``), in ``unit``, or "not seen"; others are
    drawn as predicted only. ``last`` (V, d), the last observed pose, is a first panel.
    """
    guess, truth = _clip(layout, future, None), _clip(layout, target, mask)
    if guess.shape != truth.shape or len(guess) != 1:
        raise ValueError(
            "future and target must have one shape (frames, joints, coordinates), "
            f"got {np.shape(future)} and {np.shape(target)}"
        )
    if frames is not None and len(frames) and min(frames) < 1:
        raise ValueError(f"frames must be counted from 1, got {list(frames)}")
    wanted = None if frames is None else [number - 1 for number in frames]
    chosen = _frames(wanted, guess.shape[1], count)
    guess, truth, times = guess[0, chosen], truth[0, chosen], len(chosen)
    # All poses in one stack: one viewpoint for what is compared.
    stack = [truth, guess]
    if last is not None:
        stack.append(_clip(layout, np.asarray(last)[None], None)[0])
    points = project(np.concatenate(stack), None, up, layout.shoulders)
    groups = [points[[k, times + k]] for k in range(times)] + list(points[2 * times :])
    span = spans(groups)
    titles = [f"t + {number + 1} frames" for number in chosen]
    fig, axes, width = _row(span, len(groups), page_width, title, titles)
    if last is not None:
        first, axes = axes[0], axes[1:]
        draw_body(first, layout, points[-1], color=figure.INK, linewidth=1.2)
        frame_alike(first, points[-1], span)
        first.set_title("last seen", **figure.LABEL)
    known = np.asarray(np.isfinite(truth).all(axis=-1))
    distance = np.linalg.norm(guess - truth, axis=-1)
    errors = [float(d[k].mean()) if k.any() else None for d, k in zip(distance, known, strict=True)]
    largest = max((error for error in errors if error), default=1.0)
    digits = max(0, 2 - int(np.floor(np.log10(largest))))  # three places of the largest error
    for axis, pair, heading, error in zip(axes, groups, titles, errors, strict=False):
        draw_body(axis, layout, pair[0], color=figure.GREY, linewidth=2.4)
        draw_body(axis, layout, pair[1], color=figure.ORANGE, linewidth=1.0, zorder=3)
        frame_alike(axis, pair, span)
        figure.panel_title(axis, heading, width)
        text = "not seen" if error is None else f"error {error:.{digits}f} {unit}".rstrip()
        figure.panel_text(axis, -0.02, text)
    missing = missing_note(*points[:times])
    figure.write_legend(
        fig,
        figure.legend_of({"true": (figure.GREY, 2.4), "predicted": (figure.ORANGE, 1.0)}),
        "t: the last frame seen; error: mean distance of the joints"
        + ("" if unit else ", in the unit of the recordings")
        + f"; {_CENTERED}",
        missing and f"true {missing}",
    )
    return fig


def _clip(layout: SkeletonLayout, poses: npt.ArrayLike, mask: npt.ArrayLike | None) -> Floats:
    """Check positions and mask; return them as (M, T, V, d), NaN where not seen."""
    points = np.asarray(poses, dtype=np.float64)
    if points.ndim == 3:
        points = points[None]
    if points.ndim != 4 or points.shape[2] != layout.num_joints or 0 in points.shape:
        raise ValueError(
            f"poses must be (frames, {layout.num_joints}, coordinates), or (bodies, frames, ...), "
            f"for layout {layout.name!r}, got shape {np.shape(poses)}"
        )
    if mask is None:
        return points
    seen = np.asarray(mask, dtype=bool)
    if seen.size != points[..., 0].size or seen.shape[-2:] != points.shape[1:3]:
        raise ValueError(f"mask must have shape {points.shape[:-1]}, got {seen.shape}")
    return np.where(seen.reshape(points.shape[:-1])[..., None], points, np.nan)


def _frames(frames: Sequence[int] | None, num_frames: int, count: int) -> list[int]:
    """Check the frames, or spread ``count`` of them from the first to the last."""
    if frames is None:
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count!r}")
        spread = np.linspace(0, num_frames - 1, min(count, num_frames))
        return [int(number) for number in spread.round()]
    chosen = [int(number) for number in frames]
    if not chosen or min(chosen) < 0 or max(chosen) >= num_frames:
        raise ValueError(f"frames must be among the {num_frames} frames there are, got {chosen}")
    return chosen


class Response(NamedTuple):
    """A title, a pose (None: the layout's) and the (V,) magnitudes of the joints' features.

    ``scale`` is the magnitude of the largest circle; None: the largest of the row.
    """

    title: str
    pose: npt.ArrayLike | None
    response: npt.ArrayLike
    scale: float | None = None


def draw_responses(
    layout: SkeletonLayout,
    rows: Mapping[str, Sequence[Response]],
    *,
    title: str = "",
    up: str = "y",
    page_width: float = figure.PAGE_WIDTH,
) -> Figure:
    """Draw feature responses on bodies: a circle a joint, its area the magnitude (Fig. 9).

    ``rows`` holds the bodies of each row by its heading. A note says what the circles are.
    """
    if not rows or not all(len(row) for row in rows.values()):
        raise ValueError("rows must hold at least one body each, got none")
    columns = max(map(len, rows.values()))
    width = min(page_width / columns, 1.5)
    lines = {
        name: [
            text for part in name.split("\n") for text in figure.title_lines(part, width * columns)
        ]
        for name in rows
    }
    points, values, spaces, heights = {}, {}, {}, []
    for name, row in rows.items():
        values[name] = [_magnitudes(layout, item) for item in row]
        points[name] = [flat_pose(layout, item.pose, up) for item in row]
        span = spans(points[name])
        # What the largest circle needs beside a joint, as a share of the larger extent.
        room = max(0.13 * span[0], 0.05 * span[1]) / max(span)
        spaces[name] = span, room
        heights.append(
            span_height(span, width, room)
            + figure.text_height((item.title for item in row), width)
            + (0.08 + figure.LINE_HEIGHT * len(lines[name]) if name else 0.0)
        )
    fig = Figure(figsize=(width * columns, sum(heights)), layout="constrained")
    figure.write_title(fig, title, 0.08)
    missing = missing_note(*(place for row in points.values() for place in row))
    figure.write_legend(fig, (), _sizes(rows), missing)
    parts = fig.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (name, row) in zip(parts, rows.items(), strict=True):
        if name:
            part.suptitle("\n".join(lines[name]), **figure.LABEL, x=0.01, ha="left")
        axes = part.subplots(1, columns, squeeze=False)[0]
        for axis in axes:
            figure.bare_axes(axis)
        largest = max(float(value.max()) for value in values[name])
        for axis, item, place, value in zip(axes, row, points[name], values[name], strict=False):
            top = largest if item.scale is None else item.scale
            share = value / top if top > 0 else np.zeros_like(value)
            draw_body(axis, layout, place, color=figure.GREY, linewidth=1.1)
            seen = np.isfinite(place).all(axis=-1)
            axis.scatter(
                place[seen, 0], place[seen, 1], s=share[seen] * (_LARGEST * width * 72) ** 2,
                facecolors=to_rgba(figure.PINK, 0.28), edgecolors=figure.PINK, linewidths=0.5,
                zorder=3, clip_on=False,
            )  # fmt: skip
            frame_alike(axis, place, *spaces[name])
            figure.panel_title(axis, item.title, width)
    return fig


def _sizes(rows: Mapping[str, Sequence[Response]]) -> str:
    """Return what the size of a circle means, and between which bodies it can be compared."""
    alike = [len({item.scale for item in row}) == 1 for row in rows.values()]
    kinds = ["one scale" if same else "one scale per body" for same in alike]
    if len(rows) > 1:
        kinds = [f"{kind} in row {number}" for number, kind in enumerate(kinds, start=1)]
    return f"circle area: magnitude of the joint's features; {', '.join(kinds)}; {_CENTERED}"


def _magnitudes(layout: SkeletonLayout, item: Response) -> Floats:
    value = np.asarray(item.response, dtype=np.float64)
    if value.shape != (layout.num_joints,):
        raise ValueError(
            f"response must have shape ({layout.num_joints},) for layout {layout.name!r}, "
            f"got {value.shape}"
        )
    if not (value >= 0).all():
        raise ValueError(f"response must not be negative, got {np.nanmin(value):g}")
    return value
