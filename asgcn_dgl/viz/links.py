"""Structural links of a joint by hop, and actional links by probability."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from asgcn_dgl.skeleton import PARTITIONS, SkeletonLayout, structural_operators
from asgcn_dgl.viz.figure import (
    BLUE,
    GREEN,
    INK,
    LABEL_SIZE,
    PAGE_WIDTH,
    PALE,
    PURPLE,
    SMALL_SIZE,
    TITLE_SIZE,
    TYPE_COLORS,
    VERMILION,
    grid,
    panel_title,
    panels,
    text_height,
    title_lines,
)
from asgcn_dgl.viz.pose import (
    Floats,
    draw_body,
    flat_pose,
    frame,
    frame_alike,
    panel_height,
    span_height,
    spans,
)

_PARTITION_COLORS = dict(zip(PARTITIONS, (GREEN, BLUE, VERMILION), strict=True))
_ACTIONAL = PURPLE
_THINNEST, _THICKEST = 0.5, 2.4
# Inches; on narrower panels links are drawn thinner.
_WIDE = 2.0


def draw_structural_links(
    layout: SkeletonLayout,
    joint: int | str,
    max_hop: int = 4,
    *,
    pose: npt.ArrayLike | None = None,
    title: str | None = None,
    up: str = "y",
    page_width: float = PAGE_WIDTH,
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
    page_width
        Inches that a row of panels may take.

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
    name = layout.joints[receiver]
    heading = f"S-links of {name} ({layout.name})" if title is None else title
    shape = grid(max_hop, page_width, 4)
    height = panel_height(points, None, shape.width)
    fig, axes = panels(max_hop, shape, height, title=heading)
    operators = structural_operators(layout, max_hop)
    for hop, axis in enumerate(axes, start=1):
        _draw_hops(axis, layout, points, receiver, operators, [hop])
        axis.set_title(f"l = {hop}", fontsize=LABEL_SIZE, color=INK)
    _partition_legend(fig)
    return fig


def draw_link_kinds(
    layout: SkeletonLayout,
    joint: int | str,
    prob: npt.ArrayLike,
    max_hop: int = 4,
    *,
    threshold: float | None = 0.9,
    fallback: int = 10,
    pose: npt.ArrayLike | None = None,
    title: str | None = None,
    up: str = "y",
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw the neighbours of a joint three times: over bones, S-links, A-links (Fig. 3).

    Parameters
    ----------
    layout
        Skeleton of V joints.
    joint
        The receiving joint, by index or name.
    prob
        (V, V) or (C, V, V) probabilities of A-links, see :func:`draw_actional_links`.
    max_hop
        L, the largest hop of the S-links.
    threshold, fallback
        As for :func:`draw_class_links`.
    pose
        (V, 2) or (V, 3) positions; None: the layout's own drawing pose.
    title
        Title; None: the joint.
    up
        The axis that points up in a three-dimensional pose.
    page_width
        Inches that a row of panels may take.

    Returns
    -------
    Figure
        Three panels.

    Raises
    ------
    ValueError
        If there is no such joint, the shapes do not fit or a probability is not in 0..1.

    Examples
    --------
    >>> import numpy as np
    >>> from asgcn_dgl.skeleton import get_layout
    >>> draw_link_kinds(get_layout("ntu25"), "left_hand", np.full((25, 25), 0.3))
    <Figure size ...>
    """
    receiver = layout.index(joint)
    points = flat_pose(layout, pose, up)
    matrix = _check_prob(layout, prob).sum(axis=0, keepdims=True)
    name = layout.joints[receiver].replace("_", " ")
    shape = grid(3, page_width, widest=1.9)
    rule = "strongest" if threshold is None else f"p > {threshold:g}"
    # Spaces that do not break, so that a title on two lines keeps its equation together.
    hops, rule = (text.replace(" ", "\xa0") for text in (f"l = 1 to {max_hop}", rule))
    titles = ("(a) skeleton", f"(b) S-links, {hops}", f"(c) A-links, {rule}")
    height = panel_height(points, None, shape.width) + text_height(titles, shape.width)
    heading = f"links of {name}" if title is None else title
    fig, axes = panels(3, shape, height, title=heading)
    for axis, text in zip(axes, titles, strict=True):
        panel_title(axis, text, shape.width)
    operators = structural_operators(layout, max_hop)
    _draw_hops(axes[0], layout, points, receiver, operators, [1])
    _draw_hops(axes[1], layout, points, receiver, operators, range(1, max_hop + 1))
    chosen = _Chosen(receiver, threshold, fallback, 25)
    _draw_panel(axes[2], layout, points, matrix, chosen, shape.width)
    frame(axes[2], points, margin=0.1)
    _partition_legend(fig, {"A-link": _ACTIONAL})
    return fig


