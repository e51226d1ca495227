"""Poses: which way is up, from which side they are seen, and how they are drawn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patheffects import withStroke

from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.viz import figure
from asgcn_dgl.viz.exhibit import Exhibit

Floats = npt.NDArray[np.float64]

AXES = {"x": 0, "y": 1, "z": 2}
# A little from the side and from above: limbs that point at the viewer stay visible.
_YAW, _TILT = np.deg2rad(15.0), np.deg2rad(8.0)
# Room around a body, as a share of its larger extent.
_MARGIN = 0.06
# Share of the bodies' extent that has to lie along an axis before it counts as their upright.
_CLEAR = 0.1
# Poses that a typical one is taken from.
_MOST_POSES = 60


def project(
    poses: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    up: str = "y",
    shoulders: tuple[int, int] | None = None,
) -> Floats:
    """Return poses (..., V, 2 or 3) as points (..., V, 2), x right and y up, from one viewpoint.

    Two-dimensional poses are unchanged, or flipped where y points down. Three-dimensional ones, in
    right-handed coordinates, are seen perpendicular to their widest horizontal extent, then a
    little from the side and from above: from the front where ``shoulders`` (right, left) are given,
    else from the sensor's side, with depth growing away from it as in Kinects. Joints that were not
    seen (``mask``) do not count. ``up`` is ``"y"`` (Kinect's and most others), ``"z"`` (after
    alignment), ``"-y"`` ...
    """
    points = np.asarray(poses, dtype=np.float64)
    if points.ndim < 2 or points.shape[-1] not in (2, 3):
        raise ValueError(f"poses must be (..., joints, 2 or 3), got shape {points.shape}")
    check_up(up, points.shape[-1])
    if points.shape[-1] == 2:
        return points * [1, -1] if up == "-y" else points
    points = upright(points, up)
    seen = True if mask is None else np.asarray(mask, dtype=bool)[..., None]
    turn = facing(np.where(seen, points, np.nan), shoulders) + _YAW
    left = points[..., 0] * np.cos(turn) + points[..., 2] * np.sin(turn)
    depth = points[..., 2] * np.cos(turn) - points[..., 0] * np.sin(turn)
    height = points[..., 1] * np.cos(_TILT) + depth * np.sin(_TILT)
    return np.stack([-left, height], axis=-1)


def project_bodies(pos: Floats, up: str, shoulders: tuple[int, int] | None) -> Floats:
    """Project the bodies of a clip (M, T, V, d), NaN where not seen, together: (M, T, V, 2)."""
    bodies, frames, joints, dims = pos.shape
    together = pos.swapaxes(0, 1).reshape(frames, bodies * joints, dims)
    flat = project(together, None, up, shoulders)
    return flat.reshape(frames, bodies, joints, 2).swapaxes(0, 1)


def check_up(up: str, dims: int) -> str:
    """Return the axis; raise ValueError if coordinates have none of that name."""
    axes = ("x", "y", "z", "-x", "-y", "-z") if dims == 3 else ("y", "-y")
    if up not in axes:
        raise ValueError(f"up must be one of {', '.join(axes)}, got {up!r}")
    return up


def facing(points: Floats, shoulders: tuple[int, int] | None) -> float:
    """Return the angle about the vertical from which upright poses look widest, in front."""
    seen = np.asarray(np.isfinite(points).all(axis=-1))
    flat = centered(points[..., [0, 2]], seen).reshape(-1, 2)
    spread = flat.T @ flat
    x, z = np.linalg.eigh(spread)[1][:, -1] if spread.any() else (1.0, 0.0)
    # Of the two ways to look, the one from which the recording was made.
    turn = float(np.arctan2(z, x) if x >= 0 else np.arctan2(-z, -x))
    if shoulders is not None:  # most poses shall show their left one on the right
        across = points[..., shoulders[1], :] - points[..., shoulders[0], :]
        side = across[..., 0] * np.cos(turn) + across[..., 2] * np.sin(turn)
        turn += np.pi if np.nansum(np.sign(side)) > 0 else 0.0
    return turn


def centered(points: Floats, seen: npt.NDArray[np.bool_]) -> Floats:
    """Return poses (..., V, d) about the mean of the joints that are seen; others are 0."""
    known = seen[..., None]
    mean = np.where(known, points, 0.0).sum(axis=-2, keepdims=True)
    mean = mean / np.maximum(known.sum(axis=-2, keepdims=True), 1)
    return np.where(known, points - mean, 0.0)


def upright(points: Floats, up: str) -> Floats:
    """Rotate the coordinates so that the second one points up."""
    axis = AXES[up[-1]]
    sign = -1.0 if up.startswith("-") else 1.0
    # Cyclic, or two signs flipped: a rotation, never a mirror image.
    rolled = np.roll(points, 1 - axis, axis=-1)
    return rolled * np.array([sign, sign, 1.0])


def flat_pose(layout: SkeletonLayout, pose: npt.ArrayLike | None, up: str = "y") -> Floats:
    """Return the (V, 2) drawing pose: the layout's own, or a recorded one projected."""
    if pose is None:
        return np.asarray(layout.pose, dtype=np.float64)
    points = np.asarray(pose, dtype=np.float64)
    if points.ndim != 2 or points.shape[0] != layout.num_joints:
        raise ValueError(
            f"pose must be ({layout.num_joints}, 2 or 3) for layout {layout.name!r}, "
            f"got shape {points.shape}"
        )
    return project(points, up=up, shoulders=layout.shoulders)


