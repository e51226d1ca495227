"""Structural links of a joint by hop, and actional links by probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from asgcn_dgl.skeleton import PARTITIONS, SkeletonLayout, structural_operators
from asgcn_dgl.viz import figure
from asgcn_dgl.viz.pose import (
    Floats,
    draw_body,
    draw_ring,
    flat_pose,
    frame_alike,
    joint_names,
    missing_note,
    number_joints,
    span_height,
    spans,
)

_PARTITION_COLORS = dict(
    zip(PARTITIONS, (figure.GREEN, figure.BLUE, figure.VERMILION), strict=True)
)
_RING = figure.ring_of("root: the joint itself", _PARTITION_COLORS["root"])
_SENDERS = {
    "centripetal: from nearer to the center": _PARTITION_COLORS["centripetal"],
    "centrifugal: from farther out": _PARTITION_COLORS["centrifugal"],
}
# A panel with more links than this is a clump, as is one with more links than joints.
_MOST = 25
_ARROWS = "arrows: from sender to receiver; width: "
_PATHS = "S-links follow bones, all towards the center or all away from it"
# Points: letters of the names beside a matrix.
_SMALLEST = 4.0
# Points: the width of a link of weight or probability 0 and 1, whatever its kind.
_THINNEST, _THICKEST = 0.3, 1.8
# Inches; on narrower panels links are drawn thinner.
_WIDE = 2.0
_BEND = 0.22
_DASHED: Any = (0, (3, 1.5))
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
    page_width: float = figure.PAGE_WIDTH,
) -> Figure:
    """Draw which joints a joint hears from over its S-links, hop by hop (Fig. 3 of the paper).

    One panel for each of 1..``max_hop`` hops, as far as there are links from other joints. Links to
    ``joint`` (index or name) are colored by partition and as wide as their operator entry. The
    partition *root* holds the joint itself, *centripetal* those nearer to the skeleton's center,
    *centrifugal* those farther from it.
    """
    receiver = layout.index(joint)
    weights = _weights(layout, max_hop)[:, :, receiver]
    last = _reach(weights, receiver)
    heading = f"S-links of {joint_names(layout)[receiver]} ({layout.name})"
    sheet = Sheet(
        layout,
        [flat_pose(layout, pose, up)] * last,
        4,
        page_width,
        names,
        heading if title is None else title,
        [_hops(hop + 1) for hop in range(last)],
    )
    for hop in range(last):
        sheet.draw_hops(hop, receiver, weights[:, hop])
    note = _ARROWS + "weight"
    if last < max_hop:
        note += f"; {_PATHS}: here none is longer than {_hops(last)} of {max_hop}"
    return sheet.close([_RING, *sheet.legend(_SENDERS)], note)


def telling_joint(layout: SkeletonLayout, max_hop: int = 4) -> str:
    """Return the joint whose S-links show most: first of most partitions, then of most hops."""
    others = ~np.eye(layout.num_joints, dtype=bool)
    heard = (_weights(layout, max_hop) != 0) & others
    count = heard.sum(axis=3)
    rank = count.any(axis=1).sum(axis=0), count.any(axis=0).sum(axis=0), count.sum(axis=(0, 1))
    return layout.joints[max(range(layout.num_joints), key=lambda k: [each[k] for each in rank])]


def _hops(number: int) -> str:
    return f"{number} hop{'s' if number > 1 else ''}"


def _weights(layout: SkeletonLayout, max_hop: int) -> Floats:
    """Return the entries of the S-links' operators: (partition, hop, receiver, sender)."""
    operators = structural_operators(layout, max_hop)
    hops = range(1, max_hop + 1)
    return np.array([[operators[f"{p}_{hop}"].toarray() for hop in hops] for p in PARTITIONS])


