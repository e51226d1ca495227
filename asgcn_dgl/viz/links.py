"""Structural links of a joint by hop, and actional links by probability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from asgcn_dgl.skeleton import PARTITIONS, SkeletonLayout, structural_operators
from asgcn_dgl.viz.figure import (
    BLUE,
    COLUMN_WIDTH,
    GREEN,
    INK,
    LABEL_SIZE,
    LINE_HEIGHT,
    PAGE_WIDTH,
    PALE,
    SMALL_SIZE,
    TYPE_COLORS,
    VERMILION,
    legend_of,
    panel_grid,
    panel_title,
    panels,
    ring_of,
    small_lines,
    text_height,
    write_legend,
)
from asgcn_dgl.viz.pose import (
    Floats,
    draw_body,
    flat_pose,
    frame_alike,
    joint_names,
    missing_note,
    number_joints,
    span_height,
    spans,
)

_PARTITION_COLORS = dict(zip(PARTITIONS, (GREEN, BLUE, VERMILION), strict=True))
_RING = ring_of("root: the joint itself", _PARTITION_COLORS["root"])
_SENDERS = {
    "centripetal: from nearer to the center": _PARTITION_COLORS["centripetal"],
    "centrifugal: from farther out": _PARTITION_COLORS["centrifugal"],
}
# A panel with more links than this is a clump, as is one with more links than joints.
_MOST = 25
_ARROWS = "arrows: from sender to receiver; width: "
_PATHS = "S-links follow bones, all towards the center or all away from it"
_ACTIONAL = INK
# Points: letters of the names beside a matrix.
_SMALLEST = 4.0
# Points: the width of a link of weight or probability 0 and 1, whatever its kind.
_THINNEST, _THICKEST = 0.3, 1.8
# Inches; on narrower panels links are drawn thinner.
_WIDE = 2.0
# Room beside a body as a share of its height, and above it as one of its width: links bend out.
_ROOM = 0.12


def draw_structural_links(
    layout: SkeletonLayout,
    joint: int | str,
    max_hop: int = 4,
    *,
    pose: npt.ArrayLike | None = None,
    names: bool = False,
    title: str | None = None,
    up: str = "y",
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw which joints a joint hears from over its S-links, hop by hop (Fig. 3 of the paper).

    One panel for each of 1..``max_hop`` hops, as far as there are links from other joints. Links to
    ``joint`` (index or name) are colored by partition and as wide as their operator entry. The
    partition *root* holds the joint itself, *centripetal* those nearer to the skeleton's center,
    *centrifugal* those farther from it.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import get_layout
    >>> draw_structural_links(get_layout("ntu25"), "left_elbow", max_hop=2)
    <Figure size ...>
    """
    receiver = layout.index(joint)
    operators = structural_operators(layout, max_hop)
    last = _reach(layout, operators, receiver)
    sheet = Sheet(layout, [flat_pose(layout, pose, up)] * last, 4, page_width, names)
    heading = f"S-links of {joint_names(layout)[receiver]} ({layout.name})"
    heading = heading if title is None else title
    hops = range(1, last + 1)
    sheet.open(heading, [_hops(hop) for hop in hops])
    for hop in hops:
        sheet.draw_hops(hop - 1, receiver, operators, [hop])
    note = _ARROWS + "weight"
    if last < max_hop:
        note += f"; {_PATHS}: here none is longer than {_hops(last)} of {max_hop}"
    return sheet.close([_RING, *sheet.legend(_SENDERS)], note)


def telling_joint(layout: SkeletonLayout, max_hop: int = 4) -> str:
    """Return the joint whose S-links show most: first of most partitions, then of most hops.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import get_layout
    >>> telling_joint(get_layout("coco17"))
    'left_shoulder'
    """
    heard = _heard(layout, structural_operators(layout, max_hop)).sum(axis=3)
    rank = heard.any(axis=1).sum(axis=0), heard.any(axis=0).sum(axis=0), heard.sum(axis=(0, 1))
    return layout.joints[max(range(layout.num_joints), key=lambda k: [each[k] for each in rank])]


