"""Orientation of bodies: which axis points up, and a pose of the data to draw links on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.viz.pose import AXES, Floats, centered, check_up, flat_pose

if TYPE_CHECKING:
    from asgcn_dgl.viz.exhibit import Exhibit

# Share of the bodies' extent that has to lie along an axis before it counts as their upright.
_CLEAR = 0.1
# Poses that a typical one is taken from.
_MOST_POSES = 60


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