def _reach(weights: Floats, receiver: int) -> int:
    """Return the hops of a joint's longest S-links from others, at least 1."""
    filled = np.delete(weights != 0, receiver, axis=2).any(axis=(0, 2))
    return int(np.flatnonzero(filled).max(initial=0)) + 1


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
    page_width: float = figure.PAGE_WIDTH,
) -> Figure:
    """Draw the neighbors of a joint three times: over bones, S-links, A-links (Fig. 3).

    ``max_hop`` is that of the model. Where S-links are no longer than bones, both are one panel.

    ``prob`` is as for :func:`draw_actional_links`, ``threshold`` and ``fallback`` as for
    :func:`draw_class_links`.
    """
    receiver = layout.index(joint)
    matrix = _check_prob(layout, prob).sum(axis=0, keepdims=True)
    weights = _weights(layout, max_hop)[:, :, receiver]
    last = _reach(weights, receiver)
    passes = threshold is not None and matrix[:, receiver].max() > threshold
    rule = f"p > {threshold:g}" if passes else f"the {fallback} strongest"
    if not passes and fallback >= layout.num_joints - 1:
        rule = "all"
    # Spaces that do not break, so that a title on two lines keeps its equation together.
    reach = f"up to {_hops(last)}" if last > 1 else _hops(last)
    reach, rule = (text.replace(" ", "\xa0") for text in (reach, rule))
    titles = ["(a) skeleton", f"(b) S-links, {reach}", f"(c) A-links, {rule}"]
    if last == 1:
        titles[:2] = [f"(a), (b) skeleton = S-links, {reach}"]
    heading = f"Links to the {joint_names(layout)[receiver]}" if title is None else title
    points = [flat_pose(layout, pose, up)] * len(titles)
    sheet = Sheet(layout, points, 3, page_width, names, heading, titles, noted=True, widest=1.9)
    sheet.draw_hops(0, receiver, weights[:, 0])
    if last > 1:
        sheet.draw_hops(1, receiver, weights.max(axis=1))
    sheet.draw_actional(len(titles) - 1, matrix, receiver, threshold, fallback, _MOST)
    note = _ARROWS + "weight or probability"
    if last < max_hop:
        note += f"; {_PATHS}: here up to {_hops(last)} of {max_hop}"
    if threshold is not None and not passes:
        note += f"; dashed: probability ≤ {threshold:g}"
    return sheet.close([_RING, *sheet.legend(_SENDERS | {"A-link": figure.INK})], note)


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
    page_width: float = figure.PAGE_WIDTH,
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
    matrices = [_check_prob(layout, prob) for prob in probs.values()]
    receiver = None if joint is None else layout.index(joint)
    points = [flat_pose(layout, (poses or {}).get(name), up) for name in probs]
    rule = _rule(matrices, threshold, strongest, fallback)
    sheet = Sheet(
        layout,
        points,
        columns,
        page_width,
        names,
        rule if title is None else title,
        list(probs),
        noted=True,
        narrowest=0.82,
        widest=2.3,
    )
    most = min(layout.num_joints, _MOST) if most is None else most
    drawn = strongest if threshold is None else most
    notes = [
        sheet.draw_actional(place, prob, receiver, threshold, fallback, drawn)
        for place, prob in enumerate(matrices)
    ]
    types = max(map(len, matrices))
    note = "" if title is None else f"{rule}; "
    note += _ARROWS + ("probability" if types == 1 else "probability of all types together")
    if any(" of " in text for text in notes):
        note += f"; where there are more than {most}, the strongest are drawn"
    if types == 1:
        return sheet.close([], note)
    lines = sheet.legend({f"type {n + 1}": _type_color(n) for n in range(types)})
    return sheet.close(lines, note + "; color: the most probable type")


def _rule(
    matrices: Sequence[Floats], threshold: float | None, strongest: int, fallback: int
) -> str:
    """Return which A-links are drawn."""
    if threshold is None:
        return f"{strongest} strongest A-links"
    passes = [matrix.sum(axis=0).max() > threshold for matrix in matrices]
    if not any(passes):
        return f"{fallback} strongest A-links, none of a probability > {threshold:g}"
    rest = "" if all(passes) else f"; dashed: the {fallback} strongest where there are none"
    return f"A-links of probability > {threshold:g}{rest}"