def side_colors(layout: SkeletonLayout) -> list[str]:
    """Return the color of each joint: dark on the body's left, pale on its right."""
    colors = [figure.MIDDLE] * layout.num_joints
    for left, right in layout.mirror:
        colors[left], colors[right] = figure.LEFT, figure.RIGHT
    return colors


def joint_names(layout: SkeletonLayout) -> list[str]:
    """Return the names of the joints in words."""
    return [name.replace("_", " ") for name in layout.joints]


def body_color(body: int) -> str | None:
    """Return the color of a body of a clip; None for the first, whose sides have their own."""
    return (figure.SECOND if body % 2 else figure.THIRD) if body else None


def body_legend(layout: SkeletonLayout, bodies: int = 1) -> dict[str, str]:
    """Return the colors of sides and further bodies, by name."""
    used = side_colors(layout) if layout.mirror else []
    sides = {"left": figure.LEFT, "right": figure.RIGHT, "neither": figure.MIDDLE}
    sides = {name: color for name, color in sides.items() if color in used}
    if bodies > 1:
        sides = {f"body 1: {side}": color for side, color in sides.items()}
    return sides | other_bodies(bodies)


def other_bodies(bodies: int) -> dict[str, str]:
    """Return the colors of the bodies after the first, by name."""
    return dict([("body 2", figure.SECOND), ("body 3", figure.THIRD)][: bodies - 1])


def draw_body(
    axis: Axes,
    layout: SkeletonLayout,
    points: Floats,
    *,
    color: str | None = None,
    linewidth: float,
    zorder: float = 2.0,
) -> None:
    """Draw what is finite of (V, 2) points; ``color`` None colors the sides of the body."""
    seen = np.asarray(np.isfinite(points).all(axis=-1))
    joint_colors = side_colors(layout) if color is None else [color] * layout.num_joints
    bones = [(a, b) for a, b in layout.bones if seen[a] and seen[b]]
    depth = layout.depth
    outer = [joint_colors[a if depth[a] >= depth[b] else b] for a, b in bones]
    lines = LineCollection(
        [points[list(bone)] for bone in bones], colors=outer, linewidths=linewidth, zorder=zorder,
        capstyle="round", clip_on=False,
    )  # fmt: skip
    axis.add_collection(lines)
    axis.scatter(
        points[seen, 0], points[seen, 1], s=(linewidth + 1.4) ** 2, zorder=zorder + 0.1,
        c=[joint_colors[joint] for joint in np.flatnonzero(seen)], linewidths=0, clip_on=False,
    )  # fmt: skip


def draw_ring(axis: Axes, point: Floats, color: str, linewidth: float = 1.2) -> None:
    """Draw a ring around a joint."""
    axis.scatter(
        point[0], point[1], s=60, facecolors="none", edgecolors=color, linewidths=linewidth,
        zorder=4, clip_on=False,
    )  # fmt: skip


