"""Figures of skeletons, links, feature responses, predictions, confusions and curves.

Every ``draw_...`` function takes arrays and gives a ``matplotlib.figure.Figure``; none opens a
window or touches matplotlib's global state. :func:`save_figure` writes it, :func:`animate` writes a
clip in motion, :func:`write_page` an HTML page of many. ValueError says what does not fit.

They share: ``layout``, the skeleton of V joints; ``pose`` (V, 2) or (V, 3), by default the layout's
drawing pose; ``mask``, True where a joint was seen (default: all); ``names``, number the joints and
list their names; ``title``; ``up``, the axis that points up in a recorded pose; ``page_width``, the
inches that a row of panels may take.

Examples
--------
>>> import numpy as np
>>> from asgcn_dgl.skeleton import get_layout
>>> layout, prob = get_layout("coco17"), np.full((17, 17), 0.3)
>>> fig = draw_skeleton(layout, names=True)
>>> fig = draw_structural_links(layout, "left_elbow", max_hop=2)
>>> fig = draw_link_kinds(layout, "left_wrist", prob)
>>> fig = draw_actional_links(layout, prob, threshold=None)
>>> fig = draw_link_matrices(layout, np.stack([prob, prob]))
>>> fig = draw_responses(layout, {"": [Response("wave", None, np.ones(17))]})
>>> fig = draw_confusion([[8, 2], [1, 9]], ["wave", "clap"])
>>> fig = draw_class_accuracy([90.0, 60.0], ["wave", "clap"], baseline=[80.0, 70.0])
>>> fig = draw_errors([40, 80], {"forecast": [5.0, 9.0], "last pose repeated": [9.0, 17.0]})
>>> fig = draw_curves({"joint": {"train/top1": {1: 20.0, 2: 50.0}, "val/top1": {2: 40.0}}})
"""

from __future__ import annotations

try:
    import matplotlib as _matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError("drawing needs matplotlib: pip install 'asgcn_dgl[viz]'") from error

from asgcn_dgl.viz.animation import animate
from asgcn_dgl.viz.charts import draw_class_accuracy, draw_confusion, draw_curves, draw_errors
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
from asgcn_dgl.viz.pose import drawing_layout, guess_up, project
from asgcn_dgl.viz.skeleton import (
    Response,
    draw_prediction,
    draw_responses,
    draw_skeleton,
    draw_strip,
)

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