class Sheet:
    """Panels with a body each, on which links are drawn, and the legend below them."""

    def __init__(
        self,
        layout: SkeletonLayout,
        points: Sequence[Floats],
        columns: int,
        page_width: float,
        names: bool,
        heading: str,
        titles: Sequence[str] = (),
        *,
        noted: bool = False,
        narrowest: float = 0.8,
        widest: float = 2.2,
    ) -> None:
        self.layout, self.points, self.names = layout, points, names
        width, height = spans(points)
        # Links bend to the side: those along the body beside it, those across it above and below.
        span = width + 2 * _ROOM * height, height + 2 * _ROOM * width
        if names:  # room for the joints' numbers, more on a flat body
            needed = (0.5 + 0.06 * layout.num_joints) * np.clip(span[0] / span[1], 1, 2)
            narrowest = max(narrowest, min(float(needed), widest))
        count = len(points)
        shape = figure.panel_grid(count, page_width, columns, narrowest=narrowest, widest=widest)
        rows, width = range(0, count, shape.columns), shape.width
        above = [figure.text_height(titles[k : k + shape.columns], width) for k in rows]
        high = span_height(span, width - 0.04, 0.0) - 0.04 + float(np.mean(above))
        if noted:
            high += figure.LINE_HEIGHT * len(figure.small_lines("dashed: ≤ 0.89", width))
        if names and shape.columns == 1:
            shape = shape._replace(width=max(width, 3.0))
        self.width = shape.width
        least = min(figure.COLUMN_WIDTH, page_width)
        self.fig, self.axes = figure.panels(count, shape, high, title=heading, least=least)
        for axis, place in zip(self.axes, points, strict=True):
            draw_body(axis, layout, place, color=figure.PALE, linewidth=1.2)
            frame_alike(axis, place, span, 0.0)
        for axis, title in zip(self.axes, titles, strict=False):
            figure.panel_title(axis, title, width)

    def draw_hops(self, place: int, receiver: int, weights: Floats) -> None:
        """Draw S-links to a joint, of weights (partition, sender), colored by partition."""
        axis, points = self.axes[place], self.points[place]
        for row, color in zip(weights, _PARTITION_COLORS.values(), strict=True):
            for sender in np.flatnonzero(row):
                if sender == receiver:
                    draw_ring(axis, points[receiver], color)
                    continue
                x, y = points[sender]
                _draw_arc(axis, points[sender], points[receiver], row[sender], color)
                axis.scatter(x, y, s=18, color=color, zorder=4, linewidths=0, clip_on=False)

    def legend(self, colors: Mapping[str, str]) -> list[Line2D]:
        """Return the handles of a legend of those colors in which links were drawn."""
        drawn = {to_hex(arc.get_edgecolor()) for axis in self.axes for arc in axis.patches}
        return figure.legend_of(
            {name: (color, 2.0) for name, color in colors.items() if to_hex(color) in drawn}
        )

    def draw_actional(
        self,
        place: int,
        matrix: Floats,
        receiver: int | None,
        threshold: float | None,
        fallback: int,
        most: int,
    ) -> str:
        """Draw A-links, all or to a joint, with a note below them if needed; return it."""
        axis, points = self.axes[place], self.points[place]
        if receiver is not None:
            matrix = np.where(np.arange(len(points))[:, None] == receiver, matrix, 0.0)
            draw_ring(axis, points[receiver], _PARTITION_COLORS["root"])
        scale = min(1.0, self.width / _WIDE)
        note = draw_links(axis, points, matrix, threshold, fallback, most, scale)
        if note:
            figure.panel_text(axis, -0.01, "\n".join(figure.small_lines(note, self.width)))
        return note

    def close(self, handles: Sequence[Line2D], note: str = "") -> Figure:
        """Write the legend, notes, and the joints' names and numbers, clear of what is drawn."""
        named = enumerate(joint_names(self.layout)) if self.names else ()
        names = "   ".join(f"{k} {name}".replace(" ", "\xa0") for k, name in named)
        figure.write_legend(self.fig, handles, names, note, missing_note(*self.points))
        if self.names:
            self.fig.draw_without_rendering()  # now the place of everything is known
            for axis, points in zip(self.axes, self.points, strict=True):
                unit = 72 / self.fig.dpi * abs(axis.transData.get_matrix()[0, 0])
                arcs = [arc.get_path() for arc in axis.patches if isinstance(arc, FancyArrowPatch)]
                curves = [arc.to_polygons(closed_only=False) for arc in arcs]
                lines = [np.asarray(line) for curve in curves for line in curve]
                number_joints(axis, self.layout, points, unit, lines)
        return self.fig


