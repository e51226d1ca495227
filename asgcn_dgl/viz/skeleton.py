"""Bodies: one pose, a clip as a strip of poses, predicted against true poses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.viz.figure import (
    COLUMN_WIDTH,
    GREY,
    INK,
    LABEL_SIZE,
    LINE_HEIGHT,
    ORANGE,
    PAGE_WIDTH,
    PALE,
    SMALL_SIZE,
    TITLE_SIZE,
    legend_of,
    panel_grid,
    panel_title,
    panels,
    ring_of,
    text_height,
    write_legend,
)
from asgcn_dgl.viz.links import Sheet
from asgcn_dgl.viz.pose import (
    CENTERED,
    Floats,
    body_color,
    body_legend,
    draw_body,
    flat_pose,
    frame_alike,
    joint_names,
    missing_note,
    project,
    project_bodies,
    span_height,
    spans,
)


def draw_skeleton(
    layout: SkeletonLayout,
    pose: npt.ArrayLike | None = None,
    *,
    names: bool = False,
    title: str | None = None,
    up: str = "y",
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw one body: left limbs dark, right limbs pale, a ring around the center joint.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import get_layout
    >>> draw_skeleton(get_layout("ntu25"), names=True)
    <Figure size ...>
    """
    points = flat_pose(layout, pose, up)
    heading = f"skeleton {layout.name}" if title is None else title
    if names:
        return _named(layout, points, heading, page_width)
    shape = panel_grid(1, page_width, widest=0.7 * COLUMN_WIDTH)
    span = spans([points])
    fig, (axis,) = panels(1, shape, span_height(span, shape.width) + LINE_HEIGHT)
    frame_alike(axis, points, span)
    _draw_with_center(axis, layout, points)
    axis.set_title(heading, fontsize=TITLE_SIZE, color=INK)
    write_legend(fig, [*_body_lines(layout), ring_of("center", INK)])
    return fig


def _body_lines(layout: SkeletonLayout, bodies: int = 1) -> list[Line2D]:
    """Return the handles of a legend of the colors of bodies."""
    colors = body_legend(layout, bodies)
    return legend_of({name: (color, 2.0) for name, color in colors.items()})


def _draw_with_center(axis: Axes, layout: SkeletonLayout, points: Floats) -> None:
    draw_body(axis, layout, points, linewidth=1.6)
    x, y = points[layout.center]
    axis.scatter(x, y, s=60, facecolors="none", edgecolors=INK, linewidths=1, zorder=3)


