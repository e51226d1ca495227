"""Structural links of a joint by hop, and actional links by probability."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from asgcn_dgl.skeleton import PARTITIONS, SkeletonLayout, structural_operators
from asgcn_dgl.viz.figure import BLUE, GREEN, INK, PALE, VERMILION, panels
from asgcn_dgl.viz.pose import Floats, draw_body, flat_pose, frame

_PARTITION_COLORS = dict(zip(PARTITIONS, (GREEN, BLUE, VERMILION), strict=True))
_THINNEST, _THICKEST = 0.6, 3.6


def draw_structural_links(
    layout: SkeletonLayout,
    joint: int | str,
    max_hop: int = 4,
    *,
    pose: npt.ArrayLike | None = None,
    title: str | None = None,
    up: str = "y",
) -> Figure:
    """Draw which joints a joint hears from over its S-links, hop by hop (Fig. 3 of the paper).

    Parameters
    ----------
    layout
        Skeleton of V joints.
    joint
        The receiving joint, by index or name.
    max_hop
        L, the largest hop.
    pose
        (V, 2) or (V, 3) positions; None: the layout's own drawing pose.
    title
        Title; None: the joint and the layout.
    up
        The axis that points up in a three-dimensional pose.

    Returns
    -------
    Figure
        One panel a hop, links coloured by partition and as wide as their operator entry.

    Raises
    ------
    ValueError
        If there is no such joint, or the pose does not fit the layout.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import get_layout
    >>> draw_structural_links(get_layout("ntu25"), "left_elbow", max_hop=2)
    <Figure size ...>
    """
    receiver = layout.index(joint)
    points = flat_pose(layout, pose, up)
    operators = structural_operators(layout, max_hop)
    name = layout.joints[receiver]
    heading = f"S-links of {name} ({layout.name})" if title is None else title
    fig, axes = panels(max_hop, width=2.6, height=4.0, columns=4, title=heading)
    for hop, axis in enumerate(axes, start=1):
        draw_body(axis, layout, points, color=PALE, linewidth=1.4)
        for partition in PARTITIONS:
            row = operators[f"{partition}_{hop}"][[receiver], :].toarray()[0]
            _draw_row(axis, points, receiver, row, _PARTITION_COLORS[partition])
        frame(axis, points, margin=0.12)
        axis.set_title(f"l = {hop}", fontsize=9, color=INK)
    handles = [
        Line2D([], [], color=color, linewidth=2.5, label=partition)
        for partition, color in _PARTITION_COLORS.items()
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return fig


def draw_actional_links(
    layout: SkeletonLayout,
    prob: npt.ArrayLike,
    *,
    joint: int | str | None = None,
    threshold: float | None = 0.9,
    strongest: int = 20,
    pose: npt.ArrayLike | None = None,
    title: str | None = None,
    up: str = "y",
) -> Figure:
    """Draw A-links on a body, as wide as they are probable.

    Each link is an arc that bends to the left of its way from sender to receiver.

    Parameters
    ----------
    layout
        Skeleton of V joints.
    prob
        (V, V) probability of a link, ``prob[i, j]`` of that from joint j to joint i; the diagonal
        is not looked at. For all types together that is one minus the ghost's probability.
    joint
        Draw the links to this joint only, by index or name; None: all links.
    threshold
        Draw the links with a higher probability than this; None: the ``strongest`` ones.
    strongest
        How many links to draw where there is no threshold.
    pose
        (V, 2) or (V, 3) positions; None: the layout's own drawing pose.
    title
        Title; None: what was chosen.
    up
        The axis that points up in a three-dimensional pose.

    Returns
    -------
    Figure
        One panel.

    Raises
    ------
    ValueError
        If the shapes do not fit, a probability is not in 0..1 or there is no such joint.

    Examples
    --------
    >>> import numpy as np
    >>> from asgcn_dgl.skeleton import get_layout
    >>> draw_actional_links(get_layout("hand21"), np.full((21, 21), 0.2), threshold=None)
    <Figure size ...>
    """
    heading = _rule(threshold, strongest) if title is None else title
    return draw_class_links(
        layout,
        {heading: prob},
        joint=joint,
        threshold=threshold,
        strongest=strongest,
        poses=None if pose is None else {heading: pose},
        title="",
        up=up,
    )


def draw_class_links(
    layout: SkeletonLayout,
    probs: Mapping[str, npt.ArrayLike],
    *,
    joint: int | str | None = None,
    threshold: float | None = 0.9,
    strongest: int = 20,
    poses: Mapping[str, npt.ArrayLike] | None = None,
    columns: int = 5,
    title: str | None = None,
    up: str = "y",
) -> Figure:
    """Draw the A-links of several actions side by side (Fig. 8 of the paper).

    Parameters
    ----------
    layout
        Skeleton of V joints.
    probs
        (V, V) link probabilities of each action, by its name; see :func:`draw_actional_links`.
    joint
        Draw the links to this joint only; None: all links.
    threshold
        Draw the links with a higher probability than this; None: the ``strongest`` ones of each.
    strongest
        How many links to draw where there is no threshold.
    poses
        (V, 2) or (V, 3) positions for some or all of the actions; the others are drawn in the
        layout's own pose.
    columns
        Panels in a row.
    title
        Title; None: what was chosen.
    up
        The axis that points up in three-dimensional poses.

    Returns
    -------
    Figure
        One panel an action; where no link is drawn, the panel says how strong the strongest is.

    Raises
    ------
    ValueError
        If there is no action, the shapes do not fit, a probability is not in 0..1 or there is no
        such joint.
    """
    if not probs:
        raise ValueError("probs must hold at least one action, got none")
    matrices = {name: _check_prob(layout, prob) for name, prob in probs.items()}
    receiver = None if joint is None else layout.index(joint)
    # Widths tell the drawn links apart: from the threshold, thinnest, to certainty, thickest.
    floor = 0.0 if threshold is None else min(threshold, 1 - 1e-9)
    heading = _rule(threshold, strongest) if title is None else title
    fig, axes = panels(len(probs), width=2.9, height=4.2, columns=columns, title=heading)
    for axis, (name, prob) in zip(axes, matrices.items(), strict=True):
        points = flat_pose(layout, (poses or {}).get(name), up)
        draw_body(axis, layout, points, color=PALE, linewidth=1.4)
        if receiver is not None:
            only = np.zeros_like(prob)
            only[receiver] = prob[receiver]
            prob = only
        chosen = _choose(prob, threshold, strongest)
        for i, j in chosen:
            strength = (prob[i, j] - floor) / (1 - floor)
            _draw_arc(axis, points[j], points[i], strength, BLUE, alpha=0.75)
        frame(axis, points, margin=0.15)
        axis.set_title(name, fontsize=10, color=INK)
        if not chosen:
            axis.text(
                0.5, 0.01, f"no such link; the strongest: {prob.max():.2f}", ha="center",
                transform=axis.transAxes, fontsize=8, color=INK,
            )  # fmt: skip
    return fig


def _rule(threshold: float | None, strongest: int) -> str:
    if threshold is None:
        return f"the {strongest} most probable A-links"
    return f"A-links of probability > {threshold:g}"


def _check_prob(layout: SkeletonLayout, prob: npt.ArrayLike) -> Floats:
    """Check a matrix of probabilities and clear its diagonal."""
    matrix = np.array(prob, dtype=np.float64)
    size = layout.num_joints
    if matrix.shape != (size, size):
        raise ValueError(
            f"prob must have shape ({size}, {size}) for layout {layout.name!r}, got {matrix.shape}"
        )
    np.fill_diagonal(matrix, 0.0)
    # Sums of float32 softmaxes may pass one by a rounding error.
    if not (matrix.min() >= -1e-6 and matrix.max() <= 1 + 1e-6):
        raise ValueError(f"prob must lie in 0..1, got {matrix.min():g} to {matrix.max():g}")
    return matrix.clip(0.0, 1.0)


def _choose(prob: Floats, threshold: float | None, strongest: int) -> list[tuple[int, int]]:
    """Pick (receiver, sender) pairs, the strongest last so that they lie on top."""
    order = np.argsort(prob, axis=None, kind="stable")
    if threshold is None:
        order = order[-strongest:] if strongest > 0 else order[:0]
    pairs = [divmod(int(place), len(prob)) for place in order]
    floor = 0.0 if threshold is None else threshold
    return [(i, j) for i, j in pairs if i != j and prob[i, j] > floor]


def _draw_row(axis: Axes, points: Floats, receiver: int, row: Floats, color: str) -> None:
    """Draw one row of an operator: an arc from each sender, a ring for the joint's own entry."""
    for sender in np.flatnonzero(row):
        x, y = points[sender]
        if sender == receiver:
            axis.scatter(x, y, s=90, facecolors="none", edgecolors=color, linewidths=2, zorder=4)
        else:
            _draw_arc(axis, points[sender], points[receiver], row[sender], color, head=True)
            axis.scatter(x, y, s=28, color=color, zorder=4, linewidths=0)


def _draw_arc(
    axis: Axes,
    start: Floats,
    end: Floats,
    strength: float,
    color: str,
    *,
    alpha: float = 0.9,
    head: bool = False,
) -> None:
    """Draw one link, beside the straight line so that bones and the way back stay visible."""
    axis.add_patch(
        FancyArrowPatch(
            (start[0], start[1]),
            (end[0], end[1]),
            arrowstyle="-|>" if head else "-",
            mutation_scale=9,
            shrinkA=2,
            shrinkB=4 if head else 2,
            connectionstyle="arc3,rad=0.22",
            linewidth=_THINNEST + (_THICKEST - _THINNEST) * float(strength),
            color=color,
            alpha=alpha,
            zorder=3,
        )
    )