def draw_link_matrices(
    layout: SkeletonLayout,
    prob: npt.ArrayLike,
    *,
    title: str | None = None,
    page_width: float = figure.PAGE_WIDTH,
) -> Figure:
    """Draw the probabilities (C, V, V) of A-links as matrices, for each type and for all together.

    ``prob[c, i, j]`` is that from joint j to i: rows receive, columns send. Joints are sorted by
    part. Links of M bodies together are (C, M V, M V).
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
    shape = figure.panel_grid(len(shown), room, 4, narrowest=needed, widest=max(needed, 2.2))
    columns = shape.columns
    size = min(figure.SMALL_SIZE, 70 * shape.width / lines)
    every = int(np.ceil(_SMALLEST / size))  # of too many names, some are written
    joints = layout.num_joints
    marks = 0.0 if bodies == 1 else 0.15
    fig, axes = figure.panels(len(shown), shape, shape.width + 0.2 + marks, title=title or "")
    under = (0.15 + side * size / figure.SMALL_SIZE) * (2 if len(shown) % columns else 1)
    fig.set_size_inches(columns * shape.width + side + 0.35, fig.get_figheight() + under + 0.5)
    fig.get_layout_engine().set(w_pad=0.04, h_pad=0.04)  # type: ignore[union-attr, call-arg]
    top = _round_up(float(matrix.sum(axis=0).max()))
    for number, (axis, values, label) in enumerate(zip(axes, shown, labels, strict=True)):
        axis.set_axis_on()
        image = axis.imshow(values[np.ix_(order, order)], cmap="Blues", vmin=0, vmax=top)
        parts = [(bound, 0.4) for bound in (bounds[1:-1] if layout.parts else ())]
        for bound, width in [*parts, *((k, 1.2) for k in range(joints, len(order), joints))]:
            axis.axhline(bound - 0.5, color=figure.INK, linewidth=width)
            axis.axvline(bound - 0.5, color=figure.INK, linewidth=width)
        first, last = number % columns == 0, number + columns >= len(shown)
        if bodies > 1:
            _name_bodies(axis.secondary_xaxis("top"), bodies, joints)
            if (number + 1) % columns == 0 or number + 1 == len(shown):
                _name_bodies(axis.secondary_yaxis("right"), bodies, joints)
        below, beside = (names[::every] if outer else [] for outer in (last, first))
        axis.set_xticks(middles[::every], below, rotation=90, fontsize=size)
        axis.set_yticks(middles[::every], beside, fontsize=size)
        axis.tick_params(length=0, colors=figure.INK)
        axis.set_title(label, **figure.LABEL)
        if last:
            axis.set_xlabel("sender", **figure.SMALL)
        if first:
            axis.set_ylabel("receiver", **figure.SMALL)
    bar = fig.colorbar(image, ax=axes, location="bottom", shrink=0.5, pad=0.02, aspect=18)
    bar.set_ticks([0, top / 2, top], labels=[f"{value:g}" for value in (0, top / 2, top)])
    bar.ax.tick_params(labelsize=figure.SMALL_SIZE)
    bar.set_label("probability of a link", **figure.SMALL)
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
    axis.tick_params(length=0, labelsize=figure.SMALL_SIZE, colors=figure.INK)
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
    np.fill_diagonal(total, 0.0)
    chosen, note, style = _above(total, threshold or 0.0), "", "-"
    if not len(chosen):
        chosen, most, style = _above(total, 0.0), fallback, _DASHED
        note = f"dashed: ≤ {total.max():.2f}"
    elif threshold is not None and len(chosen) > most:
        note = f"{most} of {len(chosen)} links, {len(total) * (len(total) - 1)} pairs"
    chosen = chosen[max(0, len(chosen) - most) :]
    chosen = chosen[np.isfinite(points[chosen]).all(axis=(1, 2))]
    for (i, j), bend in zip(chosen, _bends(points, chosen), strict=True):
        color = _type_color(int(matrix[:, i, j].argmax())) if len(matrix) > 1 else figure.INK
        _draw_arc(axis, points[j], points[i], total[i, j], color, style, scale, bend)
    return note


def _above(prob: Floats, floor: float) -> npt.NDArray[np.int64]:
    """Return (receiver, sender) of links above a probability, (n, 2), the strongest last."""
    pairs = np.argwhere(prob > floor)
    return pairs[np.argsort(prob[tuple(pairs.T)], kind="stable")]


def _bends(points: Floats, pairs: npt.NDArray[np.int64]) -> Floats:
    """Return how far links bend: those to one joint part, the longer ones farther out."""
    receiver, sender = pairs.T
    length = np.linalg.norm(points[receiver] - points[sender], axis=1)
    bend = np.full(len(length), _BEND)
    for joint in np.unique(receiver):
        own = receiver == joint
        if own.sum() > 1:
            rank = np.searchsorted(np.sort(length[own]), length[own])
            bend[own] = np.linspace(0.14, 0.32, own.sum())[rank]
    return bend


def _type_color(number: int) -> str:
    return figure.TYPE_COLORS[number % len(figure.TYPE_COLORS)]


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


def _draw_arc(
    axis: Axes,
    start: Floats,
    end: Floats,
    strength: float,
    color: str,
    style: Any = "-",
    scale: float = 1.0,
    bend: float = _BEND,
) -> None:
    """Draw one link, beside the straight line so that bones and the way back stay visible."""
    width = scale * (_THINNEST + (_THICKEST - _THINNEST) * float(strength))
    arc: Any = partial(_bend, bend)
    axis.add_patch(
        FancyArrowPatch(
            tuple(start), tuple(end), arrowstyle="-|>", mutation_scale=2 + 2 * scale + width,
            shrinkA=2, shrinkB=4, connectionstyle=arc, linestyle=style, linewidth=width,
            color=color, alpha=0.8, zorder=3, clip_on=False,
        )
    )  # fmt: skip


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