def _draw_hops(
    axis: Axes,
    layout: SkeletonLayout,
    points: Floats,
    receiver: int,
    operators: Mapping[str, Any],
    hops: Iterable[int],
) -> None:
    """Draw a joint's S-links of some hops, coloured by partition."""
    draw_body(axis, layout, points, color=PALE, linewidth=1.2)
    for partition in PARTITIONS:
        row = np.zeros(layout.num_joints)
        for hop in hops:
            row = np.maximum(row, operators[f"{partition}_{hop}"][[receiver], :].toarray()[0])
        _draw_row(axis, points, receiver, row, _PARTITION_COLORS[partition])
    frame(axis, points, margin=0.1)


def _partition_legend(fig: Figure, more: Mapping[str, str] | None = None) -> None:
    _legend(fig, {**_PARTITION_COLORS, **(more or {})})


def _legend(fig: Figure, colors: Mapping[str, str]) -> None:
    fig.legend(
        handles=[Line2D([], [], color=c, linewidth=2, label=name) for name, c in colors.items()],
        loc="outside lower center",
        ncols=len(colors),
        frameon=False,
        fontsize=SMALL_SIZE,
        handlelength=1.2,
        columnspacing=1.0,
    )


def draw_actional_links(
    layout: SkeletonLayout,
    prob: npt.ArrayLike,
    *,
    joint: int | str | None = None,
    threshold: float | None = 0.9,
    strongest: int = 20,
    fallback: int = 10,
    pose: npt.ArrayLike | None = None,
    title: str | None = None,
    up: str = "y",
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw A-links on a body, as wide as they are probable.

    Each link is an arc that bends to the left of its way from sender to receiver.

    Parameters
    ----------
    layout
        Skeleton of V joints.
    prob
        (V, V) probability of a link, ``prob[i, j]`` of that from joint j to joint i; the diagonal
        is not looked at. For all types together that is one minus the ghost's probability. Or
        (C, V, V), of each type of link: a link is then coloured by its most probable type.
    joint
        Draw the links to this joint only, by index or name; None: all links.
    threshold
        Draw the links with a higher probability than this; None: the ``strongest`` ones.
    strongest
        How many links to draw where there is no threshold.
    fallback
        How many of the strongest links to draw, dashed, where none passes the threshold.
    pose
        (V, 2) or (V, 3) positions; None: the layout's own drawing pose.
    title
        Title; None: what was chosen.
    up
        The axis that points up in a three-dimensional pose.
    page_width
        Inches that a row of panels may take.

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
        fallback=fallback,
        poses=None if pose is None else {heading: pose},
        title="",
        up=up,
        page_width=page_width,
    )


