"""Feature responses as circles on the skeleton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.viz.figure import (
    GREY,
    INK,
    LABEL_SIZE,
    LINE_HEIGHT,
    PAGE_WIDTH,
    PINK,
    panel_title,
    text_height,
    title_lines,
    write_legend,
    write_title,
)
from asgcn_dgl.viz.pose import (
    CENTERED,
    draw_body,
    flat_pose,
    frame_alike,
    missing_note,
    span_height,
    spans,
)

# Diameter of the largest circle, as a share of the panel's width.
_LARGEST = 0.2


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
    page_width: float = PAGE_WIDTH,
) -> Figure:
    """Draw feature responses on bodies: a circle a joint, its area the magnitude (Fig. 9).

    ``rows`` holds the bodies of each row by its heading. A note says what the circles are.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import get_layout
    >>> draw_responses(get_layout("coco17"), {"": [Response("wave", None, np.ones(17))]})
    <Figure size ...>
    """
    if not rows or not all(len(row) for row in rows.values()):
        raise ValueError("rows must hold at least one body each, got none")
    columns = max(len(row) for row in rows.values())
    points = {
        name: [flat_pose(layout, item.pose, up) for item in row] for name, row in rows.items()
    }
    values = {name: [_check(layout, item) for item in row] for name, row in rows.items()}
    width = min(page_width / columns, 1.5)
    span = {name: spans(row) for name, row in points.items()}
    # What the largest circle needs beside a joint, as a share of the larger extent.
    room = {name: max(0.13 * size[0], 0.05 * size[1]) / max(size) for name, size in span.items()}
    headings = {
        name: [text for part in name.split("\n") for text in title_lines(part, width * columns)]
        for name in rows
    }
    heights = [
        span_height(span[name], width, room[name])
        + text_height((item.title for item in row), width)
        + (0.08 + LINE_HEIGHT * len(headings[name]) if name else 0.0)
        for name, row in rows.items()
    ]
    lines = title_lines(title, width * columns)
    extra = 0.15 * len(lines) + 0.08 if title else 0.0
    fig = Figure(figsize=(width * columns, sum(heights) + extra), layout="constrained")
    write_title(fig, title, width * columns)
    missing = missing_note(*(place for row in points.values() for place in row))
    write_legend(fig, (), _sizes(rows), missing)
    parts = fig.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (name, row) in zip(parts, rows.items(), strict=True):
        if name:
            text = "\n".join(headings[name])
            part.suptitle(text, fontsize=LABEL_SIZE, color=INK, x=0.01, ha="left")
        axes = part.subplots(1, columns, squeeze=False)[0]
        largest = max((float(value.max()) for value in values[name]), default=0.0)
        for axis in axes:
            axis.set_axis_off()
            axis.set_aspect("equal")
        for axis, item, place, value in zip(axes, row, points[name], values[name], strict=False):
            top = largest if item.scale is None else item.scale
            share = value / top if top > 0 else np.zeros_like(value)
            draw_body(axis, layout, place, color=GREY, linewidth=1.1)
            seen = np.isfinite(place).all(axis=-1)
            axis.scatter(
                place[seen, 0],
                place[seen, 1],
                s=share[seen] * (_LARGEST * width * 72) ** 2,
                facecolors=to_rgba(PINK, 0.28),
                edgecolors=PINK,
                linewidths=0.5,
                zorder=3,
                clip_on=False,
            )
            frame_alike(axis, place, span[name], room[name])
            panel_title(axis, item.title, width)
    return fig


def _sizes(rows: Mapping[str, Sequence[Response]]) -> str:
    """Return what the size of a circle means, and between which bodies it can be compared."""
    alike = [len({item.scale for item in row}) == 1 for row in rows.values()]
    kinds = ["one scale" if same else "one scale per body" for same in alike]
    if len(rows) > 1:
        kinds = [f"{kind} in row {number}" for number, kind in enumerate(kinds, start=1)]
    return f"circle area: magnitude of the joint's features; {', '.join(kinds)}; {CENTERED}"


def _check(layout: SkeletonLayout, item: Response) -> npt.NDArray[np.float64]:
    value = np.asarray(item.response, dtype=np.float64)
    if value.shape != (layout.num_joints,):
        raise ValueError(
            f"response must have shape ({layout.num_joints},) for layout {layout.name!r}, "
            f"got {value.shape}"
        )
    if not (value >= 0).all():
        raise ValueError(f"response must not be negative, got {np.nanmin(value):g}")
    return value
