"""Figures of skeletons, links, feature responses, predictions, confusions and curves.

Every ``draw_...`` function takes arrays and gives a ``matplotlib.figure.Figure``; none opens a
window or touches matplotlib's global state. :func:`save_figure` writes it, :func:`animate` writes a
clip in motion, :func:`write_page` an HTML page of many. ValueError says what does not fit.

They share: ``layout``, the skeleton of V joints; ``pose`` (V, 2) or (V, 3), by default the layout's
drawing pose; ``mask``, True where a joint was seen (default: all); ``names``, number the joints and
list their names; ``title``; ``up``, the axis that points up in a recorded pose; ``page_width``, the
inches that a row of panels may take.
"""

from __future__ import annotations

try:
    import matplotlib as _matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError("drawing needs matplotlib: pip install 'asgcn_dgl[viz]'") from error

from asgcn_dgl.viz.animation import animate
from asgcn_dgl.viz.charts import draw_class_accuracy, draw_curves, draw_errors
from asgcn_dgl.viz.confusion import draw_confusion
from asgcn_dgl.viz.exhibit import Exhibit
from asgcn_dgl.viz.figure import save_figure
from asgcn_dgl.viz.links import (
    draw_actional_links,
    draw_class_links,
    draw_link_kinds,
    draw_link_matrices,
    draw_structural_links,
)
from asgcn_dgl.viz.page import Page, Row, write_page
from asgcn_dgl.viz.pose import project
from asgcn_dgl.viz.responses import Response, draw_responses
from asgcn_dgl.viz.skeleton import draw_prediction, draw_skeleton, draw_strip
from asgcn_dgl.viz.stance import drawing_layout, guess_up

__all__ = [
    "Exhibit",
    "Page",
    "Response",
    "Row",
    "animate",
    "draw_actional_links",
    "draw_class_accuracy",
    "draw_class_links",
    "draw_confusion",
    "draw_curves",
    "draw_errors",
    "draw_link_kinds",
    "draw_link_matrices",
    "draw_prediction",
    "draw_responses",
    "draw_skeleton",
    "draw_strip",
    "draw_structural_links",
    "drawing_layout",
    "guess_up",
    "project",
    "save_figure",
    "write_page",
]