def draw_class_links(
    layout: SkeletonLayout,
    probs: Mapping[str, npt.ArrayLike],
    *,
    joint: int | str | None = None,
    threshold: float | None = 0.9,
    strongest: int = 20,
    fallback: int = 10,
    most: int = 25,
    poses: Mapping[str, npt.ArrayLike | None] | None = None,
    columns: int = 5,
    title: str | None = None,
    up: str = "y",
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw the A-links of several actions side by side (Fig. 8 of the paper).

    Parameters
    ----------
    layout
        Skeleton of V joints.
    probs
        (V, V) or (C, V, V) link probabilities of each action, by its name; see
        :func:`draw_actional_links`.
    joint
        Draw the links to this joint only; None: all links.
    threshold
        Draw the links with a higher probability than this; None: the ``strongest`` ones of each.
    strongest
        How many links to draw where there is no threshold.
    fallback
        How many of the strongest links to draw, dashed, where none passes the threshold; the panel
        says so.
    most
        Links of a panel at most; where more pass, the strongest are drawn and the panel says so.
    poses
        (V, 2) or (V, 3) positions for some or all of the actions; the others are drawn in the
        layout's own pose.
    columns
        Panels in a row, at most.
    title
        Title; None: what was chosen.
    up
        The axis that points up in three-dimensional poses.
    page_width
        Inches that a row of panels may take.

    Returns
    -------
    Figure
        One panel an action, with a note where the drawn links are not those of the threshold.

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
    heading = _rule(threshold, strongest) if title is None else title
    points = {name: flat_pose(layout, (poses or {}).get(name), up) for name in matrices}
    shape = grid(len(probs), page_width, columns, narrowest=1.05, widest=2.3)
    span = spans(list(points.values()))
    notes = text_height(["the 25 strongest of 250"], _note_width(shape.width))
    height = span_height(span, shape.width) + text_height(probs, shape.width) + notes
    fig, axes = panels(len(probs), shape, height, title=heading)
    amount = most if threshold is not None else strongest
    chosen = _Chosen(receiver, threshold, fallback, amount)
    for axis, (name, prob) in zip(axes, matrices.items(), strict=True):
        _draw_panel(axis, layout, points[name], prob, chosen, shape.width)
        frame_alike(axis, points[name], span)
        panel_title(axis, name, shape.width)
    types = max(len(prob) for prob in matrices.values())
    if types > 1:
        _legend(fig, {f"type {n + 1}": _type_color(n) for n in range(types)})
    return fig


def draw_link_matrices(
    layout: SkeletonLayout,
    prob: npt.ArrayLike,
    *,
    title: str | None = None,
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw the probabilities of A-links as matrices, one for each type and one for all.

    Parameters
    ----------
    layout
        Skeleton of V joints.
    prob
        (C, V, V) probability of each type of link, ``prob[c, i, j]`` of that from joint j to i.
    title
        Title; None: none.
    page_width
        Inches that a row of panels may take.

    Returns
    -------
    Figure
        A panel a type and, for several types, one for their sum; rows receive, columns send. Joints
        stand by body part.

    Raises
    ------
    ValueError
        If the shapes do not fit or a probability is not in 0..1.

    Examples
    --------
    >>> import numpy as np
    >>> from asgcn_dgl.skeleton import get_layout
    >>> draw_link_matrices(get_layout("coco17"), np.full((2, 17, 17), 0.3))
    <Figure size ...>
    """
    matrix = _check_prob(layout, prob)
    order, bounds, names = _by_part(layout)
    shown = [matrix.sum(axis=0), *matrix] if len(matrix) > 1 else [matrix[0]]
    labels = [f"type {number}" for number in range(1, len(matrix) + 1)]
    labels = ["any type", *labels] if len(matrix) > 1 else ["A-links"]
    shape = grid(len(shown), page_width - 0.7, 4, narrowest=1.25)  # beside it stands the bar
    columns = shape.columns
    fig, axes = panels(len(shown), shape, shape.width + 0.75, title=title or "")
    fig.set_figwidth(columns * shape.width + 0.7)
    top = max(float(matrix.sum(axis=0).max()), 1e-6)
    for number, (axis, values, label) in enumerate(zip(axes, shown, labels, strict=True)):
        axis.set_axis_on()
        image = axis.imshow(values[np.ix_(order, order)], cmap="Blues", vmin=0, vmax=top)
        for bound in bounds[1:-1]:
            axis.axhline(bound - 0.5, color=INK, linewidth=0.4)
            axis.axvline(bound - 0.5, color=INK, linewidth=0.4)
        middles = [(low + high - 1) / 2 for low, high in itertools.pairwise(bounds)]
        axis.set_xticks(middles, names, rotation=90, fontsize=SMALL_SIZE)
        first = number % columns == 0
        axis.set_yticks(middles, names if first else [], fontsize=SMALL_SIZE)
        axis.tick_params(length=0, colors=INK)
        axis.set_title(label, fontsize=LABEL_SIZE, color=INK)
        axis.set_xlabel("sender", fontsize=SMALL_SIZE, color=INK)
        if first:
            axis.set_ylabel("receiver", fontsize=SMALL_SIZE, color=INK)
    bar = fig.colorbar(image, ax=axes, shrink=0.7, pad=0.02, aspect=25)
    bar.ax.tick_params(labelsize=SMALL_SIZE)
    bar.set_label("probability", fontsize=SMALL_SIZE, color=INK)
    return fig


def _by_part(layout: SkeletonLayout) -> tuple[list[int], list[int], list[str]]:
    """Order the joints by body part; also give the parts' bounds and names."""
    if not layout.parts:
        count = layout.num_joints
        return list(range(count)), list(range(count + 1)), list(layout.joints)
    placed = [(part, list(joints)) for part, joints in layout.parts.items()]
    rest = sorted(set(range(layout.num_joints)) - {j for _, joints in placed for j in joints})
    placed += [("other", rest)] if rest else []
    order: list[int] = []
    for _, joints in placed:
        order += [joint for joint in joints if joint not in order]
    bounds = np.cumsum([0, *(len(joints) for _, joints in placed)]).tolist()
    return order, bounds, [part.replace("_", " ") for part, _ in placed]


class _Chosen(NamedTuple):
    """Which A-links a panel shows; see :func:`draw_class_links`."""

    receiver: int | None
    threshold: float | None
    fallback: int
    most: int


def _draw_panel(
    axis: Axes,
    layout: SkeletonLayout,
    points: Floats,
    matrix: Floats,
    chosen: _Chosen,
    width: float,
) -> None:
    """Draw a body with A-links on a panel of some width in inches, and what to say about them."""
    draw_body(axis, layout, points, color=PALE, linewidth=1.2)
    receiver = chosen.receiver
    if receiver is not None:
        only = np.zeros_like(matrix)
        only[:, receiver] = matrix[:, receiver]
        matrix = only
        x, y = points[receiver]
        axis.scatter(x, y, s=40, facecolors="none", edgecolors=INK, linewidths=1, zorder=4)
    rule = (chosen.threshold, chosen.fallback, chosen.most)
    note = draw_links(axis, points, matrix, *rule, scale=min(1.0, width / _WIDE))
    _note(axis, "\n".join(title_lines(note, _note_width(width))))


def _note_width(width: float) -> float:
    """Inches of a title as long as the small text that fits a panel of some width."""
    return width * TITLE_SIZE / SMALL_SIZE


def draw_links(
    axis: Axes,
    points: Floats,
    matrix: Floats,
    threshold: float | None,
    fallback: int,
    most: int,
    scale: float = 1.0,
) -> str:
    """Draw (C, V, V) A-links between (V, 2) points; return what has to be said about them.

    Lines are ``scale`` times as wide as on a large panel.
    """
    total = matrix.sum(axis=0).clip(0.0, 1.0)
    chosen = _choose(total, threshold, most if threshold is None else total.size)
    note = ""
    style: Any = "-"
    # Widths tell the drawn links apart: from the threshold, thinnest, to certainty, thickest.
    floor = 0.0 if threshold is None else min(threshold, 1 - 1e-9)
    if not chosen:
        chosen = _choose(total, None, fallback)
        style, floor = (0, (3, 1.5)), 0.0
        note = f"none passes; the strongest: {total.max():.2f}"
    elif len(chosen) > most:
        note = f"the {most} strongest of {len(chosen)}"
        chosen = chosen[-most:]
    for i, j in chosen:
        if not np.isfinite(points[[i, j]]).all():
            continue
        kind = int(matrix[:, i, j].argmax()) if len(matrix) > 1 else None
        strength = (total[i, j] - floor) / (1 - floor)
        color = _ACTIONAL if kind is None else _type_color(kind)
        _draw_arc(axis, points[j], points[i], strength, color, 0.75, style=style, scale=scale)
    return note


def _type_color(number: int) -> str:
    return TYPE_COLORS[number % len(TYPE_COLORS)]


def _note(axis: Axes, text: str) -> None:
    """Say something under a panel; set_axis_off hides axis labels, so this is a text."""
    if text:
        axis.text(
            0.5, -0.01, text, ha="center", va="top", transform=axis.transAxes,
            fontsize=SMALL_SIZE, color=INK,
        )  # fmt: skip


def _rule(threshold: float | None, strongest: int) -> str:
    if threshold is None:
        return f"the {strongest} most probable A-links"
    return f"A-links of probability > {threshold:g}"


def _check_prob(layout: SkeletonLayout, prob: npt.ArrayLike) -> Floats:
    """Check probabilities, bring them to (C, V, V) and clear their diagonals."""
    matrix = np.array(prob, dtype=np.float64)
    size = layout.num_joints
    if matrix.ndim not in (2, 3) or matrix.shape[-2:] != (size, size) or not matrix.size:
        raise ValueError(
            f"prob must have shape ({size}, {size}) or (types, {size}, {size}) for layout "
            f"{layout.name!r}, got {matrix.shape}"
        )
    matrix = matrix.reshape(-1, size, size)
    matrix[:, np.eye(size, dtype=bool)] = 0.0
    # Sums of float32 softmaxes may pass one by a rounding error.
    if not (matrix.min() >= -1e-6 and matrix.sum(axis=0).max() <= 1 + 1e-5):
        raise ValueError(
            f"prob must lie in 0..1, summed over types too, got {matrix.min():g} to "
            f"{matrix.sum(axis=0).max():g}"
        )
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
            axis.scatter(x, y, s=60, facecolors="none", edgecolors=color, linewidths=1.5, zorder=4)
        else:
            _draw_arc(axis, points[sender], points[receiver], 0.5 * row[sender], color, head=True)
            axis.scatter(x, y, s=18, color=color, zorder=4, linewidths=0)


def _draw_arc(
    axis: Axes,
    start: Floats,
    end: Floats,
    strength: float,
    color: str,
    alpha: float = 0.9,
    *,
    head: bool = False,
    style: Any = "-",
    scale: float = 1.0,
) -> None:
    """Draw one link, beside the straight line so that bones and the way back stay visible."""
    axis.add_patch(
        FancyArrowPatch(
            (start[0], start[1]),
            (end[0], end[1]),
            arrowstyle="-|>" if head else "-",
            mutation_scale=5,
            shrinkA=2,
            shrinkB=4 if head else 2,
            connectionstyle="arc3,rad=0.22",
            linestyle=style,
            linewidth=scale * (_THINNEST + (_THICKEST - _THINNEST) * float(strength)),
            color=color,
            alpha=alpha,
            zorder=3,
        )
    )
