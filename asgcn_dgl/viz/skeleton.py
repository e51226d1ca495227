"""Bodies: one pose, a clip as a strip of poses, predicted against true poses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.viz.figure import (
    COLUMN_WIDTH,
    GREEN,
    GREY,
    INK,
    LABEL_SIZE,
    PAGE_WIDTH,
    PURPLE,
    SMALL_SIZE,
    TITLE_SIZE,
    VERMILION,
    grid,
    panels,
)
from asgcn_dgl.viz.pose import draw_body, flat_pose, frame, panel_height, project

BODY_COLORS = (None, GREEN, PURPLE, INK)


def draw_skeleton(
    layout: SkeletonLayout,
    pose: npt.ArrayLike | None = None,
    *,
    names: bool = False,
    title: str | None = None,
    up: str = "y",
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw one body: left limbs blue, right limbs vermilion, a ring around the centre joint.

    Parameters
    ----------
    layout
        Skeleton of V joints.
    pose
        (V, 2) or (V, 3) positions; None: the layout's own drawing pose.
    names
        Write the index and the name of each joint beside it.
    title
        Title; None: the layout's name.
    up
        The axis that points up in a three-dimensional pose.
    page_width
        Inches that it may take.

    Returns
    -------
    Figure
        One panel.

    Raises
    ------
    ValueError
        If the pose does not fit the layout.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import get_layout
    >>> draw_skeleton(get_layout("ntu25"), names=True)
    <Figure size ...>
    """
    points = flat_pose(layout, pose, up)
    shape = grid(1, page_width, widest=COLUMN_WIDTH * (1.4 if names else 0.7))
    height = panel_height(points, None, shape.width)
    if names:  # beside the body; where there is little room, the body is drawn larger
        height *= 0.62 if shape.width > COLUMN_WIDTH else 0.8
    fig, axes = panels(1, shape, height)
    axis = axes[0]
    draw_body(axis, layout, points, linewidth=1.6)
    x, y = points[layout.center]
    axis.scatter(x, y, s=60, facecolors="none", edgecolors=INK, linewidths=1, zorder=3)
    frame(axis, points)
    if names:
        _name_joints(axis, layout, points)
    axis.set_title(layout.name if title is None else title, fontsize=TITLE_SIZE, color=INK)
    return fig


def _name_joints(axis: Axes, layout: SkeletonLayout, points: npt.NDArray[np.float64]) -> None:
    """Write the joints' names beside them, away from the body's middle."""
    middle = float(points[layout.center, 0])
    for joint, (name, point) in enumerate(zip(layout.joints, points, strict=True)):
        left = point[0] < middle - 1e-6
        axis.annotate(
            f"{joint} {name}",
            (point[0], point[1]),
            xytext=(-5, 0) if left else (5, 0 if point[0] > middle + 1e-6 else 5),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=SMALL_SIZE - 1,
            color=INK,
            zorder=5,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
    low, high = axis.get_xlim()
    room = 0.3 * (high - low)
    axis.set_xlim(low - room, high + room)


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
    """Draw a clip as a row of poses, seen from one place.

    Parameters
    ----------
    layout
        Skeleton of V joints.
    poses
        (T, V, d) or, for several bodies, (M, T, V, d) positions.
    mask
        (T, V) or (M, T, V) bool, joints that were seen; None means all.
    frames
        The frames to draw; None: ``count`` of them, evenly spread.
    count
        How many to draw where ``frames`` is not given.
    title
        Title of the figure.
    up
        The axis that points up.
    page_width
        Inches that a row of panels may take.

    Returns
    -------
    Figure
        One panel a frame.

    Raises
    ------
    ValueError
        If the shapes do not fit or a frame is out of range.
    """
    bodies, seen = _clip(layout, poses, mask)
    num_frames = bodies.shape[1]
    chosen = _frames(frames, num_frames, count)
    # All bodies of a frame as one, so that two persons are seen side by side.
    together = bodies[:, chosen].swapaxes(0, 1).reshape(len(chosen), -1, bodies.shape[-1])
    exists = seen[:, chosen].swapaxes(0, 1).reshape(len(chosen), -1)
    points = project(together, exists, up, layout.shoulders)
    points = points.reshape(len(chosen), len(bodies), -1, 2).swapaxes(0, 1)
    shape = grid(len(chosen), page_width, 8, narrowest=0.6, widest=1.4)
    height = panel_height(points, seen[:, chosen], shape.width)
    fig, axes = panels(len(chosen), shape, height, title=title)
    for column, (axis, number) in enumerate(zip(axes, chosen, strict=True)):
        for body in range(len(points)):
            color = BODY_COLORS[body % len(BODY_COLORS)]
            visible = seen[body, number]
            draw_body(axis, layout, points[body, column], mask=visible, color=color, linewidth=1.2)
        frame(axis, points, seen[:, chosen])
        axis.set_title(f"frame {number}", fontsize=LABEL_SIZE, color=INK)
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
    """Draw predicted over true poses at several future frames (Fig. 10 of the paper).

    Parameters
    ----------
    layout
        Skeleton of V joints.
    future
        (T', V, d) predicted positions.
    target
        (T', V, d) true positions.
    mask
        (T', V) bool, where the truth is known; None means everywhere. A joint whose truth is
        unknown is drawn as predicted only.
    last
        (V, d) last observed pose, drawn as a first panel.
    frames
        Future frames to draw, counted from 1; None: ``count`` of them, evenly spread.
    count
        How many to draw where ``frames`` is not given.
    title
        Title of the figure.
    unit
        Unit of the positions, written beside the errors.
    up
        The axis that points up.
    page_width
        Inches that a row of panels may take.

    Returns
    -------
    Figure
        One panel a future frame, with the mean error over the known joints.

    Raises
    ------
    ValueError
        If the shapes do not fit or a frame is out of range.
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
    shape = grid(count, page_width, 8, widest=1.4)
    height = panel_height(points, visible, shape.width) + 0.2
    fig, axes = panels(count, shape, height, title=title)
    if last is not None:
        first, axes = axes[0], axes[1:]
        draw_body(first, layout, points[-1], color=INK, linewidth=1.2)
        frame(first, points, visible)
        first.set_title("last seen", fontsize=LABEL_SIZE, color=INK)
    for column, (axis, number) in enumerate(zip(axes, chosen, strict=True)):
        true_points, guess_points = points[column], points[len(chosen) + column]
        draw_body(axis, layout, true_points, mask=known[column], color=GREY, linewidth=2.4)
        draw_body(axis, layout, guess_points, color=VERMILION, linewidth=1.0, zorder=3)
        frame(axis, points, visible)
        axis.set_title(f"t + {number + 1}", fontsize=LABEL_SIZE, color=INK)
        error = np.linalg.norm(guess[0, number] - truth[0, number], axis=-1)[known[column]]
        if len(error):
            # set_axis_off hides axis labels, so this is a text.
            axis.text(
                0.5, -0.02, f"error {error.mean():.3g} {unit}".rstrip(), transform=axis.transAxes,
                ha="center", va="top", fontsize=SMALL_SIZE, color=INK,
            )  # fmt: skip
    fig.legend(
        handles=[
            Line2D([], [], color=GREY, linewidth=2.4, label="true"),
            Line2D([], [], color=VERMILION, linewidth=1.0, label="predicted"),
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=LABEL_SIZE,
    )
    return fig


def _clip(
    layout: SkeletonLayout, poses: npt.ArrayLike, mask: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Check and bring to (M, T, V, d) and (M, T, V)."""
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