def _named(layout: SkeletonLayout, points: Floats, heading: str, page_width: float) -> Figure:
    """Draw a body between two columns of its joints' names, each joined to its joint."""
    labels = [f"{joint} {name}" for joint, name in enumerate(joint_names(layout))]
    order = sorted(range(len(labels)), key=lambda joint: (points[joint, 0], joint))
    sides = order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :]
    line = 0.125  # inches from name to name
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.maximum(high - low, 1e-6)
    text = 0.062 * max(map(len, labels))
    across = min(page_width - 2 * text - 0.6, 0.5 * page_width)
    height = min(across * size[1] / size[0], 3.4)
    across = height * size[0] / size[1]
    if max(across, height) < 1.2 and layout.num_joints <= 40:  # numbers there, the names below
        sheet = Sheet(layout, [points], 1, page_width, True, widest=page_width)
        sheet.open(heading)
        _draw_with_center(sheet.axes[0], layout, points)
        return sheet.close([*_body_lines(layout), ring_of("center", INK)])
    tall = max(height, line * len(sides[0])) + 0.3
    width = across + 2 * text + 0.6
    below = 0.25
    full = tall + below + 0.25  # inches, as all lengths here
    fig = Figure(figsize=(width, full))
    handles = [*_body_lines(layout), ring_of("center", INK)]
    fig.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=SMALL_SIZE)
    axis = fig.add_axes((0, below / full, 1, tall / full), xlim=(0, width), ylim=(0, tall))
    axis.set_axis_off()
    places = (points - (low + high) / 2) * (across / size[0]) + [width / 2, tall / 2]
    _draw_with_center(axis, layout, places)
    for side, x, edge, align in (
        (sides[0], text + 0.05, 0.05, "right"),
        (sides[1], width - text - 0.05, -0.05, "left"),
    ):
        column = sorted(side, key=lambda joint: -places[joint, 1])
        heights = _apart(places[column, 1], line, tall)
        for joint, y in zip(column, heights, strict=True):
            end = places[joint]
            axis.plot([x + edge, end[0]], [y, end[1]], color=GREY, linewidth=0.4, zorder=1)
            axis.text(x, y, labels[joint], ha=align, va="center", fontsize=SMALL_SIZE, color=INK)
    axis.set_title(heading, fontsize=TITLE_SIZE, color=INK)
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
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw a clip (T, V, d) or (M, T, V, d) as a row of poses; the view follows the bodies.

    The first body has a color for each of its sides, each other one its own.
    ``frames`` are drawn; by default ``count`` of them, evenly spread.
    """
    bodies, seen = _clip(layout, poses, mask)
    num_frames = bodies.shape[1]
    chosen = _frames(frames, num_frames, count)
    points = project_bodies(bodies[:, chosen], seen[:, chosen], up, layout.shoulders)
    points = points.swapaxes(0, 1)
    span = spans(list(points))
    shape = panel_grid(len(chosen), page_width, 8, narrowest=_narrowest(span), widest=1.6)
    height = span_height(span, shape.width) + LINE_HEIGHT
    fig, axes = panels(len(chosen), shape, height + 0.1, title=title)
    fig.get_layout_engine().set(h_pad=0.05)  # type: ignore[union-attr, call-arg]
    for column, (axis, number) in enumerate(zip(axes, chosen, strict=True)):
        for body, own in enumerate(points[column]):
            draw_body(axis, layout, own, color=body_color(body), linewidth=1.2)
        frame_alike(axis, points[column], span)
        if len(bodies) > 1:  # else one could not tell which bodies are of one frame
            frame = Rectangle((0, 0), 1, 1, transform=axis.transAxes, fill=False, linewidth=0.5)
            axis.add_patch(frame).set(edgecolor=PALE, clip_on=False)
        axis.set_title(f"frame {number}", fontsize=LABEL_SIZE, color=INK)
        if not np.isfinite(points[column]).any():
            axis.text(
                0.5, 0.5, "not seen", transform=axis.transAxes, ha="center", va="center",
                fontsize=SMALL_SIZE, color=INK,
            )  # fmt: skip
    present = seen.any(axis=(1, 2))
    handles = _body_lines(layout, 1 + int(np.flatnonzero(present).max(initial=0)))
    down = "y points down, as in an image" if up == "-y" and bodies.shape[-1] == 2 else ""
    write_legend(fig, handles, CENTERED, down, missing_note(points[:, present]))
    return fig


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
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw predicted over true poses (T', V, d) at several future frames (Fig. 10 of the paper).

    ``frames`` count from 1; by default ``count`` of them, evenly spread. Each panel has the mean
    error over the joints whose truth is known (``mask``), in ``unit``, or "not seen"; others are
    drawn as predicted only. ``last`` (V, d), the last observed pose, is a first panel.
    """
    guess, _ = _clip(layout, future, None)
    truth, seen = _clip(layout, target, mask)
    if guess.shape != truth.shape or len(guess) != 1:
        raise ValueError(
            "future and target must have one shape (frames, joints, coordinates), "
            f"got {np.shape(future)} and {np.shape(target)}"
        )
    horizon = guess.shape[1]
    if frames is not None and len(frames) and min(frames) < 1:
        raise ValueError(f"frames must be counted from 1, got {list(frames)}")
    wanted = None if frames is None else [number - 1 for number in frames]
    chosen = _frames(wanted, horizon, count)
    known = seen[0, chosen]
    # All poses in one stack: one viewpoint for what is compared.
    stack = [truth[0, chosen], guess[0, chosen]]
    masks = [known, np.ones_like(known)]
    if last is not None:
        observed, _ = _clip(layout, np.asarray(last)[None], None)
        stack.append(observed[0])
        masks.append(np.ones((1, layout.num_joints), dtype=bool))
    visible = np.concatenate(masks)
    points = project(np.concatenate(stack), visible, up, layout.shoulders)
    count = len(chosen) + (last is not None)
    points = np.where(visible[..., None], points, np.nan)
    times = len(chosen)
    pairs = [points[[k, times + k]] for k in range(times)]
    span = spans([*pairs, *([points[-1]] if last is not None else [])])
    shape = panel_grid(count, page_width, 8, narrowest=_narrowest(span), widest=1.6)
    titles = [f"t + {number + 1} frames" for number in chosen]
    height = span_height(span, shape.width) + text_height(titles, shape.width) + LINE_HEIGHT
    fig, axes = panels(count, shape, height, title=title)
    if last is not None:
        first, axes = axes[0], axes[1:]
        draw_body(first, layout, points[-1], color=INK, linewidth=1.2)
        frame_alike(first, points[-1], span)
        first.set_title("last seen", fontsize=LABEL_SIZE, color=INK)
    distance = np.linalg.norm(guess[0, chosen] - truth[0, chosen], axis=-1)
    errors = [float(d[k].mean()) if k.any() else None for d, k in zip(distance, known, strict=True)]
    largest = max((error for error in errors if error), default=1.0)
    digits = max(0, 2 - int(np.floor(np.log10(largest))))  # three places of the largest error
    for column, axis in enumerate(axes):
        true_points, guess_points = pairs[column]
        draw_body(axis, layout, true_points, color=GREY, linewidth=2.4)
        draw_body(axis, layout, guess_points, color=ORANGE, linewidth=1.0, zorder=3)
        frame_alike(axis, pairs[column], span)
        panel_title(axis, titles[column], shape.width)
        error = errors[column]
        text = f"error {error:.{digits}f} {unit}".rstrip() if error is not None else "not seen"
        # set_axis_off hides axis labels, so this is a text.
        axis.text(
            0.5, -0.02, text, transform=axis.transAxes, ha="center", va="top",
            fontsize=SMALL_SIZE, color=INK,
        )  # fmt: skip
    missing = missing_note(*points[:times])
    write_legend(
        fig,
        legend_of({"true": (GREY, 2.4), "predicted": (ORANGE, 1.0)}),
        "t: the last frame seen; error: mean distance of the joints"
        + ("" if unit else ", in the unit of the recordings")
        + f"; {CENTERED}",
        missing and f"true {missing}",
    )
    return fig


def _narrowest(span: tuple[float, float]) -> float:
    """Return the inches of a panel on which a pose of some size is legible."""
    return float(np.clip(1.1 * span[0] / max(span), 0.75, 1.1))


def _clip(
    layout: SkeletonLayout, poses: npt.ArrayLike, mask: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Check positions and mask and return them as (M, T, V, d) and (M, T, V)."""
    points = np.asarray(poses, dtype=np.float64)
    if points.ndim == 3:
        points = points[None]
    if points.ndim != 4 or points.shape[2] != layout.num_joints or 0 in points.shape:
        raise ValueError(
            f"poses must be (frames, {layout.num_joints}, coordinates), or (bodies, frames, ...), "
            f"for layout {layout.name!r}, got shape {np.shape(poses)}"
        )
    if mask is None:
        return points, np.ones(points.shape[:-1], dtype=bool)
    seen = np.asarray(mask, dtype=bool)
    if seen.size != points[..., 0].size or seen.shape[-2:] != points.shape[1:3]:
        raise ValueError(f"mask must have shape {points.shape[:-1]}, got {seen.shape}")
    return points, seen.reshape(points.shape[:-1])


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