def _hops(number: int) -> str:
    return f"{number} hop{'s' if number > 1 else ''}"


def _reach(layout: SkeletonLayout, operators: Mapping[str, Any], receiver: int) -> int:
    """Return the hops of the longest S-links to a joint, at least 1."""
    filled = _heard(layout, operators)[:, :, receiver].any(axis=(0, 2))
    return int(np.flatnonzero(filled).max(initial=0)) + 1


def _heard(layout: SkeletonLayout, operators: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Return which others a joint hears: (partition, hop, receiver, sender)."""
    hops = len(operators) // len(PARTITIONS)
    found = [
        [operators[f"{kind}_{hop}"].toarray() != 0 for hop in range(1, hops + 1)]
        for kind in PARTITIONS
    ]
    return np.asarray(found) & ~np.eye(layout.num_joints, dtype=bool)


def draw_link_kinds(
    layout: SkeletonLayout,
    joint: int | str,
    prob: npt.ArrayLike,
    max_hop: int = 4,
    *,
    threshold: float | None = 0.9,
    fallback: int = 10,
    pose: npt.ArrayLike | None = None,
    names: bool = False,
    title: str | None = None,
    up: str = "y",
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw the neighbors of a joint three times: over bones, S-links, A-links (Fig. 3).

    ``max_hop`` is that of the model. Where S-links are no longer than bones, both are one panel.

    ``prob`` is as for :func:`draw_actional_links`, ``threshold`` and ``fallback`` as for
    :func:`draw_class_links`.

    Examples
    --------
    >>> import numpy as np
    >>> from asgcn_dgl.skeleton import get_layout
    >>> draw_link_kinds(get_layout("ntu25"), "left_hand", np.full((25, 25), 0.3))
    <Figure size ...>
    """
    receiver = layout.index(joint)
    matrix = _check_prob(layout, prob).sum(axis=0, keepdims=True)
    operators = structural_operators(layout, max_hop)
    last = _reach(layout, operators, receiver)
    longer = last > 1
    count = 3 if longer else 2
    sheet = Sheet(layout, [flat_pose(layout, pose, up)] * count, 3, page_width, names, widest=1.9)
    passes = threshold is not None and matrix[:, receiver].max() > threshold
    rule = f"p > {threshold:g}" if passes else f"the {fallback} strongest"
    if not passes and fallback >= layout.num_joints - 1:
        rule = "all"
    # Spaces that do not break, so that a title on two lines keeps its equation together.
    reach = f"up to {_hops(last)}" if longer else _hops(last)
    reach, rule = (text.replace(" ", "\xa0") for text in (reach, rule))
    bones = [f"(a), (b) skeleton = S-links, {reach}"]
    if longer:
        bones = ["(a) skeleton", f"(b) S-links, {reach}"]
    sheet.open(
        f"Links to the {joint_names(layout)[receiver]}" if title is None else title,
        [*bones, f"(c) A-links, {rule}"],
        sheet.note_height(),
    )
    sheet.draw_hops(0, receiver, operators, [1])
    if longer:
        sheet.draw_hops(1, receiver, operators, range(1, max_hop + 1))
    sheet.draw_actional(count - 1, matrix, _Chosen(receiver, threshold, fallback, _MOST))
    note = _ARROWS + "weight or probability"
    if last < max_hop:
        note += f"; {_PATHS}: here up to {_hops(last)} of {max_hop}"
    if threshold is not None and not passes:
        note += f"; dashed: probability ≤ {threshold:g}"
    return sheet.close([_RING, *sheet.legend(_SENDERS | {"A-link": _ACTIONAL})], note)


def draw_actional_links(
    layout: SkeletonLayout,
    prob: npt.ArrayLike,
    *,
    title: str | None = None,
    pose: npt.ArrayLike | None = None,
    threshold: float | None = 0.9,
    strongest: int = 20,
    **options: Any,
) -> Figure:
    """Draw A-links on a body, as wide as they are probable.

    ``prob[i, j]``, (V, V), is the probability of the link from joint j to joint i (for all types
    together: one minus the ghost's), or ``prob`` is (C, V, V), of each type: a link is then colored
    by its most probable type. The diagonal is ignored. Links are arrows from sender to receiver
    that bend to the left. Options as for :func:`draw_class_links`.

    Examples
    --------
    >>> import numpy as np
    >>> from asgcn_dgl.skeleton import get_layout
    >>> draw_actional_links(get_layout("hand21"), np.full((21, 21), 0.2), threshold=None)
    <Figure size ...>
    """
    options |= {"threshold": threshold, "strongest": strongest, "title": title}
    return draw_class_links(layout, {"": prob}, poses={"": pose}, **options)


def draw_class_links(
    layout: SkeletonLayout,
    probs: Mapping[str, npt.ArrayLike],
    *,
    joint: int | str | None = None,
    threshold: float | None = 0.9,
    strongest: int = 20,
    fallback: int = 10,
    most: int | None = None,
    poses: Mapping[str, npt.ArrayLike | None] | None = None,
    columns: int = 5,
    names: bool = False,
    title: str | None = None,
    up: str = "y",
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw the A-links of several actions side by side (Fig. 8 of the paper).

    Parameters
    ----------
    probs
        Probabilities of each action by name, see :func:`draw_actional_links`.
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
        None: as many as there are joints, or 25 of a larger body.
    poses
        Poses for some or all of the actions.
    columns
        Panels in a row, at most.
    title
        None: which links are drawn. Under another title a note says so.
    """
    if not probs:
        raise ValueError("probs must hold at least one action, got none")
    matrices = {name: _check_prob(layout, prob) for name, prob in probs.items()}
    receiver = None if joint is None else layout.index(joint)
    points = [flat_pose(layout, (poses or {}).get(name), up) for name in matrices]
    sheet = Sheet(layout, points, columns, page_width, names, narrowest=0.82, widest=2.3)
    rule = link_rule(matrices.values(), threshold, strongest, fallback)
    sheet.open(rule if title is None else title, list(probs), sheet.note_height())
    most = min(layout.num_joints, _MOST) if most is None else most
    chosen = _Chosen(receiver, threshold, fallback, strongest if threshold is None else most)
    notes = [
        sheet.draw_actional(place, prob, chosen) for place, prob in enumerate(matrices.values())
    ]
    types = max(len(prob) for prob in matrices.values())
    note = _ARROWS + ("probability" if types == 1 else "probability of all types together")
    if title is not None:
        note = f"{rule}; {note}"
    if any(" of " in text for text in notes):
        note += f"; where there are more than {most}, the strongest are drawn"
    if types == 1:
        return sheet.close([], note)
    lines = sheet.legend({f"type {n + 1}": _type_color(n) for n in range(types)})
    return sheet.close(lines, note + "; color: the most probable type")


class _Chosen(NamedTuple):
    """Which A-links a panel shows; see :func:`draw_class_links`."""

    receiver: int | None
    threshold: float | None
    fallback: int
    most: int


class Sheet:
    """Panels with a body each, on which links are drawn, and the legend below them."""

    def __init__(
        self,
        layout: SkeletonLayout,
        points: list[Floats],
        columns: int,
        page_width: float,
        names: bool,
        narrowest: float = 0.8,
        widest: float = 2.2,
    ) -> None:
        self.layout, self.points, self.names = layout, points, names
        self.page_width = page_width
        width, height = spans(points)
        # Links bend to the side: those along the body beside it, those across it above and below.
        self.span = width + 2 * _ROOM * height, height + 2 * _ROOM * width
        if names:  # room for the joints' numbers, more on a flat body
            needed = (0.5 + 0.06 * layout.num_joints) * np.clip(self.span[0] / self.span[1], 1, 2)
            narrowest = max(narrowest, min(float(needed), widest))
        self.shape = panel_grid(
            len(points), page_width, columns, narrowest=narrowest, widest=widest
        )

    def note_height(self) -> float:
        """Return the inches that a note below a panel takes."""
        return LINE_HEIGHT * len(small_lines("dashed: ≤ 0.89", self.shape.width))

    def open(self, heading: str, titles: Iterable[str] = (), more: float = 0.0) -> None:
        """Make the panels, with their titles."""
        titles, width = list(titles), self.shape.width
        rows = range(0, len(self.points), self.shape.columns)
        above = [text_height(titles[k : k + self.shape.columns], width) for k in rows]
        height = span_height(self.span, width - 0.04, 0.0) - 0.04 + float(np.mean(above)) + more
        if self.names and self.shape.columns == 1:
            self.shape = self.shape._replace(width=max(width, 3.0))
        least = min(COLUMN_WIDTH, self.page_width)
        self.fig, self.axes = panels(len(self.points), self.shape, height, title=heading,
                                     least=least)  # fmt: skip
        for axis, points in zip(self.axes, self.points, strict=True):
            draw_body(axis, self.layout, points, color=PALE, linewidth=1.2)
            frame_alike(axis, points, self.span, 0.0)
        for axis, title in zip(self.axes, titles, strict=False):
            panel_title(axis, title, width)

    def draw_hops(
        self, place: int, receiver: int, operators: Mapping[str, Any], hops: Iterable[int]
    ) -> None:
        """Draw a joint's S-links of some hops, colored by partition."""
        axis, points = self.axes[place], self.points[place]
        hops = list(hops)
        for partition in PARTITIONS:
            rows = [operators[f"{partition}_{hop}"][[receiver], :].toarray()[0] for hop in hops]
            row, color = np.max(rows, axis=0), _PARTITION_COLORS[partition]
            for sender in np.flatnonzero(row):
                x, y = points[sender]
                if sender == receiver:
                    _ring(axis, points[receiver], color, 60)
                    continue
                _draw_arc(axis, points[sender], points[receiver], row[sender], color)
                axis.scatter(x, y, s=18, color=color, zorder=4, linewidths=0, clip_on=False)

    def legend(self, colors: Mapping[str, str]) -> list[Line2D]:
        """Return the handles of a legend of those colors in which links were drawn."""
        drawn = {to_hex(arc.get_edgecolor()) for axis in self.axes for arc in axis.patches}
        return legend_of(
            {name: (color, 2.0) for name, color in colors.items() if to_hex(color) in drawn}
        )

    def draw_actional(self, place: int, matrix: Floats, chosen: _Chosen) -> str:
        """Draw A-links, with a note below them if needed; return it."""
        axis, points, width = self.axes[place], self.points[place], self.shape.width
        receiver = chosen.receiver
        if receiver is not None:
            only = np.zeros_like(matrix)
            only[:, receiver] = matrix[:, receiver]
            matrix = only
            _ring(axis, points[receiver], _PARTITION_COLORS["root"], 60)
        note = draw_links(axis, points, matrix, *chosen[1:], scale=min(1.0, width / _WIDE))
        if note:  # set_axis_off hides axis labels, so this is a text
            axis.text(
                0.5, -0.01, "\n".join(small_lines(note, width)), ha="center", va="top",
                transform=axis.transAxes, fontsize=SMALL_SIZE, color=INK,
            )  # fmt: skip
        return note

    def close(self, handles: Sequence[Line2D], note: str = "") -> Figure:
        """Write the legend, the joints' names and notes."""
        named = [
            f"{k} {name}".replace(" ", "\xa0") for k, name in enumerate(joint_names(self.layout))
        ]
        names = "   ".join(named) if self.names else ""
        write_legend(self.fig, handles, names, note, missing_note(*self.points))
        if self.names:
            self.number()
        return self.fig

    def number(self) -> None:
        """Write the joints' numbers, clear of what is drawn."""
        self.fig.draw_without_rendering()  # now the place of everything is known
        for axis, points in zip(self.axes, self.points, strict=True):
            unit = 72 / self.fig.dpi * abs(axis.transData.get_matrix()[0, 0])
            arcs = [arc.get_path() for arc in axis.patches if isinstance(arc, FancyArrowPatch)]
            lines = [
                np.asarray(line) for arc in arcs for line in arc.to_polygons(closed_only=False)
            ]
            number_joints(axis, self.layout, points, unit, lines)


def draw_link_matrices(
    layout: SkeletonLayout,
    prob: npt.ArrayLike,
    *,
    title: str | None = None,
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw the probabilities (C, V, V) of A-links as matrices, for each type and for all together.

    ``prob[c, i, j]`` is that from joint j to i: rows receive, columns send. Joints are sorted by
    part. Links of M bodies together are (C, M V, M V).

    Examples
    --------
    >>> import numpy as np
    >>> from asgcn_dgl.skeleton import get_layout
    >>> draw_link_matrices(get_layout("coco17"), np.full((2, 17, 17), 0.3))
    <Figure size ...>
    """
    bodies = max(1, np.shape(prob)[-1] // layout.num_joints) if np.ndim(prob) else 1
    matrix = _check_prob(layout, prob, bodies)
    order, bounds, names = _by_part(layout, bodies)
    shown = [matrix.sum(axis=0), *matrix] if len(matrix) > 1 else [matrix[0]]
    labels = [f"type {number}" for number in range(1, len(matrix) + 1)]
    labels = ["all types together", *labels] if len(matrix) > 1 else ["A-links"]
    side = 0.06 * max(map(len, names))  # inches of the longest name
    # As many in a row as leave each name a line, but two also where the letters must be smaller.
    room = page_width - 0.35 - side
    middles = [(low + high - 1) / 2 for low, high in pairwise(bounds)]
    lines = len(order) / min((b - a for a, b in pairwise(middles)), default=1.0)
    needed = min(max(1.0, 0.085 * lines), room / min(2, len(shown)))
    shape = panel_grid(len(shown), room, 4, narrowest=needed, widest=max(needed, 2.2))
    columns = shape.columns
    size = min(SMALL_SIZE, 70 * shape.width / lines)
    every = int(np.ceil(_SMALLEST / size))  # of too many names, some are written
    joints = layout.num_joints
    marks = 0.0 if bodies == 1 else 0.15
    fig, axes = panels(len(shown), shape, shape.width + 0.2 + marks, title=title or "")
    below = (0.15 + side * size / SMALL_SIZE) * (2 if len(shown) % columns else 1)
    fig.set_size_inches(columns * shape.width + side + 0.35, fig.get_figheight() + below + 0.5)
    fig.get_layout_engine().set(w_pad=0.04, h_pad=0.04)  # type: ignore[union-attr, call-arg]
    top = _round_up(float(matrix.sum(axis=0).max()))
    for number, (axis, values, label) in enumerate(zip(axes, shown, labels, strict=True)):
        axis.set_axis_on()
        image = axis.imshow(values[np.ix_(order, order)], cmap="Blues", vmin=0, vmax=top)
        for bound in bounds[1:-1] if layout.parts else ():
            axis.axhline(bound - 0.5, color=INK, linewidth=0.4)
            axis.axvline(bound - 0.5, color=INK, linewidth=0.4)
        for bound in range(joints, len(order), joints):
            axis.axhline(bound - 0.5, color=INK, linewidth=1.2)
            axis.axvline(bound - 0.5, color=INK, linewidth=1.2)
        first, last = number % columns == 0, number + columns >= len(shown)
        if bodies > 1:
            _name_bodies(axis.secondary_xaxis("top"), bodies, joints)
            if (number + 1) % columns == 0 or number + 1 == len(shown):
                _name_bodies(axis.secondary_yaxis("right"), bodies, joints)
        axis.set_xticks(
            middles[::every], names[::every] if last else [], rotation=90, fontsize=size
        )
        axis.set_yticks(middles[::every], names[::every] if first else [], fontsize=size)
        axis.tick_params(length=0, colors=INK)
        axis.set_title(label, fontsize=LABEL_SIZE, color=INK)
        if last:
            axis.set_xlabel("sender", fontsize=SMALL_SIZE, color=INK)
        if first:
            axis.set_ylabel("receiver", fontsize=SMALL_SIZE, color=INK)
    bar = fig.colorbar(image, ax=axes, location="bottom", shrink=0.5, pad=0.02, aspect=18)
    bar.set_ticks([0, top / 2, top], labels=[f"{value:g}" for value in (0, top / 2, top)])
    bar.ax.tick_params(labelsize=SMALL_SIZE)
    bar.set_label("probability of a link", fontsize=SMALL_SIZE, color=INK)
    fig.draw_without_rendering()  # matrices keep their aspect: the layout takes two passes
    return fig


def _round_up(value: float) -> float:
    """Return the next number of one digit."""
    if value <= 0:
        return 1.0
    digit = 10.0 ** np.floor(np.log10(value))
    return float(np.ceil(value / digit - 1e-3) * digit)


def _name_bodies(axis: Any, bodies: int, joints: int) -> None:
    """Write the numbers of the bodies along an axis of a matrix, on the side without names."""
    middles = [(body + 0.5) * joints - 0.5 for body in range(bodies)]
    names = [f"body {body + 1}" for body in range(bodies)]
    axis.set_ticks(middles, names)
    axis.tick_params(length=0, labelsize=SMALL_SIZE, colors=INK)
    for label in axis.get_yticklabels():
        label.set(rotation=270, va="center")


def _by_part(layout: SkeletonLayout, bodies: int) -> tuple[list[int], list[int], list[str]]:
    """Order the joints of each body by part; also return the parts' bounds and names."""
    count = layout.num_joints
    placed: list[tuple[str, Sequence[int]]] = list(layout.parts.items())
    if not placed:
        placed = [(name, [joint]) for joint, name in enumerate(layout.joints)]
    rest = sorted(set(range(count)) - {j for _, joints in placed for j in joints})
    placed += [("other", rest)] if rest else []
    order: list[int] = []
    for _, joints in placed:
        order += [joint for joint in joints if joint not in order]
    order = [body * count + joint for body in range(bodies) for joint in order]
    bounds = np.cumsum([0, *(len(joints) for _, joints in placed * bodies)]).tolist()
    return order, bounds, [part.replace("_", " ") for part, _ in placed * bodies]


def draw_links(
    axis: Axes,
    points: Floats,
    matrix: Floats,
    threshold: float | None,
    fallback: int,
    most: int,
    scale: float = 1.0,
) -> str:
    """Draw (C, V, V) A-links between (V, 2) points; return a note about them, or ''.

    Lines are ``scale`` times as wide as on a large panel.
    """
    total = matrix.sum(axis=0).clip(0.0, 1.0)
    chosen = _choose(total, threshold, most if threshold is None else total.size)
    note = ""
    style: Any = "-"
    if not chosen:
        chosen = _choose(total, None, fallback)
        style = (0, (3, 1.5))
        note = f"dashed: ≤ {total.max():.2f}"
    elif len(chosen) > most:
        every = len(total) * (len(total) - 1)
        note = f"{most} of {len(chosen)} links, {every} pairs"
        chosen = chosen[-most:]
    chosen = [(i, j) for i, j in chosen if np.isfinite(points[[i, j]]).all()]
    for i, j in chosen:
        # Links to one joint part before they reach it, the longer ones farther out.
        length = np.linalg.norm(points - points[i], axis=1)
        others = sorted(length[k] for receiver, k in chosen if receiver == i)
        bend = np.linspace(0.14, 0.32, len(others))[others.index(length[j])]
        kind = int(matrix[:, i, j].argmax()) if len(matrix) > 1 else None
        color = _ACTIONAL if kind is None else _type_color(kind)
        _draw_arc(
            axis, points[j], points[i], total[i, j], color, style=style, scale=scale,
            bend=0.22 if len(others) == 1 else float(bend),
        )  # fmt: skip
    return note


def _type_color(number: int) -> str:
    return TYPE_COLORS[number % len(TYPE_COLORS)]


def link_rule(
    probs: Iterable[npt.ArrayLike],
    threshold: float | None,
    strongest: int = 20,
    fallback: int = 10,
) -> str:
    """Return which A-links of (C, V, V) or (V, V) are drawn, as :func:`draw_class_links` does.

    Examples
    --------
    >>> link_rule([np.full((3, 3), 0.2)], 0.9)
    '10 strongest A-links, none of a probability > 0.9'
    """
    if threshold is None:
        return f"{strongest} strongest A-links"
    kinds = [np.asarray(prob).reshape(-1, *np.shape(prob)[-2:]) for prob in probs]
    sums = [each.sum(axis=0) for each in kinds]
    passes = [bool((total > threshold)[~np.eye(len(total), dtype=bool)].any()) for total in sums]
    if not any(passes):
        return f"{fallback} strongest A-links, none of a probability > {threshold:g}"
    rest = "" if all(passes) else f"; dashed: the {fallback} strongest where there are none"
    return f"A-links of probability > {threshold:g}{rest}"


def _check_prob(layout: SkeletonLayout, prob: npt.ArrayLike, bodies: int = 1) -> Floats:
    """Check probabilities, bring them to (C, M V, M V) and clear their diagonals."""
    matrix = np.array(prob, dtype=np.float64)
    size = layout.num_joints * bodies
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


def _ring(axis: Axes, point: Floats, color: str, size: float) -> None:
    """Draw a ring around a joint."""
    axis.scatter(
        point[0], point[1], s=size, facecolors="none", edgecolors=color, linewidths=1.2, zorder=4,
        clip_on=False,
    )  # fmt: skip


def _draw_arc(
    axis: Axes,
    start: Floats,
    end: Floats,
    strength: float,
    color: str,
    *,
    style: Any = "-",
    scale: float = 1.0,
    bend: float = 0.22,
) -> None:
    """Draw one link, beside the straight line so that bones and the way back stay visible."""
    width = scale * (_THINNEST + (_THICKEST - _THINNEST) * float(strength))
    axis.add_patch(
        FancyArrowPatch(
            (start[0], start[1]),
            (end[0], end[1]),
            arrowstyle="-|>",
            mutation_scale=2 + 2 * scale + width,
            shrinkA=2,
            shrinkB=4,
            connectionstyle=partial(_bend, bend),  # type: ignore[arg-type]
            linestyle=style,
            linewidth=width,
            color=color,
            alpha=0.8,
            zorder=3,
            clip_on=False,
        )
    )


def _bend(
    bend: float, start: Floats, end: Floats, *, shrinkA: float = 0.0, shrinkB: float = 0.0, **_: Any
) -> Path:
    """Return an arc to the left, in points so dense that it looks smooth, short of its ends."""
    start, end = np.asarray(start), np.asarray(end)
    along = end - start
    middle = (start + end) / 2 + bend * along[::-1] * [1, -1]
    way = np.linspace(0, 1, 65)[:, None]
    arc = (1 - way) ** 2 * start + 2 * way * (1 - way) * middle + way**2 * end
    far = (np.linalg.norm(arc - start, axis=1) >= shrinkA) & (
        np.linalg.norm(arc - end, axis=1) >= shrinkB
    )
    return Path(arc[far] if far.sum() > 1 else arc[[0, -1]])