def number_joints(
    axis: Axes, layout: SkeletonLayout, points: Floats, unit: float, lines: Sequence[Floats] = ()
) -> None:
    """Write the index of each joint beside it, clear of bones, lines and other numbers.

    ``unit`` is the length of a unit of the (V, 2) points on paper, in points of a font; ``lines``
    are (n, 2) points each.
    """
    at = unit * points
    ways = np.linspace(0, 1, 9)[:, None]
    pieces = [at[list(bone)] for bone in layout.bones]
    pieces += [unit * line[k : k + 2] for line in lines for k in range(len(line) - 1)]
    drawn = np.concatenate([at, *(a + ways * (b - a) for a, b in pieces)])
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    turns = np.pi / 4 + np.arange(16) * np.pi / 8
    around = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    offsets = np.concatenate([radius * around for radius in (7.5, 9.0)])
    written = np.empty((0, 2))
    known = np.flatnonzero(np.isfinite(at).all(axis=1))
    for joint in known:
        places = at[joint] + offsets
        free = _distance(places, drawn).clip(max=6.0) / 6.0
        if len(known) > 1:  # a number that is nearer to another joint misleads
            free -= _distance(places, at[known[known != joint]]) < np.linalg.norm(offsets, axis=1)
        if len(written):
            free = np.minimum(free, _distance(places, written).clip(max=9.0) / 9.0)
        best = int(free.argmax())  # the nearest of those that are as free
        written = np.concatenate([written, places[[best]]])
        axis.annotate(
            str(joint), points[joint], xytext=offsets[best], textcoords="offset points",
            color=figure.INK, fontsize=figure.SMALL_SIZE - 1, zorder=5, ha="center", va="center",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip


def _distance(places: Floats, others: Floats) -> Floats:
    """Return how far each place is from the nearest of others."""
    return np.asarray(np.linalg.norm(places[:, None] - others, axis=-1).min(axis=1))


def missing_note(*stack: Floats) -> str:
    """Return a note if any of several poses lacks joints, else ''."""
    complete = all(np.isfinite(points).all() for points in stack)
    return "" if complete else "joints that were not seen are left out"


def spans(stack: Sequence[Floats]) -> tuple[float, float]:
    """Return the width and height that hold each of several poses."""
    inside = [points[np.isfinite(points).all(axis=-1)] for points in stack]
    sizes = [np.ptp(points, axis=0) for points in inside if len(points)]
    width, height = np.max(sizes, axis=0) if sizes else (1.0, 1.0)
    return float(max(width, 1e-6)), float(max(height, 1e-6))


def frame_alike(
    axis: Axes, points: Floats, span: tuple[float, float], margin: float = _MARGIN
) -> None:
    """Set the limits of a panel to a size that panels share, around its (..., 2) points."""
    inside = points[np.isfinite(points).all(axis=-1)]
    x, y = (inside.min(axis=0) + inside.max(axis=0)) / 2 if len(inside) else (0.0, 0.0)
    room = margin * max(span)
    axis.set_xlim(x - span[0] / 2 - room, x + span[0] / 2 + room)
    axis.set_ylim(y - span[1] / 2 - room, y + span[1] / 2 + room)


def span_height(span: tuple[float, float], width: float, margin: float = _MARGIN) -> float:
    """Return the inches of height of a panel that holds a size and a margin."""
    room = 2 * margin * max(span)
    return float(width * np.clip((span[1] + room) / (span[0] + room), 0.4, 2.4)) + 0.16


def guess_up(exhibits: Sequence[Exhibit], asked: str | None = None) -> str:
    """Return the axis that points up in the recordings, ``"y"``, ``"-y"``, ``"z"``, ...

    That is ``asked``, if given; else the direction of the layout's spine, from its lower to its
    upper joint, in the mean over bodies and frames; for a layout without a spine the axis along
    which bodies extend as their drawing pose does, or as a body is above the ends of its left and
    right limbs. Otherwise it is y, which in images (two coordinates) points down.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import get_layout
    >>> from asgcn_dgl.viz import Exhibit
    >>> layout = get_layout("coco17")
    >>> image = np.asarray(layout.pose)[None, None] * [1, -1]  # rows of an image grow downwards
    >>> guess_up([Exhibit("still", layout, image, np.ones((1, 1, 17), dtype=bool))])
    '-y'
    """
    dims = min((exhibit.pos.shape[3] for exhibit in exhibits), default=3)
    if asked is not None:
        return check_up(asked, dims)
    total, size = np.zeros(dims), 0.0
    for exhibit in exhibits:
        height = _heights(exhibit.layout)
        part = np.isfinite(height)
        seen = exhibit.mask[:, :, part]
        pos = centered(exhibit.pos[:, :, part, :dims].astype(np.float64), seen)
        weight = centered(np.broadcast_to(height[part][:, None], (*seen.shape, 1)), seen)
        total += (weight * pos).sum(axis=(0, 1, 2))
        # At most this, if all joints lay along one axis.
        size += float((np.abs(weight) * np.linalg.norm(pos, axis=-1, keepdims=True)).sum())
    if dims == 2:
        total[0] = 0.0  # the rows of a picture are level
    axis = int(np.abs(total).argmax())
    if not abs(total[axis]) > _CLEAR * size:
        return "y" if dims == 3 else "-y"
    return ("" if total[axis] > 0 else "-") + "xyz"[axis]


def _heights(layout: SkeletonLayout) -> Floats:
    """Return the height of each joint in an upright body; NaN where it is not known."""
    heights = np.full(layout.num_joints, np.nan)
    if layout.spine is not None:
        heights[list(layout.spine)] = -1.0, 1.0
    elif layout.has_pose:
        heights = np.asarray(layout.pose)[:, 1]
    elif ends := _limb_ends(layout):
        heights[:] = 1.0
        heights[ends] = -1.0
    return heights


def _limb_ends(layout: SkeletonLayout) -> list[int]:
    """Return the outermost joints of left and right limbs, by the mirror or by names."""
    joints = layout.joints
    other = [
        name.replace("left", "right") if "left" in name else name.replace("right", "left")
        for name in joints
    ]
    named = {k for k, name in enumerate(other) if name != joints[k] and name in joints}
    pairs = set(itertools.chain(*layout.mirror)) or named
    bones = np.bincount(np.asarray(layout.bones).ravel(), minlength=layout.num_joints)
    return [joint for joint in sorted(pairs) if bones[joint] == 1]


def drawing_layout(layout: SkeletonLayout, exhibits: Sequence[Exhibit], up: str) -> SkeletonLayout:
    """Return the layout with a pose to draw it in: its own, or the mean pose of the clips."""
    own = [exhibit for exhibit in exhibits if exhibit.layout == layout]
    if layout.has_pose or not own:
        return layout
    mean = _mean_pose(own, AXES[up[-1]])
    for joint in np.flatnonzero(np.isnan(mean).any(axis=1)):  # never seen: amid its neighbors
        ends = [a + b - joint for a, b in layout.bones if joint in (a, b)]
        known = mean[ends][np.isfinite(mean[ends]).all(axis=1)]
        mean[joint] = known.mean(axis=0) if len(known) else np.nanmean(mean, axis=0)
    flat = flat_pose(layout, mean, up)
    flat = flat - flat.mean(axis=0)
    extent = float(np.ptp(flat, axis=0).max())
    return replace(layout, pose=2.0 * flat / extent) if extent > 0 else layout


def _mean_pose(exhibits: Sequence[Exhibit], up: int) -> Floats:
    """Average poses about a typical one, each turned about the vertical (in images: turned)."""
    poses, seen = [], []
    dims = min(exhibit.pos.shape[3] for exhibit in exhibits)
    for exhibit in exhibits:
        body = exhibit.leader
        frames = np.unique(np.linspace(0, exhibit.num_frames - 1, 8).round().astype(int))
        poses.append(exhibit.pos[body, frames, :, :dims].astype(np.float64))
        seen.append(exhibit.mask[body, frames])
    every, mask = np.concatenate(poses), np.concatenate(seen)
    full = mask.sum(axis=1)
    best = np.flatnonzero(full >= np.quantile(full, 0.5))
    best = best[np.unique(np.linspace(0, len(best) - 1, _MOST_POSES).round().astype(int))]
    every, mask = centered(every[best], mask[best]), mask[best]
    level = [axis for axis in range(dims) if axis != up] if dims == 3 else [0, 1]
    turned = every[..., level[0]] + 1j * every[..., level[1]]  # a turn is a product
    match = np.einsum("nv,mv->nm", turned.conj(), turned)  # turns pose n onto pose m
    turn = match / np.maximum(np.abs(match), 1e-12)
    energy = (every**2).sum(axis=(1, 2))
    cross = np.abs(match)
    if dims == 3:
        cross = cross + every[..., up] @ every[..., up].T
    distance = energy[:, None] + energy[None] - 2 * cross
    middle = int(np.median(distance, axis=0).argmin())
    near = np.argsort(distance[:, middle], kind="stable")[: max(1, len(every) // 2)]
    flat = turned[near] * turn[near, middle][:, None]
    aligned = every[near].copy()
    aligned[..., level[0]], aligned[..., level[1]] = flat.real, flat.imag
    times = mask[near].sum(axis=0)[:, None]
    return np.where(times > 0, aligned.sum(axis=0) / np.maximum(times, 1), np.nan)
